//! Applying a changed configuration file while the gateway runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_engine::{Error, TenantError};
use portcullis_ledger::TenantId;
use portcullis_tokens::AdminTokens;
use tracing::{error, info};

use super::stored::tenants_of_api;
use super::{Gateway, SettingsError, stored_spec};
use crate::registry::Registry;
use crate::settings::{FieldPath, TenantConfig, UniqueIds};
use crate::tenant::{Origin, Tenant};

impl Gateway {
    /// Applies the tenants, senders and tokens of the configuration file, those of administrators included. A tenant
    /// whose plugin refuses the new options stays as it was; the error is logged, and recorded in the tenant's plugin
    /// status. Blocks until new lists are loaded.
    ///
    /// # Errors
    /// If the tenants conflict with each other or with tenants of the admin API: nothing is changed then. If the engine fails
    /// afterwards, it may have some of the new settings already.
    pub fn reconfigure(
        &self,
        admin_tokens: &AdminTokens,
        wanted: &[TenantConfig],
    ) -> Result<(), SettingsError> {
        let _alone = self.reconfiguring.lock();
        // Logs which tenants of the admin API are replaced by the file's.
        tenants_of_api(&self.engine, wanted)?;
        let in_file: BTreeSet<&str> = wanted.iter().map(|config| config.id.as_str()).collect();
        let changed = |registry: &Registry| -> Vec<&TenantConfig> {
            let is_changed = |config: &&TenantConfig| {
                let tenant = registry.tenant(config.id.as_str());
                tenant.is_none_or(|tenant| tenant.config != **config || tenant.origin == Origin::Api)
            };
            wanted.iter().filter(is_changed).collect()
        };
        let is_gone =
            |tenant: &Tenant| tenant.origin == Origin::File && !in_file.contains(tenant.config.id.as_str());
        let names = || -> BTreeSet<String> {
            let registry = self.registry.load();
            let changed = changed(&registry).into_iter().map(|config| config.id.to_string());
            let gone = registry.tenants().filter(|tenant| is_gone(tenant));
            changed.chain(gone.map(|tenant| tenant.config.id.to_string())).collect()
        };
        let _change = self.changes.begin_file(names, admin_tokens.digests().collect());
        let changed = self.changes.alone(|under_way| {
            let registry = self.registry.load();
            let mut unique_ids = UniqueIds::new(admin_tokens.digests());
            let others = registry.tenants().map(|tenant| &**tenant).filter(|tenant| {
                tenant.origin == Origin::Api && !in_file.contains(tenant.config.id.as_str())
            });
            for config in others.map(|tenant| &tenant.config).chain(under_way.claims()) {
                // Settings that a tenant has, and those that it will have, share what is unique to it.
                unique_ids.claim(config, &FieldPath::default());
            }
            for config in wanted {
                unique_ids.claim_or_refuse(config)?;
            }
            let changed = changed(&registry);
            changed.iter().for_each(|config| under_way.claim((*config).clone()));
            Ok::<_, SettingsError>(changed)
        })?;
        let specs = changed
            .iter()
            .map(|config| stored_spec(config, Origin::File))
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        let mut fresh: Vec<Arc<Tenant>> = Vec::with_capacity(changed.len());
        for (config, put) in changed.into_iter().zip(self.engine.blocking_put_tenants(specs)) {
            let id = &config.id;
            if let Err(TenantError::Closed) = put {
                return Err(Error::Closed.into());
            }
            if let Err(error) = put {
                error!(tenant = %id, error = error.reason(), "the plugin refused the tenant's new settings: the tenant stays as it was");
                self.engine.record_refusal(id, "the configuration in the file", Arc::new(error));
                continue;
            }
            let registry = self.registry.load();
            let before = registry.tenant(id.as_str()).map(Arc::as_ref);
            let metrics = || self.metrics.tenant(id);
            fresh.push(Arc::new(Tenant::of(
                config.clone(),
                Origin::File,
                &self.engine,
                metrics,
                &self.pools,
                before,
            )?));
        }
        let count = fresh.len();
        let is_fresh = |tenant: &Tenant| fresh.iter().any(|fresh| fresh.config.id == tenant.config.id);
        let removed: Vec<TenantId> = self.changes.alone(|_| {
            let registry = self.registry.load_full();
            let stays = |tenant: &&Arc<Tenant>| !is_fresh(tenant) && !is_gone(tenant);
            let stay: Vec<Arc<Tenant>> = registry.tenants().filter(stays).map(Arc::clone).collect();
            self.serve(registry.again(stay.into_iter().chain(fresh.iter().map(Arc::clone))));
            let gone = registry.tenants().filter(|tenant| is_gone(tenant));
            gone.map(|tenant| tenant.config.id.clone()).collect()
        });
        self.engine.blocking_remove_tenants(&removed);
        self.admin_tokens.store(Arc::new(admin_tokens.clone()));
        info!(changed = count, removed = removed.len(), "applied the configuration file");
        Ok(())
    }
}
