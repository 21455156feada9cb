//! A changed configuration file, applied while the gateway runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_engine::Error;
use portcullis_ledger::TenantId;
use tracing::{error, info, warn};

use super::stored::{StoredError, tenants_of_api};
use super::{Gateway, stored_spec};
use crate::config::{Claims, Config, Place};
use crate::tenant::{Origin, Tenant};

/// Why a configuration is not applied: nothing is changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconfigureError {
    #[error("tenant {tenant}, {place}: {what}")]
    Conflict { tenant: String, place: Place, what: String },
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error(transparent)]
    Settings(#[from] serde_json::Error),
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Gateway {
    /// Applies what the file says now of tenants, senders and tokens. A tenant whose plugin does not take its new options stays
    /// as it was; so do settings that only a start can apply. Blocks for as long as it takes to fill what is new.
    pub(crate) fn reconfigure(&self, config: &Config) -> Result<(), ReconfigureError> {
        self.tell_what_needs_a_restart(config);
        let _changing = self.changing.lock();
        // What the file has now is no tenant of the admin API any more.
        tenants_of_api(&self.engine, &config.tenants)?;
        let wanted = &config.tenants;
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
        let changed: Vec<_> = changed.collect();
        let specs = changed
            .iter()
            .map(|config| stored_spec(config, Origin::File))
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        let mut fresh: Vec<Arc<Tenant>> = Vec::with_capacity(changed.len());
        for (config, put) in changed.into_iter().zip(self.engine.blocking_put_tenants(specs)) {
            let id = &config.id;
            if let Err(error) = put {
                // In the record of the tenant it stands with its reasons, which may be the plugin's own words.
                error!(tenant = %id, "the tenant's new settings are refused by its plugin: it stays as it was");
                self.engine.record_refusal(id, "what the configuration file says", Arc::new(error));
                continue;
            }
            let before = registry.tenant(id.as_str()).map(Arc::as_ref);
            let metrics = || self.metrics.tenant(id);
            fresh.push(Arc::new(Tenant::of(config.clone(), Origin::File, &self.engine, metrics, before)?));
        }
        let count = fresh.len();
        let is_fresh = |tenant: &Tenant| fresh.iter().any(|fresh| fresh.config.id == tenant.config.id);
        let stays = |tenant: &&Arc<Tenant>| {
            !is_fresh(tenant) && (tenant.origin == Origin::Api || in_file.contains(tenant.config.id.as_str()))
        };
        let removed: Vec<TenantId> = registry
            .tenants()
            .filter(|tenant| !is_fresh(tenant) && !stays(tenant))
            .map(|tenant| tenant.config.id.clone())
            .collect();
        let stay: Vec<Arc<Tenant>> = registry.tenants().filter(stays).map(Arc::clone).collect();
        self.serve(registry.again(stay.into_iter().chain(fresh)));
        self.engine.blocking_remove_tenants(&removed);
        self.admin_token.store(Arc::new(config.admin_token));
        info!(changed = count, removed = removed.len(), "the configuration file is applied");
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
