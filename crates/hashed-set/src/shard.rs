//! One shard: the bitmap that strangers are told by, and the members.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use roaring::RoaringBitmap;

use crate::buckets::{Buckets, Removal};
use crate::depth::{Depth, SLOT_BYTES};

/// The members that have the same upper bits, as many as the [`Depth`] says. Which depth that is,
/// is the caller's to know. Takes no memory on the heap until it has a member.
#[derive(Default)]
pub(crate) struct Shard {
    /// The slots of all members: one container.
    slots: RoaringBitmap,
    buckets: Option<Box<Buckets>>,
}

impl Shard {
    /// Whether the subject may be a member: its slot is taken. A stranger's is in one case of five
    /// to ten.
    #[inline]
    pub(crate) fn may_contain(&self, depth: Depth, subject: u64) -> bool {
        self.slots.contains(u32::from(depth.slot(subject)))
    }

    /// Whether it is one.
    #[inline]
    pub(crate) fn contains(&self, depth: Depth, subject: u64) -> bool {
        self.buckets.as_ref().is_some_and(|buckets| buckets.contains(depth, subject))
    }

    /// How many members found their bucket full.
    pub(crate) fn surplus(&self) -> usize {
        self.buckets.as_ref().map_or(0, |buckets| buckets.surplus())
    }

    /// `false` where the subject was a member already.
    pub(crate) fn insert(&mut self, depth: Depth, subject: u64) -> bool {
        let added = self.buckets.get_or_insert_default().insert(depth, subject);
        if added {
            let is_first = self.slots.is_empty();
            self.slots.insert(u32::from(depth.slot(subject)));
            if is_first {
                // A copy has room for the one container that there ever is, and no more.
                self.slots = self.slots.clone();
            }
        }
        added
    }

    pub(crate) fn remove(&mut self, depth: Depth, subject: u64) -> bool {
        let Some(buckets) = &mut self.buckets else { return false };
        match buckets.remove(depth, subject) {
            Removal::Absent => return false,
            Removal::Removed { slot_free: true } => {
                self.slots.remove(u32::from(depth.slot(subject)));
            }
            Removal::Removed { slot_free: false } => {}
        }
        true
    }

    /// Appends the members of a group of buckets, ascending. `first` is the smallest subject of the
    /// shard.
    pub(crate) fn decode_group(&self, depth: Depth, first: u64, group: usize, members: &mut Vec<u64>) {
        if let Some(buckets) = &self.buckets {
            buckets.decode_group(depth, first, group, members);
        }
    }

    /// Gives all members in ascending order and frees them on the way. `first` is the smallest
    /// subject of the shard.
    pub(crate) fn drain(self, depth: Depth, first: u64, each: impl FnMut(u64)) {
        drop(self.slots);
        if let Some(buckets) = self.buckets {
            buckets.drain(depth, first, each);
        }
    }
}

/// Builds shards of members in ascending order, without a search and with nothing to spare.
pub(crate) struct ShardBuilder {
    depth: Depth,
    buckets: Box<Buckets>,
    /// One bit a slot, lowest first.
    slots: Vec<u8>,
}

impl ShardBuilder {
    /// For a shard of that depth.
    pub(crate) fn new(depth: Depth) -> Self {
        ShardBuilder { depth, buckets: Box::default(), slots: vec![0; SLOT_BYTES] }
    }

    /// Adds a member, larger than all before.
    #[inline]
    pub(crate) fn push(&mut self, subject: u64) {
        self.buckets.push(self.depth, subject);
        let slot = self.depth.slot(subject);
        self.slots[usize::from(slot / 8)] |= 1 << (slot % 8);
    }

    /// The shard. The builder is then one for another shard, of the depth `next`.
    pub(crate) fn finish(&mut self, next: Depth) -> Shard {
        self.depth = next;
        if self.buckets.is_empty() {
            return Shard::default();
        }
        let slots = RoaringBitmap::from_lsb0_bytes(0, &self.slots);
        self.slots.fill(0);
        let mut buckets = core::mem::take(&mut self.buckets);
        buckets.count_starts();
        Shard { slots, buckets: Some(buckets) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Shard {
        /// That the bitmap has the members' slots and no others, and the buckets are sound. Returns
        /// the members. `first` is the smallest subject of the shard.
        pub(crate) fn assert_sound(&self, depth: Depth, first: u64) -> Vec<u64> {
            let Some(buckets) = &self.buckets else {
                assert!(self.slots.is_empty());
                return Vec::new();
            };
            let members = buckets.assert_sound(depth, first);
            let slots: RoaringBitmap = members.iter().map(|&member| u32::from(depth.slot(member))).collect();
            assert!(self.slots == slots, "each slot is some member's, and each member's is set");
            members
        }
    }

    #[test]
    fn a_slot_stays_while_a_member_has_it() {
        let depth = Depth::new(3);
        let (mut shard, slot) = (Shard::default(), 0x0_5A5A << 31);
        for rest in [5, 3, 9] {
            assert!(shard.insert(depth, slot | rest));
        }
        for rest in [5, 9, 3] {
            assert!(shard.may_contain(depth, slot));
            assert!(shard.remove(depth, slot | rest));
            assert!(!shard.remove(depth, slot | rest));
            shard.assert_sound(depth, 0);
        }
        assert!(!shard.may_contain(depth, slot));
    }
}
