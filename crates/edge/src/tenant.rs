//! Tenants and senders in service.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_admission::{Pools, Share, Turns};
use portcullis_engine::{Engine, Error, Grants, List, PluginRef, RuleSpec, TenantSpec};

use crate::metrics::TenantMetrics;
use crate::settings::TenantConfig;
use crate::visits::Visits;
use portcullis_api::settings as typed;
use portcullis_numbers::NumberReader;

/// Where a tenant was configured, and so where it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file.
    File,
    /// Through the admin API.
    Api,
}

/// A tenant in service. Immutable: a change creates a new one, which takes over the senders' visits, the metrics and the turns.
#[derive(Clone)]
pub struct Tenant {
    /// The settings.
    pub config: TenantConfig,
    /// Where the tenant was configured.
    pub origin: Origin,
    /// Reads numbers with the tenant's default region.
    pub reader: NumberReader,
    /// The tenant-wide list, which applies to all senders.
    pub wide: List,
    /// The senders, by name.
    pub senders: BTreeMap<String, Sender>,
    /// The tenant's counters.
    pub metrics: Arc<TenantMetrics>,
    /// The turns of the tenant's requests on threads that block.
    pub turns: Arc<Turns>,
}

/// A sender in service. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    /// The sender's own list. Checks include the tenant-wide list.
    pub list: List,
    /// The people who wrote to the sender within 24 hours.
    pub visits: Arc<Visits>,
    /// The part of the tenant's turns that the sender's own tokens get.
    pub share: Arc<Share>,
}

impl Tenant {
    /// Creates a tenant from its settings. The engine must serve it already. With `before`, takes over its visits and
    /// metrics instead of calling `metrics`.
    ///
    /// # Errors
    /// If the engine does not serve the tenant, or one of its senders.
    pub fn of(
        config: TenantConfig,
        origin: Origin,
        engine: &Engine,
        metrics: impl FnOnce() -> TenantMetrics,
        pools: &Arc<Pools>,
        before: Option<&Tenant>,
    ) -> Result<Self, Error> {
        let wide = engine.tenant_list(config.id.as_str())?;
        let mut senders = BTreeMap::new();
        for sender in &config.senders {
            let name = sender.id.as_str();
            let list = engine.sender_list(config.id.as_str(), name)?;
            let known = before.and_then(|before| before.senders.get(name));
            let sender = match known {
                Some(known) if known.list.entries().id() == list.entries().id() => {
                    Sender { list, ..known.clone() }
                }
                // It is another list: another gateway has forgotten the tenant, and put it again.
                Some(known) => Sender { list, visits: Arc::default(), share: Arc::clone(&known.share) },
                None => Sender { list, visits: Arc::default(), share: Arc::default() },
            };
            senders.insert(name.to_owned(), sender);
        }
        let reader = NumberReader { default_region: config.default_region };
        let metrics = before.map_or_else(|| Arc::new(metrics()), |before| Arc::clone(&before.metrics));
        let turns = before.map_or_else(|| Arc::new(Turns::new(pools)), |before| Arc::clone(&before.turns));
        Ok(Tenant { config, origin, reader, wide, senders, metrics, turns })
    }

    /// All lists of the tenant, the tenant-wide one first.
    pub fn lists(&self) -> impl Iterator<Item = &List> {
        std::iter::once(&self.wide).chain(self.senders.values().map(|sender| &sender.list))
    }
}

impl TenantConfig {
    /// The plugin in the settings, with its version and options.
    pub fn plugin(&self) -> PluginRef {
        plugin_ref(&self.plugin, self.plugin_version.as_deref(), &self.plugin_options)
    }

    /// The engine's spec of the tenant.
    pub fn spec(&self) -> TenantSpec {
        TenantSpec::of(self.id.clone())
            .plugin(self.plugin())
            .rules(self.rules.iter().map(rule).collect())
            .on_failure(on_failure(self.on_failure))
            .acknowledge(acknowledge(self.acknowledge))
            .senders(self.senders.iter().map(|sender| sender.id.clone()))
            .memory_limit(self.memory_limit_bytes)
            .meter_memory(self.meter_memory_bytes)
            .replicas(self.replicas)
            .clear_numbers(self.clear_numbers)
            .trusted_keys(self.trusted_keys.clone())
            .change_feed(self.events.is_some())
    }

    /// Returns the settings with another plugin, version and options: those that serve after an exchange.
    pub fn with_plugin(mut self, plugin: &PluginRef) -> Self {
        plugin.name().clone_into(&mut self.plugin);
        self.plugin_version = plugin.pinned_version().map(str::to_owned);
        self.plugin_options = plugin.plugin_options().clone();
        self
    }
}

fn plugin_ref(
    name: &str,
    version: Option<&str>,
    options: &serde_json::Map<String, serde_json::Value>,
) -> PluginRef {
    let plugin = match version {
        Some(version) => PluginRef::version(name, version),
        None => PluginRef::latest(name),
    };
    plugin.options(options.clone())
}

fn rule(typed: &typed::Rule) -> RuleSpec {
    let has = |grant| typed.grants.contains(&grant);
    RuleSpec {
        plugin: plugin_ref(&typed.plugin, typed.version.as_deref(), &typed.options),
        grants: Grants {
            number: has(typed::Grant::Number),
            country: has(typed::Grant::Country),
            local_time: has(typed::Grant::LocalTime),
            sender: has(typed::Grant::Sender),
        },
    }
}

fn acknowledge(typed: typed::Acknowledge) -> portcullis_engine::Acknowledge {
    match typed {
        typed::Acknowledge::Node => portcullis_engine::Acknowledge::Node,
        typed::Acknowledge::Fleet => portcullis_engine::Acknowledge::Fleet,
    }
}

fn on_failure(typed: typed::OnFailure) -> portcullis_engine::OnFailure {
    match typed {
        typed::OnFailure::Open => portcullis_engine::OnFailure::Open,
        typed::OnFailure::Closed => portcullis_engine::OnFailure::Closed,
        typed::OnFailure::Ledger => portcullis_engine::OnFailure::Ledger,
    }
}
