//! Eviction of a list from memory, and its restoration by the next check.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use portcullis_residency::{Accounted, Expected, Footprint, LONGEST, Reservation, Resident};
use tracing::{debug, warn};

use super::recovery::Priority;
use super::{LiveList, NoVerdict, Phase, UNSEEN_BY_PROOF, UNSEEN_BY_RESIDENCY};
use crate::events::Event;

/// What an instance is expected to need at least, and for each entry.
const LEAST_BYTES: u64 = 1 << 20;
const ENTRY_BYTES: u64 = 24;

impl LiveList {
    /// Notes that the list is checked. Writes only if that is news, so that busy threads share the cache line.
    #[inline]
    pub(super) fn note_checked(&self) {
        const UNSEEN: u8 = UNSEEN_BY_RESIDENCY | UNSEEN_BY_PROOF;
        if self.checked.load(Ordering::Relaxed) != UNSEEN {
            self.checked.store(UNSEEN, Ordering::Relaxed);
        }
    }

    /// Whether the list was checked since the background proof last verified it.
    pub(crate) fn is_unproven(&self) -> bool {
        self.checked.load(Ordering::Relaxed) & UNSEEN_BY_PROOF != 0
    }

    /// Like [`is_unproven`](Self::is_unproven), and notes that it is verified now.
    pub(crate) fn take_unproven(&self) -> bool {
        self.checked.fetch_and(!UNSEEN_BY_PROOF, Ordering::Relaxed) & UNSEEN_BY_PROOF != 0
    }

    /// Leaves a new list to its first check.
    pub(crate) fn start_evicted(&self) {
        let _slot = self.slot.lock();
        self.enter(Phase::Evicted);
    }

    /// Whether a generation that is out of service was unloaded, rather than lost to a fault.
    #[cold]
    pub(super) fn was_unloaded(&self) -> bool {
        match self.phase() {
            Phase::Evicted | Phase::Detached => true,
            Phase::Serving => self.generation().left() > 0,
            Phase::Failed => false,
        }
    }

    /// The memory that the plugin is expected to need once it is filled: what it had when it was evicted, or what it had empty and some
    /// more for its entries.
    fn expected_memory(&self) -> Expected {
        let instances = self.generation().recipe().replicas.get();
        let bytes = self.last_bytes.load(Ordering::Relaxed);
        if bytes > 0 {
            return Expected { bytes, instances, is_measured: true };
        }
        let replicas = u64::try_from(instances).unwrap_or(u64::MAX);
        let entries = ENTRY_BYTES.saturating_mul(self.last_count.load(Ordering::Relaxed));
        let bytes = self.empty_bytes.load(Ordering::Relaxed).max(LEAST_BYTES.saturating_mul(replicas));
        let bytes = bytes.saturating_add(entries.saturating_mul(replicas));
        Expected { bytes, instances, is_measured: false }
    }

    /// Reserves the memory that the plugin is expected to need. Returns `None` if the budget is used up.
    pub(crate) fn try_reserve_memory(&self) -> Option<Reservation<'_>> {
        self.context.residency.try_reserve(&self.accounted, self.expected_memory())
    }

    /// Accounts for memory that the plugin took while it answered checks: a write accounts for its own.
    pub(crate) fn account_memory(&self) {
        self.context.residency.resize(self, self.generation().memory_bytes());
    }

    /// Fills the plugin of an evicted list. Blocks: a few milliseconds, as only short lists are evicted, and for so long at most if
    /// there is no room in memory; then the list stays evicted, and is busy. If it can't be filled, it is out of service, and the
    /// background task tries again.
    pub(crate) fn restore(self: &Arc<Self>, patience: Duration) -> Result<(), NoVerdict> {
        let deadline = Instant::now() + patience;
        let Ok(_operation) = self.context.lifecycle.begin() else { return Err(NoVerdict::Detached) };
        let restored = {
            let _restoring = self.restoring.lock();
            let is_evicted = {
                let _slot = self.slot.lock();
                self.phase() == Phase::Evicted
            };
            if !is_evicted {
                return Ok(());
            }
            if self.context.staleness.check_ledger().is_err() {
                // It stays evicted, so that the first check after the outage restores it.
                return Err(NoVerdict::Failed);
            }
            let is_closing = || self.context.lifecycle.is_closed() || self.is_detached();
            let (residency, expected) = (&self.context.residency, self.expected_memory());
            let Some(_room) = residency.reserve(&self.accounted, expected, deadline, is_closing) else {
                return Err(NoVerdict::Busy);
            };
            let start = Instant::now();
            self.refill(Priority::Normal).map(|()| start.elapsed())
        };
        match restored {
            Ok(took) => self.context.events.emit(|| Event::Restored {
                tenant: self.list().tenant().clone(),
                scope: self.list().scope().clone(),
                took,
            }),
            Err(error) if self.means_away(&error) => return Err(NoVerdict::Failed),
            Err(error) => {
                self.turn(Phase::Evicted, Phase::Failed);
                warn!(
                    tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(), error = error.reason(),
                    "the plugin of an evicted list can't be filled: the tenant's policy answers until it has recovered"
                );
                self.mend(error.kind(), &error.reason());
                self.report_fault(error.kind(), error.reason());
            }
        }
        Ok(())
    }
}

impl Resident for LiveList {
    fn memory(&self) -> Footprint {
        let generation = self.generation();
        Footprint {
            entries: self.last_count.load(Ordering::Relaxed).max(generation.recipe().settings.capacity),
            bytes: generation.memory_bytes(),
            instances: generation.left(),
        }
    }

    fn accounted(&self) -> &Arc<Accounted> {
        &self.accounted
    }

    fn is_serving(&self) -> bool {
        LiveList::is_serving(self)
    }

    fn take_checked(&self) -> bool {
        self.checked.fetch_and(!UNSEEN_BY_RESIDENCY, Ordering::Relaxed) & UNSEEN_BY_RESIDENCY != 0
    }

    fn evict(&self) -> bool {
        if self.context.staleness.check_ledger().is_err() {
            // It could not be restored.
            return false;
        }
        let Some(slot) = self.slot.try_lock() else { return false };
        let generation = self.generation();
        let is_needed = slot.fallback.is_some() || self.blacklist.is_shadowed();
        if is_needed || !self.is_serving() || !generation.is_whole() {
            return false;
        }
        // It may have grown since it was filled.
        let Ok(count) = self.list().count() else { return false };
        self.last_count.store(count, Ordering::Relaxed);
        if count > LONGEST {
            return false;
        }
        self.last_bytes.store(generation.memory_bytes(), Ordering::Relaxed);
        // The phase first, so that a check which finds the instance gone knows why. A fault meanwhile has the last word.
        if !self.turn(Phase::Serving, Phase::Evicted) {
            return false;
        }
        if generation.retire_if_idle() {
            debug!(tenant = %self.list().tenant(), list = %self.name(), "the list is evicted from memory");
            return true;
        }
        self.turn(Phase::Evicted, Phase::Serving);
        false
    }

    fn is_kept(&self) -> bool {
        self.blacklist.is_shadowed() || self.slot.try_lock().is_some_and(|slot| slot.fallback.is_some())
    }
}
