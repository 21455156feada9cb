//! A tenant in service.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_host::{CallError, FillError, FilledFrom, Generation, MemoryAccount, Recipe, Settings};
use portcullis_ledger::{LedgerError, List, Scope, TenantKeys};
use tokio::sync::Notify;

use crate::config::TenantConfig;
use crate::gate::{Gate, Pace, Parts};
use crate::gateway::Equipment;
use crate::metrics::TenantMetrics;
use crate::number::NumberReader;
use crate::plugins::ShelfError;
use crate::reload::{Reload, Setup};
use crate::residency::Residency;

/// Where a tenant was set up, which is where it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the configuration file.
    File,
    /// Through the admin API.
    Api,
}

/// A tenant in service. Never changed: a change makes another one, which takes the gates over.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) config: TenantConfig,
    pub(crate) origin: Origin,
    pub(crate) keys: TenantKeys,
    pub(crate) reader: NumberReader,
    /// The list that holds for all senders.
    pub(crate) wide: Arc<Gate>,
    /// The senders' own lists, by the senders' names.
    pub(crate) senders: BTreeMap<String, Arc<Gate>>,
    /// What its plugins may have of memory, and have.
    pub(crate) account: Arc<MemoryAccount>,
    /// Where its plugin is exchanged.
    pub(crate) reload: Arc<Reload>,
    pub(crate) metrics: Arc<TenantMetrics>,
    /// Woken when there is something to tell of in its lists.
    pub(crate) told: Arc<Notify>,
}

/// Why a tenant can't be put into service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TenantError {
    #[error(transparent)]
    Plugin(#[from] ShelfError),
    #[error("the plugin {plugin} can't be started")]
    Start {
        plugin: String,
        #[source]
        source: CallError,
    },
    #[error("the plugin {plugin} can't be filled with the entries there are")]
    Fill {
        plugin: String,
        #[source]
        source: FillError,
    },
    #[error("the ledger gives no list")]
    Ledger(#[from] LedgerError),
}

/// A tenant that is about to go into service.
pub(crate) struct Opened {
    pub(crate) tenant: Tenant,
    /// What serves it then.
    setup: Setup,
    /// Gates that are new, and have to be filled.
    pub(crate) unfilled: Vec<Arc<Gate>>,
    /// Gates that stay, and the generations they are to have from now on.
    exchanges: Vec<(Arc<Gate>, Generation, FilledFrom)>,
}

impl Opened {
    /// Puts the prepared generations in place. Those that can't follow what was written meanwhile are made anew in the
    /// background, and the tenant's policy answers until then.
    ///
    /// The tenant's [`Reload`] must be held.
    pub(crate) fn put_in_place(self) -> Arc<Tenant> {
        for (gate, next, from) in self.exchanges {
            match gate.install(Arc::new(next)) {
                Ok(()) => gate.was_installed(&from),
                Err(error) => gate.fail_to_start(&error),
            }
            gate.release();
        }
        self.tenant.reload.changed(self.setup);
        Arc::new(self.tenant)
    }
}

impl Tenant {
    /// Opens the lists of a tenant. Those of `before`, which is the same tenant as it was, stay in service
    /// as they are, or where the plugin or its set-up is another now, get a generation of that prepared.
    pub(crate) fn open(
        config: TenantConfig,
        origin: Origin,
        before: Option<&Tenant>,
        equipment: &Equipment,
    ) -> Result<Opened, TenantError> {
        let keys = equipment.ledger.ensure_tenant(&config.id)?;
        let unchanged = before.filter(|before| before.config.has_the_plugin_of(&config));
        let setup = match unchanged {
            Some(before) => before.reload.serving(),
            None => setup(&config, equipment)?,
        };
        let account = match unchanged {
            Some(before) => Arc::clone(&before.account),
            None => MemoryAccount::new(config.memory_limit_bytes),
        };
        let reload = match before {
            Some(before) => Arc::clone(&before.reload),
            None => Reload::new(
                config.id.clone(),
                setup.clone(),
                Arc::clone(&equipment.whole),
                Arc::clone(&equipment.metrics),
            ),
        };
        let mut opened = Opening {
            config: &config,
            keys: &keys,
            account: &account,
            setup: &setup,
            equipment,
            reload: &reload,
            plugin_stays: unchanged.is_some(),
            unfilled: Vec::new(),
            exchanges: Vec::new(),
        };
        let wide = opened.gate(Scope::Tenant, before.map(|before| &before.wide))?;
        let mut senders = BTreeMap::new();
        for sender in &config.senders {
            let name = sender.id.as_str();
            let gate_before = before.and_then(|before| before.senders.get(name));
            senders.insert(name.to_owned(), opened.gate(Scope::Sender(sender.id.clone()), gate_before)?);
        }
        let Opening { unfilled, exchanges, .. } = opened;
        let reader = NumberReader { default_region: config.default_region };
        let metrics = match before {
            Some(before) => Arc::clone(&before.metrics),
            None => Arc::new(equipment.metrics.tenant(&config.id)),
        };
        let told = before.map_or_else(Arc::default, |before| Arc::clone(&before.told));
        if config.events.is_some() {
            for gate in std::iter::once(&wide).chain(senders.values()) {
                begin_to_tell(gate.list())?;
            }
        }
        let tenant = Tenant { config, origin, keys, reader, wide, senders, account, reload, metrics, told };
        Ok(Opened { tenant, setup, unfilled, exchanges })
    }

    /// All of its lists: the tenant-wide one first.
    pub(crate) fn gates(&self) -> impl Iterator<Item = &Arc<Gate>> {
        std::iter::once(&self.wide).chain(self.senders.values())
    }

    /// What a list's next generation is made of.
    pub(crate) fn recipe(&self, setup: &Setup, entries: u64) -> Recipe {
        recipe(&self.config, &self.keys, &self.account, setup, entries)
    }

    /// The same tenant with other settings, and its lists as they are.
    pub(crate) fn with(&self, config: TenantConfig) -> Self {
        Tenant { config, ..self.clone() }
    }
}

/// Who wants to know of changes from now on is not told of those before.
fn begin_to_tell(list: &List) -> Result<(), LedgerError> {
    match list.told()? {
        Some(_) => Ok(()),
        None => list.set_told(list.sequence()?),
    }
}

fn recipe(
    config: &TenantConfig,
    keys: &TenantKeys,
    account: &Arc<MemoryAccount>,
    setup: &Setup,
    entries: u64,
) -> Recipe {
    Recipe {
        plugin: setup.version.plugin.clone(),
        settings: Settings { capacity: entries, options: setup.options.clone() },
        account: Arc::clone(account),
        numbers: config.clear_numbers.then(|| keys.permutation().clone()),
        replicas: config.replicas,
    }
}

/// What a tenant's settings say of its plugin.
fn setup(config: &TenantConfig, equipment: &Equipment) -> Result<Setup, ShelfError> {
    let version = match &config.plugin_version {
        Some(version) => equipment.shelf.version(&config.plugin, version)?,
        None => equipment.shelf.latest(&config.plugin)?,
    };
    Ok(Setup { version, options: config.plugin_options.clone(), pinned: config.plugin_version.is_some() })
}

struct Opening<'a> {
    config: &'a TenantConfig,
    keys: &'a TenantKeys,
    account: &'a Arc<MemoryAccount>,
    setup: &'a Setup,
    equipment: &'a Equipment,
    reload: &'a Arc<Reload>,
    plugin_stays: bool,
    unfilled: Vec<Arc<Gate>>,
    exchanges: Vec<(Arc<Gate>, Generation, FilledFrom)>,
}

impl Opening<'_> {
    fn gate(&mut self, scope: Scope, before: Option<&Arc<Gate>>) -> Result<Arc<Gate>, TenantError> {
        let &mut Opening { config, keys, account, setup, equipment, .. } = self;
        let recipe = |entries| recipe(config, keys, account, setup, entries);
        let plugin = || config.plugin.clone();
        match before {
            Some(gate) if self.plugin_stays => Ok(Arc::clone(gate)),
            Some(gate) => {
                let made = Generation::empty(recipe(gate.list().count()?))
                    .map_err(|source| TenantError::Start { plugin: plugin(), source })?;
                let (next, from) = made
                    .filled_and_proved(&**gate.entries(), Some(gate.state()))
                    .map_err(|source| TenantError::Fill { plugin: plugin(), source })?;
                self.exchanges.push((Arc::clone(gate), next, from));
                Ok(Arc::clone(gate))
            }
            None => {
                let list = equipment.ledger.list(&config.id, scope)?;
                let name = Gate::name_of(list.scope());
                let parts = Parts {
                    state: equipment.states.of(list.tenant(), list.scope(), list.keys()),
                    recipe: recipe(list.count()?),
                    reload: Arc::downgrade(self.reload),
                    residency: Arc::clone(&equipment.residency),
                    metrics: equipment.metrics.list(list.tenant(), name),
                    runtime: equipment.runtime.clone(),
                    list,
                };
                let gate =
                    Gate::open(parts).map_err(|source| TenantError::Start { plugin: plugin(), source })?;
                let gate = Arc::new(gate);
                self.unfilled.push(Arc::clone(&gate));
                Ok(gate)
            }
        }
    }
}

/// Fills gates on as many threads as there are processors. One that can't be filled goes into recovery. Those that there is no
/// room for begin at rest.
pub(crate) fn fill(gates: &[Arc<Gate>], residency: &Residency) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(gates.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(gate) = gates.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if !residency.has_room() {
                        gate.begin_at_rest();
                    } else if let Err(error) = gate.refill(Pace::AtOnce) {
                        gate.fail_to_start(&error);
                    }
                }
            });
        }
    });
}
