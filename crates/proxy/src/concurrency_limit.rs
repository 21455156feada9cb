//! How much may be under way at once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_ledger::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds on messages that are under way: in all, and of each tenant. What comes beyond is turned away at once, so that those
/// under way are done in time, and nobody's slow callback holds up somebody else's messages.
pub(crate) struct ConcurrencyLimit {
    all: Arc<Semaphore>,
    per_tenant: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// Leave to be under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _tenant: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl ConcurrencyLimit {
    pub(crate) fn new(all: usize, per_tenant: usize) -> Self {
        ConcurrencyLimit { all: Arc::new(Semaphore::new(all)), per_tenant, tenants: Mutex::default() }
    }

    /// Leave for one message of a tenant; `None` where there is too much under way.
    pub(crate) fn enter(&self, tenant: &TenantId) -> Option<Permit> {
        let of_tenant = {
            let mut tenants = self.tenants.lock();
            // Tenants come and go.
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

    /// Leave for what is of no tenant.
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
