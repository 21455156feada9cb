//! Which lists have their plugin in memory. If there are more lists than the budget has room for, those that were not checked lately
//! are evicted, and restored by their next check.
//!
//! Lists in memory stand in a ring, and a hand goes round it (the clock algorithm, Corbató 1968): a list that was checked since the
//! hand last passed stays, one that was not is evicted. This costs a check one look at a flag.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A list with more entries stays in memory for good and does not count towards the budget: restoring it would take too long. The
/// vendors limit lists to this length.
pub(crate) const LONGEST: u64 = 64_000;

/// The most instances in memory. Each reserves 4 GiB of the address space's 128 TiB, and some of the 65,530 mappings that Linux
/// allows a process by default.
const INSTANCES: usize = 8192;

/// How long the hand rests after it went all the way round and found nothing to evict.
const PAUSE: Duration = Duration::from_secs(1);

/// Which lists have their plugin in memory.
pub(crate) struct Residency {
    /// The memory shared by the lists in the ring, in bytes.
    budget: u64,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    /// The hand is at the front.
    places: VecDeque<Place>,
    bytes: u64,
    instances: usize,
    resting_until: Option<Instant>,
}

struct Place {
    list: Weak<dyn Resident>,
    accounted: Arc<Accounted>,
}

/// How a list is accounted for. Changed only under the ring's lock.
#[derive(Default)]
pub(crate) struct Accounted {
    in_ring: AtomicBool,
    bytes: AtomicU64,
    instances: AtomicUsize,
}

/// A list that can be evicted from memory.
pub(crate) trait Resident: Send + Sync {
    /// The memory that it has now.
    fn memory(&self) -> Footprint;

    fn accounted(&self) -> &Arc<Accounted>;

    /// Whether its plugin is in memory and answers.
    fn is_serving(&self) -> bool;

    /// Whether it was checked since the last call.
    fn take_checked(&self) -> bool;

    /// Unloads its plugin, unless that is in use, being reloaded, or has grown too long to be evicted. Does not wait.
    fn evict(&self) -> bool;
}

/// The memory of a list.
#[derive(Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) instances: usize,
}

impl Residency {
    /// `budget` is in bytes.
    pub(crate) fn new(budget: u64) -> Self {
        Residency { budget, ring: Mutex::default() }
    }

    /// Whether there is room for another list.
    pub(crate) fn has_room(&self) -> bool {
        self.ring.lock().is_within(self.budget)
    }

    /// Adds a list that came into memory, or accounts for its memory anew if it is in the ring already.
    pub(crate) fn enter(&self, list: &Arc<dyn Resident>) {
        let memory = list.memory();
        let accounted = list.accounted();
        let mut ring = self.ring.lock();
        if accounted.in_ring.load(Ordering::Relaxed) {
            ring.account(accounted, memory);
        } else if memory.entries <= LONGEST {
            accounted.in_ring.store(true, Ordering::Relaxed);
            ring.account(accounted, memory);
            ring.places.push_back(Place { list: Arc::downgrade(list), accounted: Arc::clone(accounted) });
        }
    }

    /// Accounts for a list that grew by writes. Costs two loads if it did not.
    pub(crate) fn resize(&self, list: &dyn Resident, bytes: u64) {
        let accounted = list.accounted();
        let is_known =
            !accounted.in_ring.load(Ordering::Relaxed) || accounted.bytes.load(Ordering::Relaxed) == bytes;
        if is_known {
            return;
        }
        let is_full = {
            let mut ring = self.ring.lock();
            if accounted.in_ring.load(Ordering::Relaxed) {
                ring.account(accounted, list.memory());
            }
            !ring.is_within(self.budget)
        };
        if is_full {
            self.make_room();
        }
    }

    /// Removes a list that is no longer served.
    pub(crate) fn leave(&self, list: &dyn Resident) {
        let accounted = list.accounted();
        let mut ring = self.ring.lock();
        if accounted.in_ring.load(Ordering::Relaxed) {
            ring.places.retain(|place| !Arc::ptr_eq(&place.accounted, accounted));
            ring.discharge(accounted);
        }
    }

    /// Evicts lists, the least recently checked first, until there is room or no list is left that can be evicted.
    pub(crate) fn make_room(&self) {
        let mut ring = self.ring.lock();
        if ring.is_within(self.budget) || ring.resting_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        ring.resting_until = None;
        // Two rounds: the first one clears the flags of lists that were checked.
        for _ in 0..2 * ring.places.len() {
            let Some(place) = ring.places.pop_front() else { return };
            match place.list.upgrade() {
                Some(list) if list.is_serving() && list.take_checked() => {
                    ring.account(&place.accounted, list.memory());
                    ring.places.push_back(place);
                }
                Some(list) => {
                    ring.discharge(&place.accounted);
                    // Freeing a list takes a while. It left the ring first, as a check may restore it at this very moment.
                    drop(ring);
                    if !list.evict() && list.is_serving() {
                        self.enter(&list);
                    }
                    drop(list);
                    ring = self.ring.lock();
                }
                None => ring.discharge(&place.accounted),
            }
            if ring.is_within(self.budget) {
                return;
            }
        }
        ring.resting_until = Some(Instant::now() + PAUSE);
    }
}

impl Ring {
    fn is_within(&self, budget: u64) -> bool {
        self.bytes < budget && self.instances < INSTANCES
    }

    fn account(&mut self, accounted: &Accounted, memory: Footprint) {
        let bytes = accounted.bytes.swap(memory.bytes, Ordering::Relaxed);
        let instances = accounted.instances.swap(memory.instances, Ordering::Relaxed);
        self.bytes = self.bytes - bytes + memory.bytes;
        self.instances = self.instances - instances + memory.instances;
    }

    fn discharge(&mut self, accounted: &Accounted) {
        accounted.in_ring.store(false, Ordering::Relaxed);
        self.account(accounted, Footprint { entries: 0, bytes: 0, instances: 0 });
    }
}
