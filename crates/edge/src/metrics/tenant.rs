//! The counters of a tenant.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use portcullis_ledger::TenantId;
use portcullis_msisdn::Direction;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use portcullis_engine::{AnsweredBy, Stop};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CheckLabels {
    tenant: String,
    verdict: &'static str,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MessageLabels {
    tenant: String,
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StopLabels {
    tenant: String,
    rule: String,
    reason: String,
    verdict: &'static str,
}

/// The most reasons of a tenant that are counted by name: of all versions of its plugins, since the gateway started.
const MAX_REASONS: usize = 256;
/// Counts those beyond that.
const OTHER: &str = "other-reasons";

/// A counter that appears when it first counts.
type LazyCounter = OnceLock<Counter>;

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It was forwarded, and accepted with a success status. Also if it may pass and there is no next hop.
    Forwarded,
    /// It was blocked.
    Blocked,
    /// It was forwarded, but not accepted.
    Failed,
    /// It was not forwarded, because it can't be read.
    Unreadable,
}

impl Passage {
    const fn as_str(self) -> &'static str {
        match self {
            Passage::Forwarded => "forwarded",
            Passage::Blocked => "blocked",
            Passage::Failed => "failed",
            Passage::Unreadable => "unreadable",
        }
    }
}

/// The counters of a tenant. Holds the counters themselves, because looking one up costs as much as a check.
pub struct TenantMetrics {
    /// Indexed by [`AnsweredBy`], then allowed and blocked.
    checks: [[LazyCounter; 2]; 3],
    /// Blocked and postponed by rules.
    checks_by_rules: [LazyCounter; 2],
    check_seconds: Histogram,
    /// Inbound and outbound, then indexed by [`Passage`].
    messages: [[LazyCounter; 4]; 2],
    tenant: String,
    of_checks: Family<CheckLabels, Counter>,
    of_messages: Family<MessageLabels, Counter>,
    stops: Family<StopLabels, Counter>,
    /// The rules and reasons that are counted by name.
    reasons: Mutex<HashSet<(String, String)>>,
}

/// How many numbers of a check had each verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// The numbers that may pass.
    pub allowed: u64,
    /// The numbers that are blocked, by a list or by the failure policy.
    pub blocked: u64,
    /// The numbers that a rule blocks.
    pub blocked_by_rules: u64,
    /// The numbers that a rule postpones.
    pub postponed: u64,
}

impl Counted {
    /// A message to or from one of the allowed numbers is stopped.
    pub fn stopped(&mut self, stop: &Stop) {
        self.allowed = self.allowed.saturating_sub(1);
        match (&stop.reason, stop.until) {
            // The failure policy does.
            (None, _) => self.blocked += 1,
            (Some(_), None) => self.blocked_by_rules += 1,
            (Some(_), Some(_)) => self.postponed += 1,
        }
    }
}

impl TenantMetrics {
    /// How many numbers were checked since the gateway started.
    pub fn checks(&self) -> u64 {
        let counters = self.checks.iter().flatten().chain(&self.checks_by_rules);
        counters.filter_map(OnceLock::get).map(Counter::get).sum()
    }

    pub(super) fn new(
        checks: &Family<CheckLabels, Counter>,
        check_seconds: &Histogram,
        messages: &Family<MessageLabels, Counter>,
        stops: &Family<StopLabels, Counter>,
        tenant: &TenantId,
    ) -> Self {
        TenantMetrics {
            checks: Default::default(),
            checks_by_rules: Default::default(),
            check_seconds: check_seconds.clone(),
            messages: Default::default(),
            tenant: tenant.to_string(),
            of_checks: checks.clone(),
            of_messages: messages.clone(),
            stops: stops.clone(),
            reasons: Mutex::default(),
        }
    }

    #[inline]
    fn count_checks(&self, counter: &LazyCounter, verdict: &'static str, source: &'static str, count: u64) {
        if count > 0 {
            let made = || {
                let labels = CheckLabels { tenant: self.tenant.clone(), verdict, source };
                self.of_checks.get_or_create(&labels).clone()
            };
            counter.get_or_init(made).inc_by(count);
        }
    }

    /// Counts messages with this outcome.
    pub fn passed(&self, direction: Direction, passage: Passage, count: usize) {
        if count == 0 {
            return;
        }
        let (of_direction, direction) = match direction {
            Direction::Inbound => (&self.messages[0], "inbound"),
            Direction::Outbound => (&self.messages[1], "outbound"),
        };
        let made = || {
            let labels = MessageLabels { tenant: self.tenant.clone(), direction, outcome: passage.as_str() };
            self.of_messages.get_or_create(&labels).clone()
        };
        of_direction[passage as usize].get_or_init(made).inc_by(count as u64);
    }

    /// Counts a message that a rule stopped.
    pub fn stopped(&self, stop: &Stop) {
        let mut named = (stop.rule.to_string(), stop.reason().to_owned());
        {
            let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
            if reasons.len() < MAX_REASONS {
                reasons.insert(named.clone());
            } else if !reasons.contains(&named) {
                OTHER.clone_into(&mut named.1);
            }
        }
        let (rule, reason) = named;
        let labels = StopLabels { tenant: self.tenant.clone(), rule, reason, verdict: stop.verdict() };
        self.stops.get_or_create(&labels).inc();
    }

    /// Counts a check that began at `start`, and records its duration.
    #[inline]
    pub fn checked(&self, start: Instant, answered_by: AnsweredBy, counted: Counted) {
        let [allowed, blocked] = &self.checks[answered_by as usize];
        let [blocked_by_rules, postponed] = &self.checks_by_rules;
        let source = answered_by.as_str();
        self.count_checks(allowed, "allow", source, counted.allowed);
        self.count_checks(blocked, "block", source, counted.blocked);
        self.count_checks(blocked_by_rules, "block", "rule", counted.blocked_by_rules);
        self.count_checks(postponed, "later", "rule", counted.postponed);
        self.check_seconds.observe(start.elapsed().as_secs_f64());
    }
}
