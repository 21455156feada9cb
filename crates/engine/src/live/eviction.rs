//! A list that nobody asks for is put to rest: its plugin is let go of, and filled again when somebody asks.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::{debug, warn};

use super::recovery::Priority;
use super::{LiveList, Service};
use crate::events::Event;
use crate::residency::{Footprint, Resident};

impl LiveList {
    /// Notes that somebody asks. Written only where it is news, so that threads which ask all the time share the flag.
    #[inline]
    pub(super) fn note_checked(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// For a list that was never filled: it is, when somebody asks.
    pub(crate) fn start_evicted(&self) {
        let _order = self.order();
        self.set_service(Service::Evicted);
    }

    /// From one to the other, unless it is a third.
    fn turn(&self, from: Service, to: Service) -> bool {
        self.service.compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether a generation that is out of service was put to rest, rather than lost.
    #[cold]
    pub(super) fn was_evicted(&self) -> bool {
        match self.service() {
            Service::Evicted => true,
            Service::Serving => self.generation().left() > 0,
            Service::Out => false,
        }
    }

    /// Fills the plugin of a list at rest, and has it answer. Blocks: a few milliseconds for a short list. Where that fails, the list
    /// is out of service, and is tried again in the background.
    pub(super) fn restore(self: &Arc<Self>) {
        let _restoring = self.restoring.lock().unwrap_or_else(PoisonError::into_inner);
        let is_evicted = {
            let _order = self.order();
            self.service() == Service::Evicted
        };
        if !is_evicted {
            return;
        }
        self.context.residency.make_room();
        let start = Instant::now();
        match self.refill(Priority::Normal) {
            Ok(()) => self.context.events.emit(|| Event::Restored {
                tenant: self.list().tenant().clone(),
                scope: self.list().scope().clone(),
                took: start.elapsed(),
            }),
            Err(error) => {
                self.note_fault(error.kind());
                self.turn(Service::Evicted, Service::Out);
                warn!(
                    tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(),
                    "the plugin of a list at rest could not be filled: the tenant's policy answers until it is"
                );
                self.mend(error.kind());
            }
        }
    }
}

impl Resident for LiveList {
    fn memory(&self) -> Footprint {
        let generation = self.generation();
        Footprint {
            entries: generation.recipe().settings.capacity,
            bytes: generation.memory_bytes(),
            instances: generation.left(),
        }
    }

    fn is_serving(&self) -> bool {
        LiveList::is_serving(self)
    }

    fn take_checked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    fn enter_ring(&self) -> bool {
        !self.in_ring.swap(true, Ordering::SeqCst)
    }

    fn leave_ring(&self) {
        self.in_ring.store(false, Ordering::SeqCst);
    }

    /// Lets go of the plugin, unless that is at work just now, or being exchanged. Waits for nothing.
    fn evict(&self) -> bool {
        let Ok(order) = self.order.try_lock() else { return false };
        let generation = self.generation();
        let is_needed = order.kept.is_some() || self.blacklist.is_shadowed();
        if is_needed || !self.is_serving() || !generation.is_whole() {
            return false;
        }
        // First this, so that a check which finds the instance gone knows why. A fault meanwhile has the last word.
        if !self.turn(Service::Serving, Service::Evicted) {
            return false;
        }
        if generation.retire_if_idle() {
            debug!(tenant = %self.list().tenant(), list = %self.name(), "nobody asks for the list: its plugin rests");
            return true;
        }
        self.turn(Service::Evicted, Service::Serving);
        false
    }
}
