//! `/admin/plugins`: the plugins that tenants can use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The header with the signature of a component that is uploaded: the content of its `.minisig` file, in Base64.
pub const SIGNATURE_HEADER: &str = "Portcullis-Signature";

/// All plugins.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginsAnswer {
    /// The plugins, sorted by name.
    pub plugins: Vec<PluginAnswer>,
}

/// A plugin that tenants can use.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginAnswer {
    /// The plugin's name.
    pub plugin: String,
    /// What is wrong with its newest file, in one sentence. Omitted if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What is odd about its newest version, and harmless. Omitted if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Its versions, the newest first.
    pub versions: Vec<VersionAnswer>,
    /// The names of the tenants that use it, sorted.
    pub tenants: Vec<String>,
}

/// A version of a plugin.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct VersionAnswer {
    /// The digest of the component, `sha256:` and 64 hexadecimal digits, as in a tenant's `plugin_version`.
    pub version: String,
    /// The version that the plugin reports. Omitted if it has not been loaded since the gateway started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_version: Option<String>,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// When it became the newest version. Omitted if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Whether this is the version for tenants that pin none.
    pub newest: bool,
    /// Whose signature it has: the name and id of a key that the gateway trusts, or the id of another one. Omitted if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// An uploaded version of a plugin.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginPutAnswer {
    /// The plugin's name.
    pub plugin: String,
    /// The digest of the component, `sha256:` and 64 hexadecimal digits.
    pub version: String,
    /// The version that the plugin reports.
    pub own_version: String,
    /// The size of the component in bytes.
    pub bytes: usize,
    /// How many tenants use this plugin. The new version is offered to those that pin none: each of them may still refuse it, for
    /// its options or entries, and keeps what it has then. The tenant's plugin status shows the outcome.
    pub tenants: usize,
    /// What is odd about the version, and harmless: it calls itself otherwise than it is stored. Omitted if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// A version of a plugin that was removed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginRemovedAnswer {
    /// The plugin's name.
    pub plugin: String,
    /// The digest of the component, `sha256:` and 64 hexadecimal digits.
    pub version: String,
}
