//! A changed configuration file, applied while the gateway runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_ledger::TenantId;
use tracing::{error, info};

use super::stored::tenants_of_api;
use super::{Gateway, SettingsError, stored_spec};
use crate::settings::{TenantConfig, UniqueIds};
use crate::tenant::{Origin, Tenant};
use crate::token::TokenDigest;

impl Gateway {
    /// Applies what the file says now of tenants, senders and tokens. A tenant whose plugin does not take its new options stays
    /// as it was; so do settings that only a start can apply. Blocks for as long as it takes to fill what is new.
    ///
    /// # Errors
    ///
    /// Where the tenants contradict each other or those of the admin API: then nothing is changed.
    pub fn reconfigure(
        &self,
        admin_token: Option<TokenDigest>,
        wanted: &[TenantConfig],
    ) -> Result<(), SettingsError> {
        let _changing = self.changing.lock();
        // What the file has now is no tenant of the admin API any more.
        tenants_of_api(&self.engine, wanted)?;
        let registry = self.registry.load_full();
        let in_file: BTreeSet<&str> = wanted.iter().map(|config| config.id.as_str()).collect();
        let changed = wanted.iter().filter(|config| {
            let tenant = registry.tenant(config.id.as_str());
            tenant.is_none_or(|tenant| tenant.config != **config || tenant.origin == Origin::Api)
        });
        let mut unique_ids = UniqueIds::new(admin_token);
        let others: Vec<&Arc<Tenant>> = registry
            .tenants()
            .filter(|tenant| tenant.origin == Origin::Api && !in_file.contains(tenant.config.id.as_str()))
            .collect();
        let all = others.iter().map(|tenant| &tenant.config).chain(wanted);
        for config in all {
            unique_ids.claim_or_refuse(config)?;
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
        self.admin_token.store(Arc::new(admin_token));
        info!(changed = count, removed = removed.len(), "the configuration file is applied");
        Ok(())
    }
}
