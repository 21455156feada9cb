//! Snapshots of a tenant's rules.

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_host::rules::Proof;
use portcullis_meters::{Count, Key, Meter, Scope, SenderKey, Usage};
use portcullis_rules::{RecordedPage, Rule, RuleFault, ShadowTally};

use crate::error::RuleExchangeError;
use crate::exchange::{RuleOutcome, RuleTerms};
use crate::setup::RuleSetup;
use crate::tenant_rules::TenantRules;

/// A snapshot of a rule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleStatus {
    /// What serves.
    pub serving: RuleSetup,
    /// What it does and costs; `None` if the plugin is missing.
    pub running: Option<Running>,
    /// Why it failed last; `None` if it has not since it began to serve.
    pub last_fault: Option<RuleFault>,
    /// What served before, and can be rolled back to.
    pub before: Option<RuleSetup>,
    /// The requested version of the exchange in progress or the last one, for display, when it began, and its outcome.
    pub last: Option<(String, Timestamp, RuleOutcome)>,
    /// Why the last exchange failed.
    pub error: Option<Arc<RuleExchangeError>>,
    /// The shadow run in progress, or the last one.
    pub shadow: Option<RuleShadow>,
    /// Whether the shadow run is in progress.
    pub is_shadowed: bool,
}

/// What a rule does and costs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Running {
    /// The reasons for which it stops messages.
    pub reasons: Vec<String>,
    /// How many messages to strangers it stopped when it was proven, before it began to serve.
    pub proof: Proof,
    /// How many meters it reads.
    pub meters: usize,
    /// How many instances are in service.
    pub instances: usize,
    /// How many instances were lost to faults.
    pub faults: u64,
    /// Whether it is slow: messages then wait for their turn.
    pub slow: bool,
    /// The memory of its instances, in bytes.
    pub memory_bytes: u64,
}

/// A shadow run of a rule, in progress or over.
#[derive(Clone, Debug)]
pub struct RuleShadow {
    /// Its terms.
    pub terms: RuleTerms,
    /// What was compared so far.
    pub tally: ShadowTally,
    /// How it ended; `None` if it goes on, or ended as the rule or the tenant's settings were changed.
    pub ended: Option<RuleOutcome>,
}

/// A snapshot of what a tenant's rules count.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TenantMeters {
    /// The memory.
    pub usage: Usage,
    /// The meters, each once.
    pub meters: Vec<MeterStatus>,
}

/// A meter, and its highest counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MeterStatus {
    /// The meter.
    pub meter: Meter,
    /// The rules plugins that read it.
    pub rules: Vec<String>,
    /// The highest counts, the highest first, and for the scope [`Sender`](Scope::Sender) the senders' names.
    pub highest: Vec<(Count, Option<String>)>,
}

impl RuleStatus {
    /// Whether the plugin decides. If not, it is missing or has failed, and the tenant's failure policy answers.
    pub fn is_serving(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.instances > 0)
    }
}

impl Running {
    fn of(rule: &Rule) -> Option<Self> {
        let set = rule.set()?;
        Some(Running {
            reasons: set.recipe().plugin.description().reasons.clone(),
            proof: rule.proof(),
            meters: set.meters().len(),
            instances: set.left(),
            faults: set.faults(),
            slow: set.is_slow(),
            memory_bytes: set.memory_bytes(),
        })
    }
}

impl TenantRules {
    /// What the rules count; `None` without rules.
    pub fn meters(&self, most: usize) -> Option<TenantMeters> {
        let rules = self.serving()?;
        let meters = rules.declared().into_iter().map(|(meter, names)| {
            let named = |count: Count| {
                let key = match (meter.scope, count.key) {
                    (Scope::Sender, Key::Value(key)) => SenderKey::new(key),
                    _ => None,
                };
                (count, key.and_then(|key| rules.sender_of(key)))
            };
            let highest = rules.highest(&meter, most).into_iter().map(named).collect();
            MeterStatus { meter, rules: names, highest }
        });
        Some(TenantMeters { usage: rules.meters().usage(), meters: meters.collect() })
    }

    /// Records the messages that the rules are asked about, as [`Rules::record`](portcullis_rules::Rules::record); `None` without rules.
    pub fn record(&self, from: Option<u64>) -> Option<RecordedPage> {
        Some(self.serving()?.record(from))
    }

    /// A snapshot of the rules, in their order.
    pub fn status(&self) -> Vec<RuleStatus> {
        let places = self.places.lock();
        let status = places.iter().map(|place| RuleStatus {
            serving: place.setup.clone(),
            running: Running::of(&place.rule),
            last_fault: place.rule.last_fault(),
            before: place.before.as_ref().map(|(setup, _)| setup.clone()),
            last: place.last.as_ref().map(|last| (last.to.clone(), last.began, last.outcome)),
            error: place.last.as_ref().and_then(|last| last.error.clone()),
            shadow: place.shadow.clone(),
            is_shadowed: place.run.is_some(),
        });
        status.collect()
    }
}
