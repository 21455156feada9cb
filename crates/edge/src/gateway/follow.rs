//! Following the changes of tenants that other gateways make, which share the ledger.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_engine::{Error, KeepError, TenantError};
use portcullis_ledger::TenantId;
use tracing::{error, info};

use super::{Gateway, SettingsError, read_again, stored_spec};
use crate::settings::TenantConfig;
use crate::tenant::Origin;

impl Gateway {
    /// Applies what other gateways have uploaded since the last call, and goes on with what the ledger kept reloads from. Blocks for as long as
    /// fetching and compiling take.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn follow_uploads(&self) -> Result<(), SettingsError> {
        Ok(self.engine.blocking_follow_uploads()?)
    }

    /// Applies what other gateways have changed of tenants since the last call: settings of the admin API, and plugins that were chosen. Tenants
    /// of which the ledger no longer has the lists that are served here, because they were forgotten and put again, or because a failover has
    /// lost them, get those that it has, or new ones. Tenants that could not be forgotten are served again if they are still stored. What can't be
    /// applied is logged, and tried again with the next call if the ledger is to blame. Blocks until new lists are loaded.
    ///
    /// # Errors
    /// If the ledger can't be read, or settings in it.
    pub fn follow_others(&self) -> Result<(), SettingsError> {
        let changed = self.engine.blocking_changed_elsewhere()?;
        let mut left: BTreeSet<TenantId> = std::mem::take(&mut *self.unfollowed.lock());
        left.extend(changed);
        for tenant in left {
            match self.follow(&tenant) {
                Ok(()) => {}
                Err(SettingsError::Engine(Error::Closed)) => return Err(Error::Closed.into()),
                Err(error) => {
                    error!(
                        %tenant, error = portcullis_host::ErrorChain(&error).to_string(),
                        "what another gateway changed of the tenant can't be applied here: the tenant stays as it was"
                    );
                    if is_of_ledger(&error) {
                        self.unfollowed.lock().insert(tenant);
                    }
                }
            }
        }
        Ok(())
    }

    fn follow(&self, id: &TenantId) -> Result<(), SettingsError> {
        let _change = self.changes.begin(id.as_str());
        let before = self.registry.load().tenant(id.as_str()).map(Arc::clone);
        let (config, origin) = match (&before, self.engine.kept_of(id)) {
            // Its settings are in the file. Another plugin may have been chosen.
            (Some(tenant), _) if tenant.origin == Origin::File => (tenant.config.clone(), Origin::File),
            (_, Some(stored)) => (self.config_of(id, &stored)?, Origin::Api),
            (Some(_), None) => return self.remove(id),
            (None, None) => return Ok(()),
        };
        // What is stored may be newer by now than what is followed here, and must not be taken back.
        let spec = stored_spec(&config, origin)?.stored(true).starts_regardless(true);
        match self.engine.blocking_put_tenants(vec![spec]).pop() {
            Some(Ok(_)) => {}
            Some(Err(TenantError::Closed)) | None => return Err(Error::Closed.into()),
            Some(Err(source)) => return Err(SettingsError::Tenant { tenant: id.clone(), source }),
        }
        self.serve_put(config, origin, before.as_deref())?;
        self.engine.follow_choice(id);
        info!(tenant = %id, "serving the tenant as it is set up now");
        Ok(())
    }

    /// The settings that another gateway stored, if they don't conflict with what is set up here.
    fn config_of(&self, id: &TenantId, stored: &[u8]) -> Result<TenantConfig, SettingsError> {
        let config = read_again(id, stored)?;
        self.changes.alone(|under_way| {
            let mut unique_ids = self.unique_ids_of_others(id.as_str(), &self.registry.load(), under_way);
            unique_ids.claim_or_refuse(&config)?;
            under_way.claim(config.clone());
            Ok(config)
        })
    }

    /// Another gateway has forgotten the tenant.
    fn remove(&self, id: &TenantId) -> Result<(), SettingsError> {
        self.changes.alone(|_| self.serve(self.registry.load().without(id.as_str())));
        self.engine.blocking_remove_tenants(std::slice::from_ref(id));
        info!(tenant = %id, "another gateway has removed the tenant");
        Ok(())
    }
}

/// Whether the same may succeed once the ledger can be asked again.
fn is_of_ledger(error: &SettingsError) -> bool {
    matches!(
        error,
        SettingsError::Engine(Error::Ledger(_))
            | SettingsError::Tenant {
                source: TenantError::Ledger(_)
                    | TenantError::Keep(KeepError::Ledger(_))
                    | TenantError::Fill { .. },
                ..
            }
    ) || matches!(error, SettingsError::Tenant { source, .. } if source.is_transient())
}
