//! The counters of a tenant.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
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
    const ALL: [Passage; 4] = [Passage::Forwarded, Passage::Blocked, Passage::Failed, Passage::Unreadable];

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
    checks: [[Counter; 2]; 3],
    /// Blocked and postponed by rules.
    checks_by_rules: [Counter; 2],
    check_seconds: Histogram,
    /// Inbound and outbound, then indexed by [`Passage`].
    messages: [[Counter; 4]; 2],
    tenant: String,
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
    pub(super) fn new(
        checks: &Family<CheckLabels, Counter>,
        check_seconds: &Histogram,
        messages: &Family<MessageLabels, Counter>,
        stops: &Family<StopLabels, Counter>,
        tenant: &TenantId,
    ) -> Self {
        let passages = |direction: &'static str| {
            Passage::ALL.map(|passage| {
                let outcome = passage.as_str();
                let labels = MessageLabels { tenant: tenant.to_string(), direction, outcome };
                messages.get_or_create(&labels).clone()
            })
        };
        let counter = |verdict: &'static str, source: &'static str| {
            let labels = CheckLabels { tenant: tenant.to_string(), verdict, source };
            checks.get_or_create(&labels).clone()
        };
        let counters = |answered_by: AnsweredBy| {
            ["allow", "block"].map(|verdict| counter(verdict, answered_by.as_str()))
        };
        TenantMetrics {
            checks: [AnsweredBy::Plugin, AnsweredBy::Ledger, AnsweredBy::Policy].map(counters),
            checks_by_rules: ["block", "later"].map(|verdict| counter(verdict, "rule")),
            check_seconds: check_seconds.clone(),
            messages: ["inbound", "outbound"].map(passages),
            tenant: tenant.to_string(),
            stops: stops.clone(),
            reasons: Mutex::default(),
        }
    }

    /// Counts messages with this outcome.
    pub fn passed(&self, direction: Direction, passage: Passage, count: usize) {
        let of_direction = match direction {
            Direction::Inbound => &self.messages[0],
            Direction::Outbound => &self.messages[1],
        };
        of_direction[passage as usize].inc_by(count as u64);
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
        if counted.allowed > 0 {
            allowed.inc_by(counted.allowed);
        }
        if counted.blocked > 0 {
            blocked.inc_by(counted.blocked);
        }
        for (counter, count) in self.checks_by_rules.iter().zip([counted.blocked_by_rules, counted.postponed])
        {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        self.check_seconds.observe(start.elapsed().as_secs_f64());
    }
}
