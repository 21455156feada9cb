//! The gateway behind its interfaces: ledger, plugins and tenants, started, changed and stopped.

mod change_tenants;

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use portcullis_host::Engine;
use portcullis_ledger::{Ledger, MasterKey, StorageUrl};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::info;

pub(crate) use change_tenants::{AdminError, Put};

use crate::config::{Claims, Config, Place, TenantConfig, typed};
use crate::plugins::Shelf;
use crate::registry::Registry;
use crate::tenant::{self, Origin, Tenant};
use crate::token::TokenDigest;

/// The gateway behind its interfaces.
pub(crate) struct Gateway {
    pub(crate) ledger: Ledger,
    shelf: Shelf,
    pub(crate) registry: ArcSwap<Registry>,
    pub(crate) admin_token: Option<TokenDigest>,
    /// Told when an entry was written that may end before all others.
    pub(crate) expiry: Notify,
    /// Held while tenants are changed, from the first look at them to the end.
    changing: std::sync::Mutex<()>,
    runtime: Handle,
}

impl Gateway {
    /// Opens the ledger, loads the plugins, and fills every blacklist. Blocks for as long as that takes.
    pub(crate) fn start(config: &Config, runtime: Handle) -> anyhow::Result<Self> {
        let ledger = open_ledger(config)?;
        let engine = Engine::new().context("plugins can't be run here")?;
        let shelf = Shelf::new(engine, config.plugins_dir.clone());
        let mut claims = Claims::new(config.admin_token);
        let mut tenants = Vec::new();
        let mut unfilled = Vec::new();
        for (config, origin) in configured(config, &ledger)? {
            if let Some(problem) = claims.claim(&config, &Place::default()).first() {
                // The file was checked by itself: what is left is between it and the admin API, or within that.
                anyhow::bail!("tenant {}, {}: {}", config.id, problem.place, problem.what);
            }
            let id = config.id.clone();
            let opened = Tenant::open(config, origin, None, &ledger, &shelf, &runtime)
                .with_context(|| format!("tenant {id} can't be served"))?;
            unfilled.extend(opened.unfilled);
            tenants.push(Arc::new(opened.tenant));
        }
        tenant::fill(&unfilled);
        info!(tenants = tenants.len(), lists = unfilled.len(), "the blacklists are filled");
        Ok(Gateway {
            ledger,
            shelf,
            registry: ArcSwap::from_pointee(Registry::new(tenants)),
            admin_token: config.admin_token,
            expiry: Notify::new(),
            changing: std::sync::Mutex::new(()),
            runtime,
        })
    }
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
    let mut tenants: Vec<_> = config.tenants.iter().cloned().map(|tenant| (tenant, Origin::File)).collect();
    for (id, settings) in ledger.settings()? {
        if config.tenants.iter().any(|tenant| tenant.id == id) {
            // How a tenant gets from the admin API into the file: from then on the file has it.
            ledger.remove_settings(&id)?;
            info!(tenant = %id, "the configuration file has this tenant now: its settings from the admin API are dropped");
            continue;
        }
        let typed: typed::Tenant = serde_json::from_slice(&settings).with_context(|| {
            format!("the settings of tenant {id}, made through the admin API, can't be read")
        })?;
        let mut problems = Vec::new();
        let Some(tenant) = TenantConfig::check(&typed, &Place::default(), &mut problems) else {
            let problem = problems.first().map_or("", |problem| problem.what.as_str());
            anyhow::bail!("the settings of tenant {id}, made through the admin API, are refused: {problem}");
        };
        tenants.push((tenant, Origin::Api));
    }
    Ok(tenants)
}
