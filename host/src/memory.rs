//! The account of memory that a tenant's plugins share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// What all instances of one tenant may take together: linear memories and tables, however many of each.
///
/// An instance charges the account as it grows and pays back when it is dropped.
#[derive(Debug)]
pub struct MemoryAccount {
    limit: u64,
    used: AtomicU64,
}

impl MemoryAccount {
    /// An account of `limit` bytes, with nothing charged.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(MemoryAccount { limit, used: AtomicU64::new(0) })
    }

    /// The most that may be charged, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is charged now, in bytes.
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

    fn pay_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One instance's view of its tenant's account.
///
/// Dropping it pays back what it charged.
pub(crate) struct Meter {
    account: Arc<MemoryAccount>,
    /// The bound of this one instance, below or above the account's.
    limit: u64,
    charged: Arc<AtomicU64>,
    /// What the growth under way charged, in case that the growth itself fails.
    pending: u64,
    /// Whether a growth was refused since [`Meter::forget_refusal`]: a trap that follows is for want of memory.
    refused: bool,
}

/// What a table entry takes in wasmtime: a pointer.
const TABLE_ENTRY_BYTES: u64 = 8;

impl Meter {
    pub(crate) fn new(account: Arc<MemoryAccount>, limit: u64) -> Self {
        Meter { account, limit, charged: Arc::default(), pending: 0, refused: false }
    }

    /// What the instance has, in bytes; 0 from when it is dropped. For whoever does not want to wait for its calls.
    pub(crate) fn charged(&self) -> &Arc<AtomicU64> {
        &self.charged
    }

    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn forget_refusal(&mut self) {
        self.refused = false;
    }

    /// The bound that a refused growth ran into.
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
        self.account.pay_back(self.pending);
        self.pending = 0;
        self.refused = true;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.account.pay_back(self.charged.swap(0, Ordering::Relaxed));
    }
}

/// A refused growth is a failed `memory.grow` or `table.grow` to the plugin, which usually answers with a trap.
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

    // A component built by a compiler has one module, or a few with shims. These bounds are per store, and keep the
    // number of address space reservations (4 GiB each) small.
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
