//! Memory that the plugins of all tenants share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::MemoryAccount;

/// The part of the limit that is kept for accounts within their share.
const KEPT: u64 = 4;

/// A memory limit shared by the plugins of all tenants, which their accounts never exceed together.
///
/// An account that takes more than an equal share (the limit divided by the accounts in use) leaves a quarter of the limit to
/// the others, so that one tenant can't take what others need to start.
#[derive(Debug)]
pub struct MemoryPool {
    limit: u64,
    used: AtomicU64,
    /// The accounts that have a charge.
    accounts: AtomicU64,
}

impl MemoryPool {
    /// Creates a pool of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(MemoryPool { limit, used: AtomicU64::new(0), accounts: AtomicU64::new(0) })
    }

    /// Opens an account with a limit of its own, in bytes.
    pub fn account(self: &Arc<Self>, limit: u64) -> Arc<MemoryAccount> {
        MemoryAccount::in_pool(limit, Arc::clone(self))
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes currently charged, of all accounts.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Notes that an account has a charge now.
    pub(crate) fn enter(&self) {
        self.accounts.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that an account has none any more.
    pub(crate) fn leave(&self) {
        self.accounts.fetch_sub(1, Ordering::Relaxed);
    }

    /// Charges an account that had `before` bytes. Returns whether there is room.
    pub(crate) fn charge(&self, bytes: u64, before: u64) -> bool {
        let share = self.limit / self.accounts.load(Ordering::Relaxed).max(1);
        let is_within_share = before.checked_add(bytes).is_some_and(|sum| sum <= share);
        let limit = if is_within_share { self.limit } else { self.limit - self.limit / KEPT };
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= limit);
        self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(crate) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1200;

    fn grow(pool: &MemoryPool, held: &mut u64, bytes: u64) -> bool {
        if *held == 0 {
            pool.enter();
        }
        let grown = pool.charge(bytes, *held);
        if grown {
            *held += bytes;
        } else if *held == 0 {
            pool.leave();
        }
        grown
    }

    #[test]
    fn an_account_beyond_its_share_leaves_a_quarter() {
        let pool = MemoryPool::new(LIMIT);
        let (mut fat, mut small) = (0, 0);
        assert!(grow(&pool, &mut small, 1));
        assert!(grow(&pool, &mut fat, 600) && grow(&pool, &mut fat, 299));
        assert!(!grow(&pool, &mut fat, 1));
        assert!(grow(&pool, &mut small, 299));
        assert!(!grow(&pool, &mut small, 2), "the limit holds for all");
        assert_eq!(pool.used(), LIMIT - 1);
    }

    #[test]
    fn one_account_alone_has_the_whole_pool() {
        let pool = MemoryPool::new(LIMIT);
        let mut held = 0;
        assert!(grow(&pool, &mut held, LIMIT) && !grow(&pool, &mut held, 1));
        pool.release(held);
        pool.leave();
        assert_eq!((pool.used(), pool.accounts.load(Ordering::Relaxed)), (0, 0));
    }
}
