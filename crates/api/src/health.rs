//! `GET /healthz` and `GET /readyz`: is the gateway up?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of the process.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct HealthAnswer {
    /// The state.
    pub status: Health,
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
    /// The gateway is loading its blacklists.
    Starting,
    /// The gateway is shutting down: it finishes requests in progress, and refuses new ones.
    Stopping,
}
