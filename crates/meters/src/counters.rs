//! The counters of a node, in bounded memory.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::clock::Time;
use crate::message::Key;
use crate::ring::Ring;

/// A counter's meter, by its index, and its key: one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(u64);

/// The bits of a meter's index.
const METER_BITS: u32 = 11;
const PERSON: u64 = 1 << 61;
const WITHOUT: u64 = 1 << 62;
const VALUE: u64 = (1 << Key::BITS) - 1;

impl Id {
    /// The most meters, counted alike or no longer declared.
    pub(crate) const METERS: u16 = 1 << METER_BITS;

    #[inline]
    pub(crate) fn new(meter: u16, key: Key) -> Self {
        let key = match key {
            Key::Value(value) => value & VALUE,
            Key::Person(subject) => PERSON | subject & VALUE,
            Key::Without => WITHOUT,
        };
        Id(key | u64::from(meter % Self::METERS) << Key::BITS)
    }

    #[allow(clippy::cast_possible_truncation, reason = "eleven bits")]
    pub(crate) fn meter(self) -> u16 {
        (self.0 >> Key::BITS) as u16 % Self::METERS
    }

    pub(crate) fn key(self) -> Key {
        match self.0 {
            id if id & WITHOUT != 0 => Key::Without,
            id if id & PERSON != 0 => Key::Person(id & VALUE),
            id => Key::Value(id & VALUE),
        }
    }
}

/// One counter: a cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Counter {
    pub(crate) id: Id,
    pub(crate) ring: Ring,
    /// The lower bits of the tick in which it changed last.
    pub(crate) changed: u32,
    /// Whether nobody was told of it, as it was made in the tick in which it changed last.
    pub(crate) is_untold: bool,
}

const _: () = assert!(size_of::<Counter>() == 64, "a counter is a cache line");

/// How many parts the counters are in. They grow and are swept one after the other, so that nothing takes long.
pub(crate) const PARTS: usize = 64;

/// A part that was full is not swept again before this, in milliseconds.
const SWEEP_AGAIN: u64 = 1000;

/// The counters of a node.
pub(crate) struct Counters {
    parts: Vec<Part>,
    hasher: DefaultHashBuilder,
    /// What the parts have allocated.
    bytes: usize,
}

#[derive(Clone, Default)]
struct Part {
    table: HashTable<Counter>,
    /// When it was swept as it was full.
    swept: Time,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Counters { parts: vec![Part::default(); PARTS], hasher: DefaultHashBuilder::default(), bytes: 0 }
    }

    #[inline]
    pub(crate) fn hash(&self, id: Id) -> u64 {
        self.hasher.hash_one(id.0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.table.len()).sum()
    }

    #[inline]
    pub(crate) fn get(&self, id: Id, hash: u64) -> Option<&Counter> {
        self.parts[part_of(hash)].table.find(hash, |counter| counter.id == id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: Id, hash: u64) -> Option<&mut Counter> {
        self.parts[part_of(hash)].table.find_mut(hash, |counter| counter.id == id)
    }

    /// None, to copy parts of these into.
    pub(crate) fn empty_copy(&self) -> Self {
        Counters { parts: vec![Part::default(); PARTS], hasher: self.hasher.clone(), bytes: 0 }
    }

    /// Copies a part of others that this is an empty copy of.
    pub(crate) fn copy_part(&mut self, part: usize, from: &Counters) {
        let part = part % PARTS;
        self.parts[part] = from.parts[part].clone();
        self.bytes += self.parts[part].table.allocation_size();
    }

    /// Adds a counter that is not there, if there is room within `limit`. Returns whether there was.
    pub(crate) fn insert(
        &mut self,
        counter: Counter,
        hash: u64,
        now: Time,
        limit: usize,
        is_idle: impl Fn(&Counter) -> bool,
    ) -> bool {
        let part = &mut self.parts[part_of(hash)];
        if part.table.len() == part.table.capacity() {
            if part.swept == Time::default() || part.swept.later(SWEEP_AGAIN) <= now {
                part.swept = now;
                part.table.retain(|counter| !is_idle(counter));
            }
            // The places of what was removed are not counted as free until the table is made anew.
            let places = match part.table.num_buckets() {
                buckets @ 0..8 => buckets.saturating_sub(1),
                buckets => buckets / 8 * 7,
            };
            let before = part.table.allocation_size();
            let hasher = &self.hasher;
            if part.table.len() * 8 < places * 7 {
                let mut table = HashTable::with_capacity(places);
                for counter in part.table.drain() {
                    table.insert_unique(hasher.hash_one(counter.id.0), counter, |counter| {
                        hasher.hash_one(counter.id.0)
                    });
                }
                part.table = table;
            } else {
                let grown = (before * 2).max(8 * size_of::<Counter>());
                if self.bytes - before + grown > limit {
                    return false;
                }
                part.table.reserve(places + 1 - part.table.len(), |counter| hasher.hash_one(counter.id.0));
            }
            self.bytes = self.bytes - before + part.table.allocation_size();
        }
        let hasher = &self.hasher;
        part.table.insert_unique(hash, counter, |counter| hasher.hash_one(counter.id.0));
        true
    }

    /// Removes a counter.
    pub(crate) fn remove(&mut self, id: Id, hash: u64) {
        if let Ok(found) = self.parts[part_of(hash)].table.find_entry(hash, |counter| counter.id == id) {
            found.remove();
        }
    }

    /// Removes what is idle from a part, and gives memory back.
    pub(crate) fn sweep(&mut self, part: usize, is_idle: impl Fn(&Counter) -> bool) {
        let part = &mut self.parts[part % PARTS];
        part.table.retain(|counter| !is_idle(counter));
        if part.table.len() * 4 < part.table.capacity() {
            let before = part.table.allocation_size();
            let hasher = &self.hasher;
            part.table.shrink_to(part.table.len() * 2, |counter| hasher.hash_one(counter.id.0));
            self.bytes = self.bytes - before + part.table.allocation_size();
        }
    }

    /// The counters of a part, below [`PARTS`].
    pub(crate) fn part(&self, part: usize) -> impl Iterator<Item = &Counter> {
        self.parts[part % PARTS].table.iter()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "less than 64")]
#[inline]
fn part_of(hash: u64) -> usize {
    // The table takes its places from the lower bits, and its tags from the upper seven.
    (hash >> 48) as usize % PARTS
}
