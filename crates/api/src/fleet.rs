//! `/admin/fleet`: the gateways that share a ledger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gateways that share a ledger, as the one that answers sees them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct FleetAnswer {
    /// Whether the ledger is one that gateways can share. If not, nobody is named below.
    pub shared: bool,
    /// The gateways, sorted by name.
    pub nodes: Vec<NodeAnswer>,
    /// The work that one gateway at a time does for all, sorted by name.
    pub leases: Vec<LeaseAnswer>,
    /// The settings that should be the same in all configuration files, and are not, sorted by name.
    pub differences: Vec<DifferenceAnswer>,
}

/// A gateway.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct NodeAnswer {
    /// Its name.
    pub node: String,
    /// Whether it is the one that answers.
    pub answering: bool,
    /// Whether it is live: it was heard of in the last 4 seconds, and others wait for it.
    pub live: bool,
    /// The version of its program; null while it starts.
    pub program: Option<String>,
    /// When it started.
    pub started: String,
    /// How long ago it was last heard of, in milliseconds.
    pub silent_ms: u64,
    /// How long ago it last knew everything that others had written, as it said then, in milliseconds.
    pub staleness_ms: u64,
}

/// Work that one gateway at a time does for all.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct LeaseAnswer {
    /// The work: its name is constant.
    pub lease: String,
    /// The name of the gateway that does it.
    pub node: String,
}

/// A setting that is not the same in all configuration files.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct DifferenceAnswer {
    /// The setting, such as `tenants.acme.opt_out`.
    pub setting: String,
    /// The gateways that have another value than the one that answers, or none.
    pub nodes: Vec<String>,
}
