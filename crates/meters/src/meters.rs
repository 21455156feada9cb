//! The meters of a tenant.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::changed::Changed;
use crate::clock::Time;
use crate::counters::{Counters, Id, PARTS};
use crate::declared::{Declared, DeclaredMeter, MAX_DECLARED, Reservation, TooManyMeters, Unknown};
use crate::encoding::{Batch, DamagedChanges, NodeId};
use crate::known::{Known, Rows, Tracked};
use crate::message::{Key, Message};
use crate::meter::Meter;
use crate::others::{MergeError, Others};
use crate::ring::SLOTS;
use crate::state::State;

/// The memory of a tenant's counters if nothing else is said: room for 400,000 to 800,000 of them.
pub const DEFAULT_BYTES: usize = 64 << 20;

/// What changed is remembered up to this part of the memory.
const CHANGED_SHARE: usize = 32;

/// By how many ticks a node that was restored goes on: those that were not saved don't count as later than what it counts anew.
const UNSAVED_TICKS: u64 = 1 << 20;

/// The counters of one tenant on this node.
///
/// A lock is held for the time of a call: as long as that takes, and about a millisecond at most where memory grows.
pub struct Meters {
    state: Mutex<State>,
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
    /// How many messages were not counted, since the start, as there was no room for a counter.
    pub uncounted: u64,
    /// How many counts of other nodes found no room, since the start.
    pub unmerged: u64,
}

impl Meters {
    /// Meters that have counted nothing, for a node that no other was.
    ///
    /// At most `limit` bytes of memory are taken. A table grows by doubling, so that a counter takes 75 to 150 bytes.
    pub fn new(node: NodeId, limit: usize) -> Self {
        Meters {
            state: Mutex::new(State {
                node,
                limit,
                known: Known { meters: Vec::new() },
                counters: Counters::new(),
                others: Others::default(),
                changed: Changed::new(1, limit / CHANGED_SHARE / size_of::<Id>()),
                telling: 0,
                latest: Time::default(),
                ahead: 0,
                full: None,
                uncounted: 0,
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
        let mut state = meters.state.lock();
        let mut last: Option<(NodeId, u64)> = None;
        for bytes in saved {
            let batch = Batch::decode(bytes)?;
            if last.is_some_and(|(node, _)| node != batch.node) {
                return Err(DamagedChanges("they are of several nodes"));
            }
            last = Some((batch.node, batch.tick));
            state.latest = state.latest.max(batch.now);
            state.restore(&batch);
        }
        if let Some((node, tick)) = last {
            state.node = node;
            let most = limit / CHANGED_SHARE / size_of::<Id>();
            state.changed = Changed::new(tick.saturating_add(UNSAVED_TICKS), most);
            state.ahead = state.latest.as_millis().saturating_sub(now.as_millis());
        }
        drop(state);
        Ok(meters)
    }

    /// Limits the memory anew, in bytes. What takes more already stays.
    pub fn set_limit(&self, limit: usize) {
        self.state.lock().limit = limit;
    }

    /// A copy that counts by itself, for the decisions of a candidate. Takes as much memory.
    pub fn fork(&self) -> Self {
        let mut counters = self.state.lock().counters.empty_copy();
        for part in 0..PARTS {
            counters.copy_part(part, &self.state.lock().counters);
        }
        // Last, so that it has the meters of all counters.
        let state = self.state.lock();
        let meters =
            state.known.meters.iter().map(|tracked| {
                tracked.as_ref().map(|tracked| Tracked { declared: Arc::new(()), ..*tracked })
            });
        Meters {
            state: Mutex::new(State {
                known: Known { meters: meters.collect() },
                counters,
                others: state.others.clone(),
                changed: Changed::new(
                    state.changed.tick() + 1,
                    state.limit / CHANGED_SHARE / size_of::<Id>(),
                ),
                telling: 0,
                uncounted: 0,
                unmerged: 0,
                ..*state
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
        let mut state = self.state.lock();
        let now = state.time(now);
        let mut counters: Vec<DeclaredMeter> = Vec::with_capacity(meters.len());
        for (place, meter) in meters.iter().enumerate() {
            let index = state.index(meter, now).ok_or(TooManyMeters::Lately)?;
            let Some(tracked) = state.known.tracked(index) else { return Err(TooManyMeters::Lately) };
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
    /// Where there is no memory to count it, or there was none for what others have counted of its like, the count is
    /// [unknown](Reservation::unknown): nobody can say whether it is below a ceiling.
    ///
    /// Costs 70 ns, and for each counter that is in no cache of the processor what the memory takes: 800 ns for a person among a million, as
    /// `examples/reserve.rs` measured on a busy machine.
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
        let mut state = self.state.lock();
        let now = state.time(now);
        let (mut uncounted, mut unknown) = (0, 0);
        for (place, counter) in declared.counters.iter().enumerate() {
            let mut is_unknown = state.lacks(counter, message, now);
            if counter.first != place {
                counts[place] = counts[counter.first];
                is_unknown |= unknown >> counter.first & 1 == 1;
            } else if counter.meter.counts(message) {
                let (before, is_counted) = state.add(counter, message, now);
                counts[place] = before;
                uncounted |= u128::from(!is_counted) << place;
                is_unknown |= !is_counted;
            } else {
                counts[place] = state.count(counter, message, now);
            }
            unknown |= u128::from(is_unknown) << place;
        }
        state.uncounted += u64::from(uncounted != 0);
        let unknown = Unknown(unknown);
        Reservation { declared: declared.clone(), message: *message, now, uncounted, unknown }
    }

    /// Writes into `counts` what each of the declared meters has, for this message, at all nodes. Counts nothing. Returns which counts are
    /// not known, as far as that can be told without counting.
    ///
    /// # Panics
    /// If `counts` is not as long as what was declared.
    pub fn peek(&self, declared: &Declared, message: &Message, now: Time, counts: &mut [u32]) -> Unknown {
        assert_eq!(counts.len(), declared.len(), "there is a count for each meter");
        let mut state = self.state.lock();
        let now = state.time(now);
        let mut unknown = 0;
        for (place, (count, counter)) in counts.iter_mut().zip(declared.counters.iter()).enumerate() {
            *count = state.count(counter, message, now);
            let is_full = counter.meter.counts(message) && state.may_be_full(counter, message, now);
            unknown |= u128::from(is_full || state.lacks(counter, message, now)) << place;
        }
        Unknown(unknown)
    }

    /// Takes a message off again that was stopped or not delivered. One that has expired meanwhile is not there any more.
    pub fn release(&self, reservation: &Reservation) {
        let mut state = self.state.lock();
        for (place, counter) in reservation.declared.counters.iter().enumerate() {
            let is_counted = reservation.uncounted >> place & 1 == 0;
            if is_counted && counter.first == place && counter.meter.counts(&reservation.message) {
                state.take(counter, &reservation.message, reservation.now);
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
            let mut state = self.state.lock();
            let now = state.time(now);
            state.sweep(now);
            match state.changed.since(position.0) {
                Some(ids) => {
                    let batch = state.batch(&ids);
                    (batch, state.changed.next(), false)
                }
                None => {
                    let (node, tick) = (state.node, state.changed.tick());
                    let next = state.changed.next();
                    state.telling += 1;
                    drop(state);
                    let all = self.all(node, tick, now);
                    self.state.lock().telling -= 1;
                    (all, next, true)
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
            let state = self.state.lock();
            latest = latest.max(state.latest);
            state.counters.part(part).for_each(|counter| rows.add(&state.known, counter.id, counter.ring));
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
        let mut state = self.state.lock();
        if batch.node == state.node {
            return Ok(());
        }
        let now = state.time(now);
        let node = state.others.heard(batch.node, batch.now, now)?;
        let indexes: Vec<Option<u16>> = batch.meters.iter().map(|meter| state.index(meter, now)).collect();
        for row in &batch.counts {
            let Some(Some(index)) = indexes.get(usize::from(row.meter)).copied() else { continue };
            let room = state
                .limit
                .saturating_sub(state.counters.bytes() + state.others.bytes() + state.changed.most_bytes());
            if !state.others.merge(Id::new(index, row.key), node, batch.tick, row.ring, room) {
                state.unmerged += 1;
                if let Some(tracked) = state.known.tracked_mut(index) {
                    let longest = SLOTS as u64 * tracked.meter.window.slot_millis();
                    tracked.lacks_until = tracked.lacks_until.max(now.later(longest));
                }
            }
        }
        Ok(())
    }

    /// The memory.
    pub fn usage(&self) -> Usage {
        let state = self.state.lock();
        Usage {
            bytes: state.bytes(),
            limit: state.limit,
            counters: state.counters.len(),
            uncounted: state.uncounted,
            unmerged: state.unmerged,
        }
    }

    /// The highest counts of a meter at all nodes, the highest first, at most `most`. Scans all counters.
    pub fn highest(&self, meter: &Meter, most: usize, now: Time) -> Vec<Count> {
        let mut counts: HashMap<Id, Count> = HashMap::new();
        for part in 0..=PARTS {
            let mut state = self.state.lock();
            let now = state.time(now);
            let Some(index) = state.known.find(meter) else { return Vec::new() };
            let ids: Vec<Id> = match part {
                PARTS => state.others.ids().collect(),
                part => state.counters.part(part).map(|counter| counter.id).collect(),
            };
            for id in ids.into_iter().filter(|id| id.meter() == index) {
                let count = Count { key: id.key(), count: state.total(id, now, meter.window.slot_millis()) };
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
