//! Limits on the number of messages in progress.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_ledger::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits the number of messages in progress, in total and per tenant.
///
/// Messages over a limit are rejected immediately instead of queued, so that those in progress finish in time and one tenant's
/// slow callback doesn't delay the messages of others.
pub(crate) struct ConcurrencyLimit {
    all: Arc<Semaphore>,
    per_tenant: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// A slot for one message in progress, released on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    _tenant: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl ConcurrencyLimit {
    pub(crate) fn new(all: usize, per_tenant: usize) -> Self {
        ConcurrencyLimit { all: Arc::new(Semaphore::new(all)), per_tenant, tenants: Mutex::default() }
    }

    /// Acquires a slot for one message of a tenant. Returns `None` if either limit is reached.
    pub(crate) fn enter(&self, tenant: &TenantId) -> Option<Permit> {
        let of_tenant = {
            let mut tenants = self.tenants.lock();
            // Tenants come and go: drop those without messages in progress before the map grows further.
            if tenants.len() > 100_000 {
                tenants.retain(|_, semaphore| semaphore.available_permits() < self.per_tenant);
            }
            let fresh = || Arc::new(Semaphore::new(self.per_tenant));
            Arc::clone(tenants.entry(tenant.clone()).or_insert_with(fresh))
        };
        let tenant = of_tenant.try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Permit { _tenant: Some(tenant), _all: all })
    }

    /// Acquires a slot for a message that belongs to no tenant. Returns `None` if the total limit is reached.
    pub(crate) fn enter_alone(&self) -> Option<Permit> {
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Permit { _tenant: None, _all: all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_s_load_is_no_other_s() {
        let (acme, globex): (TenantId, TenantId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let concurrency = ConcurrencyLimit::new(3, 2);
        let first = concurrency.enter(&acme).unwrap();
        let _second = concurrency.enter(&acme).unwrap();
        assert!(concurrency.enter(&acme).is_none(), "acme has its two");
        let _third = concurrency.enter(&globex).unwrap();
        assert!(concurrency.enter(&globex).is_none(), "three are under way in all");
        assert!(concurrency.enter_alone().is_none());
        drop(first);
        assert!(concurrency.enter(&globex).is_some());
    }
}
