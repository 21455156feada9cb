//! Budgets for the memory of request bodies, over all connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_ledger::TenantId;
use tokio::sync::Notify;

/// Whose memory a body takes. Each gets only a share of a [`Budget`], so that none takes the whole.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// An address, or the network that is one client's: see [`peer::network`](super::peer::network).
    Address(IpAddr),
    /// A tenant.
    Tenant(&'a TenantId),
    /// The administrator.
    Operator,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Tenant(TenantId),
    Operator,
}

impl From<Owner<'_>> for Key {
    fn from(owner: Owner<'_>) -> Self {
        match owner {
            Owner::Address(address) => Key::Address(address),
            Owner::Tenant(tenant) => Key::Tenant(tenant.clone()),
            Owner::Operator => Key::Operator,
        }
    }
}

/// A number of bytes that bodies may take together.
pub struct Budget {
    most: usize,
    share: usize,
    used: Mutex<Used>,
    freed: Notify,
}

#[derive(Default)]
struct Used {
    all: usize,
    by_owner: HashMap<Key, usize>,
}

/// Bytes of a [`Budget`], given back on drop.
pub struct Reserved {
    budget: Arc<Budget>,
    key: Key,
    bytes: usize,
}

/// How long a request waits for memory that others hold.
const PATIENCE: Duration = Duration::from_secs(2);

impl Budget {
    /// Creates a budget of `most` bytes, of which one owner gets at most `share`.
    pub fn new(most: usize, share: usize) -> Arc<Self> {
        Arc::new(Budget { most, share, used: Mutex::default(), freed: Notify::new() })
    }

    /// Reserves bytes, and waits up to 2 seconds for them. Returns `None` if they are not free by then, or more than the owner's
    /// share.
    pub async fn reserve(self: &Arc<Self>, owner: Owner<'_>, bytes: usize) -> Option<Reserved> {
        if bytes > self.share.min(self.most) {
            return None;
        }
        let mut reserved = Reserved { budget: Arc::clone(self), key: owner.into(), bytes: 0 };
        reserved.grow(bytes).await.then_some(reserved)
    }

    /// Takes bytes for an owner, if they are free.
    fn take(&self, key: &Key, bytes: usize) -> bool {
        let mut used = self.used.lock();
        let own = used.by_owner.get(key).copied().unwrap_or(0);
        if used.all + bytes > self.most || own + bytes > self.share {
            return false;
        }
        used.all += bytes;
        used.by_owner.insert(key.clone(), own + bytes);
        true
    }

    /// Whether so many bytes are free.
    #[cfg(test)]
    pub(super) fn has(&self, bytes: usize) -> bool {
        self.used.lock().all + bytes <= self.most
    }

    fn give_back(&self, key: &Key, bytes: usize) {
        let mut used = self.used.lock();
        used.all -= bytes;
        if let Some(own) = used.by_owner.get_mut(key) {
            *own -= bytes;
            if *own == 0 {
                used.by_owner.remove(key);
            }
        }
        drop(used);
        self.freed.notify_waiters();
    }
}

impl Reserved {
    /// Reserves more bytes, and waits up to 2 seconds for them. Returns whether it got them.
    pub async fn grow(&mut self, bytes: usize) -> bool {
        if self.budget.take(&self.key, bytes) {
            self.bytes += bytes;
            return true;
        }
        let Reserved { budget, key, .. } = &*self;
        let waiting = async {
            loop {
                // Waits from before the attempt on, so that no release in between is missed.
                let mut freed = pin!(budget.freed.notified());
                freed.as_mut().enable();
                if budget.take(key, bytes) {
                    return;
                }
                freed.await;
            }
        };
        let is_taken = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(&self.key, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Owner<'static> {
        Owner::Address(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test]
    async fn nobody_gets_more_than_a_share_and_all_together_no_more_than_there_is() {
        let budget = Budget::new(10, 6);
        let takes = |owner: Owner<'_>, bytes| budget.take(&owner.into(), bytes);
        assert!(budget.reserve(address(1), 7).await.is_none(), "more than a share");
        let first = budget.reserve(address(1), 6).await.unwrap();
        assert!(!takes(address(1), 1), "it has its share");
        assert!(!takes(address(2), 5), "only four are left");
        let _second = budget.reserve(address(2), 4).await.unwrap();
        drop(first);
        assert!(takes(address(1), 6));
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back() {
        let budget = Budget::new(10, 10);
        let first = budget.reserve(address(1), 8).await.unwrap();
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.reserve(address(2), 5).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert_eq!(budget.used.lock().all, 0);
        assert!(budget.used.lock().by_owner.is_empty());
    }
}
