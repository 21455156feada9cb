//! Gauges: the state of lists and tenants, computed on each scrape.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use portcullis_engine::{LedgerState, ListStatus, Outage, Service, Stored, TenantStatus};
use portcullis_host::BreakerState;
use portcullis_ledger::{ListId, Stats};
use portcullis_process_metrics::exposition::Format;
use portcullis_process_metrics::ledger::Written;
use portcullis_process_metrics::process;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Deserialize;

use super::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListLabels {
    tenant: String,
    list: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    tenant: String,
    rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    tenant: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    tenant: String,
    plugin: String,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    tenant: String,
    list: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateOfAllLabels {
    state: &'static str,
}

/// Which lists have gauges of their own, besides those of their tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShownLists {
    /// Those in trouble: that are out of service or slow, whose plugin failed lately, or whose stored entries are not in order. A thousand at
    /// most.
    #[default]
    Troubled,
    /// All. A gateway may have very many.
    All,
}

/// A state of lists: its name, and whether a list is in it.
type State = (&'static str, fn(&ListStatus) -> bool);

/// The most lists in trouble that have gauges of their own.
const MOST_TROUBLED: usize = 1000;
const SERVING: &str = "serving";
/// The states in which lists are counted, and which lists are in them.
const STATES: [State; 4] = [
    (SERVING, |list| !matches!(list.service, Service::Out | Service::Evicted)),
    ("resting", |list| list.service == Service::Evicted),
    ("out", |list| list.service == Service::Out),
    ("slow", |list| list.slow),
];

fn is_troubled(list: &ListStatus) -> bool {
    let is_in_order = list.stored == Stored::InOrder && list.health.breaker == BreakerState::Closed;
    list.service == Service::Out || list.slow || !is_in_order
}

type GaugeFamily<L> = Family<L, Gauge<u64, AtomicU64>>;

/// The gauges of the ledger, the master key, and of all lists and tenants. Filled from scratch on each scrape, so that removed ones disappear.
pub(super) struct Gauges {
    ledger_ok: Gauge<u64, AtomicU64>,
    ledger_state: GaugeFamily<StateOfAllLabels>,
    master_key_ok: Gauge<u64, AtomicU64>,
    staleness: Gauge<f64, AtomicU64>,
    fleet_nodes: Gauge<u64, AtomicU64>,
    fleet_differences: Gauge<u64, AtomicU64>,
    entries: GaugeFamily<ListLabels>,
    generation: GaugeFamily<ListLabels>,
    serving: GaugeFamily<ListLabels>,
    slow: GaugeFamily<ListLabels>,
    resting: GaugeFamily<ListLabels>,
    replicas: GaugeFamily<ListLabels>,
    breaker: GaugeFamily<BreakerLabels>,
    rule_serving: GaugeFamily<RuleLabels>,
    plugin: GaugeFamily<PluginLabels>,
    lists: GaugeFamily<StateLabels>,
    tenant_entries: GaugeFamily<TenantLabels>,
    memory: GaugeFamily<TenantLabels>,
    memory_limit: GaugeFamily<TenantLabels>,
    all_lists: GaugeFamily<StateOfAllLabels>,
    all_tenants: Gauge<u64, AtomicU64>,
    all_memory: Gauge<u64, AtomicU64>,
}

/// What is known at the moment of a scrape.
pub struct Scraped<'a> {
    /// The state of all tenants.
    pub tenants: &'a [TenantStatus],
    /// What is wrong.
    pub outage: &'a Outage,
    /// Entries in force, by list. A list whose number is not known has no `list_entries`.
    pub entries: &'a HashMap<ListId, u64>,
    /// What was written to the ledger.
    pub written: Stats,
    /// The threads of the runtime on which requests are answered, and its tasks.
    pub runtime: Runtime,
    /// Which lists have gauges of their own.
    pub shown: ShownLists,
}

/// The runtime on which requests are answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runtime {
    /// Its threads, those that may block apart.
    pub threads: usize,
    /// Its tasks that have not ended.
    pub tasks: usize,
}

impl Gauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let stand = Gauges {
            ledger_ok: Gauge::default(),
            ledger_state: Family::default(),
            master_key_ok: Gauge::default(),
            staleness: Gauge::default(),
            fleet_nodes: Gauge::default(),
            fleet_differences: Gauge::default(),
            entries: Family::default(),
            generation: Family::default(),
            serving: Family::default(),
            slow: Family::default(),
            resting: Family::default(),
            replicas: Family::default(),
            breaker: Family::default(),
            rule_serving: Family::default(),
            plugin: Family::default(),
            lists: Family::default(),
            tenant_entries: Family::default(),
            memory: Family::default(),
            memory_limit: Family::default(),
            all_lists: Family::default(),
            all_tenants: Gauge::default(),
            all_memory: Gauge::default(),
        };
        registry.register(
            "ledger_ok",
            "1 if the ledger is in order, 0 if not: see ledger_state",
            stand.ledger_ok.clone(),
        );
        registry.register(
            "ledger_state",
            "1 for the state of the ledger: ok, lost, failing, unwitnessed or unreachable",
            stand.ledger_state.clone(),
        );
        registry.register(
            "master_key_ok",
            "1 if the master key's file holds the key, or the key is not from a file, 0 if not",
            stand.master_key_ok.clone(),
        );
        registry.register_with_unit(
            "fleet_staleness",
            "Time since this gateway last knew everything that others had written to a shared ledger; 0 if the ledger is not shared",
            Unit::Seconds,
            stand.staleness.clone(),
        );
        registry.register(
            "fleet_nodes",
            "Gateways that share the ledger and were heard of lately, this one included; 0 if the ledger is not shared",
            stand.fleet_nodes.clone(),
        );
        registry.register(
            "fleet_configuration_differences",
            "Settings in which the configuration file of this gateway and those of others differ, and should not",
            stand.fleet_differences.clone(),
        );
        registry.register("list_entries", "Entries in force", stand.entries.clone());
        registry.register(
            "list_generation",
            "Generations that have served the list since the start",
            stand.generation.clone(),
        );
        registry.register(
            "list_serving",
            "1 if the plugin answers for the list, 0 if the tenant's on_failure policy does",
            stand.serving.clone(),
        );
        registry.register(
            "list_slow",
            "1 if the list's plugin is slow, so that the tenant's on_failure policy may answer in its place",
            stand.slow.clone(),
        );
        registry.register(
            "list_resting",
            "1 if the list is unloaded, until the next check loads it",
            stand.resting.clone(),
        );
        registry.register("list_replicas", "Instances that answer for the list", stand.replicas.clone());
        registry.register(
            "list_breaker",
            "1 for the state of the circuit breaker of the list's plugin: closed, open or probation",
            stand.breaker.clone(),
        );
        registry.register(
            "rule_serving",
            "1 if the rule decides, 0 if the tenant's on_failure policy answers for it",
            stand.rule_serving.clone(),
        );
        registry.register(
            "tenant_plugin",
            "1 for the plugin and version that serve the tenant",
            stand.plugin.clone(),
        );
        registry.register(
            "tenant_lists",
            "Lists of the tenant, by state: serving (also while slow), resting or out; and slow, which are among those that serve",
            stand.lists.clone(),
        );
        registry.register(
            "tenant_entries",
            "Entries in force on all lists of the tenant",
            stand.tenant_entries.clone(),
        );
        registry.register_with_unit(
            "tenant_plugin_memory",
            "Linear memory and tables of all plugin instances of the tenant",
            Unit::Bytes,
            stand.memory.clone(),
        );
        registry.register_with_unit(
            "tenant_plugin_memory_limit",
            "The limit on the memory of all plugin instances of the tenant",
            Unit::Bytes,
            stand.memory_limit.clone(),
        );
        registry.register("tenants", "Tenants that are served", stand.all_tenants.clone());
        registry.register(
            "lists",
            "Lists of all tenants, by state: serving (awake, also while slow), resting or out; and slow, which are among those that serve",
            stand.all_lists.clone(),
        );
        registry.register_with_unit(
            "plugin_memory",
            "Linear memory and tables of all plugin instances",
            Unit::Bytes,
            stand.all_memory.clone(),
        );
        stand
    }

    fn ask(
        &self,
        tenants: &[TenantStatus],
        outage: &Outage,
        entries: &HashMap<ListId, u64>,
        shown: ShownLists,
    ) {
        let ledger = outage.ledger_state();
        self.ledger_ok.set(u64::from(ledger == LedgerState::Ok));
        for state in LedgerState::ALL {
            let labels = StateOfAllLabels { state: state.as_str() };
            self.ledger_state.get_or_create(&labels).set(u64::from(state == ledger));
        }
        self.master_key_ok.set(u64::from(outage.key.is_none()));
        self.staleness.set(outage.staleness.unwrap_or_default().as_secs_f64());
        self.entries.clear();
        self.generation.clear();
        self.serving.clear();
        self.slow.clear();
        self.resting.clear();
        self.replicas.clear();
        self.breaker.clear();
        self.rule_serving.clear();
        self.plugin.clear();
        self.lists.clear();
        self.tenant_entries.clear();
        self.memory.clear();
        self.memory_limit.clear();
        self.all_tenants.set(tenants.len() as u64);
        self.all_memory.set(tenants.iter().map(|tenant| tenant.memory_bytes).sum());
        for (state, is_in) in STATES {
            let lists = tenants.iter().flat_map(|tenant| &tenant.lists);
            let count = lists.filter(|list| is_in(list)).count() as u64;
            self.all_lists.get_or_create(&StateOfAllLabels { state }).set(count);
        }
        let mut troubled = 0;
        for tenant in tenants {
            let name = tenant.id.to_string();
            let serving = &tenant.reload.serving;
            // Otherwise no version serves.
            if serving.missing().is_none() {
                let labels = PluginLabels {
                    tenant: name.clone(),
                    plugin: serving.version().name.clone(),
                    version: serving.version().digest.short(),
                };
                self.plugin.get_or_create(&labels).set(1);
            }
            let labels = TenantLabels { tenant: name.clone() };
            self.memory.get_or_create(&labels).set(tenant.memory_bytes);
            self.memory_limit.get_or_create(&labels).set(tenant.memory_limit_bytes);
            self.ask_lists(&name, &tenant.lists);
            let known: Option<Vec<u64>> =
                tenant.lists.iter().map(|list| entries.get(&list.id).copied()).collect();
            if let Some(known) = known {
                self.tenant_entries.get_or_create(&labels).set(known.into_iter().sum());
            }
            for list in &tenant.lists {
                let is_troubled = is_troubled(list);
                troubled += usize::from(is_troubled);
                if shown == ShownLists::All || is_troubled && troubled <= MOST_TROUBLED {
                    self.ask_list(&name, list, entries.get(&list.id).copied());
                }
            }
            for rule in &tenant.rules {
                let labels = RuleLabels { tenant: name.clone(), rule: rule.serving.name().to_owned() };
                self.rule_serving.get_or_create(&labels).set(u64::from(rule.is_serving()));
            }
        }
    }

    fn ask_lists(&self, tenant: &str, lists: &[ListStatus]) {
        for (state, is_in) in STATES {
            let count = lists.iter().filter(|list| is_in(list)).count() as u64;
            // Most tenants have none in most states.
            if count > 0 || state == SERVING {
                let labels = StateLabels { tenant: tenant.to_owned(), state };
                self.lists.get_or_create(&labels).set(count);
            }
        }
    }

    fn ask_list(&self, tenant: &str, list: &ListStatus, entries: Option<u64>) {
        let labels = ListLabels { tenant: tenant.to_owned(), list: list.name().to_owned() };
        if let Some(entries) = entries {
            self.entries.get_or_create(&labels).set(entries);
        }
        self.generation.get_or_create(&labels).set(list.generation);
        self.serving.get_or_create(&labels).set(u64::from(list.service != Service::Out));
        self.slow.get_or_create(&labels).set(u64::from(list.slow));
        self.resting.get_or_create(&labels).set(u64::from(list.service == Service::Evicted));
        self.replicas.get_or_create(&labels).set(list.instances as u64);
        for state in [BreakerState::Closed, BreakerState::Open, BreakerState::Probation] {
            let labels = BreakerLabels {
                tenant: tenant.to_owned(),
                list: list.name().to_owned(),
                state: state.as_str(),
            };
            self.breaker.get_or_create(&labels).set(u64::from(state == list.health.breaker));
        }
    }
}

impl Metrics {
    /// Sets how many gateways share the ledger, as far as this one knows.
    pub fn set_fleet_nodes(&self, nodes: usize) {
        let stand = self.stand.lock().unwrap_or_else(PoisonError::into_inner);
        stand.fleet_nodes.set(nodes as u64);
    }

    /// Sets in how many settings the configuration files of others differ from this gateway's.
    pub fn set_fleet_differences(&self, settings: usize) {
        let stand = self.stand.lock().unwrap_or_else(PoisonError::into_inner);
        stand.fleet_differences.set(settings as u64);
    }

    /// Returns all metrics in this format.
    ///
    /// # Errors
    /// If a metric can't be formatted, which does not happen in practice.
    pub fn text(&self, scraped: &Scraped<'_>, format: Format) -> Result<String, std::fmt::Error> {
        // What is known at a scrape only.
        let mut now = Registry::with_prefix("portcullis");
        self.build.clone().register(&mut now);
        let log = self.ledger_log.get().and_then(|log| std::fs::metadata(log).ok());
        Written { stats: scraped.written, log_bytes: log.map(|log| log.len()) }.register(&mut now);
        let gauge = |now: &mut Registry, name, help, value: usize| {
            let gauge = Gauge::<u64, AtomicU64>::default();
            gauge.set(value as u64);
            now.register(name, help, gauge);
        };
        let help = "Threads on which requests are answered, those that may block apart";
        gauge(&mut now, "runtime_threads", help, scraped.runtime.threads);
        gauge(&mut now, "runtime_tasks", "Tasks that have not ended", scraped.runtime.tasks);
        if let Some(took) = self.start_duration.get() {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(took.as_secs_f64());
            let help = "Time from the start of the process until all lists were loaded";
            now.register_with_unit("start_duration", help, Unit::Seconds, gauge);
        }
        let mut of_process = Registry::default();
        process::register(&mut of_process);
        // One scrape at a time, because each fills the gauges.
        let stand = self.stand.lock().unwrap_or_else(PoisonError::into_inner);
        stand.ask(scraped.tenants, scraped.outage, scraped.entries, scraped.shown);
        format.write(&[&self.registry, &now, &of_process])
    }
}
