//! `/admin/tenants/{tenant}/plugin`: the plugin that serves a tenant, and its exchange for another one.

use std::collections::BTreeMap;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to exchange a tenant's plugin for another plugin, version or options. An omitted plugin, and its options,
/// stay as they are. An omitted version stands for the newest.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// The name of another plugin. It starts with no options unless `options` is given.
    pub plugin: Option<String>,
    /// A version to pin: `sha256:` and the hexadecimal digits of its digest, or at least the first 8 of them.
    pub version: Option<String>,
    /// The options, passed to the plugin as JSON.
    pub options: Option<Map<String, Value>>,
    /// Runs the new plugin as a shadow first: it answers live checks next to the serving plugin, and its answers are
    /// only compared.
    pub shadow: Option<ShadowRequest>,
}

/// The terms of a shadow run. At its end the new plugin is promoted, unless it disagreed with the serving plugin too often.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowRequest {
    /// The number of checks after which the run ends. Omit for no limit.
    #[schemars(range(min = 1))]
    pub checks: Option<u64>,
    /// The seconds after which the run ends, at most 604,800 (a week). A run with neither limit ends when it is
    /// promoted or rolled back.
    #[schemars(range(min = 1, max = 604_800))]
    pub seconds: Option<u64>,
    /// The most disagreements that are tolerated. With more, the run ends at once and the new plugin is discarded. Default: 0.
    #[serde(default)]
    pub max_disagreements: u64,
}

/// The plugin that serves a tenant, and the state of its exchange.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct PluginStatus {
    /// The tenant's name.
    pub tenant: String,
    /// A summary in a sentence or two.
    pub summary: String,
    /// The stage of the exchange: `resting` (idle), `preparing`, `filling`, `proving`, `shadowing`, `swapping`, `watching` or
    /// `rolling-back`.
    pub stage: String,
    /// Whether another exchange is queued behind this one.
    pub queued: bool,
    /// The plugin that serves.
    pub serving: SetupAnswer,
    /// The previous plugin, to which a rollback returns. Omitted if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SetupAnswer>,
    /// The exchange in progress, or the last one. Omitted if there was none since the gateway started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AttemptAnswer>,
    /// The shadow run in progress, or the last one. Omitted if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowAnswer>,
    /// Memory of all instances of the plugin that serves, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// The limit of that in bytes: the tenant's `memory_limit_bytes`.
    #[serde(default)]
    pub memory_limit_bytes: u64,
    /// What to do about memory, if more than 80 % of the limit are taken. Omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_warning: Option<String>,
    /// The tenant's lists, the tenant-wide one first.
    pub lists: Vec<ListAnswer>,
    /// The tenant's rules, in the order in which they are asked. Omitted if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleAnswer>,
}

/// A request to exchange a rules plugin for another version, or for other options. What is omitted stays; an omitted version stands for the
/// newest.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleExchangeRequest {
    /// A version to pin: `sha256:` and the hexadecimal digits of its digest, or at least the first 8 of them.
    pub version: Option<String>,
    /// The options, passed to the plugin as JSON.
    pub options: Option<Map<String, Value>>,
    /// Runs the new version as a shadow first: it decides next to the one that serves, with counts of what it would have let pass itself, and
    /// stops nothing. Disagreements are messages that one of the two stops, and the other one does not.
    pub shadow: Option<RuleShadowRequest>,
}

/// The terms of a shadow run of a rule. At its end the new version is promoted, unless it disagreed with the serving one more often than is
/// tolerated.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleShadowRequest {
    /// The number of messages after which the run ends. Omit for no limit.
    #[schemars(range(min = 1))]
    pub checks: Option<u64>,
    /// The seconds after which the run ends, at most 604,800 (a week). A run with neither limit ends when it is
    /// promoted or rolled back.
    #[schemars(range(min = 1, max = 604_800))]
    pub seconds: Option<u64>,
    /// The most disagreements that are tolerated. With more, the run ends at once and the new version is discarded. Omit to tolerate any
    /// number: a rule is there to stop messages.
    pub max_disagreements: Option<u64>,
}

/// A rules plugin of a tenant, and the state of its exchange.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RuleAnswer {
    /// The plugin's name.
    pub plugin: String,
    /// The digest of the component that serves. Omitted if the plugin is missing, so that the tenant's `on_failure` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version that the plugin reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_version: Option<String>,
    /// Whether the tenant pins this version, and so ignores newer ones.
    pub pinned: bool,
    /// Why the plugin is missing, or does not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The options in force.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// The reasons for which it stops messages.
    pub reasons: Vec<String>,
    /// The share of messages to strangers that it stopped when it was proven before it began to serve, from 0 to 1. The strangers have
    /// mobile numbers of large countries, the messages any purpose, and nothing was counted.
    #[serde(default)]
    pub strangers_stopped_share: f64,
    /// How many meters it reads.
    pub meters: usize,
    /// How many instances of the plugin decide. If none does, the tenant's `on_failure` answers.
    pub instances: usize,
    /// How many instances were lost to faults since the rule began to serve.
    pub faults: u64,
    /// Why the plugin failed last. Omitted if it has not since it began to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
    /// The kind of that fault, as the metrics have it, such as `trapped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault_kind: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault_at: Option<String>,
    /// Whether the plugin is slow: messages wait for their turn.
    pub slow: bool,
    /// Memory of its instances, in bytes.
    pub memory_bytes: u64,
    /// The previous version's digest, to which a rollback returns. Omitted if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The exchange in progress, or the last one. Omitted if there was none since the gateway started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AttemptAnswer>,
    /// The shadow run in progress, or the last one. Omitted if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<RuleShadowAnswer>,
}

/// A shadow run of a rule, in progress or over.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RuleShadowAnswer {
    /// Whether it is in progress.
    pub running: bool,
    /// How it ended: `served`, `refused` or `rolled_back`. Omitted if it is in progress, or ended because the rule or the tenant's settings
    /// were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The requested number of messages. Omitted if the run has no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<u64>,
    /// The requested duration in seconds. Omitted if the run has no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// The most disagreements that are tolerated. Omitted if any number is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_disagreements: Option<u64>,
    /// On how many messages the new version decided.
    pub compared: u64,
    /// On how many it did not, because it could not keep up.
    pub skipped: u64,
    /// How many it would have stopped.
    pub stopped: u64,
    /// The share of the messages compared that it would have stopped, from 0 to 1.
    pub stopped_share: f64,
    /// How many of them the version that serves stopped.
    pub stopped_by_serving: u64,
    /// How many one of the two stopped, and the other one did not.
    pub disagreements: u64,
    /// How many it would have stopped for each reason.
    pub reasons: BTreeMap<String, u64>,
}

/// A version of a plugin, as a tenant uses it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct SetupAnswer {
    /// The plugin's name.
    pub plugin: String,
    /// The digest of the component, `sha256:` and 64 hexadecimal digits.
    pub version: String,
    /// The version that the plugin reports.
    pub own_version: String,
    /// Whether the tenant pins this version, and so ignores newer ones.
    pub pinned: bool,
    /// Its options.
    #[serde(default)]
    pub options: Map<String, Value>,
}

/// An exchange, in progress or over.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct AttemptAnswer {
    /// The requested plugin, for people to read.
    pub to: String,
    /// When the exchange began.
    pub began: String,
    /// `under_way`, `served`, `refused` or `rolled_back`.
    pub outcome: String,
    /// What was wrong, in one sentence. Omitted if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long each stage took so far, in order.
    pub stages: Vec<StageAnswer>,
}

/// A stage of an exchange, and how long it took.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct StageAnswer {
    /// The stage's name, as in the plugin status.
    pub stage: String,
    /// How long it took over all lists of the tenant, in microseconds.
    pub micros: u64,
}

/// A shadow run, in progress or over.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ShadowAnswer {
    /// The requested number of checks. Omitted if the run has no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<u64>,
    /// The requested duration in seconds. Omitted if the run has no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// The most disagreements that are tolerated.
    pub max_disagreements: u64,
    /// How many checks were compared.
    pub compared: u64,
    /// How many checks were not compared, because the new plugin could not keep up.
    pub skipped: u64,
    /// How many of the compared checks the plugins answered differently.
    pub disagreements: u64,
    /// The latest disagreements, at most 16.
    pub latest: Vec<DisagreementAnswer>,
}

/// A check that the two plugins of a shadow run answered differently.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct DisagreementAnswer {
    /// The sender's name, or `tenant-wide`.
    pub list: String,
    /// The number, with most of its digits masked; `not a number` for a person without one.
    pub number: String,
    /// The direction of the message.
    pub direction: Direction,
    /// The answer of the serving plugin, `allow` or `block`. The new plugin gave the other one.
    pub serving: String,
}

/// The state of one of the tenant's lists.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ListAnswer {
    /// The sender's name, or `tenant-wide`.
    pub list: String,
    /// Whether the plugin answers checks, which includes a list that was unloaded. If not, the tenant's `on_failure` applies.
    pub serving: bool,
    /// Whether the plugin is slow: its checks wait for their turn, and the tenant's `on_failure` answers those that have no answer in
    /// time.
    #[serde(default)]
    pub slow: bool,
    /// Whether the list is idle and was unloaded. The next check loads it again.
    pub resting: bool,
    /// How many generations of the plugin have served the list since the gateway started, the current one included.
    pub generation: u64,
    /// How many instances of the plugin answer checks.
    pub replicas: usize,
    /// Memory of these instances, in bytes.
    pub memory_bytes: u64,
    /// The state of the list's circuit breaker: `closed` (healthy), `open` (failed) or `probation` (serving again, but
    /// not yet for long).
    pub breaker: String,
    /// How often the plugin recovered from a fault since the gateway started.
    pub recoveries: u64,
    /// Why the plugin failed last. Omitted if it has not since it began to serve the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
}
