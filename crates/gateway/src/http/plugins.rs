//! `/admin/plugins`: the plugins there are, and new versions of them.

use axum::http::StatusCode;
use portcullis_engine::plugin_store::ListedVersion;
use portcullis_engine::{Error, PluginRef};
use portcullis_host::ErrorChain;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{self, Answer};
use super::auth::{Admin, Named};
use super::body::ComponentBody;
use super::error::ApiError;
use super::words::time;
use crate::gateway::Gateway;

/// All plugins.
#[derive(Serialize, JsonSchema)]
pub(super) struct PluginsAnswer {
    /// By name.
    plugins: Vec<PluginAnswer>,
}

/// A plugin that tenants can choose.
#[derive(Serialize, JsonSchema)]
struct PluginAnswer {
    plugin: String,
    /// What is wrong with its newest file, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The newest first.
    versions: Vec<VersionAnswer>,
    /// The tenants that have it.
    tenants: Vec<String>,
}

/// A version of a plugin.
#[derive(Serialize, JsonSchema)]
struct VersionAnswer {
    /// The digest of the component: what a tenant's `plugin_version` names.
    version: String,
    /// What the plugin says its version is, where it was loaded since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    own_version: Option<String>,
    /// The size of the component.
    bytes: u64,
    /// When it became the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    newest: bool,
}

/// A version that was put.
#[derive(Serialize, JsonSchema)]
pub(super) struct PutAnswer {
    plugin: String,
    version: String,
    own_version: String,
    bytes: usize,
    /// How many tenants have this plugin. Those that stay with no other version get the new one now: ask for their status.
    tenants: usize,
}

pub(super) async fn list(Admin(gateway): Admin) -> Answer {
    answer::blocking(move || {
        let plugins = gateway.engine.plugins().names().into_iter();
        let plugins = plugins.map(|name| PluginAnswer::of(&gateway, name)).collect();
        Ok::<_, ApiError>(answer::ok(&PluginsAnswer { plugins }))
    })
    .await
}

pub(super) async fn put(Admin(gateway): Admin, named: Named, body: ComponentBody) -> Answer {
    let name = named.plugin.unwrap_or_default();
    answer::blocking(move || {
        let (version, tenants) = gateway.engine.blocking_put_plugin(&name, &body.0).map_err(refused)?;
        Ok::<_, ApiError>(answer::json(
            StatusCode::OK,
            &PutAnswer {
                plugin: version.name.clone(),
                version: version.digest.to_string(),
                own_version: version.plugin.description().version.clone(),
                bytes: version.bytes,
                tenants,
            },
        ))
    })
    .await
}

fn refused(error: Error) -> ApiError {
    match error {
        Error::Plugin(error) => error.into(),
        _ => ApiError::internal(),
    }
}

impl PluginAnswer {
    fn of(gateway: &Gateway, plugin: String) -> Self {
        let store = gateway.engine.plugins();
        let registry = gateway.registry.load();
        let has = |tenant: &&std::sync::Arc<crate::tenant::Tenant>| {
            let serving = gateway.engine.plugin_of(&tenant.config.id);
            serving.as_ref().map(PluginRef::name).ok() == Some(plugin.as_str())
        };
        let tenants = registry.tenants().filter(has);
        PluginAnswer {
            problem: store.problem(&plugin).map(|error| ErrorChain(&error).to_string()),
            versions: store.versions(&plugin).into_iter().map(VersionAnswer::of).collect(),
            tenants: tenants.map(|tenant| tenant.config.id.to_string()).collect(),
            plugin,
        }
    }
}

impl VersionAnswer {
    fn of(listed: ListedVersion) -> Self {
        let ListedVersion { digest, own_version, bytes, since, is_latest } = listed;
        VersionAnswer {
            version: digest.to_string(),
            own_version,
            bytes,
            since: since.map(time),
            newest: is_latest,
        }
    }
}
