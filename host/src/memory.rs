//! Memory accounting for a tenant's plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// A memory limit shared by all plugin instances of one tenant. It covers their linear memories and tables.
///
/// An instance is charged as it grows. Its charge is released when it is dropped.
#[derive(Debug)]
pub struct MemoryAccount {
    limit: u64,
    used: AtomicU64,
}

impl MemoryAccount {
    /// Creates an account with a limit of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(MemoryAccount { limit, used: AtomicU64::new(0) })
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes currently charged.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn charge(&self, bytes: u64) -> bool {
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= self.limit)
            })
            .is_ok()
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The memory use of one instance, charged to its tenant's account.
///
/// Dropping it releases the charge.
pub(crate) struct Meter {
    account: Arc<MemoryAccount>,
    /// The limit of this instance in bytes, independent of the account's.
    limit: u64,
    charged: Arc<AtomicU64>,
    /// The charge of the growth in progress, in case the growth fails.
    pending: u64,
    /// Whether a growth was refused since [`Meter::clear_refusal`]: a trap that follows is then reported as out of
    /// memory.
    refused: bool,
}

/// The size of a table entry in wasmtime: a pointer.
const TABLE_ENTRY_BYTES: u64 = 8;

impl Meter {
    pub(crate) fn new(account: Arc<MemoryAccount>, limit: u64) -> Self {
        Meter { account, limit, charged: Arc::default(), pending: 0, refused: false }
    }

    /// The bytes charged, readable while the instance is being called. 0 after the instance is dropped.
    pub(crate) fn charged(&self) -> &Arc<AtomicU64> {
        &self.charged
    }

    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn clear_refusal(&mut self) {
        self.refused = false;
    }

    /// The limit that a refused growth exceeded: the smaller of the instance's and the account's.
    pub(crate) fn bound(&self) -> u64 {
        self.limit.min(self.account.limit())
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let charged = self.charged.load(Ordering::Relaxed);
        let fits = charged.checked_add(bytes).is_some_and(|sum| sum <= self.limit);
        if fits && self.account.charge(bytes) {
            self.charged.store(charged + bytes, Ordering::Relaxed);
            self.pending = bytes;
            true
        } else {
            self.pending = 0;
            self.refused = true;
            false
        }
    }

    fn growth_failed(&mut self) {
        self.charged.fetch_sub(self.pending, Ordering::Relaxed);
        self.account.release(self.pending);
        self.pending = 0;
        self.refused = true;
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

    // Compilers emit components with one module, or a few with shims. These limits are per store, and keep the number
    // of address space reservations (4 GiB each) small.
    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        8
    }
}
