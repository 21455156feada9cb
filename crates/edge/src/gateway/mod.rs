//! The gateway behind its interfaces: an engine and the tenants that it serves, and how these are started and changed.

mod change_tenants;
mod change_tokens;
mod changes;
mod error;
mod follow;
mod progress;
mod reconfigure;
mod stored;
mod version;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_admission::Pools;
use portcullis_engine::{Engine, Error, Service, TenantSpec};
use portcullis_ledger::TenantId;
use portcullis_tokens::AdminTokens;
use tokio::sync::watch;
use tracing::{info, warn};

pub use change_tenants::{AdminError, Put};
pub use error::SettingsError;
pub use version::{Precondition, Version};

use changes::{Changes, UnderWay};
use progress::Progress;

use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::settings::{FieldPath, TenantConfig, UniqueIds, is_open_hop};
use crate::tenant::{Origin, Tenant};
use portcullis_api::settings as typed;
use portcullis_keywords::Keywords;

/// What a tenant whose plugin does not start means for the start of the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnStartFailure {
    /// The others are served. This one is out of service, and its failure policy answers.
    #[default]
    Serve,
    /// The gateway does not start.
    Refuse,
}

/// How many tenants are loaded and served first when a gateway starts, and how many after these. A plugin that does not start may hold
/// up those that are loaded together with its tenant for some seconds, so there are few such steps.
const FIRST_LOADED: usize = 64;
const NEXT_LOADED: usize = 512;

/// What a gateway starts with.
pub struct Start<'a> {
    /// The administrators' tokens.
    pub admin_tokens: AdminTokens,
    /// The tenants in the configuration file.
    pub in_file: &'a [TenantConfig],
    /// What a tenant whose plugin does not start means.
    pub on_failure: OnStartFailure,
    /// The memory for answers that clients have not read yet, in bytes.
    pub answer_bytes: usize,
    /// How much a tenant was used, in any unit. Those that were used most are loaded first.
    pub usage_of: &'a dyn Fn(&TenantId) -> u64,
}

/// The gateway behind its interfaces: an engine and the tenants that it serves.
pub struct Gateway {
    /// The engine that runs the tenants' plugins.
    pub engine: Engine,
    /// The current tenants. Load it once per request, for a consistent view.
    pub registry: ArcSwap<Registry>,
    /// Notifies its receivers after each change of the registry.
    pub registry_changes: watch::Sender<()>,
    /// The gateway's metrics.
    pub metrics: Arc<Metrics>,
    /// The threads and the memory that all tenants' requests share.
    pub pools: Arc<Pools>,
    admin_tokens: ArcSwap<AdminTokens>,
    changes: Changes,
    /// Held while a configuration file is applied.
    reconfiguring: parking_lot::Mutex<()>,
    /// Tenants that other gateways changed, and that the ledger kept from being followed; and those that could not be forgotten.
    unfollowed: parking_lot::Mutex<BTreeSet<TenantId>>,
}

impl Gateway {
    /// Loads the blacklists of all tenants: those in the configuration file, and those of the admin API, whose settings the engine
    /// stores. Blocks until all lists are loaded. `open_early` is given the gateway before that, unless [`Start::on_failure`] is strict:
    /// it finds the tenants that are loaded already, the most used first.
    ///
    /// A tenant whose plugin does not start is out of service, under its failure policy, unless [`Start::on_failure`] says that
    /// nothing starts then.
    ///
    /// # Errors
    /// If a tenant's plugin does not start and `on_failure` is strict; if a tenant conflicts with another one, or its stored settings are unreadable or no longer valid.
    pub fn start(
        engine: Engine,
        metrics: Arc<Metrics>,
        start: &Start<'_>,
        open_early: impl FnOnce(&Arc<Self>),
    ) -> Result<Arc<Self>, SettingsError> {
        let mut unique_ids = UniqueIds::new(start.admin_tokens.digests());
        let regardless = start.on_failure == OnStartFailure::Serve;
        let mut wanted = Vec::new();
        for (config, origin) in configured(start.in_file, &engine)? {
            // The file is free of conflicts already. Conflicts with or between tenants of the admin API are left.
            unique_ids.claim_or_refuse(&config)?;
            let spec = stored_spec(&config, origin)?.stored(origin == Origin::Api);
            wanted.push((config, origin, spec.starts_regardless(regardless)));
        }
        // Stable, so that tenants which nobody used stay in the order of the file.
        wanted.sort_by_key(|(config, ..)| Reverse((start.usage_of)(&config.id)));
        let gateway = Arc::new(Gateway {
            engine,
            registry: ArcSwap::default(),
            registry_changes: watch::Sender::new(()),
            metrics,
            pools: Pools::new(start.answer_bytes),
            admin_tokens: ArcSwap::from_pointee(start.admin_tokens.clone()),
            changes: Changes::default(),
            reconfiguring: parking_lot::Mutex::default(),
            unfollowed: parking_lot::Mutex::default(),
        });
        if regardless {
            open_early(&gateway);
        }
        gateway.load(wanted)?;
        let status = gateway.engine.status();
        let lists: Vec<_> = status.iter().flat_map(|tenant| &tenant.lists).collect();
        let out = lists.iter().filter(|list| list.service == Service::Out).count();
        let evicted = lists.iter().filter(|list| list.service == Service::Evicted).count();
        let registry = gateway.registry.load();
        info!(
            tenants = registry.tenants().count(),
            lists = lists.len(),
            evicted,
            out_of_service = out,
            "the blacklists are loaded"
        );
        warn_of_unserved(&gateway.engine, &registry)?;
        drop(registry);
        Ok(gateway)
    }

    /// Loads tenants in this order: first a few, then more, then the others.
    fn load(&self, wanted: Vec<(TenantConfig, Origin, TenantSpec)>) -> Result<(), SettingsError> {
        let all = wanted.len();
        let lists = wanted.iter().map(|(config, ..)| 1 + config.senders.len()).sum();
        let _progress = Progress::of(&self.engine, lists);
        let mut left = wanted.into_iter();
        let mut registry = Registry::default();
        for size in [FIRST_LOADED, NEXT_LOADED, usize::MAX] {
            if left.len() == 0 {
                break;
            }
            let (mut configs, mut specs) = (Vec::new(), Vec::new());
            for (config, origin, spec) in left.by_ref().take(size) {
                configs.push((config, origin));
                specs.push(spec);
            }
            for ((config, origin), put) in configs.into_iter().zip(self.engine.blocking_put_tenants(specs)) {
                let id = config.id.clone();
                put.map_err(|source| SettingsError::Tenant { tenant: id.clone(), source })?;
                let of_tenant = || self.metrics.tenant(&id);
                let tenant = Tenant::of(config, origin, &self.engine, of_tenant, &self.pools, None)?;
                registry = registry.with(Arc::new(tenant));
            }
            self.changes.alone(|_| self.serve(registry.clone()));
            if left.len() > 0 {
                info!(
                    tenants = all - left.len(),
                    of = all,
                    "serving the tenants that were used most; loading the others"
                );
            }
        }
        Ok(())
    }

    /// What is unique to the tenants other than this one: to those that are served, and those that will be.
    fn unique_ids_of_others(&self, name: &str, registry: &Registry, under_way: &UnderWay) -> UniqueIds {
        let mut unique_ids = registry.unique_ids_of_others(name);
        unique_ids.claim_admin_tokens(self.admin_tokens.load().digests());
        unique_ids.claim_admin_tokens(under_way.admin_tokens().iter().copied());
        for other in under_way.claims() {
            unique_ids.claim(other, &FieldPath::default());
        }
        unique_ids
    }

    /// Makes new requests find a tenant that was put into the engine. `before` is the tenant as it was.
    fn serve_put(
        &self,
        config: TenantConfig,
        origin: Origin,
        before: Option<&Tenant>,
    ) -> Result<Arc<Tenant>, Error> {
        let id = config.id.clone();
        let metrics = || self.metrics.tenant(&id);
        let tenant = Arc::new(Tenant::of(config, origin, &self.engine, metrics, &self.pools, before)?);
        self.changes.alone(|_| self.serve(self.registry.load().with(Arc::clone(&tenant))));
        Ok(tenant)
    }

    /// Makes new requests use this registry. Nobody else may change it since it was read.
    fn serve(&self, registry: Registry) {
        self.registry.store(Arc::new(registry));
        self.registry_changes.send_replace(());
    }
}

/// The engine's spec of a tenant. For a tenant of the admin API it includes the settings to store.
fn stored_spec(config: &TenantConfig, origin: Origin) -> Result<TenantSpec, serde_json::Error> {
    let kept = match origin {
        Origin::File => None,
        Origin::Api => Some(serde_json::to_vec(&config.to_typed())?),
    };
    Ok(config.spec().kept(kept))
}

/// The tenants of the file, and those of the admin API.
fn configured(
    in_file: &[TenantConfig],
    engine: &Engine,
) -> Result<Vec<(TenantConfig, Origin)>, SettingsError> {
    let of_api = stored::tenants_of_api(engine, in_file)?;
    let of_api = of_api.iter().map(|typed| Ok((checked_again(typed)?, Origin::Api)));
    in_file.iter().map(|tenant| Ok((tenant.clone(), Origin::File))).chain(of_api).collect()
}

/// Removes words that no text can match. Earlier versions accepted and stored them; today they are refused, which must
/// not prevent the gateway from starting.
fn without_unmatchable_words(typed: &typed::Tenant) -> typed::Tenant {
    let mut typed = typed.clone();
    for (list, words) in [("stop", &mut typed.opt_out.stop), ("start", &mut typed.opt_out.start)] {
        let before = words.len();
        words.retain(|word| Keywords::can_match(word));
        if words.len() < before {
            let ignored = before - words.len();
            warn!(
                tenant = typed.id,
                setting = list,
                ignored,
                "ignoring words of opt_out that no text can match: send the tenant's settings without them"
            );
        }
    }
    typed
}

/// Takes out next hops whose host a message would choose. Earlier versions accepted and stored them. Today they are refused, which
/// must not prevent the gateway from starting: nothing is sent to them.
fn without_open_hops(typed: &mut typed::Tenant) {
    for hop in [&mut typed.next_hops.outbound, &mut typed.next_hops.inbound] {
        if hop.take_if(|hop| is_open_hop(hop)).is_some() {
            warn!(
                tenant = typed.id,
                "refusing messages for a next hop whose host comes from a placeholder: send the tenant's settings with a fixed host"
            );
        }
    }
}

/// Warns of tenants that have lists in the ledger, and are not served: the configuration file may be torn.
fn warn_of_unserved(engine: &Engine, served: &Registry) -> Result<(), SettingsError> {
    /// The most that are named.
    const NAMED: usize = 10;
    let mut unserved = engine.blocking_all_tenants()?;
    unserved.retain(|id| served.tenant(id.as_str()).is_none());
    if !unserved.is_empty() {
        let named: Vec<&str> = unserved.iter().take(NAMED).map(TenantId::as_str).collect();
        warn!(
            count = unserved.len(),
            tenants = named.join(", "),
            "the ledger has lists of tenants that are neither in the configuration file nor the admin API's, so nobody is blocked for \
             them: is the file whole?"
        );
    }
    Ok(())
}

/// Reads the stored settings of a tenant of the admin API.
fn read_again(tenant: &TenantId, stored: &[u8]) -> Result<TenantConfig, SettingsError> {
    let typed = serde_json::from_slice(stored)
        .map_err(|source| SettingsError::Unreadable { tenant: tenant.clone(), source })?;
    checked_again(&typed)
}

/// Validates the stored settings of a tenant of the admin API.
fn checked_again(typed: &typed::Tenant) -> Result<TenantConfig, SettingsError> {
    let mut problems = Vec::new();
    let stored = without_unmatchable_words(typed);
    let mut closed = stored.clone();
    without_open_hops(&mut closed);
    let mut config = TenantConfig::check(&closed, &FieldPath::default(), &mut problems)
        .ok_or_else(|| SettingsError::Stale { tenant: stored.id.clone(), problems })?;
    // They stay configured, so that their messages fail, instead of being allowed without being sent.
    config.next_hops = stored.next_hops;
    Ok(config)
}
