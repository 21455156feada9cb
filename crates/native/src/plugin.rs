//! `/admin/tenants/{tenant}/plugin`: the status of a tenant's plugin, reloads, shadow runs and rollbacks.

use std::time::Duration;

use portcullis_api::{
    AttemptAnswer, DisagreementAnswer, ErrorCode, ExchangeRequest, ListAnswer, PluginStatus, RuleAnswer,
    RuleExchangeRequest, RuleShadowAnswer, RuleShadowRequest, SetupAnswer, ShadowAnswer, ShadowRequest,
    StageAnswer,
};
use portcullis_engine::{
    Attempt, Error, ListStatus, Outcome, ReloadError, ReloadRequest, ReloadStatus, RuleExchangeError,
    RuleRequest, RuleShadow, RuleStatus, RuleTerms, Service, Setup, ShadowReport, ShadowTerms, TenantStatus,
};
use portcullis_host::{ErrorChain, ShadowPlan, Stage, Verdict};
use portcullis_msisdn::{Permutation, Revealed};

use portcullis_edge::gateway::{AdminError, Gateway};
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::JsonBody;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::wire::time;

pub(super) async fn status(Admin(gateway): Admin, named: Named) -> Answer {
    blocking(move || status_of(&gateway, &named.tenant)).await
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
        request = request.shadow(shadow_terms(shadow)?);
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

pub(super) async fn exchange_rule(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    let RuleExchangeRequest { version, options, shadow } = body.parse()?;
    let shadow = shadow.map(rule_terms).transpose()?;
    let request = RuleRequest { version, options, shadow };
    gateway.engine.exchange_rule(&named.tenant, rule_of(&named), request).await.map_err(refused)?;
    status(Admin(gateway), named).await
}

pub(super) async fn promote_rule(Admin(gateway): Admin, named: Named) -> Answer {
    gateway.engine.promote_rule(&named.tenant, rule_of(&named)).await.map_err(refused)?;
    status(Admin(gateway), named).await
}

pub(super) async fn roll_back_rule(Admin(gateway): Admin, named: Named) -> Answer {
    gateway.engine.roll_back_rule(&named.tenant, rule_of(&named)).await.map_err(refused)?;
    status(Admin(gateway), named).await
}

fn rule_of(named: &Named) -> &str {
    named.plugin.as_deref().unwrap_or_default()
}

fn refused(error: Error) -> ApiError {
    match error {
        Error::Reload(why) => match &*why {
            ReloadError::NotNow(not_now) => (*not_now).into(),
            ReloadError::Closed => AdminError::from(Error::Closed).into(),
            why if why.is_transient() => ApiError::plugin_not_loaded_yet(ErrorChain(why).to_string()),
            why => ApiError::plugin_refused(&ErrorChain(why).to_string()),
        },
        Error::Rule(why) => match &*why {
            RuleExchangeError::Unknown => ApiError::new(ErrorCode::UnknownRule, why.to_string()),
            RuleExchangeError::NoShadow | RuleExchangeError::NothingToRollBackTo => {
                ApiError::new(ErrorCode::NothingToDo, why.to_string())
            }
            why if why.is_transient() => ApiError::plugin_not_loaded_yet(ErrorChain(why).to_string()),
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
    Ok(answer::ok(&plugin_status(&tenant, list.permutation(), gateway.engine.is_shared())))
}

fn shadow_terms(request: ShadowRequest) -> Result<ShadowTerms, ApiError> {
    let ShadowRequest { checks, seconds, max_disagreements } = request;
    let time = limits(checks, seconds)?;
    Ok(ShadowTerms { plan: ShadowPlan { checks, max_disagreements }, time })
}

fn rule_terms(request: RuleShadowRequest) -> Result<RuleTerms, ApiError> {
    let RuleShadowRequest { checks, seconds, max_disagreements } = request;
    let time = limits(checks, seconds)?;
    Ok(RuleTerms { checks, max_disagreements, time })
}

/// The longest duration of a shadow run.
fn limits(checks: Option<u64>, seconds: Option<u64>) -> Result<Option<Duration>, ApiError> {
    if checks == Some(0) {
        return Err(ApiError::invalid_request("shadow.checks", "must be at least 1"));
    }
    if seconds.is_some_and(|seconds| !(1..=604_800).contains(&seconds)) {
        let what = "must be between 1 and 604800 (a week); omit it for a run without a time limit";
        return Err(ApiError::invalid_request("shadow.seconds", what));
    }
    Ok(seconds.map(Duration::from_secs))
}

fn plugin_status(tenant: &TenantStatus, permutation: &Permutation, is_shared: bool) -> PluginStatus {
    let reload = &tenant.reload;
    PluginStatus {
        tenant: tenant.id.to_string(),
        summary: summary(reload, &tenant.lists, is_shared),
        stage: reload.stage.as_str().to_owned(),
        queued: reload.queued,
        serving: setup(&reload.serving),
        before: reload.before.as_ref().map(setup),
        last: reload.last.as_ref().map(attempt),
        shadow: reload.shadow.as_ref().map(|run| shadow(run, permutation)),
        memory_bytes: tenant.memory_bytes,
        memory_limit_bytes: tenant.memory_limit_bytes,
        memory_warning: tenant.memory_nearly_full.then(|| NEARLY_FULL.to_owned()),
        lists: tenant.lists.iter().map(list).collect(),
        rules: tenant.rules.iter().map(rule).collect(),
    }
}

fn rule(status: &RuleStatus) -> RuleAnswer {
    let RuleStatus { serving, running, last_fault, before, last, error, shadow, is_shadowed, .. } = status;
    let version = serving.version();
    let (running, last_fault) = (running.as_ref(), last_fault.as_ref());
    let last = last.as_ref().map(|(to, began, outcome)| AttemptAnswer {
        to: to.clone(),
        began: time(*began),
        outcome: outcome.as_str().to_owned(),
        why: error.as_ref().map(|error| ErrorChain(error).to_string()),
        stages: Vec::new(),
    });
    RuleAnswer {
        plugin: serving.name().to_owned(),
        version: version.ok().map(|version| version.digest.to_string()),
        own_version: version.ok().map(|version| version.own_version().to_owned()),
        pinned: serving.is_pinned(),
        problem: version.err().map(|error| ErrorChain(error).to_string()),
        options: serving.options().clone(),
        reasons: running.map(|running| running.reasons.clone()).unwrap_or_default(),
        strangers_stopped_share: running.map_or(0.0, |running| running.proof.share()),
        meters: running.map_or(0, |running| running.meters),
        instances: running.map_or(0, |running| running.instances),
        faults: running.map_or(0, |running| running.faults),
        last_fault: last_fault.map(|fault| fault.why.clone()),
        last_fault_kind: last_fault.map(|fault| fault.kind.to_owned()),
        last_fault_at: last_fault.map(|fault| time(fault.at)),
        slow: running.is_some_and(|running| running.slow),
        memory_bytes: running.map_or(0, |running| running.memory_bytes),
        before: before.as_ref().and_then(|before| Some(before.version().ok()?.digest.to_string())),
        last,
        shadow: shadow.as_ref().map(|run| rule_shadow(run, *is_shadowed)),
    }
}

fn rule_shadow(RuleShadow { terms, tally, ended }: &RuleShadow, is_running: bool) -> RuleShadowAnswer {
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact beyond 52 bits")]
    let stopped_share = if tally.compared == 0 { 0.0 } else { tally.stopped as f64 / tally.compared as f64 };
    RuleShadowAnswer {
        running: is_running,
        ended: ended.map(|outcome| outcome.as_str().to_owned()),
        checks: terms.checks,
        seconds: terms.time.map(|time| time.as_secs()),
        max_disagreements: terms.max_disagreements,
        compared: tally.compared,
        skipped: tally.skipped,
        stopped: tally.stopped,
        stopped_share,
        stopped_by_serving: tally.stopped_by_serving,
        disagreements: tally.disagreements,
        reasons: tally.reasons.clone(),
    }
}

const NEARLY_FULL: &str = "more than 80 % of the tenant's memory_limit_bytes are taken: raise it, or replace the plugin if it leaks";

/// Says in a sentence which plugin serves, and how the last reload ended.
fn summary(reload: &ReloadStatus, lists: &[ListStatus], is_shared: bool) -> String {
    let name = reload.serving.name();
    let out = lists.iter().filter(|list| list.service == Service::Out).count();
    let (serves, again) = match out {
        0 => (format!("{name} serves"), " again"),
        _ if out == lists.len() => {
            (format!("{name} is out of service, and the on_failure policy answers"), "")
        }
        _ => (
            format!("{name} serves, but the on_failure policy answers for {out} of {} lists", lists.len()),
            "",
        ),
    };
    let Some(Attempt { to, outcome, error, .. }) = &reload.last else { return serves };
    let because = error.as_ref().map(|error| format!(": {}", ErrorChain(error))).unwrap_or_default();
    match outcome {
        Outcome::UnderWay => format!("{serves}; {to} is {}", reload.stage.as_str()),
        Outcome::Served if is_shared && !reload.is_stored => {
            format!("{serves} at this gateway{because}; the others follow when it has been watched")
        }
        Outcome::Served => format!("{serves}{because}"),
        Outcome::Refused => format!("{serves}; {to} was refused{because}"),
        Outcome::RolledBack => format!("{serves}{again}; {to} was rolled back{because}"),
    }
}

fn setup(setup: &Setup) -> SetupAnswer {
    SetupAnswer {
        plugin: setup.version().name.clone(),
        version: setup.version().digest.to_string(),
        own_version: setup.version().own_version().to_owned(),
        pinned: setup.is_pinned(),
        options: setup.options().clone(),
    }
}

fn attempt(attempt: &Attempt) -> AttemptAnswer {
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

fn shadow(run: &ShadowReport, permutation: &Permutation) -> ShadowAnswer {
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
        direction: disagreement.direction,
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

fn list(list: &ListStatus) -> ListAnswer {
    ListAnswer {
        list: list.name().to_owned(),
        serving: list.service != Service::Out,
        slow: list.slow,
        resting: list.service == Service::Evicted,
        generation: list.generation,
        replicas: list.instances,
        memory_bytes: list.memory_bytes,
        breaker: list.health.breaker.as_str().to_owned(),
        recoveries: list.health.recoveries,
        last_fault: list.last_fault.clone(),
    }
}
