//! `GET …/status`: the state of blacklists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a tenant's blacklists.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TenantStatus {
    /// The tenant's name.
    pub tenant: String,
    /// The senders' own lists, sorted by name.
    pub senders: Vec<ListStatus>,
    /// The list that applies to all senders.
    pub tenant_wide: ListStatus,
}

/// The state of a blacklist.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ListStatus {
    /// The sender's name. Omitted for the tenant-wide list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The number of active entries.
    pub count: u64,
    /// The sequence number of the latest change.
    pub sequence: u64,
    /// The plugin that answers checks.
    pub plugin: ListPlugin,
    /// What answers checks now.
    pub state: ListState,
    /// Memory of the plugin's instances for this list, in bytes.
    pub memory_bytes: u64,
    /// The size of the plugin's machine code in bytes. All lists with this plugin share it.
    pub code_bytes: usize,
    /// What is wrong with what is stored of the list, and what to do. Omitted if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A plugin, as it describes itself.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ListPlugin {
    /// The name that the plugin reports.
    pub name: String,
    /// The version that the plugin reports.
    pub version: String,
}

/// What answers a list's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ListState {
    /// The plugin answers.
    Serving,
    /// The list is idle and was unloaded. The next check loads it again.
    Resting,
    /// The plugin failed. The tenant's `on_failure` applies until the plugin has been filled again.
    Recovering,
}
