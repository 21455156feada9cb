//! Budgets for memory, over all connections: that of request bodies, and that of answers which clients have not read yet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_ledger::TenantId;
use tokio::sync::Notify;

/// Whose memory it is. Each gets only a share of a [`Budget`], so that none takes the whole.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// An address, or the network that is one client's: see [`peer::network`](crate::http::peer::network).
    Address(IpAddr),
    /// A client of a tenant.
    Client {
        /// The tenant.
        tenant: &'a TenantId,
        /// The only sender that the client's token is valid for; `None` if it is valid for the whole tenant.
        sender: Option<&'a str>,
    },
    /// The administrator.
    Operator,
}

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Tenant(TenantId),
    Sender(TenantId, String),
    Operator,
}

/// What an owner's bytes count for.
struct Account {
    whole: Key,
    part: Option<Key>,
}

impl Account {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.whole).chain(&self.part)
    }

    fn is_apart(&self) -> bool {
        self.whole == Key::Operator
    }
}

impl From<Owner<'_>> for Account {
    fn from(owner: Owner<'_>) -> Self {
        let whole = match owner {
            Owner::Address(address) => Key::Address(address),
            Owner::Client { tenant, .. } => Key::Tenant(tenant.clone()),
            Owner::Operator => Key::Operator,
        };
        let part = match owner {
            Owner::Client { tenant, sender: Some(sender) } => {
                Some(Key::Sender(tenant.clone(), sender.to_owned()))
            }
            _ => None,
        };
        Account { whole, part }
    }
}

/// A number of bytes that clients may take together.
pub struct Budget {
    shares: Shares,
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
    account: Account,
    bytes: usize,
    /// How much longer it waits for bytes that others hold.
    patience: Duration,
}

/// How long a request waits for memory that others hold, in all: those who hold some and wait for more keep others from theirs.
const PATIENCE: Duration = Duration::from_secs(2);

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
        Reserved { budget: Arc::clone(self), account: owner.into(), bytes: 0, patience: PATIENCE }
    }

    fn share(&self, key: &Key) -> usize {
        match key {
            Key::Address(_) | Key::Tenant(_) => self.shares.each,
            Key::Sender(..) => self.shares.sender,
            Key::Operator => self.shares.operator,
        }
    }

    /// Takes bytes, if they are free.
    fn take(&self, account: &Account, bytes: usize) -> bool {
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

    /// Whether so many bytes are free.
    #[cfg(test)]
    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.used.lock().all + bytes <= self.shares.all
    }

    fn give_back(&self, account: &Account, bytes: usize) {
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

impl Reserved {
    /// How many bytes are reserved.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the owner could have so many bytes if nobody else had any.
    pub fn can_be(&self, bytes: usize) -> bool {
        let Reserved { budget, account, .. } = self;
        account.keys().all(|key| bytes <= budget.share(key))
            && (account.is_apart() || bytes <= budget.shares.all)
    }

    /// Reserves more bytes, if they are free now. Returns whether it got them.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let is_taken = self.budget.take(&self.account, bytes);
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }

    /// Reserves more bytes, and waits for them, up to 2 seconds in all. Returns whether it got them.
    pub async fn grow(&mut self, bytes: usize) -> bool {
        if self.try_grow(bytes) {
            return true;
        }
        if !self.can_be(self.bytes + bytes) {
            return false;
        }
        let Reserved { budget, account, .. } = &*self;
        let waiting = async {
            loop {
                // Waits from before the attempt on, so that no release in between is missed.
                let mut freed = pin!(budget.freed.notified());
                freed.as_mut().enable();
                if budget.take(account, bytes) {
                    return;
                }
                freed.await;
            }
        };
        let start = Instant::now();
        let is_taken = tokio::time::timeout(self.patience, waiting).await.is_ok();
        self.patience = self.patience.saturating_sub(start.elapsed());
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }

    /// Gives back what is more than this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(surplus) = self.bytes.checked_sub(bytes).filter(|surplus| *surplus > 0) {
            self.bytes = bytes;
            self.budget.give_back(&self.account, surplus);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
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
        assert!(budget.has(9));
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
