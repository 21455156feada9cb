//! The gateway behind its interfaces: an engine, and whom it serves, started, changed and stopped.

mod change_tenants;
mod reconfigure;
mod stored;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use portcullis_engine::{Engine, Service};
use portcullis_ledger::{MasterKey, StorageUrl};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{info, warn};

pub(crate) use change_tenants::{AdminError, Put};

use crate::config::{Claims, Config, Place, TenantConfig, typed};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::tenant::{Origin, Tenant};
use crate::token::TokenDigest;
use crate::traffic::Keywords;

/// The gateway behind its interfaces.
pub(crate) struct Gateway {
    pub(crate) engine: Engine,
    pub(crate) registry: ArcSwap<Registry>,
    /// Tells that the registry is another one.
    pub(crate) registry_changes: watch::Sender<()>,
    pub(crate) metrics: Arc<Metrics>,
    admin_token: ArcSwap<Option<TokenDigest>>,
    /// What the configuration file said at the start.
    config: Config,
    /// Held while tenants are changed, from the first look at them to the end.
    changing: parking_lot::Mutex<()>,
}

impl Gateway {
    /// Opens the engine, and fills every blacklist. Blocks for as long as that takes.
    pub(crate) fn start(config: Config, runtime: Handle) -> anyhow::Result<Arc<Self>> {
        let metrics = Arc::new(Metrics::new());
        let engine = open_engine(&config, &metrics, runtime)?;
        let mut claims = Claims::new(config.admin_token);
        let mut wanted = Vec::new();
        for (config, origin) in configured(&config, &engine)? {
            if let Some(problem) = claims.claim(&config, &Place::default()).first() {
                // The file was checked by itself: what is left is between it and the admin API, or within that.
                anyhow::bail!("tenant {}, {}: {}", config.id, problem.place, problem.what);
            }
            wanted.push((config, origin));
        }
        let specs =
            wanted.iter().map(|(config, origin)| stored_spec(config, *origin)).collect::<Result<_, _>>()?;
        let mut tenants = Vec::with_capacity(wanted.len());
        for ((config, origin), put) in wanted.into_iter().zip(engine.blocking_put_tenants(specs)) {
            let id = config.id.clone();
            put.with_context(|| format!("tenant {id} can't be served"))?;
            let of_tenant = || metrics.tenant(&id);
            tenants.push(Arc::new(Tenant::of(config, origin, &engine, of_tenant, None)?));
        }
        let status = engine.status();
        let lists: Vec<_> = status.iter().flat_map(|tenant| &tenant.lists).collect();
        let resting = lists.iter().filter(|list| list.service == Service::Evicted).count();
        info!(tenants = tenants.len(), lists = lists.len(), resting, "the blacklists are filled");
        Ok(Arc::new(Gateway {
            engine,
            registry: ArcSwap::from_pointee(Registry::new(tenants)),
            registry_changes: watch::Sender::new(()),
            metrics,
            admin_token: ArcSwap::from_pointee(config.admin_token),
            config,
            changing: parking_lot::Mutex::new(()),
        }))
    }

    /// From now on requests find these tenants.
    fn serve(&self, registry: Registry) {
        self.registry.store(Arc::new(registry));
        self.registry_changes.send_replace(());
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

fn open_engine(config: &Config, metrics: &Arc<Metrics>, runtime: Handle) -> anyhow::Result<Engine> {
    let from_environment = std::env::var("PORTCULLIS_MASTER_KEY").ok();
    // A new key opens no old ledger: one is made only together with the ledger.
    let is_new = match &config.storage {
        StorageUrl::Sqlite(file) => !file.exists(),
        _ => false,
    };
    let key = MasterKey::from_env_or_file(from_environment.as_deref(), &config.master_key_file, is_new)?;
    let listener = Arc::clone(metrics);
    let mut builder = Engine::builder()
        .storage(config.storage.clone())
        .master_key(key)
        .states_dir(states_dir(config))
        .memory_budget(config.memory_budget_bytes)
        .reload_watch(config.watch)
        .on_event(move |event| listener.count(&event));
    if let Some(dir) = &config.plugins_dir {
        builder = builder.plugins_dir(dir);
    }
    Ok(builder.open_on(runtime)?)
}

/// What the engine is to serve, and to keep.
fn stored_spec(
    config: &TenantConfig,
    origin: Origin,
) -> Result<portcullis_engine::TenantSpec, serde_json::Error> {
    let kept = match origin {
        Origin::File => None,
        Origin::Api => Some(serde_json::to_vec(&config.to_typed())?),
    };
    Ok(config.spec().kept(kept))
}

/// The tenants of the file, and those that were added through the admin API.
fn configured(config: &Config, engine: &Engine) -> anyhow::Result<Vec<(TenantConfig, Origin)>> {
    let of_api = stored::tenants_of_api(engine, &config.tenants)?;
    let of_api = of_api.iter().map(|typed| Ok((checked_again(typed)?, Origin::Api)));
    config.tenants.iter().map(|tenant| Ok((tenant.clone(), Origin::File))).chain(of_api).collect()
}

/// Settings as they are checked today, of a tenant that was stored when words without letters and digits were taken, too: these
/// must not keep all tenants from being served.
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
                "words of opt_out that no text can match are ignored: send the tenant's settings without them"
            );
        }
    }
    typed
}

fn checked_again(typed: &typed::Tenant) -> anyhow::Result<TenantConfig> {
    let mut problems = Vec::new();
    let typed = &without_unmatchable_words(typed);
    TenantConfig::check(typed, &Place::default(), &mut problems).ok_or_else(|| {
        let problem = problems.first().map(|problem| format!("{}: {}", problem.place, problem.what));
        let problem = problem.unwrap_or_default();
        anyhow::anyhow!(
            "the settings of tenant {}, made through the admin API, are refused: {problem}",
            typed.id
        )
    })
}
