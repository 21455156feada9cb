//! The gateway behind its interfaces: ledger, plugins and tenants, started, changed and stopped.

mod adopt;
mod change_tenants;
pub(crate) mod follow;
mod reconfigure;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use portcullis_host::Engine;
use portcullis_ledger::{Ledger, MasterKey, StorageUrl};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::info;

pub(crate) use change_tenants::{AdminError, Put};

use crate::config::{Claims, Config, Place, TenantConfig, typed};
use crate::gate::Service;
use crate::metrics::Metrics;
use crate::plugins::Shelf;
use crate::registry::Registry;
use crate::reload::{Slots, Whole};
use crate::residency::Residency;
use crate::states::States;
use crate::tenant::{self, Origin, Tenant};
use crate::token::TokenDigest;
use adopt::{Settled, Stored};

/// The gateway behind its interfaces.
pub(crate) struct Gateway {
    pub(crate) equipment: Equipment,
    pub(crate) registry: ArcSwap<Registry>,
    admin_token: ArcSwap<Option<TokenDigest>>,
    /// Told when an entry was written that may end before all others.
    pub(crate) expiry: Notify,
    /// For how long the plugin before is kept ready after an exchange.
    pub(crate) watch: Duration,
    /// How many exchanges are at work at once.
    pub(crate) reloads: Slots,
    /// What the configuration file said at the start.
    config: Config,
    /// The tenants as they stand in the configuration file.
    in_file: ArcSwap<Vec<TenantConfig>>,
    /// Held while tenants are changed, from the first look at them to the end. After the tenants' own
    /// [`hold`](crate::reload::Reload::hold).
    changing: std::sync::Mutex<()>,
}

/// What tenants are made with.
pub(crate) struct Equipment {
    pub(crate) ledger: Ledger,
    pub(crate) shelf: Shelf,
    pub(crate) states: States,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) residency: Arc<Residency>,
    pub(crate) whole: Whole,
    pub(crate) runtime: Handle,
}

impl Gateway {
    /// Opens the ledger, loads the plugins, and fills every blacklist. Blocks for as long as that takes.
    pub(crate) fn start(config: Config, runtime: Handle) -> anyhow::Result<Arc<Self>> {
        let ledger = open_ledger(&config)?;
        let engine = Engine::new().context("plugins can't be run here")?;
        // Until there are messages, nobody else needs the processors.
        engine.compile_on(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        let states = States::open(states_dir(&config)).context("the saved states can't be taken over")?;
        let equipment = Equipment {
            ledger,
            shelf: Shelf::new(engine.clone(), config.plugins_dir.clone()),
            states,
            metrics: Arc::new(Metrics::new()),
            residency: Arc::new(Residency::new(config.memory_budget_bytes)),
            whole: Arc::new(OnceLock::new()),
            runtime,
        };
        let mut claims = Claims::new(config.admin_token);
        let mut tenants = Vec::new();
        let mut unfilled = Vec::new();
        for (config, origin) in configured(&config, &equipment.ledger)? {
            if let Some(problem) = claims.claim(&config, &Place::default()).first() {
                // The file was checked by itself: what is left is between it and the admin API, or within that.
                anyhow::bail!("tenant {}, {}: {}", config.id, problem.place, problem.what);
            }
            let id = config.id.clone();
            let opened = Tenant::open(config, origin, None, &equipment)
                .with_context(|| format!("tenant {id} can't be served"))?;
            unfilled.extend(opened.unfilled);
            tenants.push(Arc::new(opened.tenant));
        }
        tenant::fill(&unfilled, &equipment.residency);
        let resting = unfilled.iter().filter(|gate| gate.service() == Service::Resting).count();
        info!(tenants = tenants.len(), lists = unfilled.len(), resting, "the blacklists are filled");
        let gateway = Arc::new(Gateway {
            equipment,
            registry: ArcSwap::from_pointee(Registry::new(tenants)),
            admin_token: ArcSwap::from_pointee(config.admin_token),
            expiry: Notify::new(),
            watch: config.watch,
            reloads: Slots::for_this_machine(),
            in_file: ArcSwap::from_pointee(config.tenants.clone()),
            config,
            changing: std::sync::Mutex::new(()),
        });
        engine.compile_on(NonZeroUsize::MIN);
        let _ = gateway.equipment.whole.set(Arc::downgrade(&gateway));
        Ok(gateway)
    }

    /// Whether the token is the administrator's.
    pub(crate) fn is_admin(&self, token: &TokenDigest) -> bool {
        self.admin_token.load().as_ref().as_ref() == Some(token)
    }
}

/// Beside the ledger, and named after the whole name of its file: so that no two ledgers share one.
fn states_dir(config: &Config) -> PathBuf {
    let file = match &config.storage {
        StorageUrl::Sqlite(file) => file,
        _ => &config.master_key_file,
    };
    let mut name = file.clone().into_os_string();
    name.push(".states");
    name.into()
}

fn open_ledger(config: &Config) -> anyhow::Result<Ledger> {
    let from_environment = std::env::var("PORTCULLIS_MASTER_KEY").ok();
    // A new key opens no old ledger: one is made only together with the ledger.
    let is_new = match &config.storage {
        StorageUrl::Sqlite(file) => !file.exists(),
        _ => false,
    };
    let key = MasterKey::from_env_or_file(from_environment.as_deref(), &config.master_key_file, is_new)?;
    Ok(Ledger::open(&config.storage, key)?)
}

/// The tenants of the file, and those that were added through the admin API.
fn configured(config: &Config, ledger: &Ledger) -> anyhow::Result<Vec<(TenantConfig, Origin)>> {
    let settled = Settled::read(&config.tenants, ledger)?;
    settled.drop_overtaken(ledger)?;
    let of_api = settled.of_api.iter().map(|typed| Ok((checked_again(typed)?, Origin::Api)));
    settled.in_file.into_iter().map(|tenant| Ok((tenant, Origin::File))).chain(of_api).collect()
}

fn checked_again(typed: &typed::Tenant) -> anyhow::Result<TenantConfig> {
    let mut problems = Vec::new();
    TenantConfig::check(typed, &Place::default(), &mut problems).ok_or_else(|| {
        let problem = problems.first().map(|problem| format!("{}: {}", problem.place, problem.what));
        let problem = problem.unwrap_or_default();
        anyhow::anyhow!(
            "the settings of tenant {}, made through the admin API, are refused: {problem}",
            typed.id
        )
    })
}
