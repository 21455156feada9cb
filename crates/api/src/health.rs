//! `GET /healthz` and `GET /readyz`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the process is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct HealthAnswer {
    pub status: Health,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Health {
    /// The process is alive.
    Ok,
    /// Requests are answered.
    Ready,
    /// Blacklists are being filled.
    Starting,
    /// Requests under way are finished, new ones turned away.
    Stopping,
}
