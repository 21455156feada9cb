#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod machine;

use std::collections::{HashMap, VecDeque};
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use portcullis_keys::TenantId;

pub use machine::machine_memory;

/// A list with more entries stays in memory for good and does not count towards the budget: restoring it would take too long. The
/// vendors limit lists to this length.
pub const LONGEST: u64 = 64_000;

/// The most instances in memory. Each reserves 4 GiB of the address space's 128 TiB, and some of the 65,530 mappings that Linux
/// allows a process by default.
const INSTANCES: usize = 8192;

/// How long the hand rests after it went all the way round and found nothing to evict.
const PAUSE: Duration = Duration::from_secs(1);

/// A list that was not checked for so long is idle: it is evicted first, also if its tenant has little.
const IDLE: Duration = Duration::from_secs(10);
/// A list that was not checked for so long goes before others of its tenant.
const RESTING: Duration = Duration::from_millis(100);

/// A list that takes more than this part of the budget is fat. One at a time is filled if there is no room for it.
const FAT: u64 = 64;
/// The part of the budget by which lists that are not fat may exceed it, rather than wait.
const TOLERANCE: u64 = 8;

/// How long a list is wanted before it exceeds the budget, if its tenant is within its share.
const WAIT: Duration = Duration::from_secs(1);
/// The same if its tenant takes more than its share. Only one list does so in this time.
const LONG_WAIT: Duration = Duration::from_secs(10);
/// A list that nobody asked for in this time is wanted no longer.
const WANTED: Duration = Duration::from_secs(5);
/// How long the tenant's first list is waited for at the start. It may be about to fail.
const GUESS_WAIT: Duration = Duration::from_secs(5);

/// Which lists have their plugin in memory.
pub struct Residency {
    /// The memory shared by the lists in the ring, in bytes.
    budget: u64,
    ring: Mutex<Ring>,
    /// Notified when a list was freed, or filled.
    freed: Condvar,
}

#[derive(Default)]
struct Ring {
    /// The hand is at the front.
    places: VecDeque<Place>,
    /// What is in memory, with what is being freed.
    held: Memory,
    /// What is being freed.
    leaving: Memory,
    /// What is expected of the lists that are being filled.
    reserved: Memory,
    /// How many fat lists are being filled.
    fat: usize,
    /// What each tenant has that has any.
    tenants: HashMap<TenantId, Taken>,
    /// Until when the hand rests, and whether it looked at the lists of all tenants.
    resting: Option<(Instant, bool)>,
    /// When a tenant that takes more than its share last exceeded the budget.
    exceeded: Option<Instant>,
}

/// What a tenant has.
#[derive(Default)]
struct Taken {
    /// In memory, and reserved.
    bytes: u64,
    /// The most that one of its lists has taken.
    largest: u64,
    /// Whether a list is being filled of which nobody knows what it will take.
    is_guessing: bool,
}

struct Place {
    list: Weak<dyn Resident>,
    accounted: Arc<Accounted>,
}

/// How a list is accounted for. Changed only under the ring's lock.
pub struct Accounted {
    tenant: TenantId,
    in_ring: AtomicBool,
    bytes: AtomicU64,
    instances: AtomicUsize,
    /// What is reserved for it while it is filled.
    reserved: Mutex<Option<Reserved>>,
    /// When the hand last found that it had been checked.
    seen: Mutex<Option<Instant>>,
    /// Since when it has found no room, and when it last looked for some.
    wanted: Mutex<Option<Wanted>>,
}

#[derive(Clone, Copy)]
struct Wanted {
    since: Instant,
    last: Instant,
}

/// A list that can be evicted from memory.
pub trait Resident: Send + Sync {
    /// The memory that it has now.
    fn memory(&self) -> Footprint;

    /// How it is accounted for.
    fn accounted(&self) -> &Arc<Accounted>;

    /// Whether its plugin is in memory and answers.
    fn is_serving(&self) -> bool;

    /// Whether it was checked since the last call.
    fn take_checked(&self) -> bool;

    /// Unloads its plugin, unless that is in use, being reloaded, or has grown too long to be evicted. Does not wait.
    fn evict(&self) -> bool;

    /// Whether it can't be evicted for long: a reload is watched, or a shadow run is under way.
    fn is_kept(&self) -> bool;
}

/// The memory of a list.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// How many entries it has.
    pub entries: u64,
    /// The memory of all its instances.
    pub bytes: u64,
    /// How many instances it has.
    pub instances: usize,
}

/// The memory that a list is expected to take.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The memory of all its instances.
    pub bytes: u64,
    /// How many instances it will have.
    pub instances: usize,
    /// Whether it has taken that before. If not, it may take as much as the tenant's other lists, and if none of these is known, they
    /// are filled one after the other until one is.
    pub is_measured: bool,
}

#[derive(Clone, Copy)]
struct Reserved {
    memory: Memory,
    is_guess: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    bytes: u64,
    instances: usize,
}

/// Memory for a list that is being filled, until it is in the ring, or this is dropped.
#[must_use]
pub struct Reservation<'a> {
    residency: &'a Residency,
    accounted: Arc<Accounted>,
}

/// Which lists the hand evicts when it goes round.
#[derive(Clone, Copy)]
struct Round {
    /// Those that were not checked for so long.
    unchecked: Duration,
    /// Those of any tenant, or of tenants that take more than their share.
    of_any: bool,
}

/// The rounds, and how many of them are gone for a tenant that takes more than its share itself.
const ROUNDS: [Round; 5] = [
    Round { unchecked: IDLE, of_any: true },
    Round { unchecked: RESTING, of_any: false },
    Round { unchecked: Duration::ZERO, of_any: false },
    Round { unchecked: RESTING, of_any: true },
    Round { unchecked: Duration::ZERO, of_any: true },
];
const ROUNDS_BEYOND_SHARE: usize = 3;

impl Accounted {
    /// A list of this tenant that is not in memory.
    #[allow(clippy::new_ret_no_self, reason = "it is always shared")]
    pub fn new(tenant: TenantId) -> Arc<Self> {
        Arc::new(Accounted {
            tenant,
            in_ring: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            instances: AtomicUsize::new(0),
            reserved: Mutex::default(),
            seen: Mutex::default(),
            wanted: Mutex::default(),
        })
    }
}

impl Residency {
    /// `budget` is in bytes.
    pub fn new(budget: u64) -> Self {
        Residency { budget, ring: Mutex::default(), freed: Condvar::new() }
    }

    /// Whether the budget is used up.
    pub fn is_full(&self) -> bool {
        self.is_used_up(&self.ring.lock())
    }

    fn is_used_up(&self, ring: &Ring) -> bool {
        let taken = ring.held + ring.reserved;
        taken.bytes >= self.budget || taken.instances >= INSTANCES
    }

    /// Reserves memory for a list that has not been filled yet, if the budget is not used up. Evicts nothing. Waits for the tenant's
    /// first list, which shows what the others will take.
    pub fn try_reserve(&self, list: &Arc<Accounted>, expected: Expected) -> Option<Reservation<'_>> {
        let start = Instant::now();
        let mut ring = self.ring.lock();
        let reserved = loop {
            match ring.needs(list, expected) {
                Some(reserved) => break reserved,
                None if start.elapsed() >= GUESS_WAIT => {
                    break Reserved { memory: Memory::expected(expected), is_guess: true };
                }
                None => self.freed.wait_for(&mut ring, PAUSE),
            };
        };
        (!self.is_used_up(&ring)).then(|| self.reserve_now(&mut ring, list, reserved))
    }

    /// Reserves memory for a list that is to be filled. Evicts others if there is no room, and waits for lists that are being filled
    /// or freed. Blocks until `deadline` at most, and returns `None` after that, or as soon as `gives_up` says so. Looks for room once
    /// even if the deadline has passed.
    ///
    /// A list that finds none at one call has a better right to it at the next one, unless that comes more than five seconds later.
    pub fn reserve(
        &self,
        list: &Arc<Accounted>,
        expected: Expected,
        deadline: Instant,
        gives_up: impl Fn() -> bool,
    ) -> Option<Reservation<'_>> {
        let mut ring = self.ring.lock();
        loop {
            let waited = list.want();
            if let Some(reserved) = ring.needs(list, expected) {
                let need = reserved.memory;
                let mut are_kept = false;
                if !ring.will_fit(self.budget, need) {
                    (ring, are_kept) = self.evict(ring, need, Some(&list.tenant));
                }
                if self.has_room(&mut ring, list, need, waited, are_kept) {
                    return Some(self.reserve_now(&mut ring, list, reserved));
                }
            }
            let now = Instant::now();
            if now >= deadline || gives_up() {
                return None;
            }
            self.freed.wait_until(&mut ring, deadline.min(now + PAUSE / 4));
        }
    }

    /// Whether a list may be filled that has waited for so long, after others were evicted for it, unless they `are_kept`.
    fn has_room(
        &self,
        ring: &mut Ring,
        list: &Accounted,
        need: Memory,
        waited: Duration,
        are_kept: bool,
    ) -> bool {
        let tolerance = if self.is_fat(need) { 0 } else { self.budget / TOLERANCE };
        if ring.fits(self.budget + tolerance, need) {
            return true;
        }
        if ring.fat > 0 || ring.leaving != Memory::default() {
            return false;
        }
        if ring.places.is_empty() || are_kept {
            return true;
        }
        if ring.may_displace(self.budget, need, &list.tenant) {
            return waited >= WAIT;
        }
        let has_exceeded = ring.exceeded.is_some_and(|at| at.elapsed() < LONG_WAIT);
        let exceeds = waited >= LONG_WAIT && !has_exceeded;
        if exceeds {
            ring.exceeded = Some(Instant::now());
        }
        exceeds
    }

    fn reserve_now(&self, ring: &mut Ring, list: &Arc<Accounted>, reserved: Reserved) -> Reservation<'_> {
        let Reserved { memory, is_guess } = reserved;
        self.release(ring, list);
        *list.wanted.lock() = None;
        *list.reserved.lock() = Some(reserved);
        ring.reserved = ring.reserved + memory;
        ring.fat += usize::from(self.is_fat(memory));
        ring.charge(&list.tenant, memory.bytes);
        if let Some(taken) = ring.tenants.get_mut(&list.tenant) {
            taken.is_guessing |= is_guess;
        }
        Reservation { residency: self, accounted: Arc::clone(list) }
    }

    /// Gives back what is reserved for a list.
    fn release(&self, ring: &mut Ring, list: &Accounted) {
        let Some(Reserved { memory, is_guess }) = list.reserved.lock().take() else { return };
        ring.reserved = ring.reserved - memory;
        ring.fat -= usize::from(self.is_fat(memory));
        if let Some(taken) = ring.tenants.get_mut(&list.tenant)
            && is_guess
        {
            taken.is_guessing = false;
        }
        ring.discharge_bytes(&list.tenant, memory.bytes);
        self.freed.notify_all();
    }

    fn is_fat(&self, memory: Memory) -> bool {
        memory.bytes > self.budget / FAT
    }

    /// Adds a list that came into memory, or accounts for its memory anew if it is in the ring already.
    pub fn enter(&self, list: &Arc<dyn Resident>) {
        let place = Place { list: Arc::downgrade(list), accounted: Arc::clone(list.accounted()) };
        let mut ring = self.ring.lock();
        let accounted = Arc::clone(&place.accounted);
        ring.put(place, list.memory());
        self.release(&mut ring, &accounted);
    }

    /// Accounts for a list that grew. Costs two loads if it did not.
    pub fn resize(&self, list: &dyn Resident, bytes: u64) {
        let accounted = list.accounted();
        let is_known =
            !accounted.in_ring.load(Ordering::Relaxed) || accounted.bytes.load(Ordering::Relaxed) == bytes;
        if is_known {
            return;
        }
        let mut ring = self.ring.lock();
        if accounted.in_ring.load(Ordering::Relaxed) {
            ring.account(accounted, Memory::of(list.memory()));
        }
        drop(self.evict(ring, Memory::default(), Some(&accounted.tenant)));
    }

    /// Removes a list that is no longer served.
    pub fn leave(&self, list: &dyn Resident) {
        let accounted = list.accounted();
        let mut ring = self.ring.lock();
        if accounted.in_ring.load(Ordering::Relaxed) {
            ring.places.retain(|place| !Arc::ptr_eq(&place.accounted, accounted));
            ring.discharge(accounted);
        }
        self.freed.notify_all();
    }

    /// Evicts lists, the least recently checked first, until there is room or no list is left that can be evicted.
    pub fn make_room(&self) {
        drop(self.evict(self.ring.lock(), Memory::default(), None));
    }

    /// Evicts lists until `need` will fit, which `tenant` needs, once the memory of all that are evicted is free. Also returns whether
    /// all that could not be evicted are kept for long, so that it makes no sense to wait for them.
    fn evict<'a>(
        &'a self,
        mut ring: MutexGuard<'a, Ring>,
        need: Memory,
        tenant: Option<&TenantId>,
    ) -> (MutexGuard<'a, Ring>, bool) {
        let of_all = tenant.is_none_or(|tenant| ring.may_displace(self.budget, need, tenant));
        let is_resting = |&(until, at_all): &(Instant, bool)| (at_all || !of_all) && Instant::now() < until;
        if ring.will_fit(self.budget, need) || ring.resting.as_ref().is_some_and(is_resting) {
            return (ring, false);
        }
        ring.resting = None;
        let (mut kept, mut in_use) = (false, false);
        let rounds = if of_all { ROUNDS.len() } else { ROUNDS_BEYOND_SHARE };
        for round in ROUNDS.iter().take(rounds) {
            for _ in 0..ring.places.len() {
                let Some(place) = ring.places.pop_front() else { break };
                let Some(list) = place.list.upgrade() else {
                    ring.discharge(&place.accounted);
                    continue;
                };
                if list.is_serving() {
                    let now = Instant::now();
                    if list.take_checked() {
                        *place.accounted.seen.lock() = Some(now);
                        ring.account(&place.accounted, Memory::of(list.memory()));
                    }
                    let seen = *place.accounted.seen.lock();
                    let is_unchecked = seen.is_none_or(|seen| now.duration_since(seen) >= round.unchecked);
                    let owner = &place.accounted.tenant;
                    let beyond = if tenant == Some(owner) { need.bytes } else { 0 };
                    if !is_unchecked || !round.of_any && !ring.is_beyond_share(self.budget, owner, beyond) {
                        ring.places.push_back(place);
                        continue;
                    }
                }
                // Freeing a list takes a while. It left the ring first, as a check may restore it at this very moment.
                let leaving = ring.begin_to_leave(&place.accounted);
                drop(ring);
                let memory = (!list.evict() && list.is_serving()).then(|| list.memory());
                if memory.is_some() {
                    let is_kept = list.is_kept();
                    kept |= is_kept;
                    in_use |= !is_kept;
                }
                drop(list);
                ring = self.ring.lock();
                ring.has_left(leaving);
                self.freed.notify_all();
                if let Some(memory) = memory {
                    ring.put(place, memory);
                }
                if ring.will_fit(self.budget, need) {
                    return (ring, false);
                }
            }
            if ring.will_fit(self.budget, need) {
                return (ring, false);
            }
        }
        ring.resting = Some((Instant::now() + PAUSE, of_all));
        (ring, kept && !in_use)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.residency.release(&mut self.residency.ring.lock(), &self.accounted);
    }
}

impl Ring {
    /// Whether there is room for this, too.
    fn fits(&self, budget: u64, need: Memory) -> bool {
        (self.held + self.reserved + need).is_within(budget)
    }

    /// Whether there is room for this, too, once all that is being freed is.
    fn will_fit(&self, budget: u64, need: Memory) -> bool {
        (self.held - self.leaving + self.reserved + need).is_within(budget)
    }

    /// Whether a tenant takes more than its share of the budget with so much more: all that have lists in memory share it equally.
    fn is_beyond_share(&self, budget: u64, tenant: &TenantId, more: u64) -> bool {
        let taken = self.tenants.get(tenant).map(|taken| taken.bytes);
        let tenants = self.tenants.len() + usize::from(taken.is_none());
        taken.unwrap_or_default() + more > budget / u64::try_from(tenants).unwrap_or(u64::MAX).max(1)
    }

    /// Whether lists of other tenants that are checked may be evicted for this: if it is within the tenant's share, or all that the
    /// tenant has and not fat.
    fn may_displace(&self, budget: u64, need: Memory, tenant: &TenantId) -> bool {
        let is_small_and_first = need.bytes <= budget / FAT && !self.tenants.contains_key(tenant);
        is_small_and_first || !self.is_beyond_share(budget, tenant, need.bytes)
    }

    fn put(&mut self, place: Place, memory: Footprint) {
        if place.accounted.in_ring.load(Ordering::Relaxed) {
            self.account(&place.accounted, Memory::of(memory));
        } else if memory.entries <= LONGEST {
            place.accounted.in_ring.store(true, Ordering::Relaxed);
            self.account(&place.accounted, Memory::of(memory));
            self.places.push_back(place);
            // It may be evicted.
            self.resting = None;
        }
    }

    /// What is to be reserved for a list; `None` if another one of its tenant shows that in a moment.
    fn needs(&self, list: &Accounted, expected: Expected) -> Option<Reserved> {
        let Expected { bytes, instances, is_measured } = expected;
        let of_tenant = self.tenants.get(&list.tenant);
        let largest = of_tenant.map_or(0, |taken| taken.largest);
        let is_guess = !is_measured && largest == 0;
        if is_guess && of_tenant.is_some_and(|taken| taken.is_guessing) {
            return None;
        }
        let bytes = if is_measured { bytes } else { bytes.max(largest) };
        Some(Reserved { memory: Memory { bytes, instances }, is_guess })
    }

    fn charge(&mut self, tenant: &TenantId, bytes: u64) {
        match self.tenants.get_mut(tenant) {
            Some(taken) => taken.bytes += bytes,
            None if bytes > 0 => {
                self.tenants.insert(tenant.clone(), Taken { bytes, ..Taken::default() });
            }
            None => {}
        }
    }

    fn discharge_bytes(&mut self, tenant: &TenantId, bytes: u64) {
        if let Some(taken) = self.tenants.get_mut(tenant) {
            taken.bytes = taken.bytes.saturating_sub(bytes);
            if taken.bytes == 0 {
                self.tenants.remove(tenant);
            }
        }
    }

    fn account(&mut self, accounted: &Accounted, memory: Memory) {
        let before = accounted.replace(memory);
        self.held = self.held - before + memory;
        self.charge(&accounted.tenant, memory.bytes);
        if let Some(taken) = self.tenants.get_mut(&accounted.tenant) {
            taken.largest = taken.largest.max(memory.bytes);
        }
        self.discharge_bytes(&accounted.tenant, before.bytes);
    }

    fn discharge(&mut self, accounted: &Accounted) {
        accounted.in_ring.store(false, Ordering::Relaxed);
        self.account(accounted, Memory::default());
    }

    /// Removes a list whose memory is about to be freed. Returns how much that is.
    fn begin_to_leave(&mut self, accounted: &Accounted) -> Memory {
        accounted.in_ring.store(false, Ordering::Relaxed);
        let memory = accounted.replace(Memory::default());
        self.leaving = self.leaving + memory;
        self.discharge_bytes(&accounted.tenant, memory.bytes);
        memory
    }

    fn has_left(&mut self, memory: Memory) {
        self.leaving = self.leaving - memory;
        self.held = self.held - memory;
    }
}

impl Accounted {
    /// Looks for room, and returns for how long the list has done so.
    fn want(&self) -> Duration {
        let now = Instant::now();
        let mut wanted = self.wanted.lock();
        let since = wanted
            .filter(|before| now.duration_since(before.last) < WANTED)
            .map_or(now, |before| before.since);
        *wanted = Some(Wanted { since, last: now });
        now.duration_since(since)
    }

    fn replace(&self, memory: Memory) -> Memory {
        Memory {
            bytes: self.bytes.swap(memory.bytes, Ordering::Relaxed),
            instances: self.instances.swap(memory.instances, Ordering::Relaxed),
        }
    }
}

impl Memory {
    fn of(footprint: Footprint) -> Self {
        Memory { bytes: footprint.bytes, instances: footprint.instances }
    }

    fn expected(expected: Expected) -> Self {
        Memory { bytes: expected.bytes, instances: expected.instances }
    }

    fn is_within(self, budget: u64) -> bool {
        self.bytes <= budget && self.instances <= INSTANCES
    }
}

impl Add for Memory {
    type Output = Memory;

    fn add(self, more: Memory) -> Memory {
        Memory { bytes: self.bytes + more.bytes, instances: self.instances + more.instances }
    }
}

impl Sub for Memory {
    type Output = Memory;

    fn sub(self, less: Memory) -> Memory {
        Memory { bytes: self.bytes - less.bytes, instances: self.instances - less.instances }
    }
}

impl std::fmt::Debug for Residency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Residency").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Accounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounted").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn later() -> Instant {
        Instant::now() + 2 * LONG_WAIT
    }

    /// A list that can be checked and evicted.
    struct Fake {
        accounted: Arc<Accounted>,
        bytes: u64,
        serving: AtomicBool,
        checked: AtomicBool,
        /// Whether a check keeps it from being evicted.
        busy: AtomicBool,
        /// Whether a reload of it is watched.
        kept: AtomicBool,
    }

    impl Fake {
        fn new(tenant: &str, bytes: u64) -> Arc<Self> {
            Arc::new(Fake {
                accounted: Accounted::new(tenant.parse().unwrap()),
                bytes,
                serving: AtomicBool::new(false),
                checked: AtomicBool::new(false),
                busy: AtomicBool::new(false),
                kept: AtomicBool::new(false),
            })
        }

        fn expected(&self) -> Expected {
            Expected { bytes: self.bytes, instances: 1, is_measured: true }
        }

        /// Checks it, which restores it. Returns whether there was room.
        fn check(self: &Arc<Self>, residency: &Residency) -> bool {
            self.checked.store(true, Ordering::SeqCst);
            if self.serving.load(Ordering::SeqCst) {
                return true;
            }
            let Some(_reservation) = residency.reserve(&self.accounted, self.expected(), later(), || false)
            else {
                return false;
            };
            self.serving.store(true, Ordering::SeqCst);
            residency.enter(&(Arc::clone(self) as Arc<dyn Resident>));
            true
        }
    }

    impl Resident for Fake {
        fn memory(&self) -> Footprint {
            let bytes = if self.is_serving() { self.bytes } else { 0 };
            Footprint { entries: 1, bytes, instances: usize::from(self.is_serving()) }
        }

        fn accounted(&self) -> &Arc<Accounted> {
            &self.accounted
        }

        fn is_serving(&self) -> bool {
            self.serving.load(Ordering::SeqCst)
        }

        fn take_checked(&self) -> bool {
            self.checked.swap(false, Ordering::SeqCst)
        }

        fn evict(&self) -> bool {
            !self.busy.load(Ordering::SeqCst) && !self.is_kept() && self.serving.swap(false, Ordering::SeqCst)
        }

        fn is_kept(&self) -> bool {
            self.kept.load(Ordering::SeqCst)
        }
    }

    fn assert_empty(residency: &Residency) {
        let ring = residency.ring.lock();
        assert_eq!((ring.held, ring.reserved, ring.leaving), Default::default());
        assert!(ring.tenants.is_empty() && ring.fat == 0);
    }

    #[test]
    fn lists_that_are_filled_at_once_stay_within_the_budget() {
        let residency = Residency::new(1024 * MIB);
        let lists: Vec<_> = (0..16).map(|_| Fake::new("fat", 450 * MIB)).collect();
        let filling = AtomicU64::new(0);
        thread::scope(|scope| {
            for list in &lists {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let reservation =
                            residency.reserve(&list.accounted, list.expected(), later(), || false).unwrap();
                        // What serves is known to the ring, and the rest is here.
                        let now = filling.fetch_add(list.bytes, Ordering::SeqCst) + list.bytes;
                        assert!(now <= 1024 * MIB, "{now}");
                        thread::sleep(Duration::from_millis(1));
                        filling.fetch_sub(list.bytes, Ordering::SeqCst);
                        list.serving.store(true, Ordering::SeqCst);
                        residency.enter(&(Arc::clone(list) as Arc<dyn Resident>));
                        drop(reservation);
                        assert!(residency.ring.lock().held.bytes <= 1024 * MIB);
                    }
                });
            }
        });
        for list in &lists {
            residency.leave(&**list);
        }
        assert_empty(&residency);
    }

    #[test]
    fn a_tenant_that_takes_more_than_its_share_makes_room_itself() {
        let residency = Residency::new(1024 * MIB);
        let neighbour = Fake::new("neighbour", MIB);
        let lists: Vec<_> = (0..16).map(|_| Fake::new("fat", 450 * MIB)).collect();
        assert!(neighbour.check(&residency));
        for list in lists.iter().chain(&lists) {
            assert!(list.check(&residency) && neighbour.check(&residency));
            assert!(residency.ring.lock().held.bytes <= 1024 * MIB);
        }
        // Also if it is not checked between two rounds of the hand.
        lists.iter().for_each(|list| assert!(list.check(&residency)));
        assert!(neighbour.is_serving());
    }

    #[test]
    fn the_only_list_of_a_tenant_evicts_no_busy_list_of_others_if_it_is_fat() {
        let residency = Residency::new(1024 * MIB);
        let neighbour = Fake::new("neighbour", MIB);
        assert!(neighbour.check(&residency));
        let fat: Vec<_> = (0..8).map(|n| Fake::new(&format!("fat-{n}"), 450 * MIB)).collect();
        for list in fat.iter().chain(&fat) {
            // The neighbour is not checked between two rounds of the hand, but was a moment ago.
            assert!(list.check(&residency));
            assert!(residency.ring.lock().held.bytes <= 1024 * MIB);
            assert!(neighbour.is_serving());
        }
    }

    #[test]
    fn an_idle_list_goes_first_also_of_a_tenant_that_has_little() {
        let residency = Residency::new(10 * MIB);
        let (idle, busy) = (Fake::new("idle", MIB), Fake::new("busy", 8 * MIB));
        assert!(idle.check(&residency) && busy.check(&residency));
        idle.take_checked();
        *idle.accounted.seen.lock() = Instant::now().checked_sub(2 * IDLE);
        assert!(Fake::new("busy", MIB + 1).check(&residency));
        assert!(!idle.is_serving() && busy.is_serving());
    }

    #[test]
    fn a_list_that_finds_no_room_gives_up_when_it_is_told_to() {
        let residency = Residency::new(10 * MIB);
        let (busy, next) = (Fake::new("fat", 8 * MIB), Fake::new("fat", 8 * MIB));
        assert!(busy.check(&residency));
        busy.busy.store(true, Ordering::SeqCst);
        assert!(residency.reserve(&next.accounted, next.expected(), later(), || true).is_none());
        assert!(busy.is_serving());
        drop(busy);
        assert!(next.check(&residency), "what is gone makes room");
    }

    #[test]
    fn a_tenant_within_its_share_gets_room_even_if_nothing_can_be_evicted() {
        let residency = Residency::new(10 * MIB);
        let fat = Fake::new("fat", 10 * MIB);
        assert!(fat.check(&residency));
        fat.busy.store(true, Ordering::SeqCst);
        let start = Instant::now();
        assert!(Fake::new("other", 4 * MIB).check(&residency));
        assert!(start.elapsed() >= WAIT && fat.is_serving());
    }

    #[test]
    fn a_list_that_gave_up_gets_room_once_it_has_been_wanted_for_long_enough() {
        let residency = Residency::new(10 * MIB);
        let (busy, next) = (Fake::new("fat", 10 * MIB), Fake::new("other", 4 * MIB));
        assert!(busy.check(&residency));
        busy.busy.store(true, Ordering::SeqCst);
        let mut calls = 0;
        let room = loop {
            let now = Instant::now();
            calls += 1;
            let room = residency.reserve(&next.accounted, next.expected(), now + WAIT / 10, || false);
            if room.is_some() {
                break room;
            }
            assert!(now.elapsed() >= WAIT / 10 && calls < 1000);
        };
        assert!(calls > 1 && next.accounted.wanted.lock().is_none());
        drop(room);
        // Once it is wanted no longer, it begins anew.
        let long_ago = Instant::now().checked_sub(2 * LONG_WAIT).unwrap();
        *next.accounted.wanted.lock() = Some(Wanted { since: long_ago, last: long_ago });
        assert!(residency.reserve(&next.accounted, next.expected(), Instant::now(), || false).is_none());
    }

    #[test]
    fn nobody_waits_for_lists_whose_reload_is_watched() {
        let residency = Residency::new(10 * MIB);
        let lists: Vec<_> = (0..4).map(|_| Fake::new("fat", 8 * MIB)).collect();
        assert!(lists[0].check(&residency));
        lists[0].kept.store(true, Ordering::SeqCst);
        let start = Instant::now();
        lists.iter().for_each(|list| assert!(list.check(&residency)));
        assert!(start.elapsed() < LONG_WAIT);
        let serving = lists.iter().filter(|list| list.is_serving()).count();
        assert_eq!(serving, 2, "the others make room for each other");
    }

    #[test]
    fn the_first_list_of_a_tenant_shows_what_the_others_take() {
        let residency = Residency::new(1024 * MIB);
        let guess = Expected { bytes: MIB, instances: 1, is_measured: false };
        let lists: Vec<_> = (0..3).map(|_| Fake::new("fat", 600 * MIB)).collect();
        let first = residency.try_reserve(&lists[0].accounted, guess).unwrap();
        assert!(
            residency.reserve(&lists[1].accounted, guess, later(), || true).is_none(),
            "it would be a guess, too"
        );
        let other = Fake::new("other", MIB);
        drop(residency.try_reserve(&other.accounted, guess).unwrap());
        lists[0].serving.store(true, Ordering::SeqCst);
        residency.enter(&(Arc::clone(&lists[0]) as Arc<dyn Resident>));
        drop(first);
        let second = residency.try_reserve(&lists[1].accounted, guess).unwrap();
        assert_eq!(residency.ring.lock().reserved.bytes, 600 * MIB);
        assert!(residency.try_reserve(&lists[2].accounted, guess).is_none(), "the budget is used up");
        drop(second);
        residency.leave(&*lists[0]);
        assert_empty(&residency);
    }

    #[test]
    fn a_list_larger_than_the_budget_is_filled_if_it_is_alone() {
        let residency = Residency::new(MIB);
        let lists = [Fake::new("a", 2 * MIB), Fake::new("b", 2 * MIB)];
        assert!(lists[0].check(&residency) && lists[1].check(&residency));
        assert!(!lists[0].is_serving() && lists[1].is_serving());
        let reservation = residency.try_reserve(&lists[0].accounted, lists[0].expected());
        assert!(reservation.is_none(), "it is used up");
        residency.leave(&*lists[1]);
        drop(residency.try_reserve(&lists[0].accounted, lists[0].expected()).unwrap());
        assert_empty(&residency);
    }
}
