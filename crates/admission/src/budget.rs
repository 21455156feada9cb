//! Budgets for memory, over all connections: that of request bodies, and that of answers which clients have not read yet.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::owner::{Account, Key, Owner};
use crate::reserved::Reserved;

/// How a [`Budget`] is divided, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// What all have together, except the administrator.
    pub all: usize,
    /// What one tenant gets, or one address.
    pub each: usize,
    /// What the tokens of one sender get, of what its tenant gets.
    pub sender: usize,
    /// What the administrator has, apart from all others.
    pub operator: usize,
}

/// A number of bytes that clients may take together.
pub struct Budget {
    shares: Shares,
    used: Mutex<Used>,
    /// Notified when bytes were given back.
    pub(crate) freed: Notify,
}

#[derive(Default)]
struct Used {
    all: usize,
    by_owner: HashMap<Key, usize>,
}

impl Budget {
    /// Creates a budget.
    pub fn new(shares: Shares) -> Arc<Self> {
        Arc::new(Budget { shares, used: Mutex::default(), freed: Notify::new() })
    }

    /// Creates a budget of `all` bytes for clients who are known by their address alone. Each gets at most `each`.
    pub fn of_addresses(all: usize, each: usize) -> Arc<Self> {
        Budget::new(Shares { all, each, sender: 0, operator: 0 })
    }

    /// Begins to reserve bytes for an owner. None are reserved yet.
    pub fn reserve(self: &Arc<Self>, owner: Owner<'_>) -> Reserved {
        Reserved::nothing_yet(self, owner.into())
    }

    /// Whether an owner could have so many bytes if nobody else had any.
    pub(crate) fn allows(&self, account: &Account, bytes: usize) -> bool {
        account.keys().all(|key| bytes <= self.share(key)) && (account.is_apart() || bytes <= self.shares.all)
    }

    fn share(&self, key: &Key) -> usize {
        match key {
            Key::Address(_) | Key::Tenant(_) => self.shares.each,
            Key::Sender(..) => self.shares.sender,
            Key::Operator => self.shares.operator,
        }
    }

    /// Takes bytes, if they are free.
    pub(crate) fn take(&self, account: &Account, bytes: usize) -> bool {
        let mut used = self.used.lock();
        let own = |key: &Key| used.by_owner.get(key).copied().unwrap_or(0);
        let is_free = account.keys().all(|key| own(key) + bytes <= self.share(key))
            && (account.is_apart() || used.all + bytes <= self.shares.all);
        if !is_free || bytes == 0 {
            return is_free;
        }
        if !account.is_apart() {
            used.all += bytes;
        }
        for key in account.keys() {
            *used.by_owner.entry(key.clone()).or_default() += bytes;
        }
        true
    }

    /// Gives back bytes that were [taken](Self::take).
    pub(crate) fn give_back(&self, account: &Account, bytes: usize) {
        let mut used = self.used.lock();
        if !account.is_apart() {
            used.all -= bytes;
        }
        for key in account.keys() {
            if let Some(own) = used.by_owner.get_mut(key) {
                *own -= bytes;
                if *own == 0 {
                    used.by_owner.remove(key);
                }
            }
        }
        drop(used);
        self.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use portcullis_keys::TenantId;

    use super::*;

    fn address(last: u8) -> Owner<'static> {
        Owner::Address(IpAddr::from([192, 0, 2, last]))
    }

    fn taken(budget: &Arc<Budget>, owner: Owner<'_>, bytes: usize) -> Option<Reserved> {
        let mut reserved = budget.reserve(owner);
        reserved.try_grow(bytes).then_some(reserved)
    }

    #[tokio::test]
    async fn nobody_gets_more_than_a_share_and_all_together_no_more_than_there_is() {
        let budget = Budget::of_addresses(10, 6);
        assert!(!budget.reserve(address(1)).grow(7).await, "more than a share");
        let first = taken(&budget, address(1), 6).unwrap();
        assert!(taken(&budget, address(1), 1).is_none(), "it has its share");
        assert!(taken(&budget, address(2), 5).is_none(), "only four are left");
        let mut second = taken(&budget, address(2), 4).unwrap();
        drop(first);
        assert!(taken(&budget, address(1), 6).is_some());
        second.shrink_to(1);
        assert_eq!(budget.used.lock().all, 1);
    }

    #[test]
    fn a_sender_s_tokens_leave_the_tenant_its_other_half_and_nobody_takes_the_operator_s() {
        let (acme, globex): (TenantId, TenantId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let budget = Budget::new(Shares { all: 20, each: 10, sender: 5, operator: 4 });
        let of = |tenant, sender| Owner::Client { tenant, sender };
        let support = taken(&budget, of(&acme, Some("support")), 5).unwrap();
        assert!(taken(&budget, of(&acme, Some("support")), 1).is_none());
        let _sales = taken(&budget, of(&acme, Some("sales")), 3).unwrap();
        let _rest = taken(&budget, of(&acme, None), 2).unwrap();
        assert!(taken(&budget, of(&acme, None), 1).is_none());
        let _other = taken(&budget, of(&globex, None), 10).unwrap();
        let operator = taken(&budget, Owner::Operator, 4).unwrap();
        assert!(taken(&budget, Owner::Operator, 1).is_none());
        drop((support, operator));
        assert!(taken(&budget, of(&acme, None), 5).is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back() {
        let budget = Budget::of_addresses(10, 10);
        let first = taken(&budget, address(1), 8).unwrap();
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.reserve(address(2)).grow(5).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert_eq!(budget.used.lock().all, 0);
        assert!(budget.used.lock().by_owner.is_empty());
    }
}
