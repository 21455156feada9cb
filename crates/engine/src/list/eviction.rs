//! A list that nobody asks for is put to rest: its plugin is let go of, and filled again when somebody asks.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::{debug, warn};

use super::recovery::Pace;
use super::{Gate, Service};

impl Gate {
    /// Notes that somebody asks. Written only where it is news, so that threads which ask all the time share the flag.
    #[inline]
    pub(super) fn note_asked(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody asked since this was called last.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// Notes that it stands in the ring of those that can be put to rest. `false` where it did already.
    pub(crate) fn stand_in_ring(&self) -> bool {
        !self.in_ring.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn leave_ring(&self) {
        self.in_ring.store(false, Ordering::SeqCst);
    }

    /// For a list that was never filled: it is, when somebody asks.
    pub(crate) fn begin_at_rest(&self) {
        let _order = self.order();
        self.set_service(Service::Resting);
    }

    /// Lets go of the plugin, unless that is at work just now, or being exchanged. Waits for nothing.
    pub(crate) fn rest(&self) -> bool {
        let Ok(order) = self.order.try_lock() else { return false };
        let generation = self.generation();
        let is_needed = order.kept.is_some() || self.blacklist.is_shadowed();
        if is_needed || !self.is_serving() || !generation.is_whole() {
            return false;
        }
        // First this, so that a check which finds the instance gone knows why. A fault meanwhile has the last word.
        if !self.turn(Service::Serving, Service::Resting) {
            return false;
        }
        if generation.retire_if_idle() {
            debug!(tenant = %self.list().tenant(), list = %self.name(), "nobody asks for the list: its plugin rests");
            return true;
        }
        self.turn(Service::Resting, Service::Serving);
        false
    }

    /// From one to the other, unless it is a third.
    fn turn(&self, from: Service, to: Service) -> bool {
        self.service.compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether a generation that is out of service was put to rest, rather than lost.
    #[cold]
    pub(super) fn has_changed_hands(&self) -> bool {
        match self.service() {
            Service::Resting => true,
            Service::Serving => self.generation().left() > 0,
            Service::Out => false,
        }
    }

    /// Fills the plugin of a list at rest, and has it answer. Blocks: a few milliseconds for a short list. Where that fails, the list
    /// is out of service, and is tried again in the background.
    pub(super) fn wake(self: &Arc<Self>) {
        let _waking = self.waking.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = {
            let _order = self.order();
            self.service() == Service::Resting
        };
        if !rests {
            return;
        }
        self.residency.make_room();
        let start = Instant::now();
        match self.refill(Pace::AtOnce) {
            Ok(()) => self.metrics.woken(start.elapsed()),
            Err(error) => {
                self.metrics.fault(error.kind());
                self.turn(Service::Resting, Service::Out);
                warn!(
                    tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(),
                    "the plugin of a list at rest could not be filled: the tenant's policy answers until it is"
                );
                self.mend(error.kind());
            }
        }
    }
}
