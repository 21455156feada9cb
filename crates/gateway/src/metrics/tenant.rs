//! What one tenant's checks are counted with.

use std::time::Instant;

use portcullis_ledger::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::core::check::AnsweredBy;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CheckLabels {
    tenant: String,
    verdict: &'static str,
    source: &'static str,
}

/// What one tenant's checks are counted with: the counters themselves, as finding one costs as much as a check.
pub(crate) struct TenantMetrics {
    /// By who answered, then allowed and blocked.
    checks: [[Counter; 2]; 3],
    check_seconds: Histogram,
}

/// How many numbers of a check had which verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) allowed: u64,
    pub(crate) blocked: u64,
}

impl TenantMetrics {
    pub(super) fn new(
        checks: &Family<CheckLabels, Counter>,
        check_seconds: &Histogram,
        tenant: &TenantId,
    ) -> Self {
        let counters = |answered_by: AnsweredBy| {
            ["allow", "block"].map(|verdict| {
                let source = answered_by.as_str();
                let labels = CheckLabels { tenant: tenant.to_string(), verdict, source };
                checks.get_or_create(&labels).clone()
            })
        };
        TenantMetrics {
            checks: [AnsweredBy::Plugin, AnsweredBy::Ledger, AnsweredBy::Policy].map(counters),
            check_seconds: check_seconds.clone(),
        }
    }

    /// A check that began at `start` is answered.
    #[inline]
    pub(crate) fn checked(&self, start: Instant, answered_by: AnsweredBy, counted: Counted) {
        let [allowed, blocked] = &self.checks[answered_by as usize];
        if counted.allowed > 0 {
            allowed.inc_by(counted.allowed);
        }
        if counted.blocked > 0 {
            blocked.inc_by(counted.blocked);
        }
        self.check_seconds.observe(start.elapsed().as_secs_f64());
    }
}
