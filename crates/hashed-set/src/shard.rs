//! A shard: a bitmap that rules out most non-members, and the members.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use roaring::RoaringBitmap;

use crate::buckets::{Buckets, Removal};
use crate::depth::{Depth, SLOT_BYTES};

/// The members with the same upper bits, as many bits as the [`Depth`] says. The caller must pass the same depth to
/// every call. Does not allocate until it has a member.
#[derive(Default)]
pub(crate) struct Shard {
    /// The slots of all members, in one container.
    slots: RoaringBitmap,
    buckets: Option<Box<Buckets>>,
}

impl Shard {
    /// Whether the subject's slot is taken, so that it may be a member. True for one in five to ten non-members.
    #[inline]
    pub(crate) fn may_contain(&self, depth: Depth, subject: u64) -> bool {
        self.slots.contains(u32::from(depth.slot(subject)))
    }

    /// Whether the subject is a member.
    #[inline]
    pub(crate) fn contains(&self, depth: Depth, subject: u64) -> bool {
        self.buckets.as_ref().is_some_and(|buckets| buckets.contains(depth, subject))
    }

    /// The number of members whose bucket was full.
    pub(crate) fn surplus(&self) -> usize {
        self.buckets.as_ref().map_or(0, |buckets| buckets.surplus())
    }

    /// Returns `false` if the subject was already a member.
    pub(crate) fn insert(&mut self, depth: Depth, subject: u64) -> bool {
        let added = self.buckets.get_or_insert_default().insert(depth, subject);
        if added {
            let is_first = self.slots.is_empty();
            self.slots.insert(u32::from(depth.slot(subject)));
            if is_first {
                // A clone has no spare capacity, and there is never more than one container.
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

    /// Appends the members of a group of buckets to `members`, in ascending order. `first` is the smallest subject of
    /// the shard.
    pub(crate) fn decode_group(&self, depth: Depth, first: u64, group: usize, members: &mut Vec<u64>) {
        if let Some(buckets) = &self.buckets {
            buckets.decode_group(depth, first, group, members);
        }
    }

    /// Calls `each` with all members in ascending order, and frees their memory on the way. `first` is the smallest
    /// subject of the shard.
    pub(crate) fn drain(self, depth: Depth, first: u64, each: impl FnMut(u64)) {
        drop(self.slots);
        if let Some(buckets) = self.buckets {
            buckets.drain(depth, first, each);
        }
    }
}

/// Builds shards from ascending members, without searching or spare capacity.
pub(crate) struct ShardBuilder {
    depth: Depth,
    buckets: Box<Buckets>,
    /// One bit per slot, least significant bit first.
    slots: Vec<u8>,
}

impl ShardBuilder {
    /// Creates a builder for a shard of this depth.
    pub(crate) fn new(depth: Depth) -> Self {
        ShardBuilder { depth, buckets: Box::default(), slots: vec![0; SLOT_BYTES] }
    }

    /// Appends a member, which must be larger than all others.
    #[inline]
    pub(crate) fn push(&mut self, subject: u64) {
        self.buckets.push(self.depth, subject);
        let slot = self.depth.slot(subject);
        self.slots[usize::from(slot / 8)] |= 1 << (slot % 8);
    }

    /// Returns the shard, and resets the builder for a shard of the depth `next`.
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
        /// Asserts that the bitmap has exactly the members' slots, and that the buckets are consistent. Returns the
        /// members. `first` is the smallest subject of the shard.
        pub(crate) fn assert_sound(&self, depth: Depth, first: u64) -> Vec<u64> {
            let Some(buckets) = &self.buckets else {
                assert!(self.slots.is_empty());
                return Vec::new();
            };
            let members = buckets.assert_sound(depth, first);
            let slots: RoaringBitmap = members.iter().map(|&member| u32::from(depth.slot(member))).collect();
            assert!(self.slots == slots, "exactly the members' slots are set");
            members
        }
    }

    #[test]
    fn a_slot_stays_set_while_a_member_has_it() {
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
