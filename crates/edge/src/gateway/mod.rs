//! The gateway behind its interfaces: an engine, and whom it serves, started, changed and stopped.

mod change_tenants;
mod error;
mod reconfigure;
mod stored;

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_engine::{Engine, Service};
use tokio::sync::watch;
use tracing::{info, warn};

pub use change_tenants::{AdminError, Put};
pub use error::SettingsError;

use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::settings::{FieldPath, TenantConfig, UniqueIds};
use crate::tenant::{Origin, Tenant};
use crate::token::TokenDigest;
use portcullis_api::settings as typed;
use portcullis_keywords::Keywords;

/// The gateway behind its interfaces.
pub struct Gateway {
    pub engine: Engine,
    pub registry: ArcSwap<Registry>,
    /// Tells that the registry is another one.
    pub registry_changes: watch::Sender<()>,
    pub metrics: Arc<Metrics>,
    admin_token: ArcSwap<Option<TokenDigest>>,
    /// Held while tenants are changed, from the first look at them to the end.
    changing: parking_lot::Mutex<()>,
}

impl Gateway {
    /// Fills every blacklist: of the tenants of the configuration file, and of those that the engine keeps for the admin API. Blocks
    /// for as long as that takes.
    ///
    /// # Errors
    ///
    /// Where a tenant can't be served, or contradicts another one.
    pub fn start(
        engine: Engine,
        metrics: Arc<Metrics>,
        admin_token: Option<TokenDigest>,
        in_file: &[TenantConfig],
    ) -> Result<Arc<Self>, SettingsError> {
        let mut unique_ids = UniqueIds::new(admin_token);
        let mut wanted = Vec::new();
        for (config, origin) in configured(in_file, &engine)? {
            // The file was checked by itself: what is left is between it and the admin API, or within that.
            unique_ids.claim_or_refuse(&config)?;
            wanted.push((config, origin));
        }
        let specs =
            wanted.iter().map(|(config, origin)| stored_spec(config, *origin)).collect::<Result<_, _>>()?;
        let mut tenants = Vec::with_capacity(wanted.len());
        for ((config, origin), put) in wanted.into_iter().zip(engine.blocking_put_tenants(specs)) {
            let id = config.id.clone();
            put.map_err(|source| SettingsError::Tenant { tenant: id.clone(), source })?;
            let of_tenant = || metrics.tenant(&id);
            tenants.push(Arc::new(Tenant::of(config, origin, &engine, of_tenant, None)?));
        }
        let status = engine.status();
        let lists: Vec<_> = status.iter().flat_map(|tenant| &tenant.lists).collect();
        let evicted = lists.iter().filter(|list| list.service == Service::Evicted).count();
        info!(tenants = tenants.len(), lists = lists.len(), evicted, "the blacklists are filled");
        Ok(Arc::new(Gateway {
            engine,
            registry: ArcSwap::from_pointee(Registry::new(tenants)),
            registry_changes: watch::Sender::new(()),
            metrics,
            admin_token: ArcSwap::from_pointee(admin_token),
            changing: parking_lot::Mutex::new(()),
        }))
    }

    /// From now on requests find these tenants.
    fn serve(&self, registry: Registry) {
        self.registry.store(Arc::new(registry));
        self.registry_changes.send_replace(());
    }

    /// Whether the token is the administrator's.
    pub fn is_admin(&self, token: &TokenDigest) -> bool {
        self.admin_token.load().as_ref().as_ref() == Some(token)
    }
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
fn configured(
    in_file: &[TenantConfig],
    engine: &Engine,
) -> Result<Vec<(TenantConfig, Origin)>, SettingsError> {
    let of_api = stored::tenants_of_api(engine, in_file)?;
    let of_api = of_api.iter().map(|typed| Ok((checked_again(typed)?, Origin::Api)));
    in_file.iter().map(|tenant| Ok((tenant.clone(), Origin::File))).chain(of_api).collect()
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

fn checked_again(typed: &typed::Tenant) -> Result<TenantConfig, SettingsError> {
    let mut problems = Vec::new();
    let typed = &without_unmatchable_words(typed);
    TenantConfig::check(typed, &FieldPath::default(), &mut problems)
        .ok_or_else(|| SettingsError::Stale { tenant: typed.id.clone(), problems })
}
