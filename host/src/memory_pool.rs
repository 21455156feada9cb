//! Memory that the plugins of all tenants share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::memory::MemoryAccount;

/// The part of the limit that is kept for accounts within their share, and for replacements.
const KEPT: u64 = 4;
/// The part of the limit that is kept for replacements alone.
const KEPT_FOR_REPLACEMENTS: u64 = 8;

/// A memory limit shared by the plugins of all tenants, which their accounts never exceed together.
///
/// An account that takes more than an equal share (the limit divided by the accounts in use) leaves a quarter of the limit to
/// the others, so that one tenant can't take what others need to start. Half of that quarter is for plugins that are to
/// [replace](MemoryPool::account_beside) others which are still in memory: one that has filled the pool can be replaced.
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
        MemoryAccount::in_pool(limit, Arc::clone(self), Weak::new())
    }

    /// Opens an account for a plugin that is to replace the one of `replaced`. While that has a charge, this account may take the
    /// eighth of the pool that no other may.
    pub fn account_beside(self: &Arc<Self>, replaced: &Arc<MemoryAccount>, limit: u64) -> Arc<MemoryAccount> {
        MemoryAccount::in_pool(limit, Arc::clone(self), Arc::downgrade(replaced))
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
    pub(crate) fn charge(&self, bytes: u64, before: u64, replaces: bool) -> bool {
        let share = self.limit / self.accounts.load(Ordering::Relaxed).max(1);
        let is_within_share = before.checked_add(bytes).is_some_and(|sum| sum <= share);
        let kept = match is_within_share {
            _ if replaces => 0,
            true => self.limit / KEPT_FOR_REPLACEMENTS,
            false => self.limit / KEPT,
        };
        let limit = self.limit - kept;
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
    use crate::memory::Exceeded;

    const LIMIT: u64 = 1200;

    fn grow(pool: &MemoryPool, held: &mut u64, bytes: u64) -> bool {
        if *held == 0 {
            pool.enter();
        }
        let grown = pool.charge(bytes, *held, false);
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
        assert!(grow(&pool, &mut small, 149));
        assert!(!grow(&pool, &mut small, 2), "an eighth is left to replacements");
        assert_eq!(pool.used(), LIMIT - LIMIT / 8 - 1);
    }

    #[test]
    fn one_account_alone_leaves_an_eighth() {
        let pool = MemoryPool::new(LIMIT);
        let mut held = 0;
        assert!(grow(&pool, &mut held, LIMIT / 8 * 7) && !grow(&pool, &mut held, 1));
        pool.release(held);
        pool.leave();
        assert_eq!((pool.used(), pool.accounts.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn the_account_beside_a_full_one_has_an_eighth_until_that_is_empty() {
        let pool = MemoryPool::new(LIMIT);
        let full = pool.account(LIMIT);
        full.charge(LIMIT / 8 * 7).unwrap();
        let other = pool.account(LIMIT);
        assert_eq!(other.charge(1), Err(Exceeded::Pool(LIMIT)));
        let next = pool.account_beside(&full, LIMIT);
        next.charge(LIMIT / 8).unwrap();
        assert_eq!(next.charge(1), Err(Exceeded::Pool(LIMIT)), "the limit holds for all");
        full.release(LIMIT / 8 * 7);
        let beyond_its_share = LIMIT / 8 * 7 - LIMIT / 8;
        assert_eq!(next.charge(beyond_its_share + 1), Err(Exceeded::Pool(LIMIT)), "it is one of all now");
        next.charge(beyond_its_share).unwrap();
    }
}
