//! The gateway's metrics, for Prometheus. `docs/operating.md` lists them.
//!
//! Label values are names chosen by the operator (tenants, lists, plugins), constants of this program, and the names of a rules plugin's
//! reasons, which are bounded in form and number: never a phone number, a token, or text from a plugin. Events are counted when they occur. Gauges are computed on each scrape.

pub mod certificate;
mod gauges;
mod tenant;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use portcullis_engine::Event;
use portcullis_ledger::{Scope, TenantId};
use portcullis_process_metrics::process::Build;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use gauges::{Runtime, Scraped, ShownLists};
pub use tenant::{Counted, Passage, TenantMetrics};

use gauges::Gauges;
use tenant::{CheckLabels, MessageLabels, StopLabels};

/// The gateway's metrics.
pub struct Metrics {
    registry: Registry,
    checks: Family<CheckLabels, Counter>,
    check_seconds: Histogram,
    messages: Family<MessageLabels, Counter>,
    stops: Family<StopLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    recovery_seconds: Histogram,
    wake_seconds: Histogram,
    exchanges: Family<ExchangeLabels, Counter>,
    histories_lost: Counter,
    writes_lost: Counter,
    changes_lost: Counter,
    stage_seconds: Family<StageLabels, Histogram>,
    start_duration: OnceLock<Duration>,
    /// The write-ahead log of the ledger, if it has one.
    ledger_log: OnceLock<PathBuf>,
    /// What was built.
    build: Build,
    stand: Mutex<Gauges>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    tenant: String,
    list: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    tenant: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
    result: &'static str,
}

/// Buckets from 1 µs up, each `factor` times the previous one. A factor of 2 with 20 buckets ends at 0.5 s; 4 with 13, at 17 s.
fn from_a_microsecond(factor: f64, count: u16) -> impl Iterator<Item = f64> {
    exponential_buckets(1e-6, factor, count)
}

/// The metrics of an unknown build.
impl Default for Metrics {
    fn default() -> Self {
        Self::new(Build::default())
    }
}

impl Metrics {
    /// Creates the metrics, all at zero. `build` is what they are of.
    pub fn new(build: Build) -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let checks = Family::<CheckLabels, Counter>::default();
        registry.register("checks", "Checked numbers, by tenant, verdict and what decided", checks.clone());
        let check_seconds = Histogram::new(from_a_microsecond(2.0, 20));
        registry.register_with_unit(
            "check",
            "Duration of a check inside the gateway, of one number or many, without HTTP",
            Unit::Seconds,
            check_seconds.clone(),
        );
        let messages = Family::<MessageLabels, Counter>::default();
        registry.register("messages", "Messages to be forwarded, by outcome", messages.clone());
        let stops = Family::<StopLabels, Counter>::default();
        registry.register(
            "rule_stops",
            "Messages that a rule stopped, at checks and on their way, by rule and reason",
            stops.clone(),
        );
        let faults = Family::<FaultLabels, Counter>::default();
        registry.register(
            "plugin_faults",
            "Faults of plugins, in service or while being filled, by kind",
            faults.clone(),
        );
        let recovery_seconds = Histogram::new(from_a_microsecond(4.0, 13));
        registry.register_with_unit(
            "recovery",
            "Time to fill a plugin again after a fault",
            Unit::Seconds,
            recovery_seconds.clone(),
        );
        let wake_seconds = Histogram::new(from_a_microsecond(4.0, 13));
        registry.register_with_unit(
            "wake",
            "Time to load an unloaded list",
            Unit::Seconds,
            wake_seconds.clone(),
        );
        let exchanges = Family::<ExchangeLabels, Counter>::default();
        registry.register("reloads", "Reloads of a tenant's plugin, by outcome", exchanges.clone());
        let histories_lost = Counter::default();
        registry.register(
            "fleet_histories_lost",
            "Lists of which a shared ledger had lost changes, as at a failover to a standby that lacked them",
            histories_lost.clone(),
        );
        let writes_lost = Counter::default();
        registry.register(
            "fleet_writes_lost",
            "Writes that this gateway had acknowledged, that a shared ledger had lost, and that were made again",
            writes_lost.clone(),
        );
        let changes_lost = Counter::default();
        registry.register(
            "fleet_changes_lost",
            "Changes of tenants that this gateway had acknowledged, and that a shared ledger had lost",
            changes_lost.clone(),
        );
        let stage_seconds = Family::<StageLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(from_a_microsecond(4.0, 13))
        });
        registry.register_with_unit(
            "reload_stage",
            "Duration of each stage of a reload, over all lists of a tenant",
            Unit::Seconds,
            stage_seconds.clone(),
        );
        portcullis_process_metrics::register(&mut registry);
        certificate::register(&mut registry);
        let stand = Mutex::new(Gauges::register(&mut registry));
        Metrics {
            registry,
            checks,
            check_seconds,
            messages,
            stops,
            faults,
            recovery_seconds,
            wake_seconds,
            exchanges,
            histories_lost,
            writes_lost,
            changes_lost,
            stage_seconds,
            start_duration: OnceLock::new(),
            ledger_log: OnceLock::new(),
            build,
            stand,
        }
    }

    /// Sets the file of the ledger, whose write-ahead log is measured on each scrape. Has no effect the second time.
    pub fn measure_ledger(&self, file: &Path) {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let _ = self.ledger_log.set(log.into());
    }

    /// The gateway has started, which took so long. Has no effect the second time.
    pub fn started(&self, took: Duration) {
        let _ = self.start_duration.set(took);
    }

    /// Returns the counters of a tenant, each of which appears when it first counts: most tenants of many need few of them. Keep them:
    /// looking them up costs as much as a check.
    pub fn tenant(&self, tenant: &TenantId) -> TenantMetrics {
        TenantMetrics::new(&self.checks, &self.check_seconds, &self.messages, &self.stops, tenant)
    }

    /// Counts an event of the engine. Events without a metric are ignored.
    pub fn count(&self, event: &Event) {
        match event {
            Event::Fault { tenant, scope, kind } => {
                let list = list_name(scope).to_owned();
                let labels = FaultLabels { tenant: tenant.to_string(), list, kind };
                self.faults.get_or_create(&labels).inc();
            }
            Event::RuleFault { tenant, rule, kind } => {
                let labels = FaultLabels { tenant: tenant.to_string(), list: format!("rule:{rule}"), kind };
                self.faults.get_or_create(&labels).inc();
            }
            Event::Recovered { took, .. } => self.recovery_seconds.observe(took.as_secs_f64()),
            Event::HistoryLost { .. } => {
                self.histories_lost.inc();
            }
            Event::WritesLost { writes, .. } => {
                self.writes_lost.inc_by(u64::try_from(*writes).unwrap_or(u64::MAX));
            }
            Event::ChangeLost { .. } => {
                self.changes_lost.inc();
            }
            Event::Restored { took, .. } => self.wake_seconds.observe(took.as_secs_f64()),
            Event::ReloadStage { stage, took, succeeded, .. } => {
                let result = if *succeeded { "done" } else { "failed" };
                let labels = StageLabels { stage: stage.as_str(), result };
                self.stage_seconds.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Event::Reloaded { tenant, outcome } => {
                let labels = ExchangeLabels { tenant: tenant.to_string(), outcome: outcome.as_str() };
                self.exchanges.get_or_create(&labels).inc();
            }
            _ => {}
        }
    }
}

/// The list's name in metrics: the sender's, or `tenant-wide`.
fn list_name(scope: &Scope) -> &str {
    match scope {
        Scope::Tenant => "tenant-wide",
        Scope::Sender(sender) => sender.as_str(),
    }
}
