//! `GET /healthz` and `GET /readyz`: is the gateway up?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of the process.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct HealthAnswer {
    /// The state.
    pub status: Health,
    /// What does not work. Only with the status `degraded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Degraded>,
}

/// What does not work although the gateway answers requests. Names no tenant: no token is needed to read it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Degraded {
    /// The number of lists.
    pub lists: u64,
    /// The number of lists whose plugin does not answer: the tenant's `on_failure` applies.
    pub lists_out: u64,
    /// The number of rules whose plugin is missing or has failed: the tenant's `on_failure` applies.
    #[serde(default)]
    pub rules_out: u64,
    /// The number of tenants whose user ids are damaged in the ledger: checks of user ids fail.
    pub user_ids_out: u64,
    /// The state of the ledger.
    pub ledger: LedgerHealth,
    /// The state of the master key's file.
    pub master_key: KeyHealth,
    /// How long ago, in milliseconds, this gateway last knew everything that others had written to a shared ledger. Only if the ledger is
    /// shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staleness_ms: Option<u64>,
}

/// The state of the master key's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum KeyHealth {
    /// It holds the key, or the key is not from a file.
    Ok,
    /// It does not hold the key any more, or can't be read: the ledger can be read only as long as the gateway runs.
    Lost,
}

/// The state of the ledger: of its files, or of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LedgerHealth {
    /// They are in order.
    Ok,
    /// A file was removed, replaced or overwritten while the gateway ran: nothing can be written.
    Lost,
    /// The last write failed for the disk, as when it is full, and none has succeeded since.
    Failing,
    /// The witness can't be written, or was removed within the last 10 seconds: a loss of the ledger may go unnoticed.
    Unwitnessed,
    /// The ledger is a database, and can't be reached: checks are answered from memory, and nothing can be written.
    Unreachable,
}

/// A state of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Health {
    /// The process is alive. The only answer of `/healthz`.
    Ok,
    /// The gateway answers requests.
    Ready,
    /// The gateway answers requests, but not everything works: see `degraded`.
    Degraded,
    /// The gateway is loading its blacklists.
    Starting,
    /// The gateway is about to stop. It still answers requests for `server.lame_duck_seconds`: send them to another one.
    Stopping,
}
