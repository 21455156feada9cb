//! `/admin/plugins`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All plugins.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginsAnswer {
    /// By name.
    pub plugins: Vec<PluginAnswer>,
}

/// A plugin that tenants can choose.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginAnswer {
    pub plugin: String,
    /// What is wrong with its newest file, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The newest first.
    pub versions: Vec<VersionAnswer>,
    /// The tenants that have it.
    pub tenants: Vec<String>,
}

/// A version of a plugin.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct VersionAnswer {
    /// The digest of the component: what a tenant's `plugin_version` names.
    pub version: String,
    /// What the plugin says its version is, where it was loaded since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_version: Option<String>,
    /// The size of the component.
    pub bytes: u64,
    /// When it became the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    pub newest: bool,
}

/// A version that was put.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginPutAnswer {
    pub plugin: String,
    pub version: String,
    pub own_version: String,
    pub bytes: usize,
    /// How many tenants have this plugin. Those that stay with no other version get the new one now: ask for their status.
    pub tenants: usize,
}
