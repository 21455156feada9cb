//! Memory accounting for a tenant's plugins.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use wasmtime::ResourceLimiter;

use crate::memory_pool::MemoryPool;

/// A memory limit shared by all plugin instances of one tenant. It covers their linear memories and tables.
///
/// An instance is charged as it grows. Its charge is released when it is dropped.
#[derive(Debug)]
pub struct MemoryAccount {
    limit: u64,
    used: AtomicU64,
    /// What it shares with other tenants.
    pool: Option<Arc<MemoryPool>>,
    /// The account of the plugin that this one's plugin is to replace. Both are in memory until that is over.
    replaces: Weak<MemoryAccount>,
}

/// A limit that a growth would have exceeded, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// The instance's.
    Instance(u64),
    /// The account's.
    Account(u64),
    /// That of all tenants together.
    Pool(u64),
}

impl MemoryAccount {
    /// Creates an account with a limit of `limit` bytes that shares nothing with others. See [`MemoryPool::account`].
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(MemoryAccount { limit, used: AtomicU64::new(0), pool: None, replaces: Weak::new() })
    }

    /// An account with a limit of `limit` bytes, charged to the pool, too.
    pub(crate) fn in_pool(limit: u64, pool: Arc<MemoryPool>, replaces: Weak<MemoryAccount>) -> Arc<Self> {
        Arc::new(MemoryAccount { limit, used: AtomicU64::new(0), pool: Some(pool), replaces })
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes currently charged.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether more than four fifths of the limit are charged: the plugin is about to run out of memory.
    pub fn is_nearly_full(&self) -> bool {
        u128::from(self.used()) * 100 > u128::from(self.limit) * u128::from(Self::NEARLY_FULL_PERCENT)
    }

    /// From what share of the limit on an account [is nearly full](Self::is_nearly_full), in percent.
    pub const NEARLY_FULL_PERCENT: u64 = 80;

    /// Whether the plugin that this one's plugin replaces is still in memory.
    fn is_beside_another(&self) -> bool {
        self.replaces.upgrade().is_some_and(|replaced| replaced.used() > 0)
    }

    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Exceeded> {
        if bytes == 0 {
            return Ok(());
        }
        let before = self
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= self.limit)
            })
            .map_err(|_| Exceeded::Account(self.limit))?;
        let Some(pool) = &self.pool else { return Ok(()) };
        if before == 0 {
            pool.enter();
        }
        if pool.charge(bytes, before, self.is_beside_another()) {
            return Ok(());
        }
        self.release_own(bytes);
        Err(Exceeded::Pool(pool.limit()))
    }

    pub(crate) fn release(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        if let Some(pool) = &self.pool {
            pool.release(bytes);
        }
        self.release_own(bytes);
    }

    fn release_own(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(pool) = &self.pool
            && before == bytes
        {
            pool.leave();
        }
    }
}

/// The memory use of one instance, charged to its tenant's account.
///
/// Dropping it releases the charge.
pub(crate) struct Meter {
    account: Arc<MemoryAccount>,
    /// The limit of this instance in bytes, independent of the account's.
    limit: u64,
    /// The most linear memories.
    memories: usize,
    charged: Arc<AtomicU64>,
    /// The charge of the growth in progress, in case the growth fails.
    pending: u64,
    /// Why a growth was refused since [`Meter::clear_refusal`]: a trap that follows is then reported as out of memory.
    refusal: Option<Exceeded>,
}

/// The size of a table entry in wasmtime: a pointer.
const TABLE_ENTRY_BYTES: u64 = 8;

impl Meter {
    pub(crate) fn new(account: Arc<MemoryAccount>, limit: u64, memories: usize) -> Self {
        Meter { account, limit, memories, charged: Arc::default(), pending: 0, refusal: None }
    }

    /// The bytes charged, readable while the instance is being called. 0 after the instance is dropped.
    pub(crate) fn charged(&self) -> &Arc<AtomicU64> {
        &self.charged
    }

    /// The limit that the last refused growth would have exceeded.
    pub(crate) fn refusal(&self) -> Option<Exceeded> {
        self.refusal
    }

    pub(crate) fn clear_refusal(&mut self) {
        self.refusal = None;
    }

    fn grow(&mut self, bytes: u64) -> bool {
        self.pending = 0;
        let charged = self.charged.load(Ordering::Relaxed);
        let grown = match charged.checked_add(bytes) {
            Some(sum) if sum <= self.limit => self.account.charge(bytes),
            _ => Err(Exceeded::Instance(self.limit)),
        };
        match grown {
            Ok(()) => {
                self.charged.store(charged + bytes, Ordering::Relaxed);
                self.pending = bytes;
            }
            Err(exceeded) => self.refusal = Some(exceeded),
        }
        grown.is_ok()
    }

    fn growth_failed(&mut self) {
        self.charged.fetch_sub(self.pending, Ordering::Relaxed);
        self.account.release(self.pending);
        self.pending = 0;
        self.refusal = Some(Exceeded::Instance(self.limit.min(self.account.limit())));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.account.release(self.charged.swap(0, Ordering::Relaxed));
    }
}

/// The plugin sees a refused growth as a failed `memory.grow` or `table.grow`, and usually traps.
impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow((desired - current) as u64))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.growth_failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow((desired - current) as u64 * TABLE_ENTRY_BYTES))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.growth_failed();
        Ok(())
    }

    // Those of modules and tables are bounded before a component is compiled, and are small. Tables count by their entries.
    fn instances(&self) -> usize {
        MODULES
    }

    fn tables(&self) -> usize {
        MODULES
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

/// The most instances of modules and the most tables: those of the components inside a plugin, and of the adapters between them.
const MODULES: usize = 1024;
