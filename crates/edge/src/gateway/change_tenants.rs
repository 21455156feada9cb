//! Tenants and senders changed while the gateway runs.

use std::sync::Arc;

use portcullis_engine::{Error, TenantError};
use portcullis_ledger::{LedgerError, TenantId};
use tracing::info;

use super::{Gateway, stored_spec};
use crate::registry::Registry;
use crate::settings::{FieldPath, Problem, TenantConfig, UniqueIds, unknown_plugin};
use crate::tenant::{Origin, Tenant};
use portcullis_api::settings as typed;

pub use portcullis_engine::Put;

/// Why tenants stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("there is no tenant of this name")]
    UnknownTenant,
    #[error("the tenant has no sender of this name")]
    UnknownSender,
    #[error("tenant {0} is set up in the configuration file: change it there, and restart the gateway")]
    SetUpInFile(TenantId),
    #[error("the settings are refused")]
    Refused(Vec<Problem>),
    #[error("the ledger can't be changed")]
    Ledger(#[from] LedgerError),
    /// A defect of the gateway.
    #[error("a defect stopped the change")]
    Defect,
}

/// All of these block: for as long as it takes to fill the lists of one tenant.
impl Gateway {
    /// Adds a tenant, or puts it in the place of the one that has its name.
    pub fn put_tenant(&self, typed: &typed::Tenant) -> Result<(Put, Arc<Tenant>), AdminError> {
        let _changing = self.changing.lock();
        self.put(typed)
    }

    /// Removes a tenant, its entries, and the key without which copies of those are noise.
    pub fn forget_tenant(&self, id: &TenantId) -> Result<(), AdminError> {
        let _changing = self.changing.lock();
        let registry = self.registry.load_full();
        let served = registry.tenant(id.as_str());
        if served.is_some_and(|tenant| tenant.origin == Origin::File) {
            return Err(AdminError::SetUpInFile(id.clone()));
        }
        // No request finds it from here on.
        self.serve(registry.without(id.as_str()));
        self.engine.blocking_forget_tenant(id)?;
        info!(tenant = %id, "the tenant is forgotten");
        Ok(())
    }

    /// Adds a sender to a tenant, or puts it in the place of the one that has its name.
    pub fn put_sender(
        &self,
        tenant: &TenantId,
        sender: typed::Sender,
    ) -> Result<(Put, Arc<Tenant>), AdminError> {
        let _changing = self.changing.lock();
        let mut typed = self.settings_of(&*self.changeable(tenant)?).to_typed();
        let put = match typed.senders.iter_mut().find(|other| other.id == sender.id) {
            Some(other) => {
                *other = sender;
                Put::Replaced
            }
            None => {
                typed.senders.push(sender);
                Put::Created
            }
        };
        Ok((put, self.put(&typed)?.1))
    }

    /// Removes a sender. Its entries stay in the ledger, and are in force again where it is added again.
    pub fn remove_sender(&self, tenant: &TenantId, sender: &str) -> Result<(), AdminError> {
        let _changing = self.changing.lock();
        let mut typed = self.settings_of(&*self.changeable(tenant)?).to_typed();
        let position = typed.senders.iter().position(|other| other.id == sender);
        typed.senders.remove(position.ok_or(AdminError::UnknownSender)?);
        self.put(&typed).map(drop)
    }

    /// A tenant's settings, with the plugin that serves it now.
    pub fn settings_of(&self, tenant: &Tenant) -> TenantConfig {
        let config = tenant.config.clone();
        match self.engine.plugin_of(&config.id) {
            Ok(plugin) => config.with_plugin(&plugin),
            Err(_) => config,
        }
    }

    /// The tenant of this name, if it can be changed here.
    fn changeable(&self, id: &TenantId) -> Result<Arc<Tenant>, AdminError> {
        match self.registry.load().tenant(id.as_str()) {
            None => Err(AdminError::UnknownTenant),
            Some(tenant) if tenant.origin == Origin::File => Err(AdminError::SetUpInFile(id.clone())),
            Some(tenant) => Ok(Arc::clone(tenant)),
        }
    }

    fn put(&self, typed: &typed::Tenant) -> Result<(Put, Arc<Tenant>), AdminError> {
        let registry = self.registry.load_full();
        let config = self.checked(typed, &registry)?;
        let before = registry.tenant(config.id.as_str());
        if before.is_some_and(|tenant| tenant.origin == Origin::File) {
            return Err(AdminError::SetUpInFile(config.id));
        }
        // Settings through the API have the last word on the plugin, too.
        let spec = stored_spec(&config, Origin::Api).map_err(|_| AdminError::Defect)?.reset_choice();
        let put =
            self.engine.blocking_put_tenants(vec![spec]).pop().ok_or(AdminError::Defect)?.map_err(refused)?;
        let metrics = || self.metrics.tenant(&config.id);
        let tenant = Tenant::of(config.clone(), Origin::Api, &self.engine, metrics, before.map(Arc::as_ref))?;
        let tenant = Arc::new(tenant);
        self.serve(registry.with(Arc::clone(&tenant)));
        info!(tenant = %tenant.config.id, senders = tenant.senders.len(), "the tenant is served");
        Ok((put, tenant))
    }

    /// Checks a tenant by itself, and beside the others.
    fn checked(&self, typed: &typed::Tenant, registry: &Registry) -> Result<TenantConfig, AdminError> {
        let root = FieldPath::default();
        let mut problems = Vec::new();
        let names = self.engine.plugins().names();
        if !names.contains(&typed.plugin) {
            problems.push(unknown_plugin(&root, self.engine.plugins().dir(), &names));
        }
        let config = TenantConfig::check(typed, &root, &mut problems);
        let Some(config) = config.filter(|_| problems.is_empty()) else {
            return Err(AdminError::Refused(problems));
        };
        let mut unique_ids = UniqueIds::new(**self.admin_token.load());
        for other in registry.others(&typed.id) {
            unique_ids.claim(&other.config, &root);
        }
        let problems = unique_ids.claim(&config, &root);
        if problems.is_empty() { Ok(config) } else { Err(AdminError::Refused(problems)) }
    }
}

/// What is wrong with a tenant's plugin is wrong with the request.
fn refused(error: TenantError) -> AdminError {
    let field = match &error {
        TenantError::Ledger(_) => None,
        TenantError::Start { .. } => Some("plugin_options"),
        _ => Some("plugin"),
    };
    match (field, error) {
        (None, TenantError::Ledger(error)) => AdminError::Ledger(error),
        (field, error) => {
            let place = FieldPath::default().key(field.unwrap_or("plugin"));
            let what = format!("{:#}; choose another plugin, or other options", anyhow::Error::from(error));
            AdminError::Refused(vec![Problem::new(place, what)])
        }
    }
}

impl From<Error> for AdminError {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownTenant(_) => AdminError::UnknownTenant,
            Error::UnknownSender { .. } => AdminError::UnknownSender,
            Error::Ledger(error) => AdminError::Ledger(error),
            _ => AdminError::Defect,
        }
    }
}
