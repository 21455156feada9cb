//! `/admin/tenants/{tenant}/plugin`

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a tenant's plugin is to be. What is left out stays as it is; without a version the newest is taken.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// Another plugin. It begins without options unless some are given.
    pub plugin: Option<String>,
    /// One version to stay with: `sha256:` and the digits of its digest, or at least the first 8 of them.
    pub version: Option<String>,
    pub options: Option<Map<String, Value>>,
    /// Has the new plugin answer live checks beside the one that serves first, heard by nobody.
    pub shadow: Option<ShadowRequest>,
}

/// When a shadow run is over, and what then: promoted where it disagreed seldom enough, else discarded.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowRequest {
    /// After so many checks.
    #[schemars(range(min = 1))]
    pub checks: Option<u64>,
    /// After so many seconds, at most a week. With neither, it goes on until it is promoted or rolled back.
    #[schemars(range(min = 1, max = 604_800))]
    pub seconds: Option<u64>,
    /// With more disagreements it is discarded, and at once.
    #[serde(default)]
    pub max_disagreements: u64,
}

/// What serves a tenant, and its exchange.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginStatus {
    pub tenant: String,
    /// All of it in a sentence or two.
    pub summary: String,
    /// What the exchange is doing: `resting`, `preparing`, `filling`, `proving`, `shadowing`, `swapping`, `watching` or
    /// `rolling-back`.
    pub stage: String,
    /// Whether another exchange waits.
    pub queued: bool,
    pub serving: SetupAnswer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SetupAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AttemptAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowAnswer>,
    pub lists: Vec<ListAnswer>,
}

/// A plugin and its version.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct SetupAnswer {
    pub plugin: String,
    pub version: String,
    pub own_version: String,
    /// Whether the tenant stays with it when there is a newer one.
    pub pinned: bool,
}

/// The exchange that is under way, or the last one.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct AttemptAnswer {
    pub to: String,
    pub began: String,
    /// `under_way`, `served`, `refused` or `rolled_back`.
    pub outcome: String,
    /// What was wrong, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub stages: Vec<StageAnswer>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct StageAnswer {
    pub stage: String,
    pub micros: u64,
}

/// A shadow run, under way or over.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ShadowAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    pub max_disagreements: u64,
    pub compared: u64,
    /// Checks that the new plugin was not asked, as it did not keep up.
    pub skipped: u64,
    pub disagreements: u64,
    /// The latest disagreements, at most 16.
    pub latest: Vec<DisagreementAnswer>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct DisagreementAnswer {
    pub list: String,
    /// Masked.
    pub number: String,
    pub direction: Direction,
    /// `allow` or `block`: the plugin that serves. The new one says the other.
    pub serving: String,
}

/// How one of the tenant's lists stands.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ListAnswer {
    pub list: String,
    /// Whether the plugin answers; otherwise the tenant's policy does.
    pub serving: bool,
    /// Whether the plugin was put to rest, as nobody asked: the next check brings it back.
    pub resting: bool,
    /// How many generations have served since the start.
    pub generation: u64,
    /// How many instances answer.
    pub replicas: usize,
    pub memory_bytes: u64,
    /// `closed`, `open` or `probation`.
    pub breaker: String,
    /// How often its plugin was filled again after a fault.
    pub recoveries: u64,
}
