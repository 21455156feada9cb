//! `GET …/status`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tenant's blacklists.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TenantStatus {
    pub tenant: String,
    pub senders: Vec<ListStatus>,
    /// The list that holds for all senders.
    pub tenant_wide: ListStatus,
}

/// One blacklist.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ListStatus {
    /// The sender's name; missing for the tenant-wide list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many entries are active.
    pub count: u64,
    /// The number of the newest change.
    pub sequence: u64,
    pub plugin: ListPlugin,
    pub state: ListState,
    /// What the plugin has of memory for this list.
    pub memory_bytes: u64,
    /// The plugin's machine code, which all its lists share.
    pub code_bytes: usize,
}

/// The plugin that answers, in its own words.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ListPlugin {
    pub name: String,
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ListState {
    /// The plugin answers.
    Serving,
    /// The plugin was put to rest, as nobody asked: the next check brings it back.
    Resting,
    /// The plugin failed: the tenant's policy answers until it is filled again.
    Recovering,
}
