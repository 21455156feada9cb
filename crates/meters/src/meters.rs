//! The meters of a tenant.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::changed::Changed;
use crate::clock::Time;
use crate::counters::{Counter, Counters, Id, PARTS};
use crate::encoding::{Batch, DamagedChanges, NodeId, Row};
use crate::message::{Key, Message};
use crate::meter::Meter;
use crate::others::{MergeError, Others};
use crate::ring::{Ring, SLOTS};

/// The most meters that a tenant's rules declare at a time.
pub const MAX_DECLARED: usize = 128;

/// The memory of a tenant's counters if nothing else is said: room for 400,000 to 800,000 of them.
pub const DEFAULT_BYTES: usize = 64 << 20;

/// What changed is remembered up to this part of the memory.
const CHANGED_SHARE: usize = 16;

/// By how many ticks a node that was restored goes on: those that were not saved don't count as later than what it counts anew.
const UNSAVED_TICKS: u64 = 1 << 20;

/// What others have counted is swept once in so many ticks.
const SWEEP_OTHERS: u64 = 16;

/// What may have been counted in a meter after it was last seen to be used, in milliseconds.
const UNSEEN: u64 = 60_000;

/// The counters of one tenant on this node.
///
/// A lock is held for the time of a call: some 100 ns for a message, about a millisecond at most where memory grows.
pub struct Meters {
    inner: Mutex<Inner>,
}

struct Inner {
    node: NodeId,
    /// The most memory, in bytes.
    limit: usize,
    known: Known,
    counters: Counters,
    others: Others,
    changed: Changed,
    /// The tick in which all counts were told last.
    told_all: u64,
    /// The latest time that was seen.
    latest: Time,
    /// By how much the counters' time is ahead of the clock that they were restored with.
    ahead: u64,
    /// Messages that were counted in an overflow.
    overflowed: u64,
    /// Counts of others for which there was no room.
    unmerged: u64,
}

/// The meters by their index.
struct Known {
    meters: Vec<Option<Tracked>>,
}

struct Tracked {
    meter: Meter,
    /// Shared with each [`Declared`] that names it.
    declared: Arc<()>,
    overflow: Ring,
    overflow_changed: u32,
    /// When it was last seen to be declared here, or counted elsewhere.
    used: Time,
    /// The tick in which nothing of it counted any more.
    expired: Option<u64>,
}

/// The meters that a tenant's rules have declared, in their order.
#[derive(Clone)]
pub struct Declared {
    counters: Arc<[DeclaredMeter]>,
}

struct DeclaredMeter {
    meter: Meter,
    slot_millis: u64,
    index: u16,
    /// The first that was declared alike: it counts for both.
    first: usize,
    /// While this is held, the meter keeps its index.
    _declared: Arc<()>,
}

/// A message that was counted, until it is known to have passed.
///
/// Dropping this leaves the message counted.
#[derive(Clone)]
pub struct Reservation {
    declared: Declared,
    message: Message,
    now: Time,
    /// Which of the meters counted it in their overflow.
    overflowed: u128,
}

/// More meters were declared than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyMeters {
    /// At a time.
    #[error(
        "the tenant's rules declare {declared} meters, and {MAX_DECLARED} is the most: declare fewer, or use fewer rules plugins"
    )]
    Declared {
        /// How many.
        declared: usize,
    },
    /// With those of earlier declarations that still count.
    #[error(
        "the tenant's rules have declared {} different meters lately, which is the most: wait until the counts of earlier ones have expired",
        Id::METERS
    )]
    Lately,
}

/// A position in a node's changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// Before all changes: all counts follow.
    pub const START: Position = Position(0);

    /// As a number, to be stored.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What [`get`](Self::get) returned.
    pub const fn from_stored(position: u64) -> Self {
        Position(position)
    }
}

/// Counts that changed since a position.
#[derive(Clone, Debug)]
pub struct Changes {
    /// They, for [`Meters::merge`] and [`Meters::restore`]. Some 20 bytes a counter.
    ///
    /// They contain subjects and, for meters by prefix, leading digits in clear: seal them.
    pub bytes: Vec<u8>,
    /// Where the next begin.
    pub next: Position,
    /// Whether these are all counts of the node: what was before is not needed.
    pub is_all: bool,
    /// How many counters they are of.
    pub counters: usize,
}

/// One counter's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Which messages it is of.
    pub key: Key,
    /// How many count now, at all nodes.
    pub count: u32,
}

/// The memory of a tenant's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In bytes.
    pub bytes: usize,
    /// The most, in bytes.
    pub limit: usize,
    /// How many counters there are.
    pub counters: usize,
    /// How many messages found no room for a counter of their own, since the start. They were counted in the overflow of their meter:
    /// people who share it are stopped earlier.
    pub overflowed: u64,
    /// How many counts of other nodes found no room, since the start. They are missing from what rules see.
    pub unmerged: u64,
}

impl Meters {
    /// Meters that have counted nothing, for a node that no other was.
    ///
    /// At most `limit` bytes of memory are taken. A table grows by doubling, so that a counter takes 75 to 150 bytes.
    pub fn new(node: NodeId, limit: usize) -> Self {
        Meters {
            inner: Mutex::new(Inner {
                node,
                limit,
                known: Known { meters: Vec::new() },
                counters: Counters::new(),
                others: Others::default(),
                changed: Changed::new(1, limit / CHANGED_SHARE / size_of::<Id>()),
                told_all: 0,
                latest: Time::default(),
                ahead: 0,
                overflowed: 0,
                unmerged: 0,
            }),
        }
    }

    /// Meters that continue from what [`changes_since`](Self::changes_since) returned, in its order, of which the first must be all.
    /// They belong to the same node.
    ///
    /// Time does not go back: if the clock is behind that of the counts, these go on from their own.
    ///
    /// # Errors
    /// [`DamagedChanges`] if one can't be read, or if they are of several nodes.
    pub fn restore<'a>(
        saved: impl IntoIterator<Item = &'a [u8]>,
        node: NodeId,
        limit: usize,
        now: Time,
    ) -> Result<Self, DamagedChanges> {
        let meters = Meters::new(node, limit);
        let mut inner = meters.inner.lock();
        let mut last: Option<(NodeId, u64)> = None;
        for bytes in saved {
            let batch = Batch::decode(bytes)?;
            if last.is_some_and(|(node, _)| node != batch.node) {
                return Err(DamagedChanges("they are of several nodes"));
            }
            last = Some((batch.node, batch.tick));
            inner.latest = inner.latest.max(batch.now);
            inner.restore(&batch);
        }
        if let Some((node, tick)) = last {
            inner.node = node;
            let most = limit / CHANGED_SHARE / size_of::<Id>();
            inner.changed = Changed::new(tick.saturating_add(UNSAVED_TICKS), most);
            inner.ahead = inner.latest.as_millis().saturating_sub(now.as_millis());
        }
        drop(inner);
        Ok(meters)
    }

    /// A copy that counts by itself, for the decisions of a candidate. Takes as much memory.
    pub fn fork(&self) -> Self {
        let mut counters = self.inner.lock().counters.empty_copy();
        for part in 0..PARTS {
            counters.copy_part(part, &self.inner.lock().counters);
        }
        // Last, so that it has the meters of all counters.
        let inner = self.inner.lock();
        let meters =
            inner.known.meters.iter().map(|tracked| {
                tracked.as_ref().map(|tracked| Tracked { declared: Arc::new(()), ..*tracked })
            });
        Meters {
            inner: Mutex::new(Inner {
                known: Known { meters: meters.collect() },
                counters,
                others: inner.others.clone(),
                changed: Changed::new(
                    inner.changed.tick() + 1,
                    inner.limit / CHANGED_SHARE / size_of::<Id>(),
                ),
                overflowed: 0,
                unmerged: 0,
                ..*inner
            }),
        }
    }

    /// Declares the meters of all the tenant's rules, in the order in which [`reserve`](Self::reserve) is to count them. Those that were
    /// declared alike before continue, and share a counter if they are declared twice. Others start at 0.
    ///
    /// # Errors
    /// [`TooManyMeters`].
    pub fn declare(&self, meters: &[Meter], now: Time) -> Result<Declared, TooManyMeters> {
        if meters.len() > MAX_DECLARED {
            return Err(TooManyMeters::Declared { declared: meters.len() });
        }
        let mut inner = self.inner.lock();
        let now = inner.time(now);
        let mut counters: Vec<DeclaredMeter> = Vec::with_capacity(meters.len());
        for (place, meter) in meters.iter().enumerate() {
            let index = inner.index(meter, now).ok_or(TooManyMeters::Lately)?;
            let Some(tracked) = inner.known.tracked(index) else { return Err(TooManyMeters::Lately) };
            let first = counters.iter().position(|other| other.index == index).unwrap_or(place);
            counters.push(DeclaredMeter {
                meter: *meter,
                slot_millis: meter.window.slot_millis(),
                index,
                first,
                _declared: Arc::clone(&tracked.declared),
            });
        }
        Ok(Declared { counters: counters.into() })
    }

    /// Counts a message in the meters that count its like, and writes into `counts` what each of the declared had before, at all nodes.
    ///
    /// Of messages that are counted at the same time at this node, each sees those before it: a rule that allows while a count is below
    /// a ceiling never exceeds it. Must be [released](Self::release) if the message is stopped, or fails at the next hop.
    ///
    /// A message for which there is no memory counts in its meter's overflow, with all others of the meter that found none, and sees
    /// their count: it may be stopped early, but never late.
    ///
    /// Costs about 100 ns for four counters.
    ///
    /// # Panics
    /// If `counts` is not as long as what was declared.
    pub fn reserve(
        &self,
        declared: &Declared,
        message: &Message,
        now: Time,
        counts: &mut [u32],
    ) -> Reservation {
        assert_eq!(counts.len(), declared.len(), "there is a count for each meter");
        let mut inner = self.inner.lock();
        let now = inner.time(now);
        let mut overflowed = 0;
        for (place, counter) in declared.counters.iter().enumerate() {
            if counter.first != place {
                counts[place] = counts[counter.first];
            } else if counter.meter.counts(message) {
                let (before, is_overflow) = inner.add(counter, message, now);
                counts[place] = before;
                overflowed |= u128::from(is_overflow) << place;
            } else {
                counts[place] = inner.count(counter, message, now);
            }
        }
        inner.overflowed += u64::from(overflowed != 0);
        Reservation { declared: declared.clone(), message: *message, now, overflowed }
    }

    /// Writes into `counts` what each of the declared meters has, for this message, at all nodes. Counts nothing.
    ///
    /// # Panics
    /// If `counts` is not as long as what was declared.
    pub fn peek(&self, declared: &Declared, message: &Message, now: Time, counts: &mut [u32]) {
        assert_eq!(counts.len(), declared.len(), "there is a count for each meter");
        let mut inner = self.inner.lock();
        let now = inner.time(now);
        for (count, counter) in counts.iter_mut().zip(declared.counters.iter()) {
            *count = inner.count(counter, message, now);
        }
    }

    /// Takes a message off again that was stopped or not delivered. One that has expired meanwhile is not there any more.
    pub fn release(&self, reservation: &Reservation) {
        let mut inner = self.inner.lock();
        for (place, counter) in reservation.declared.counters.iter().enumerate() {
            if counter.first == place && counter.meter.counts(&reservation.message) {
                let is_overflow = reservation.overflowed >> place & 1 == 1;
                inner.take(counter, &reservation.message, reservation.now, is_overflow);
            }
        }
    }

    /// The counts of this node that changed since a position, for the disk and for other nodes. All of them, if the position is
    /// [`START`](Position::START) or too long ago.
    ///
    /// Call this about once a second, also if nobody wants to know: it also gives back memory of counters that are idle. Costs some 100
    /// ns a changed counter, and a scan of a 64th of all.
    pub fn changes_since(&self, position: Position, now: Time) -> Changes {
        let (batch, next, is_all) = {
            let mut inner = self.inner.lock();
            let now = inner.time(now);
            inner.sweep(now);
            match inner.changed.since(position.0) {
                Some(ids) => {
                    let batch = inner.batch(&ids);
                    (batch, inner.changed.next(), false)
                }
                None => {
                    let (node, tick) = (inner.node, inner.changed.tick());
                    let next = inner.changed.next();
                    inner.told_all = next;
                    drop(inner);
                    (self.all(node, tick, now), next, true)
                }
            }
        };
        Changes { bytes: batch.encode(), next: Position(next), is_all, counters: batch.counts.len() }
    }

    /// All counts. The lock is released between parts: what changes meanwhile is of a later tick, and follows.
    fn all(&self, node: NodeId, tick: u64, now: Time) -> Batch {
        let mut rows = Rows::default();
        let mut latest = now;
        for part in 0..PARTS {
            let inner = self.inner.lock();
            latest = latest.max(inner.latest);
            inner.counters.part(part).for_each(|counter| rows.add(&inner.known, counter.id, counter.ring));
        }
        let inner = self.inner.lock();
        latest = latest.max(inner.latest);
        for (index, tracked) in (0..).zip(&inner.known.meters) {
            if let Some(tracked) = tracked {
                rows.add(&inner.known, Id::new(index, Key::Overflow), tracked.overflow);
            }
        }
        Batch { node, tick, now: latest, meters: rows.meters, counts: rows.counts }
    }

    /// Takes over what another node has counted: what [`changes_since`](Self::changes_since) returned there. In any order, any number of
    /// times: of each counter the latest wins. What is of this node itself is ignored.
    ///
    /// # Errors
    /// [`MergeError`]. Nothing is changed then.
    pub fn merge(&self, changes: &[u8], now: Time) -> Result<(), MergeError> {
        let batch = Batch::decode(changes)?;
        let mut inner = self.inner.lock();
        if batch.node == inner.node {
            return Ok(());
        }
        let now = inner.time(now);
        let node = inner.others.heard(batch.node, batch.now, now)?;
        let indexes: Vec<Option<u16>> = batch.meters.iter().map(|meter| inner.index(meter, now)).collect();
        for row in &batch.counts {
            let Some(Some(index)) = indexes.get(usize::from(row.meter)).copied() else { continue };
            let room = inner.limit.saturating_sub(inner.bytes());
            if !inner.others.merge(Id::new(index, row.key), node, batch.tick, row.ring, room) {
                inner.unmerged += 1;
            }
        }
        Ok(())
    }

    /// The memory.
    pub fn usage(&self) -> Usage {
        let inner = self.inner.lock();
        Usage {
            bytes: inner.bytes(),
            limit: inner.limit,
            counters: inner.counters.len(),
            overflowed: inner.overflowed,
            unmerged: inner.unmerged,
        }
    }

    /// The highest counts of a meter at all nodes, the highest first, at most `most`. Scans all counters.
    pub fn highest(&self, meter: &Meter, most: usize, now: Time) -> Vec<Count> {
        let mut counts: HashMap<Id, Count> = HashMap::new();
        for part in 0..=PARTS {
            let mut inner = self.inner.lock();
            let now = inner.time(now);
            let Some(index) = inner.known.find(meter) else { return Vec::new() };
            let ids: Vec<Id> = match part {
                PARTS => inner.others.ids().chain([Id::new(index, Key::Overflow)]).collect(),
                part => inner.counters.part(part).map(|counter| counter.id).collect(),
            };
            for id in ids.into_iter().filter(|id| id.meter() == index) {
                let count = Count { key: id.key(), count: inner.total(id, now, meter.window.slot_millis()) };
                if count.count > 0 {
                    counts.insert(id, count);
                }
            }
        }
        let mut counts: Vec<Count> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.count.cmp(&a.count).then(a.key.cmp(&b.key)));
        counts.truncate(most);
        counts
    }
}

impl Reservation {
    /// Whether there was no room for a counter, so that a meter counted it in its overflow.
    pub fn is_overflowed(&self) -> bool {
        self.overflowed != 0
    }
}

impl Declared {
    /// How many meters were declared: the length of the counts.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// The meters, as they were declared.
    pub fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.counters.iter().map(|counter| &counter.meter)
    }
}

impl Inner {
    /// The time of the counters: that of the clock, unless they are ahead of it.
    #[inline]
    fn time(&mut self, now: Time) -> Time {
        let now = now.later(self.ahead);
        self.latest = self.latest.max(now);
        now
    }

    fn bytes(&self) -> usize {
        self.counters.bytes() + self.others.bytes() + self.changed.bytes()
    }

    /// The index of a meter, which is tracked from now on. `None` if there are too many.
    fn index(&mut self, meter: &Meter, now: Time) -> Option<u16> {
        if let Some(index) = self.known.find(meter) {
            if let Some(tracked) = self.known.tracked_mut(index) {
                tracked.used = tracked.used.max(now);
                tracked.expired = None;
            }
            return Some(index);
        }
        let place = match self.known.meters.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                if self.known.meters.len() == usize::from(Id::METERS) {
                    return None;
                }
                self.known.meters.push(None);
                self.known.meters.len() - 1
            }
        };
        let slot = now.as_millis() / meter.window.slot_millis();
        self.known.meters[place] = Some(Tracked {
            meter: *meter,
            declared: Arc::new(()),
            overflow: Ring::new(slot),
            overflow_changed: self.changed.mark().wrapping_sub(1),
            used: now,
            expired: None,
        });
        u16::try_from(place).ok()
    }

    /// What counts in a meter's overflow, at all nodes if there is any at this one.
    fn overflow(&self, index: u16, now: Time, slot_millis: u64) -> u32 {
        let Some(tracked) = self.known.tracked(index) else { return 0 };
        let own = tracked.overflow.sum(now.as_millis() / slot_millis);
        if own == 0 {
            0
        } else {
            own.saturating_add(self.of_others(Id::new(index, Key::Overflow), now, slot_millis))
        }
    }

    #[inline]
    fn of_others(&self, id: Id, now: Time, slot_millis: u64) -> u32 {
        if self.others.is_empty() { 0 } else { self.others.sum(id, now, slot_millis) }
    }

    /// What a rule sees of a counter.
    #[inline]
    fn count(&self, declared: &DeclaredMeter, message: &Message, now: Time) -> u32 {
        let id = Id::new(declared.index, Key::of(message, declared.meter.scope));
        let slot = now.as_millis() / declared.slot_millis;
        let others = self.of_others(id, now, declared.slot_millis);
        let own = match self.counters.get(id, self.counters.hash(id)) {
            Some(counter) if !counter.after_overflow => counter.ring.sum(slot),
            Some(counter) => counter.ring.sum(slot).saturating_add(self.overflow(
                declared.index,
                now,
                declared.slot_millis,
            )),
            None => self.overflow(declared.index, now, declared.slot_millis),
        };
        own.saturating_add(others)
    }

    /// Counts a message. Returns what was before, and whether it counts in the overflow.
    #[inline]
    fn add(&mut self, declared: &DeclaredMeter, message: &Message, now: Time) -> (u32, bool) {
        let id = Id::new(declared.index, Key::of(message, declared.meter.scope));
        let slot = now.as_millis() / declared.slot_millis;
        let hash = self.counters.hash(id);
        let others = self.of_others(id, now, declared.slot_millis);
        let (mark, weight) = (self.changed.mark(), declared.meter.weight(message));
        if let Some(counter) = self.counters.get_mut(id, hash) {
            let before = counter.ring.sum(slot);
            counter.ring.add(slot, weight);
            let is_first = std::mem::replace(&mut counter.changed, mark) != mark;
            counter.is_untold &= !is_first;
            let after_overflow = counter.after_overflow;
            if is_first {
                self.changed.note(id);
            }
            let overflow =
                if after_overflow { self.overflow(declared.index, now, declared.slot_millis) } else { 0 };
            return (before.saturating_add(others).saturating_add(overflow), false);
        }
        let overflow = self.overflow(declared.index, now, declared.slot_millis);
        let before = overflow.saturating_add(others);
        let mut ring = Ring::new(slot);
        ring.add(slot, weight);
        let is_added = self.insert(id, hash, ring, overflow > 0, now);
        if !is_added {
            self.add_to_overflow(declared, slot, weight);
        }
        (before, !is_added)
    }

    /// Adds a counter that is not there, if there is room.
    fn insert(&mut self, id: Id, hash: u64, ring: Ring, after_overflow: bool, now: Time) -> bool {
        // While all counts are told, this one may be among them.
        let is_untold = self.told_all != self.changed.tick();
        let counter = Counter { id, ring, changed: self.changed.mark(), is_untold, after_overflow };
        let limit = self.limit.saturating_sub(self.others.bytes() + self.changed.bytes());
        let known = &self.known;
        let is_added = self.counters.insert(counter, hash, now, limit, |counter| known.is_idle(counter, now));
        if is_added {
            self.changed.note(id);
        }
        is_added
    }

    fn add_to_overflow(&mut self, declared: &DeclaredMeter, slot: u64, weight: u32) {
        let mark = self.changed.mark();
        let Some(tracked) = self.known.tracked_mut(declared.index) else { return };
        tracked.overflow.add(slot, weight);
        if std::mem::replace(&mut tracked.overflow_changed, mark) != mark {
            self.changed.note(Id::new(declared.index, Key::Overflow));
        }
    }

    fn take(&mut self, declared: &DeclaredMeter, message: &Message, now: Time, is_overflow: bool) {
        let slot = now.as_millis() / declared.slot_millis;
        let (tick, mark, weight) = (self.changed.tick(), self.changed.mark(), declared.meter.weight(message));
        let (id, changed) = if is_overflow {
            let Some(tracked) = self.known.tracked_mut(declared.index) else { return };
            if !tracked.overflow.take(slot, weight) {
                return;
            }
            (Id::new(declared.index, Key::Overflow), &mut tracked.overflow_changed)
        } else {
            let id = Id::new(declared.index, Key::of(message, declared.meter.scope));
            let hash = self.counters.hash(id);
            let Some(counter) = self.counters.get_mut(id, hash) else { return };
            if !counter.ring.take(slot, weight) {
                return;
            }
            // A message that was stopped at once leaves nothing behind.
            if counter.ring.is_empty()
                && counter.is_untold
                && counter.changed == mark
                && self.told_all != tick
            {
                self.counters.remove(id, hash);
                return;
            }
            counter.is_untold = false;
            (id, &mut counter.changed)
        };
        if std::mem::replace(changed, mark) != mark {
            self.changed.note(id);
        }
    }

    /// All that counts of a counter, overflows aside.
    fn total(&self, id: Id, now: Time, slot_millis: u64) -> u32 {
        let own = self.ring(id).map_or(0, |ring| ring.sum(now.as_millis() / slot_millis));
        own.saturating_add(self.of_others(id, now, slot_millis))
    }

    fn ring(&self, id: Id) -> Option<&Ring> {
        match id.key() {
            Key::Overflow => self.known.tracked(id.meter()).map(|tracked| &tracked.overflow),
            _ => self.counters.get(id, self.counters.hash(id)).map(|counter| &counter.ring),
        }
    }

    /// These counters as they are.
    fn batch(&self, ids: &[Id]) -> Batch {
        let mut rows = Rows::default();
        for &id in ids {
            if let Some(ring) = self.ring(id) {
                rows.add(&self.known, id, *ring);
            }
        }
        let tick = self.changed.tick();
        Batch { node: self.node, tick, now: self.latest, meters: rows.meters, counts: rows.counts }
    }

    fn restore(&mut self, batch: &Batch) {
        let indexes: Vec<Option<u16>> =
            batch.meters.iter().map(|meter| self.index(meter, batch.now)).collect();
        for row in &batch.counts {
            let Some(Some(index)) = indexes.get(usize::from(row.meter)).copied() else { continue };
            let id = Id::new(index, row.key);
            if row.key == Key::Overflow {
                if let Some(tracked) = self.known.tracked_mut(index) {
                    tracked.overflow = row.ring;
                }
                continue;
            }
            let hash = self.counters.hash(id);
            if let Some(counter) = self.counters.get_mut(id, hash) {
                counter.ring = row.ring;
            } else if !self.insert(id, hash, row.ring, true, batch.now) {
                self.unmerged += 1;
            }
        }
    }

    /// Gives back memory of counters that are idle, a part at a time, and forgets meters that nobody declares and that have none.
    fn sweep(&mut self, now: Time) {
        let tick = self.changed.tick();
        let known = &self.known;
        let part = usize::try_from(tick % PARTS as u64).unwrap_or_default();
        self.counters.sweep(part, |counter| known.is_idle(counter, now));
        if tick % SWEEP_OTHERS == 0 && !self.others.is_empty() {
            self.others.sweep(now, |id| Some(known.tracked(id.meter())?.meter.window.slot_millis()));
        }
        for place in &mut self.known.meters {
            if place.as_mut().is_some_and(|tracked| tracked.is_forgotten(now, tick)) {
                *place = None;
            }
        }
    }
}

impl Known {
    /// Whether a counter counts nothing any more.
    fn is_idle(&self, counter: &Counter, now: Time) -> bool {
        self.tracked(counter.id.meter())
            .is_none_or(|tracked| counter.ring.is_idle(now.as_millis() / tracked.meter.window.slot_millis()))
    }

    fn find(&self, meter: &Meter) -> Option<u16> {
        let is_it =
            |tracked: &Option<Tracked>| tracked.as_ref().is_some_and(|tracked| tracked.meter == *meter);
        u16::try_from(self.meters.iter().position(is_it)?).ok()
    }

    fn tracked(&self, index: u16) -> Option<&Tracked> {
        self.meters.get(usize::from(index))?.as_ref()
    }

    fn tracked_mut(&mut self, index: u16) -> Option<&mut Tracked> {
        self.meters.get_mut(usize::from(index))?.as_mut()
    }
}

impl Tracked {
    /// Whether nobody declares it, and all parts were swept since nothing of it counted any more: its index may be another's.
    fn is_forgotten(&mut self, now: Time, tick: u64) -> bool {
        if Arc::strong_count(&self.declared) > 1 {
            self.used = self.used.max(now);
        }
        let slot_millis = self.meter.window.slot_millis();
        if now < self.used.later(SLOTS as u64 * slot_millis + UNSEEN) {
            self.expired = None;
            return false;
        }
        tick > *self.expired.get_or_insert(tick) + PARTS as u64 + SWEEP_OTHERS
    }
}

/// Counters with the meters that they are of.
#[derive(Default)]
struct Rows {
    meters: Vec<Meter>,
    /// The place in `meters` of each index.
    places: HashMap<u16, u16>,
    counts: Vec<Row>,
}

impl Rows {
    fn add(&mut self, known: &Known, id: Id, ring: Ring) {
        let Some(tracked) = known.tracked(id.meter()) else { return };
        let place = *self.places.entry(id.meter()).or_insert_with(|| {
            self.meters.push(tracked.meter);
            u16::try_from(self.meters.len() - 1).unwrap_or_default()
        });
        self.counts.push(Row { meter: place, key: id.key(), ring });
    }
}
