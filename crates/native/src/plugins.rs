//! `/admin/plugins`: listing plugins and uploading new versions.

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_api::{
    ErrorCode, PluginAnswer, PluginPutAnswer, PluginRemovedAnswer, PluginsAnswer, SIGNATURE_HEADER,
    VersionAnswer,
};
use portcullis_engine::plugin_store::{ListedVersion, PluginStoreError, Signature};
use portcullis_engine::{Error, PluginRef};
use portcullis_host::{ErrorChain, ForeignText};

use portcullis_edge::gateway::{AdminError, Gateway};
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::ComponentBody;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::wire::time;

pub(super) async fn list(Admin(gateway): Admin) -> Answer {
    blocking(move || {
        let plugins = gateway.engine.plugins().names().into_iter();
        let plugins = plugins.map(|name| plugin_answer(&gateway, name)).collect();
        Ok::<_, ApiError>(answer::to_operator(&gateway.pools.answers, &PluginsAnswer { plugins })?)
    })
    .await
}

pub(super) async fn put(
    Admin(gateway): Admin,
    named: Named,
    headers: HeaderMap,
    body: ComponentBody,
) -> Answer {
    let name = named.plugin.unwrap_or_default();
    let signature = signature(&headers)?;
    blocking(move || {
        let put = gateway.engine.blocking_put_plugin(&name, &body.0, signature);
        let (version, tenants) = put.map_err(refused)?;
        Ok::<_, ApiError>(answer::json(
            StatusCode::OK,
            &PluginPutAnswer {
                plugin: version.name.clone(),
                version: version.digest.to_string(),
                own_version: version.own_version().to_owned(),
                bytes: version.bytes,
                tenants,
                remark: version.remark(),
            },
        ))
    })
    .await
}

pub(super) async fn remove(Admin(gateway): Admin, named: Named) -> Answer {
    let (name, version) = (named.plugin.unwrap_or_default(), named.version.unwrap_or_default());
    blocking(move || {
        let digest = gateway.engine.blocking_remove_plugin_version(&name, &version).map_err(not_removed)?;
        Ok::<_, ApiError>(answer::ok(&PluginRemovedAnswer { plugin: name, version: digest.to_string() }))
    })
    .await
}

/// The signature in the head of a request, if there is one.
fn signature(headers: &HeaderMap) -> Result<Option<Signature>, ApiError> {
    let Some(encoded) = headers.get(SIGNATURE_HEADER) else { return Ok(None) };
    let invalid = |what: &str| {
        ApiError::new(
            ErrorCode::InvalidRequest,
            format!("the header {SIGNATURE_HEADER} can't be read: {what}"),
        )
    };
    let decoded = STANDARD.decode(encoded.as_bytes());
    let text = decoded.map_err(|_| invalid("it must be the whole .minisig file, in Base64"))?;
    Signature::parse(&text).map(Some).map_err(|error| invalid(&error.to_string()))
}

fn not_removed(error: Error) -> ApiError {
    match error {
        Error::Plugin(
            error @ (PluginStoreError::Unknown { .. }
            | PluginStoreError::UnknownVersion { .. }
            | PluginStoreError::NoVersion { .. }
            | PluginStoreError::Ambiguous { .. }),
        ) => ApiError::new(ErrorCode::NotFound, ErrorChain(&error).to_string()),
        Error::Plugin(error @ PluginStoreError::Needed { .. }) => {
            ApiError::new(ErrorCode::Conflict, ErrorChain(&error).to_string())
        }
        error => refused(error),
    }
}

fn refused(error: Error) -> ApiError {
    match error {
        Error::Plugin(error) => error.into(),
        error => AdminError::from(error).into(),
    }
}

fn plugin_answer(gateway: &Gateway, plugin: String) -> PluginAnswer {
    let store = gateway.engine.plugins();
    let registry = gateway.registry.load();
    let has = |tenant: &&std::sync::Arc<portcullis_edge::tenant::Tenant>| {
        let serving = gateway.engine.plugin_of(&tenant.config.id);
        serving.as_ref().map(PluginRef::name).ok() == Some(plugin.as_str())
            || tenant.config.rules.iter().any(|rule| rule.plugin == plugin)
    };
    let tenants = registry.tenants().filter(has);
    PluginAnswer {
        problem: store.problem(&plugin).map(|error| ErrorChain(&error).to_string()),
        remark: store.remark(&plugin),
        versions: store.versions(&plugin).into_iter().map(version_answer).collect(),
        tenants: tenants.map(|tenant| tenant.config.id.to_string()).collect(),
        // The name of a file, which may be anything.
        plugin: ForeignText(&plugin).to_string(),
    }
}

fn version_answer(listed: ListedVersion) -> VersionAnswer {
    let ListedVersion { digest, own_version, bytes, since, is_latest, signed_by } = listed;
    VersionAnswer {
        version: digest.to_string(),
        own_version,
        bytes,
        since: since.map(time),
        newest: is_latest,
        signed_by,
    }
}
