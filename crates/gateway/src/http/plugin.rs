//! `/admin/tenants/{tenant}/plugin`: what serves a tenant, and its exchange.

use std::time::Duration;

use portcullis_engine::{
    Attempt, Error, ListStatus, Outcome, ReloadRequest, Service, Setup, ShadowReport, ShadowTerms,
    TenantStatus,
};
use portcullis_host::{ErrorChain, ShadowPlan, Stage, Verdict};
use portcullis_msisdn::{Permutation, Revealed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{self, Answer};
use super::auth::{Admin, Named};
use super::body::JsonBody;
use super::error::ApiError;
use super::words::{Way, time};
use crate::gateway::{AdminError, Gateway};

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
    let ExchangeRequest { plugin, version, options, shadow } = body.parse()?;
    let mut request = ReloadRequest::newest();
    if let Some(plugin) = plugin {
        request = request.plugin(plugin);
    }
    if let Some(version) = version {
        request = request.version(version);
    }
    if let Some(options) = options {
        request = request.options(options);
    }
    if let Some(shadow) = shadow {
        request = request.shadow(shadow.try_into()?);
    }
    gateway.engine.reload(&named.tenant, request).await.map_err(refused)?;
    status(Admin(gateway), named).await
}

pub(super) async fn promote(Admin(gateway): Admin, named: Named) -> Answer {
    gateway.engine.promote(&named.tenant).await.map_err(refused)?;
    status(Admin(gateway), named).await
}

pub(super) async fn rollback(Admin(gateway): Admin, named: Named) -> Answer {
    gateway.engine.roll_back(&named.tenant).await.map_err(refused)?;
    status(Admin(gateway), named).await
}

fn refused(error: Error) -> ApiError {
    match error {
        Error::Reload(why) => match &*why {
            portcullis_engine::ReloadError::NotNow(not_now) => (*not_now).into(),
            why => ApiError::plugin_refused(&ErrorChain(why).to_string()),
        },
        Error::Name(_) => AdminError::UnknownTenant.into(),
        error => AdminError::from(error).into(),
    }
}

fn status_of(gateway: &Gateway, name: &str) -> Answer {
    let id = name.parse().map_err(|_| AdminError::UnknownTenant)?;
    let tenant = gateway.engine.tenant_status(&id).map_err(AdminError::from)?;
    let list = gateway.engine.tenant_list(name).map_err(AdminError::from)?;
    Ok(answer::ok(&PluginStatus::of(&tenant, list.permutation())))
}

impl TryFrom<ShadowRequest> for ShadowTerms {
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
        Ok(ShadowTerms { plan, time: seconds.map(Duration::from_secs) })
    }
}

impl PluginStatus {
    fn of(tenant: &TenantStatus, permutation: &Permutation) -> Self {
        let reload = &tenant.reload;
        PluginStatus {
            tenant: tenant.id.to_string(),
            summary: summary(reload.stage, &reload.serving, reload.last.as_ref()),
            stage: reload.stage.as_str().to_owned(),
            queued: reload.queued,
            serving: SetupAnswer::of(&reload.serving),
            before: reload.before.as_ref().map(SetupAnswer::of),
            last: reload.last.as_ref().map(AttemptAnswer::of),
            shadow: reload.shadow.as_ref().map(|run| ShadowAnswer::of(run, permutation)),
            lists: tenant.lists.iter().map(ListAnswer::of).collect(),
        }
    }
}

/// For people: what serves, and what became of the last exchange.
fn summary(stage: Stage, serving: &Setup, last: Option<&Attempt>) -> String {
    let serves = format!("{} serves", serving.name());
    let Some(Attempt { to, outcome, error, .. }) = last else { return serves };
    let because = error.as_ref().map(|error| format!(": {}", ErrorChain(error))).unwrap_or_default();
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
            plugin: setup.version().name.clone(),
            version: setup.version().digest.to_string(),
            own_version: setup.version().plugin.description().version.clone(),
            pinned: setup.is_pinned(),
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
            why: attempt.error.as_ref().map(|error| ErrorChain(error).to_string()),
            stages: attempt.stages.iter().map(stage).collect(),
        }
    }
}

impl ShadowAnswer {
    fn of(run: &ShadowReport, permutation: &Permutation) -> Self {
        let masked = |subject| match permutation.reveal(subject) {
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
    fn of(list: &ListStatus) -> Self {
        ListAnswer {
            list: list.name().to_owned(),
            serving: list.service != Service::Out,
            resting: list.service == Service::Evicted,
            generation: list.generation,
            replicas: list.instances,
            memory_bytes: list.memory_bytes,
            breaker: list.health.breaker.as_str().to_owned(),
            recoveries: list.health.recoveries,
        }
    }
}
