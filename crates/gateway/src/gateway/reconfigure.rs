//! A changed configuration file, applied while the gateway runs.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use portcullis_ledger::LedgerError;
use tracing::{error, info, warn};

use super::Gateway;
use super::adopt::{Settled, StoredError};
use crate::config::{Claims, Config, Place};
use crate::tenant::{self, Opened, Origin, Tenant};

/// Why a configuration is not applied: nothing is changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconfigureError {
    #[error("tenant {tenant}, {place}: {what}")]
    Conflict { tenant: String, place: Place, what: String },
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("the ledger can't be changed")]
    Ledger(#[from] LedgerError),
}

impl Gateway {
    /// Applies what the file says now of tenants, senders and tokens. A tenant whose plugin does not take its new options stays
    /// as it was; so do settings that only a start can apply. Blocks for as long as it takes to fill what is new.
    pub(crate) fn reconfigure(&self, config: &Config) -> Result<(), ReconfigureError> {
        self.tell_what_needs_a_restart(config);
        // Before `changing`, and in the order of names: as whoever exchanges a plugin does.
        let reloads: Vec<_> =
            self.registry.load().tenants().map(|tenant| Arc::clone(&tenant.reload)).collect();
        let _held: Vec<_> = reloads.iter().map(|reload| reload.hold()).collect();
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);

        let settled = Settled::read(&config.tenants, &self.equipment.ledger)?;
        let wanted = &settled.in_file;
        let registry = self.registry.load_full();
        let in_file: BTreeSet<&str> = wanted.iter().map(|config| config.id.as_str()).collect();
        let changed = wanted.iter().filter(|config| {
            let tenant = registry.tenant(config.id.as_str());
            tenant.is_none_or(|tenant| tenant.config != **config || tenant.origin == Origin::Api)
        });
        let mut claims = Claims::new(config.admin_token);
        let others: Vec<&Arc<Tenant>> = registry
            .tenants()
            .filter(|tenant| tenant.origin == Origin::Api && !in_file.contains(tenant.config.id.as_str()))
            .collect();
        let all = others.iter().map(|tenant| &tenant.config).chain(wanted);
        for config in all {
            if let Some(problem) = claims.claim(config, &Place::default()).into_iter().next() {
                let (tenant, place, what) = (config.id.to_string(), problem.place, problem.what);
                return Err(ReconfigureError::Conflict { tenant, place, what });
            }
        }
        settled.drop_overtaken(&self.equipment.ledger)?;
        let mut opened = Vec::new();
        for config in changed {
            let id = &config.id;
            let before = registry.tenant(id.as_str());
            match Tenant::open(config.clone(), Origin::File, before.map(Arc::as_ref), &self.equipment) {
                Ok(tenant) => opened.push(tenant),
                Err(error) => {
                    // In the record of the tenant it stands with its reasons, which may be the plugin's own words.
                    error!(tenant = %id, "the tenant's new settings are refused by its plugin: it stays as it was");
                    let why = crate::sentence::of(&error);
                    if let Some(tenant) = before {
                        tenant.reload.refuse("what the configuration file says".to_owned(), why);
                    }
                }
            }
        }
        let unfilled: Vec<_> = opened.iter().flat_map(|opened| opened.unfilled.iter().cloned()).collect();
        tenant::fill(&unfilled, &self.equipment.residency);
        let count = opened.len();
        let fresh: Vec<Arc<Tenant>> = opened.into_iter().map(Opened::put_in_place).collect();
        let is_fresh = |tenant: &Tenant| fresh.iter().any(|fresh| fresh.config.id == tenant.config.id);
        let stays = |tenant: &&Arc<Tenant>| {
            !is_fresh(tenant) && (tenant.origin == Origin::Api || in_file.contains(tenant.config.id.as_str()))
        };
        let removed = registry.tenants().filter(|tenant| !is_fresh(tenant) && !stays(tenant)).count();
        let stay: Vec<Arc<Tenant>> = registry.tenants().filter(stays).map(Arc::clone).collect();
        self.registry.store(Arc::new(registry.again(stay.into_iter().chain(fresh))));
        self.admin_token.store(Arc::new(config.admin_token));
        self.in_file.store(Arc::new(config.tenants.clone()));
        info!(changed = count, removed, "the configuration file is applied");
        Ok(())
    }

    fn tell_what_needs_a_restart(&self, config: &Config) {
        let before = &self.config;
        let changes = [
            ("server.listen", before.listen != config.listen),
            ("server.max_body_bytes", before.max_body_bytes != config.max_body_bytes),
            ("server.log_format", before.log_format != config.log_format),
            ("server.trusted_proxies", before.trusted_proxies != config.trusted_proxies),
            ("dialects", before.dialects != config.dialects),
            ("traffic", before.traffic != config.traffic),
            ("meta", before.meta != config.meta),
            ("storage.url", before.storage != config.storage),
            ("storage.master_key_file", before.master_key_file != config.master_key_file),
            ("plugins.dir", before.plugins_dir != config.plugins_dir),
            ("plugins.watch_seconds", before.watch != config.watch),
            ("plugins.memory_budget_bytes", before.memory_budget_bytes != config.memory_budget_bytes),
        ];
        for (setting, _) in changes.into_iter().filter(|(_, is_changed)| *is_changed) {
            warn!(
                setting,
                "this setting was changed in the configuration file: it takes a restart to apply it"
            );
        }
    }
}
