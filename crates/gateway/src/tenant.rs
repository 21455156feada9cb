//! A tenant in service.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_host::{CallError, FillError, Generation, MemoryAccount, Plugin, Recipe, Settings};
use portcullis_ledger::{Ledger, LedgerError, Scope, TenantKeys};
use tokio::runtime::Handle;

use crate::config::TenantConfig;
use crate::gate::Gate;
use crate::number::NumberReader;
use crate::plugins::{Shelf, ShelfError};

/// Where a tenant was set up, which is where it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the configuration file.
    File,
    /// Through the admin API.
    Api,
}

/// A tenant in service. Never changed: a change makes another one, which takes the gates over.
pub(crate) struct Tenant {
    pub(crate) config: TenantConfig,
    pub(crate) origin: Origin,
    pub(crate) keys: TenantKeys,
    pub(crate) reader: NumberReader,
    /// The list that holds for all senders.
    pub(crate) wide: Arc<Gate>,
    /// The senders' own lists, by the senders' names.
    pub(crate) senders: BTreeMap<String, Arc<Gate>>,
    account: Arc<MemoryAccount>,
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
    /// Gates that are new, and have to be filled.
    pub(crate) unfilled: Vec<Arc<Gate>>,
    /// Gates that stay, and the generations they are to have from now on.
    pub(crate) exchanges: Vec<(Arc<Gate>, Generation)>,
}

impl Tenant {
    /// Opens the lists of a tenant. Those of `before`, which is the same tenant as it was, stay in service
    /// as they are, or where the plugin or its set-up is another now, get a generation of that prepared.
    pub(crate) fn open(
        config: TenantConfig,
        origin: Origin,
        before: Option<&Tenant>,
        ledger: &Ledger,
        shelf: &Shelf,
        runtime: &Handle,
    ) -> Result<Opened, TenantError> {
        let keys = ledger.ensure_tenant(&config.id)?;
        let plugin = shelf.get(&config.plugin)?;
        let unchanged = before.filter(|before| before.config.has_the_plugin_of(&config));
        let account = match unchanged {
            Some(before) => Arc::clone(&before.account),
            None => MemoryAccount::new(config.memory_limit_bytes),
        };
        let mut opened = Opening {
            recipe: Recipe {
                plugin: Plugin::clone(&plugin),
                settings: Settings { capacity: 0, options: config.plugin_options.clone() },
                account: Arc::clone(&account),
                numbers: config.clear_numbers.then(|| keys.permutation().clone()),
            },
            config: &config,
            ledger,
            runtime,
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
        let tenant = Tenant { config, origin, keys, reader, wide, senders, account };
        Ok(Opened { tenant, unfilled, exchanges })
    }
}

struct Opening<'a> {
    recipe: Recipe,
    config: &'a TenantConfig,
    ledger: &'a Ledger,
    runtime: &'a Handle,
    plugin_stays: bool,
    unfilled: Vec<Arc<Gate>>,
    exchanges: Vec<(Arc<Gate>, Generation)>,
}

impl Opening<'_> {
    fn gate(&mut self, scope: Scope, before: Option<&Arc<Gate>>) -> Result<Arc<Gate>, TenantError> {
        let plugin = &self.config.plugin;
        match before {
            Some(gate) if self.plugin_stays => Ok(Arc::clone(gate)),
            Some(gate) => {
                let recipe = self.recipe_for(gate.list().count()?);
                let next = gate
                    .prepare(recipe)
                    .map_err(|source| TenantError::Fill { plugin: plugin.clone(), source })?;
                self.exchanges.push((Arc::clone(gate), next));
                Ok(Arc::clone(gate))
            }
            None => {
                let list = self.ledger.list(&self.config.id, scope)?;
                let recipe = self.recipe_for(list.count()?);
                let gate = Gate::open(list, recipe, self.runtime.clone())
                    .map_err(|source| TenantError::Start { plugin: plugin.clone(), source })?;
                let gate = Arc::new(gate);
                self.unfilled.push(Arc::clone(&gate));
                Ok(gate)
            }
        }
    }

    fn recipe_for(&self, capacity: u64) -> Recipe {
        let mut recipe = self.recipe.clone();
        recipe.settings.capacity = capacity;
        recipe
    }
}

/// Fills gates on as many threads as there are processors. One that can't be filled goes into recovery.
pub(crate) fn fill(gates: &[Arc<Gate>]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(gates.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(gate) = gates.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Err(error) = gate.refill() {
                        gate.fail_to_start(&error);
                    }
                }
            });
        }
    });
}
