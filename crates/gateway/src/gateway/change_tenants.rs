//! Tenants and senders changed while the gateway runs.

use std::sync::{Arc, MutexGuard, PoisonError};

use portcullis_ledger::{LedgerError, TenantId};
use tracing::{info, warn};

use super::{Gateway, Stored};
use crate::config::{Claims, Place, Problem, TenantConfig, typed, unknown_plugin};
use crate::registry::Registry;
use crate::reload::Hold;
use crate::tenant::{self, Origin, Tenant, TenantError};

/// Why tenants stay as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
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
}

/// Whether something is new, or was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Created,
    Replaced,
}

/// How often the log of a forgotten tenant's entries is tried to be emptied, while it is read.
const EMPTYING_ATTEMPTS: usize = 20;

/// All of these block: for as long as it takes to fill the lists of one tenant.
impl Gateway {
    /// Adds a tenant, or puts it in the place of the one that has its name.
    pub(crate) fn put_tenant(&self, typed: &typed::Tenant) -> Result<(Put, Arc<Tenant>), AdminError> {
        let _held = self.hold(&typed.id);
        self.put(typed)
    }

    /// Removes a tenant, its entries, and the key without which copies of those are noise.
    pub(crate) fn forget_tenant(&self, id: &TenantId) -> Result<(), AdminError> {
        let _held = self.hold(id.as_str());
        let registry = self.registry.load_full();
        let served = registry.tenant(id.as_str());
        if served.is_some_and(|tenant| tenant.origin == Origin::File) {
            return Err(AdminError::SetUpInFile(id.clone()));
        }
        // No request finds it from here on.
        self.registry.store(Arc::new(registry.without(id.as_str())));
        let known = self.forget(id)?;
        if let Err(error) = self.equipment.states.forget(id) {
            // Nobody can read them any more, for want of the key.
            warn!(tenant = %id, %error, "the saved states of the forgotten tenant could not be removed");
        }
        if known || served.is_some() {
            info!(tenant = %id, "the tenant is forgotten");
            return Ok(());
        }
        Err(AdminError::UnknownTenant)
    }

    fn forget(&self, id: &TenantId) -> Result<bool, LedgerError> {
        let mut known = false;
        for attempt in 1.. {
            match self.equipment.ledger.forget_tenant(id) {
                // A page or an export is being read: that is over soon.
                Err(LedgerError::LogInUse) if attempt < EMPTYING_ATTEMPTS => {
                    known = true;
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                forgotten => return forgotten.map(|anything| anything || known),
            }
        }
        Ok(known)
    }

    /// Adds a sender to a tenant, or puts it in the place of the one that has its name.
    pub(crate) fn put_sender(
        &self,
        tenant: &TenantId,
        sender: typed::Sender,
    ) -> Result<(Put, Arc<Tenant>), AdminError> {
        let _held = self.hold(tenant.as_str());
        let mut typed = self.changeable(tenant)?.config.to_typed();
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
    pub(crate) fn remove_sender(&self, tenant: &TenantId, sender: &str) -> Result<(), AdminError> {
        let _held = self.hold(tenant.as_str());
        let mut typed = self.changeable(tenant)?.config.to_typed();
        let position = typed.senders.iter().position(|other| other.id == sender);
        typed.senders.remove(position.ok_or(AdminError::UnknownSender)?);
        self.put(&typed).map(drop)
    }

    /// Holds everybody else up who would change this tenant: first the exchange of its plugin, then other administrators.
    fn hold(&self, id: &str) -> (Option<Hold>, MutexGuard<'_, ()>) {
        loop {
            let reload = || self.registry.load().tenant(id).map(|tenant| Arc::clone(&tenant.reload));
            let before = reload();
            let held = before.as_ref().map(|reload| reload.hold());
            let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody may have added, or removed, the tenant just now.
            if before.as_ref().map(Arc::as_ptr) == reload().as_ref().map(Arc::as_ptr) {
                return (held, changing);
            }
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
        let opened =
            Tenant::open(config, Origin::Api, before.map(Arc::as_ref), &self.equipment).map_err(refused)?;
        tenant::fill(&opened.unfilled, &self.equipment.residency);
        let settings = Stored::Tenant(Box::new(opened.tenant.config.to_typed()));
        self.store(&opened.tenant.config.id, &settings)?;
        let tenant = opened.put_in_place();
        self.registry.store(Arc::new(registry.with(Arc::clone(&tenant))));
        info!(tenant = %tenant.config.id, senders = tenant.senders.len(), "the tenant is served");
        Ok((if before.is_some() { Put::Replaced } else { Put::Created }, tenant))
    }

    /// Checks a tenant by itself, and beside the others.
    fn checked(&self, typed: &typed::Tenant, registry: &Registry) -> Result<TenantConfig, AdminError> {
        let root = Place::default();
        let mut problems = Vec::new();
        let names = self.equipment.shelf.names();
        if !names.contains(&typed.plugin) {
            problems.push(unknown_plugin(&root, self.equipment.shelf.dir(), &names));
        }
        let config = TenantConfig::check(typed, &root, &mut problems);
        let Some(config) = config.filter(|_| problems.is_empty()) else {
            return Err(AdminError::Refused(problems));
        };
        let mut claims = Claims::new(**self.admin_token.load());
        for other in registry.others(&typed.id) {
            claims.claim(&other.config, &root);
        }
        let problems = claims.claim(&config, &root);
        if problems.is_empty() { Ok(config) } else { Err(AdminError::Refused(problems)) }
    }
}

/// What is wrong with a tenant's plugin is wrong with the request.
fn refused(error: TenantError) -> AdminError {
    let field = match &error {
        TenantError::Ledger(_) => None,
        TenantError::Plugin(_) => Some("plugin"),
        TenantError::Start { .. } => Some("plugin_options"),
        TenantError::Fill { .. } => Some("plugin"),
    };
    match (field, error) {
        (None, TenantError::Ledger(error)) => AdminError::Ledger(error),
        (field, error) => {
            let place = Place::default().key(field.unwrap_or("plugin"));
            let what = format!("{:#}; choose another plugin, or other options", anyhow::Error::from(error));
            AdminError::Refused(vec![Problem::new(place, what)])
        }
    }
}
