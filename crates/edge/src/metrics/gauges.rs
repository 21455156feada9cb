//! How things stand, asked when somebody reads.

use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use portcullis_engine::{ListStatus, Service, TenantStatus};
use portcullis_host::BreakerState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListLabels {
    tenant: String,
    list: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
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

type GaugeFamily<L> = Family<L, Gauge<u64, AtomicU64>>;

/// How each list and tenant stands. Filled anew for each reader, so that who is gone is not told of.
pub(super) struct Gauges {
    entries: GaugeFamily<ListLabels>,
    generation: GaugeFamily<ListLabels>,
    serving: GaugeFamily<ListLabels>,
    resting: GaugeFamily<ListLabels>,
    replicas: GaugeFamily<ListLabels>,
    breaker: GaugeFamily<BreakerLabels>,
    plugin: GaugeFamily<PluginLabels>,
    memory: GaugeFamily<TenantLabels>,
    memory_limit: GaugeFamily<TenantLabels>,
}

impl Gauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let stand = Gauges {
            entries: Family::default(),
            generation: Family::default(),
            serving: Family::default(),
            resting: Family::default(),
            replicas: Family::default(),
            breaker: Family::default(),
            plugin: Family::default(),
            memory: Family::default(),
            memory_limit: Family::default(),
        };
        registry.register("list_entries", "Entries in force", stand.entries.clone());
        registry.register(
            "list_generation",
            "How many generations have served the list since the start",
            stand.generation.clone(),
        );
        registry.register(
            "list_serving",
            "1 where the plugin answers for the list, 0 where the tenant's policy does",
            stand.serving.clone(),
        );
        registry.register(
            "list_resting",
            "1 where the plugin was put to rest, and comes back with the next check",
            stand.resting.clone(),
        );
        registry.register("list_replicas", "Instances that answer for the list", stand.replicas.clone());
        registry.register(
            "list_breaker",
            "1 for the state that the breaker of the list's plugin is in: closed, open or probation",
            stand.breaker.clone(),
        );
        registry.register(
            "tenant_plugin",
            "1 for the plugin and the version that serve the tenant",
            stand.plugin.clone(),
        );
        registry.register_with_unit(
            "tenant_plugin_memory",
            "Linear memory and tables of all instances of the tenant's plugins",
            Unit::Bytes,
            stand.memory.clone(),
        );
        registry.register_with_unit(
            "tenant_plugin_memory_limit",
            "The most that they may have",
            Unit::Bytes,
            stand.memory_limit.clone(),
        );
        stand
    }

    fn ask(&self, tenants: &[TenantStatus]) {
        self.entries.clear();
        self.generation.clear();
        self.serving.clear();
        self.resting.clear();
        self.replicas.clear();
        self.breaker.clear();
        self.plugin.clear();
        self.memory.clear();
        self.memory_limit.clear();
        for tenant in tenants {
            let name = tenant.id.to_string();
            let version = tenant.reload.serving.version();
            let labels = PluginLabels {
                tenant: name.clone(),
                plugin: version.name.clone(),
                version: version.digest.short(),
            };
            self.plugin.get_or_create(&labels).set(1);
            let labels = TenantLabels { tenant: name.clone() };
            self.memory.get_or_create(&labels).set(tenant.memory_bytes);
            self.memory_limit.get_or_create(&labels).set(tenant.memory_limit_bytes);
            for list in &tenant.lists {
                self.ask_list(&name, list);
            }
        }
    }

    fn ask_list(&self, tenant: &str, list: &ListStatus) {
        let labels = ListLabels { tenant: tenant.to_owned(), list: list.name().to_owned() };
        if let Ok(entries) = list.count() {
            self.entries.get_or_create(&labels).set(entries);
        }
        self.generation.get_or_create(&labels).set(list.generation);
        self.serving.get_or_create(&labels).set(u64::from(list.service != Service::Out));
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
    /// All that is known, in the text format of OpenMetrics 1.0, which Prometheus reads. Reads the ledger: blocks.
    pub fn text(&self, tenants: &[TenantStatus]) -> Result<String, std::fmt::Error> {
        // One reader at a time: each fills the gauges for itself.
        let stand = self.stand.lock().unwrap_or_else(PoisonError::into_inner);
        stand.ask(tenants);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
