//! What one list's faults are counted with.

use std::time::Duration;

use portcullis_ledger::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FaultLabels {
    tenant: String,
    list: String,
    kind: &'static str,
}

/// What one list's faults are counted with.
pub(crate) struct ListMetrics {
    faults: Family<FaultLabels, Counter>,
    recovery_seconds: Histogram,
    wake_seconds: Histogram,
    tenant: String,
    list: String,
}

impl ListMetrics {
    pub(super) fn new(
        faults: &Family<FaultLabels, Counter>,
        recovery_seconds: &Histogram,
        wake_seconds: &Histogram,
        tenant: &TenantId,
        list: &str,
    ) -> Self {
        ListMetrics {
            faults: faults.clone(),
            recovery_seconds: recovery_seconds.clone(),
            wake_seconds: wake_seconds.clone(),
            tenant: tenant.to_string(),
            list: list.to_owned(),
        }
    }

    /// The plugin failed, in this way.
    pub(crate) fn fault(&self, kind: &'static str) {
        let labels = FaultLabels { tenant: self.tenant.clone(), list: self.list.clone(), kind };
        self.faults.get_or_create(&labels).inc();
    }

    /// It came back from rest, in this time.
    pub(crate) fn woken(&self, took: Duration) {
        self.wake_seconds.observe(took.as_secs_f64());
    }

    /// It was filled again, in this time.
    pub(crate) fn recovered(&self, took: Duration) {
        self.recovery_seconds.observe(took.as_secs_f64());
    }
}
