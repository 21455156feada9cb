//! What other nodes have counted.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::clock::Time;
use crate::counters::Id;
use crate::encoding::{DamagedChanges, NodeId};
use crate::ring::Ring;

/// The most other nodes whose counts are known at a time.
const NODES: usize = 64;

/// Clocks of nodes that differ by no more than this, in milliseconds, are taken as the same: what they differ by may be the way that
/// the counts took.
const ALIKE: u64 = 5_000;

/// Why the counts of another node were not taken over. They change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// They can't be read.
    #[error(transparent)]
    Damaged(#[from] DamagedChanges),
    /// There are counts of too many nodes.
    #[error(
        "the counts of {NODES} other nodes are known, and this is another: one must have counted nothing for its windows first"
    )]
    TooManyNodes,
}

/// The counts of other nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    table: HashTable<Rings>,
    hasher: DefaultHashBuilder,
    nodes: Vec<Option<Node>>,
    /// Of the lists of rings.
    list_bytes: usize,
}

/// What all others have counted of a counter.
#[derive(Clone, Debug)]
struct Rings {
    id: Id,
    of: Vec<RingOf>,
    /// Whether there was no room for what some node has counted.
    is_incomplete: bool,
}

#[derive(Clone, Debug)]
struct RingOf {
    node: u8,
    /// The node's tick in which it was so.
    tick: u64,
    ring: Ring,
}

#[derive(Clone, Debug)]
struct Node {
    id: NodeId,
    /// How many rings are of it.
    rings: usize,
    /// The least that its counts were behind this node's time when they came, in milliseconds: what its clock is behind, and the shortest
    /// way that they took.
    behind: i64,
}

impl Others {
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.allocation_size() + self.list_bytes
    }

    /// What the others have counted of this at `now`, in slots of so many milliseconds.
    pub(crate) fn sum(&self, id: Id, now: Time, slot_millis: u64) -> u32 {
        let Some(rings) = self.table.find(self.hasher.hash_one(id), |rings| rings.id == id) else { return 0 };
        rings.of.iter().fold(0, |sum: u32, of| {
            let slot = self.there(of.node, now).as_millis() / slot_millis;
            sum.saturating_add(of.ring.sum(slot))
        })
    }

    /// Whether there was room for all that others have counted of this since it is known.
    pub(crate) fn has_all(&self, id: Id) -> bool {
        let rings = self.table.find(self.hasher.hash_one(id), |rings| rings.id == id);
        rings.is_some_and(|rings| !rings.is_incomplete)
    }

    /// The time at a node.
    fn there(&self, node: u8, now: Time) -> Time {
        let behind = self.nodes.get(usize::from(node)).and_then(Option::as_ref).map_or(0, |node| node.behind);
        let behind = if behind.unsigned_abs() <= ALIKE { 0 } else { behind };
        Time::from_millis(now.as_millis().saturating_add_signed(-behind))
    }

    /// The place of a node of which counts have come, made at `there`.
    pub(crate) fn heard(&mut self, id: NodeId, there: Time, now: Time) -> Result<u8, MergeError> {
        let known = self.nodes.iter().position(|node| node.as_ref().is_some_and(|node| node.id == id));
        let place = match known.or_else(|| self.nodes.iter().position(Option::is_none)) {
            Some(place) => place,
            None if self.nodes.len() < NODES => {
                self.nodes.push(None);
                self.nodes.len() - 1
            }
            None => return Err(MergeError::TooManyNodes),
        };
        // Neither node's time ever goes back, so the least remains right.
        let behind = now.as_millis().cast_signed() - there.as_millis().cast_signed();
        let node = self.nodes[place].get_or_insert(Node { id, rings: 0, behind });
        node.behind = node.behind.min(behind);
        u8::try_from(place).map_err(|_| MergeError::TooManyNodes)
    }

    /// What a node has counted, if it is later than what is known. Returns whether there was room for it.
    pub(crate) fn merge(&mut self, id: Id, node: u8, tick: u64, ring: Ring, room: usize) -> bool {
        let hash = self.hasher.hash_one(id);
        if let Some(rings) = self.table.find_mut(hash, |rings| rings.id == id) {
            if let Some(of) = rings.of.iter_mut().find(|of| of.node == node) {
                if tick >= of.tick {
                    (of.tick, of.ring) = (tick, ring);
                }
                return true;
            }
            if room < size_of::<RingOf>() {
                rings.is_incomplete = true;
                return false;
            }
            rings.of.reserve_exact(1);
            rings.of.push(RingOf { node, tick, ring });
        } else {
            let growth =
                if self.table.len() == self.table.capacity() { self.table.allocation_size() } else { 0 };
            if room < size_of::<RingOf>() + growth {
                return false;
            }
            let hasher = &self.hasher;
            let rings = Rings { id, of: vec![RingOf { node, tick, ring }], is_incomplete: false };
            self.table.insert_unique(hash, rings, |rings| hasher.hash_one(rings.id));
        }
        self.list_bytes += size_of::<RingOf>();
        if let Some(node) = self.nodes.get_mut(usize::from(node)).and_then(Option::as_mut) {
            node.rings += 1;
        }
        true
    }

    /// Removes what is idle: `slot_millis` is `None` for counters of no meter.
    pub(crate) fn sweep(&mut self, now: Time, slot_millis: impl Fn(Id) -> Option<u64>) {
        let mut table = std::mem::take(&mut self.table);
        let mut kept = 0;
        let mut of_node = vec![0; self.nodes.len()];
        table.retain(|rings| {
            let slot_millis = slot_millis(rings.id);
            rings.of.retain(|of| {
                slot_millis
                    .is_some_and(|millis| !of.ring.is_idle(self.there(of.node, now).as_millis() / millis))
            });
            rings.of.iter().for_each(|of| of_node[usize::from(of.node)] += 1);
            kept += rings.of.len();
            !rings.of.is_empty()
        });
        if table.len() * 4 < table.capacity() {
            let hasher = &self.hasher;
            table.shrink_to(table.len() * 2, |rings| hasher.hash_one(rings.id));
        }
        self.table = table;
        self.list_bytes = kept * size_of::<RingOf>();
        for (node, rings) in self.nodes.iter_mut().zip(of_node) {
            if let Some(known) = node {
                known.rings = rings;
            }
            if rings == 0 {
                *node = None;
            }
        }
    }

    /// The counters that others have of a meter.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        self.table.iter().map(|rings| rings.id)
    }
}
