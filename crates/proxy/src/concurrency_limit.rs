//! Limits on the number of messages in progress.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_edge::registry::Caller;
use portcullis_ledger::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits the number of messages in progress, in total, per tenant, and per sender's token.
///
/// Messages over a limit are rejected immediately instead of queued, so that those in progress finish in time and one tenant's
/// slow callback doesn't delay the messages of others. The tokens of one sender get half of the tenant's share, so that one
/// sender's client doesn't stop the messages of the others.
pub(crate) struct ConcurrencyLimit {
    all: Arc<Semaphore>,
    per_tenant: usize,
    shares: Mutex<HashMap<Share, Arc<Semaphore>>>,
}

/// Whose share it is: a tenant's, or that of a sender's tokens.
type Share = (TenantId, Option<String>);

/// The number of shares beyond which those without messages in progress are forgotten.
const MANY_SHARES: usize = 100_000;

/// A slot for one message in progress, released on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    _sender: Option<OwnedSemaphorePermit>,
    _tenant: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl ConcurrencyLimit {
    pub(crate) fn new(all: usize, per_tenant: usize) -> Self {
        ConcurrencyLimit { all: Arc::new(Semaphore::new(all)), per_tenant, shares: Mutex::default() }
    }

    /// Acquires a slot for a message that a client sends. Returns `None` if a limit is reached.
    pub(crate) fn enter_as(&self, caller: &Caller) -> Option<Permit> {
        self.acquire(&caller.tenant.config.id, caller.sender.as_deref())
    }

    /// Acquires a slot for one message of a tenant. Returns `None` if either limit is reached.
    pub(crate) fn enter(&self, tenant: &TenantId) -> Option<Permit> {
        self.acquire(tenant, None)
    }

    /// Acquires a slot for a message that belongs to no tenant. Returns `None` if the total limit is reached.
    pub(crate) fn enter_alone(&self) -> Option<Permit> {
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Permit { _sender: None, _tenant: None, _all: all })
    }

    fn acquire(&self, tenant: &TenantId, sender: Option<&str>) -> Option<Permit> {
        let sender = match sender {
            None => None,
            Some(sender) => {
                Some(self.share((tenant.clone(), Some(sender.to_owned()))).try_acquire_owned().ok()?)
            }
        };
        let tenant = self.share((tenant.clone(), None)).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Permit { _sender: sender, _tenant: Some(tenant), _all: all })
    }

    fn share(&self, share: Share) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        // Tenants come and go: drop those without messages in progress before the map grows further.
        if shares.len() > MANY_SHARES {
            shares.retain(|share, semaphore| semaphore.available_permits() < self.size(share));
        }
        let size = self.size(&share);
        Arc::clone(shares.entry(share).or_insert_with(|| Arc::new(Semaphore::new(size))))
    }

    fn size(&self, (_, sender): &Share) -> usize {
        if sender.is_some() { self.per_tenant.div_ceil(2) } else { self.per_tenant }
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

    #[test]
    fn one_sender_s_tokens_get_half_of_the_tenant_s_share() {
        let acme: TenantId = "acme".parse().unwrap();
        let concurrency = ConcurrencyLimit::new(100, 5);
        let support: Vec<_> = (0..9).map_while(|_| concurrency.acquire(&acme, Some("support"))).collect();
        assert_eq!(support.len(), 3);
        let sales: Vec<_> = (0..9).map_while(|_| concurrency.acquire(&acme, Some("sales"))).collect();
        assert_eq!(sales.len(), 2);
        drop(support);
        assert!(concurrency.enter(&acme).is_some());
    }
}
