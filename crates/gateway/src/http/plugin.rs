//! `/admin/tenants/{tenant}/plugin`: what serves a tenant, and its exchange.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use portcullis_host::{ShadowPlan, Stage, Verdict};
use portcullis_msisdn::Revealed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{self, Answer};
use super::auth::{Admin, Named};
use super::body::JsonBody;
use super::error::ApiError;
use super::words::{Way, time};
use crate::gate::{Gate, Service, Standing};
use crate::gateway::{AdminError, Gateway};
use crate::reload::{Attempt, Outcome, Run, Setup, Shadowing, Told, What};
use crate::tenant::Tenant;

/// What a tenant's plugin is to be. What is left out stays as it is; without a version the newest is taken.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeRequest {
    /// Another plugin. It begins without options unless some are given.
    plugin: Option<String>,
    /// One version to stay with: `sha256:` and the digits of its digest, or at least the first 8 of them.
    version: Option<String>,
    options: Option<Map<String, Value>>,
    /// Has the new plugin answer live checks beside the one that serves first, heard by nobody.
    shadow: Option<ShadowRequest>,
}

/// When a shadow run is over, and what then: promoted where it disagreed seldom enough, else discarded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShadowRequest {
    /// After so many checks.
    #[schemars(range(min = 1))]
    checks: Option<u64>,
    /// After so many seconds, at most a week. With neither, it goes on until it is promoted or rolled back.
    #[schemars(range(min = 1, max = 604_800))]
    seconds: Option<u64>,
    /// With more disagreements it is discarded, and at once.
    #[serde(default)]
    max_disagreements: u64,
}

/// What serves a tenant, and its exchange.
#[derive(Serialize, JsonSchema)]
pub(super) struct PluginStatus {
    tenant: String,
    /// All of it in a sentence or two.
    summary: String,
    /// What the exchange is doing: `resting`, `preparing`, `filling`, `proving`, `shadowing`, `swapping`, `watching` or
    /// `rolling-back`.
    stage: String,
    /// Whether another exchange waits.
    queued: bool,
    serving: SetupAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<SetupAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<AttemptAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowAnswer>,
    lists: Vec<ListAnswer>,
}

/// A plugin and its version.
#[derive(Serialize, JsonSchema)]
struct SetupAnswer {
    plugin: String,
    version: String,
    own_version: String,
    /// Whether the tenant stays with it when there is a newer one.
    pinned: bool,
}

/// The exchange that is under way, or the last one.
#[derive(Serialize, JsonSchema)]
struct AttemptAnswer {
    to: String,
    began: String,
    /// `under_way`, `served`, `refused` or `rolled_back`.
    outcome: String,
    /// What was wrong, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    stages: Vec<StageAnswer>,
}

#[derive(Serialize, JsonSchema)]
struct StageAnswer {
    stage: String,
    micros: u64,
}

/// A shadow run, under way or over.
#[derive(Serialize, JsonSchema)]
struct ShadowAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    max_disagreements: u64,
    compared: u64,
    /// Checks that the new plugin was not asked, as it did not keep up.
    skipped: u64,
    disagreements: u64,
    /// The latest disagreements, at most 16.
    latest: Vec<DisagreementAnswer>,
}

#[derive(Serialize, JsonSchema)]
struct DisagreementAnswer {
    list: String,
    /// Masked.
    number: String,
    direction: Way,
    /// `allow` or `block`: the plugin that serves. The new one says the other.
    serving: String,
}

/// How one of the tenant's lists stands.
#[derive(Serialize, JsonSchema)]
struct ListAnswer {
    list: String,
    /// Whether the plugin answers; otherwise the tenant's policy does.
    serving: bool,
    /// Whether the plugin was put to rest, as nobody asked: the next check brings it back.
    resting: bool,
    /// How many generations have served since the start.
    generation: u64,
    /// How many instances answer.
    replicas: usize,
    memory_bytes: u64,
    /// `closed`, `open` or `probation`.
    breaker: String,
    /// How often its plugin was filled again after a fault.
    recoveries: u64,
}

pub(super) async fn status(Admin(gateway): Admin, named: Named) -> Answer {
    answer::blocking(move || status_of(&gateway, &named.tenant)).await
}

pub(super) async fn exchange(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    answer::blocking(move || {
        let ExchangeRequest { plugin, version, options, shadow } = body.parse()?;
        let shadow = shadow.map(Shadowing::try_from).transpose()?;
        let options = options.map(|options| serde_json::to_string(&options).unwrap_or_default());
        let tenant = tenant(&gateway, &named.tenant)?;
        let hear = tenant.reload.ask_and_hear(What::Other { plugin, version, options }, shadow);
        heard(&hear)?;
        status_of(&gateway, &named.tenant)
    })
    .await
}

pub(super) async fn promote(Admin(gateway): Admin, named: Named) -> Answer {
    answer::blocking(move || {
        let hear = tenant(&gateway, &named.tenant)?.reload.promote()?;
        heard(&hear)?;
        status_of(&gateway, &named.tenant)
    })
    .await
}

pub(super) async fn rollback(Admin(gateway): Admin, named: Named) -> Answer {
    answer::blocking(move || {
        let hear = tenant(&gateway, &named.tenant)?.reload.go_back()?;
        heard(&hear)?;
        status_of(&gateway, &named.tenant)
    })
    .await
}

fn tenant(gateway: &Gateway, name: &str) -> Result<Arc<Tenant>, ApiError> {
    gateway.registry.load().tenant(name).cloned().ok_or_else(|| AdminError::UnknownTenant.into())
}

/// Waits for the end of an exchange: each of its stages is bounded.
fn heard(hear: &Receiver<Told>) -> Result<(), ApiError> {
    match hear.recv() {
        Ok(Told::Serves | Told::Shadows) => Ok(()),
        Ok(Told::Refused(why)) => Err(ApiError::plugin_refused(&why)),
        Err(_) => Err(ApiError::plugin_refused("a later request for an exchange overtook this one")),
    }
}

fn status_of(gateway: &Gateway, name: &str) -> Answer {
    let tenant = tenant(gateway, name)?;
    Ok(answer::ok(&PluginStatus::of(&tenant)))
}

impl TryFrom<ShadowRequest> for Shadowing {
    type Error = ApiError;

    fn try_from(request: ShadowRequest) -> Result<Self, ApiError> {
        let ShadowRequest { checks, seconds, max_disagreements } = request;
        if checks == Some(0) {
            return Err(ApiError::invalid_request(
                "shadow.checks",
                "0 is no number of checks; set at least 1",
            ));
        }
        if seconds.is_some_and(|seconds| !(1..=604_800).contains(&seconds)) {
            let what = "not between 1 and 604800 (a week); leave it out for a run without an end";
            return Err(ApiError::invalid_request("shadow.seconds", what));
        }
        let plan = ShadowPlan { checks, max_disagreements };
        Ok(Shadowing { plan, time: seconds.map(Duration::from_secs) })
    }
}

impl PluginStatus {
    fn of(tenant: &Tenant) -> Self {
        let (stage, queued, record) = tenant.reload.look();
        PluginStatus {
            tenant: tenant.config.id.to_string(),
            summary: summary(stage, &record.serving, record.last.as_ref()),
            stage: stage.as_str().to_owned(),
            queued,
            serving: SetupAnswer::of(&record.serving),
            before: record.before.as_ref().map(SetupAnswer::of),
            last: record.last.as_ref().map(AttemptAnswer::of),
            shadow: record.shadow.as_ref().map(|run| ShadowAnswer::of(run, tenant)),
            lists: tenant.gates().map(|gate| ListAnswer::of(gate)).collect(),
        }
    }
}

/// For people: what serves, and what became of the last exchange.
fn summary(stage: Stage, serving: &Setup, last: Option<&Attempt>) -> String {
    let serves = format!("{} serves", serving.name());
    let Some(Attempt { to, outcome, why, .. }) = last else { return serves };
    let because = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match outcome {
        Outcome::UnderWay => format!("{serves}; {to} is {}", stage.as_str()),
        Outcome::Served => format!("{serves}{because}"),
        Outcome::Refused => format!("{serves}; {to} was refused{because}"),
        Outcome::RolledBack => format!("{serves} again; {to} was rolled back{because}"),
    }
}

impl SetupAnswer {
    fn of(setup: &Setup) -> Self {
        SetupAnswer {
            plugin: setup.version.name.clone(),
            version: setup.version.digest.to_string(),
            own_version: setup.version.plugin.description().version.clone(),
            pinned: setup.pinned,
        }
    }
}

impl AttemptAnswer {
    fn of(attempt: &Attempt) -> Self {
        let stage = |(stage, took): &(Stage, Duration)| StageAnswer {
            stage: stage.as_str().to_owned(),
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        };
        AttemptAnswer {
            to: attempt.to.clone(),
            began: time(attempt.began),
            outcome: attempt.outcome.as_str().to_owned(),
            why: attempt.why.clone(),
            stages: attempt.stages.iter().map(stage).collect(),
        }
    }
}

impl ShadowAnswer {
    fn of(run: &Run, tenant: &Tenant) -> Self {
        let masked = |subject| match tenant.keys.permutation().reveal(subject) {
            Revealed::Number(number) => number.masked().to_string(),
            _ => "not a number".to_owned(),
        };
        let word = |verdict| match verdict {
            Verdict::Allow => "allow",
            Verdict::Block => "block",
        };
        let latest = run.tally.latest.iter().map(|disagreement| DisagreementAnswer {
            list: run.list_of(disagreement).to_owned(),
            number: masked(disagreement.subject),
            direction: disagreement.direction.into(),
            serving: word(disagreement.serving).to_owned(),
        });
        ShadowAnswer {
            checks: run.terms.plan.checks,
            seconds: run.terms.time.map(|time| time.as_secs()),
            max_disagreements: run.terms.plan.max_disagreements,
            compared: run.tally.compared,
            skipped: run.tally.skipped,
            disagreements: run.tally.disagreements,
            latest: latest.collect(),
        }
    }
}

impl ListAnswer {
    fn of(gate: &Gate) -> Self {
        let generation = gate.generation();
        let Standing { breaker, recoveries } = gate.standing();
        let service = gate.service();
        ListAnswer {
            list: gate.name().to_owned(),
            serving: service != Service::Out,
            resting: service == Service::Resting,
            generation: gate.number(),
            replicas: generation.left(),
            memory_bytes: generation.memory_bytes(),
            breaker: breaker.as_str().to_owned(),
            recoveries,
        }
    }
}
