//! Which lists have their plugin in memory, where there are more lists than that has room for: those that nobody asks for a
//! while are put to rest, and come back with the next check.
//!
//! The lists in memory stand in a ring, and a hand goes round it (the clock algorithm, Corbató 1968): a list that was asked since
//! the hand last passed stays, one that was not is put to rest. So a check pays for all this with one look at a flag.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A longer list stays in memory for good, and counts for nothing here: it would take too long to come back. It is what the vendors
/// hold a list to.
const LONGEST: u64 = 64_000;

/// Instances that may be in memory at once. Each takes four gibibytes of the address space's 128 tebibytes, and some of the 65,530
/// mappings that Linux grants a process unless it is told otherwise.
const INSTANCES: usize = 8192;

/// After the hand went all the way round and found nothing to put to rest, for as long it stands still.
const PAUSE: Duration = Duration::from_secs(1);

/// Which lists have their plugin in memory.
pub(crate) struct Residency {
    /// What the lists in the ring may have of memory together, in bytes.
    budget: u64,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    /// The hand is at the front.
    places: VecDeque<Place>,
    bytes: u64,
    instances: usize,
    still_until: Option<Instant>,
}

/// A list in memory, and what it had of it when the hand last passed.
struct Place {
    list: Weak<dyn Resident>,
    bytes: u64,
    instances: usize,
}

/// A list that can be evicted from memory.
pub(crate) trait Resident: Send + Sync {
    /// What it has of memory.
    fn memory(&self) -> Footprint;

    /// Whether its plugin is in memory and answers.
    fn is_serving(&self) -> bool;

    /// Whether it was checked since this was called last.
    fn take_checked(&self) -> bool;

    /// Notes that it is in the ring. `false` where it was already.
    fn enter_ring(&self) -> bool;

    fn leave_ring(&self);

    /// Drops its plugin, unless that is in use or being exchanged. Waits for nothing.
    fn evict(&self) -> bool;
}

/// What a list has of memory.
#[derive(Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) instances: usize,
}

impl Residency {
    /// Room for as many bytes.
    pub(crate) fn new(budget: u64) -> Self {
        Residency { budget, ring: Mutex::default() }
    }

    /// Whether there is room for one more list.
    pub(crate) fn has_room(&self) -> bool {
        self.ring().is_within(self.budget)
    }

    /// A list came into memory.
    pub(crate) fn enter(&self, list: &Arc<dyn Resident>) {
        let memory = list.memory();
        if memory.entries <= LONGEST && list.enter_ring() {
            self.ring().push(Place::of(memory, Arc::downgrade(list)));
        }
    }

    /// Puts lists to rest until there is room, or none is left that can be. Those that were not asked lately go first.
    pub(crate) fn make_room(&self) {
        let mut ring = self.ring();
        if ring.is_within(self.budget) || ring.still_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        ring.still_until = None;
        // Twice round: the first time takes their flags away from those that were asked.
        for _ in 0..2 * ring.places.len() {
            let Some(Place { list: weak, .. }) = ring.pop() else { return };
            if let Some(list) = weak.upgrade() {
                let stays = list.is_serving() && list.take_checked();
                if stays {
                    ring.push(Place::of(list.memory(), weak));
                } else {
                    // Freeing a list takes a while, in which others may look. Out of the ring first: it may be asked, and come
                    // back, at this very moment.
                    drop(ring);
                    list.leave_ring();
                    let is_evicted = list.evict();
                    if !is_evicted && list.is_serving() {
                        self.enter(&list);
                    }
                    ring = self.ring();
                }
            }
            if ring.is_within(self.budget) {
                return;
            }
        }
        ring.still_until = Some(Instant::now() + PAUSE);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(memory: Footprint, list: Weak<dyn Resident>) -> Self {
        Place { list, bytes: memory.bytes, instances: memory.instances }
    }
}

impl Ring {
    fn is_within(&self, budget: u64) -> bool {
        self.bytes < budget && self.instances < INSTANCES
    }

    fn push(&mut self, place: Place) {
        self.bytes += place.bytes;
        self.instances += place.instances;
        self.places.push_back(place);
    }

    fn pop(&mut self) -> Option<Place> {
        let place = self.places.pop_front()?;
        self.bytes -= place.bytes;
        self.instances -= place.instances;
        Some(place)
    }
}
