//! What the meters of a tenant have counted.

use std::sync::Arc;

use crate::changed::Changed;
use crate::clock::Time;
use crate::counters::{Counter, Counters, Id, PARTS};
use crate::declared::DeclaredMeter;
use crate::encoding::{Batch, NodeId};
use crate::known::{Known, Rows, SWEEP_OTHERS, Tracked};
use crate::message::{Key, Message};
use crate::meter::Meter;
use crate::others::Others;
use crate::ring::Ring;

/// For how long after a counter found no room it is taken that others find none, in milliseconds.
const FULL: u64 = 1000;

/// What the meters of a tenant have counted.
pub(crate) struct State {
    pub(crate) node: NodeId,
    /// The most memory, in bytes.
    pub(crate) limit: usize,
    pub(crate) known: Known,
    pub(crate) counters: Counters,
    pub(crate) others: Others,
    pub(crate) changed: Changed,
    /// How many are being told all counts.
    pub(crate) telling: u32,
    /// The latest time that was seen.
    pub(crate) latest: Time,
    /// By how much the counters' time is ahead of the clock that they were restored with.
    pub(crate) ahead: u64,
    /// When a counter found no room, if none was added since.
    pub(crate) full: Option<Time>,
    /// Messages that were not counted, as there was no room.
    pub(crate) uncounted: u64,
    /// Counts of others for which there was no room.
    pub(crate) unmerged: u64,
}

impl State {
    /// The time of the counters: that of the clock, unless they are ahead of it.
    #[inline]
    pub(crate) fn time(&mut self, now: Time) -> Time {
        let now = now.later(self.ahead);
        self.latest = self.latest.max(now);
        now
    }

    pub(crate) fn bytes(&self) -> usize {
        self.counters.bytes() + self.others.bytes() + self.changed.bytes()
    }

    /// The index of a meter, which is tracked from now on. `None` if there are too many.
    pub(crate) fn index(&mut self, meter: &Meter, now: Time) -> Option<u16> {
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
        self.known.meters[place] = Some(Tracked {
            meter: *meter,
            declared: Arc::new(()),
            lacks_until: Time::default(),
            used: now,
            expired: None,
        });
        u16::try_from(place).ok()
    }

    #[inline]
    pub(crate) fn of_others(&self, id: Id, now: Time, slot_millis: u64) -> u32 {
        if self.others.is_empty() { 0 } else { self.others.sum(id, now, slot_millis) }
    }

    /// What a rule sees of a counter.
    #[inline]
    pub(crate) fn count(&self, declared: &DeclaredMeter, message: &Message, now: Time) -> u32 {
        let id = Id::new(declared.index, Key::of(message, declared.meter.scope));
        self.total(id, now, declared.slot_millis)
    }

    /// Whether what a rule sees of a counter may be less than it is, as counts of others are missing.
    #[inline]
    pub(crate) fn lacks(&self, declared: &DeclaredMeter, message: &Message, now: Time) -> bool {
        let is_lacking = self.known.tracked(declared.index).is_some_and(|tracked| now < tracked.lacks_until);
        is_lacking && !self.others.has_all(Id::new(declared.index, Key::of(message, declared.meter.scope)))
    }

    /// Whether there may be no room to count a message.
    #[inline]
    pub(crate) fn may_be_full(&self, declared: &DeclaredMeter, message: &Message, now: Time) -> bool {
        let is_full = self.full.is_some_and(|since| now < since.later(FULL));
        is_full && {
            let id = Id::new(declared.index, Key::of(message, declared.meter.scope));
            self.counters.get(id, self.counters.hash(id)).is_none()
        }
    }

    /// Counts a message, if there is room. Returns what was before, and whether it counts.
    #[inline]
    pub(crate) fn add(&mut self, declared: &DeclaredMeter, message: &Message, now: Time) -> (u32, bool) {
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
            if is_first {
                self.changed.note(id);
            }
            return (before.saturating_add(others), true);
        }
        let mut ring = Ring::new(slot);
        ring.add(slot, weight);
        (others, self.insert(id, hash, ring, now))
    }

    /// Adds a counter that is not there, if there is room.
    fn insert(&mut self, id: Id, hash: u64, ring: Ring, now: Time) -> bool {
        let others = self.others.bytes() + self.changed.most_bytes();
        let is_added = self.insert_within(self.limit.saturating_sub(others), id, hash, ring, now);
        self.full = (!is_added).then_some(now);
        is_added
    }

    fn insert_within(&mut self, limit: usize, id: Id, hash: u64, ring: Ring, now: Time) -> bool {
        // While all counts are told, this one may be among them.
        let is_untold = self.telling == 0;
        let counter = Counter { id, ring, changed: self.changed.mark(), is_untold };
        let known = &self.known;
        let is_added = self.counters.insert(counter, hash, now, limit, |counter| known.is_idle(counter, now));
        if is_added {
            self.changed.note(id);
        }
        is_added
    }

    pub(crate) fn take(&mut self, declared: &DeclaredMeter, message: &Message, now: Time) {
        let slot = now.as_millis() / declared.slot_millis;
        let (mark, weight) = (self.changed.mark(), declared.meter.weight(message));
        let id = Id::new(declared.index, Key::of(message, declared.meter.scope));
        let hash = self.counters.hash(id);
        let Some(counter) = self.counters.get_mut(id, hash) else { return };
        if !counter.ring.take(slot, weight) {
            return;
        }
        // A message that was stopped at once leaves nothing behind.
        if counter.ring.is_empty() && counter.is_untold && counter.changed == mark {
            self.counters.remove(id, hash);
            return;
        }
        counter.is_untold = false;
        if std::mem::replace(&mut counter.changed, mark) != mark {
            self.changed.note(id);
        }
    }

    /// All that counts of a counter.
    #[inline]
    pub(crate) fn total(&self, id: Id, now: Time, slot_millis: u64) -> u32 {
        let own = self.ring(id).map_or(0, |ring| ring.sum(now.as_millis() / slot_millis));
        own.saturating_add(self.of_others(id, now, slot_millis))
    }

    pub(crate) fn ring(&self, id: Id) -> Option<&Ring> {
        self.counters.get(id, self.counters.hash(id)).map(|counter| &counter.ring)
    }

    /// These counters as they are.
    pub(crate) fn batch(&self, ids: &[Id]) -> Batch {
        let mut rows = Rows::default();
        for &id in ids {
            if let Some(ring) = self.ring(id) {
                rows.add(&self.known, id, *ring);
            }
        }
        let tick = self.changed.tick();
        Batch { node: self.node, tick, now: self.latest, meters: rows.meters, counts: rows.counts }
    }

    pub(crate) fn restore(&mut self, batch: &Batch) {
        let indexes: Vec<Option<u16>> =
            batch.meters.iter().map(|meter| self.index(meter, batch.now)).collect();
        for row in &batch.counts {
            let Some(Some(index)) = indexes.get(usize::from(row.meter)).copied() else { continue };
            let id = Id::new(index, row.key);
            let hash = self.counters.hash(id);
            if let Some(counter) = self.counters.get_mut(id, hash) {
                counter.ring = row.ring;
            } else {
                // There was room for all of them. How much a table takes differs.
                self.insert_within(usize::MAX, id, hash, row.ring, batch.now);
            }
        }
    }

    /// Gives back memory of counters that are idle, a part at a time, and forgets meters that nobody declares and that have none.
    pub(crate) fn sweep(&mut self, now: Time) {
        let tick = self.changed.tick();
        let known = &self.known;
        let part = usize::try_from(tick % PARTS as u64).unwrap_or_default();
        self.counters.sweep(part, |counter| known.is_idle(counter, now));
        if tick.is_multiple_of(SWEEP_OTHERS) && !self.others.is_empty() {
            self.others.sweep(now, |id| Some(known.tracked(id.meter())?.meter.window.slot_millis()));
        }
        for place in &mut self.known.meters {
            if place.as_mut().is_some_and(|tracked| tracked.is_forgotten(now, tick)) {
                *place = None;
            }
        }
    }
}
