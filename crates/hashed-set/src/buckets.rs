//! The members of a shard, packed into buckets.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::depth::{BUCKETS, Depth};
use crate::entries::Entries;

/// The number of adjacent buckets whose counts share a word. The counts are added up to find where a bucket begins.
const GROUP: usize = 16;
/// The number of groups in a shard.
pub(crate) const GROUPS: usize = BUCKETS / GROUP;

/// The number of bits in a count.
const COUNT_BITS: usize = 4;
/// The capacity of a bucket; further members go to the surplus. A count then fits into half a byte, and the counts of a
/// group can be added without carries between them. A bucket has 3 to 7 members on average: of 10,000 uniformly
/// distributed members, at most three are surplus.
const BUCKET_MAX: usize = (1 << COUNT_BITS) - 1;

/// The result of removing a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Removal {
    Absent,
    /// Removed. `slot_free` says whether no other member has the same slot.
    Removed {
        slot_free: bool,
    },
}

/// Members in ascending order. Each is stored as the bits below its bucket, in whole bytes. The caller must pass the
/// same depth to every call.
#[derive(Default)]
pub(crate) struct Buckets {
    groups: Groups,
    entries: Entries,
    /// Complete members whose bucket was full. If a bucket has surplus members it is full, so only lookups in full
    /// buckets search here.
    surplus: BTreeSet<u64>,
}

/// The number of members in each bucket.
struct Groups {
    /// The number of members before each group. Exact only if [`count_starts`](Buckets::count_starts) was called after
    /// the last `push`.
    starts: [u16; GROUPS],
    /// The counts of each group's buckets, the first in the lowest bits.
    counts: [u64; GROUPS],
}

impl Default for Groups {
    fn default() -> Self {
        Groups { starts: [0; GROUPS], counts: [0; GROUPS] }
    }
}

impl Groups {
    /// The number of members before a bucket, and in it. Branch-free, because the bucket is unpredictable.
    #[inline]
    fn find(&self, bucket: usize) -> (usize, usize) {
        let (group, shift) = (bucket / GROUP, bucket % GROUP * COUNT_BITS);
        let counts = self.counts[group];
        let before = counts & ((1 << shift) - 1);
        (usize::from(self.starts[group]) + sum(before), count(counts >> shift))
    }

    /// Counts one more member in a bucket.
    fn add(&mut self, bucket: usize) {
        self.counts[bucket / GROUP] += 1 << (bucket % GROUP * COUNT_BITS);
        self.starts[bucket / GROUP + 1..].iter_mut().for_each(|start| *start += 1);
    }

    /// Counts one member less in a bucket.
    fn subtract(&mut self, bucket: usize) {
        self.counts[bucket / GROUP] -= 1 << (bucket % GROUP * COUNT_BITS);
        self.starts[bucket / GROUP + 1..].iter_mut().for_each(|start| *start -= 1);
    }
}

/// The count in the lowest bits.
#[expect(clippy::cast_possible_truncation, reason = "four bits")]
const fn count(counts: u64) -> usize {
    counts as usize & BUCKET_MAX
}

/// The sum of the counts of a group: at most 240.
#[inline]
const fn sum(counts: u64) -> usize {
    const EVEN: u64 = 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (counts & EVEN) + (counts >> COUNT_BITS & EVEN);
    (pairs.wrapping_mul(0x0101_0101_0101_0101) >> 56) as usize
}

/// Calls a method that is generic over the width of an entry with the width for the depth.
macro_rules! at_width {
    ($depth:expr, $self:ident.$method:ident($($argument:expr),*)) => {
        match $depth.width() {
            3 => $self.$method::<3>($($argument),*),
            4 => $self.$method::<4>($($argument),*),
            _ => $self.$method::<5>($($argument),*),
        }
    };
}

impl Buckets {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// The number of surplus members.
    pub(crate) fn surplus(&self) -> usize {
        self.surplus.len()
    }

    pub(crate) fn contains(&self, depth: Depth, subject: u64) -> bool {
        let (start, count) = self.groups.find(depth.bucket(subject));
        let (entries, rest) = (&self.entries, depth.rest(subject));
        count > 0 && at_width!(depth, entries.contains(start, count, rest))
            || count == BUCKET_MAX && self.is_surplus(subject)
    }

    #[cold]
    fn is_surplus(&self, subject: u64) -> bool {
        self.surplus.contains(&subject)
    }

    /// Returns `false` if the subject was already a member.
    pub(crate) fn insert(&mut self, depth: Depth, subject: u64) -> bool {
        let bucket = depth.bucket(subject);
        let (start, count) = self.groups.find(bucket);
        let (smaller, found) = self.search(depth, start, count, subject);
        if found {
            return false;
        }
        if count == BUCKET_MAX {
            return self.surplus.insert(subject);
        }
        let entries = &mut self.entries;
        at_width!(depth, entries.insert(start + smaller, depth.rest(subject)));
        self.groups.add(bucket);
        true
    }

    pub(crate) fn remove(&mut self, depth: Depth, subject: u64) -> Removal {
        let bucket = depth.bucket(subject);
        let (start, count) = self.groups.find(bucket);
        let (smaller, found) = self.search(depth, start, count, subject);
        let full = count == BUCKET_MAX;
        if found {
            let entries = &mut self.entries;
            at_width!(depth, entries.remove(start + smaller));
            self.groups.subtract(bucket);
            if full {
                self.refill(depth, subject);
            }
        } else if !(full && self.surplus.remove(&subject)) {
            return Removal::Absent;
        }

        let slot_free = !at_width!(depth, self.has_slot(depth, subject))
            && self.surplus.range(depth.slot_range(subject)).next().is_none();
        Removal::Removed { slot_free }
    }

    /// Whether a member in the subject's bucket has the same slot. Ignores the surplus.
    fn has_slot<const WIDTH: usize>(&self, depth: Depth, subject: u64) -> bool {
        let (start, count) = self.groups.find(depth.bucket(subject));
        let mut entries = self.entries.iter_from::<WIDTH>(start).take(count);
        entries.any(|entry| depth.same_slot(entry, depth.rest(subject)))
    }

    /// Moves a member from the surplus to the subject's bucket, which has room for it.
    #[cold]
    fn refill(&mut self, depth: Depth, subject: u64) {
        let next = self.surplus.range(depth.bucket_range(subject)).next().copied();
        if let Some(member) = next {
            self.surplus.remove(&member);
            self.insert(depth, member);
        }
    }

    /// Appends a member, which must be larger than all others. Call [`count_starts`](Self::count_starts) after the last
    /// one.
    #[inline]
    pub(crate) fn push(&mut self, depth: Depth, subject: u64) {
        let bucket = depth.bucket(subject);
        let (counts, shift) = (&mut self.groups.counts[bucket / GROUP], bucket % GROUP * COUNT_BITS);
        if count(*counts >> shift) == BUCKET_MAX {
            self.surplus.insert(subject);
            return;
        }
        *counts += 1 << shift;
        let entries = &mut self.entries;
        at_width!(depth, entries.push(depth.rest(subject)));
    }

    #[expect(clippy::cast_possible_truncation, reason = "a shard's buckets hold at most 30,720")]
    pub(crate) fn count_starts(&mut self) {
        let mut before = 0;
        for (start, &counts) in self.groups.starts.iter_mut().zip(&self.groups.counts) {
            *start = before;
            before += sum(counts) as u16;
        }
    }

    /// Appends the members of a group to `members`, in ascending order. `first` is the smallest subject of the shard.
    pub(crate) fn decode_group(&self, depth: Depth, first: u64, group: usize, members: &mut Vec<u64>) {
        let from = members.len();
        at_width!(depth, self.decode_group_packed(depth, first, group, members));
        if !self.surplus.is_empty() {
            let first = depth.bucket_first(first, group * GROUP);
            let last = depth.bucket_first(first, group * GROUP + GROUP - 1);
            members.extend(self.surplus.range(first..=*depth.bucket_range(last).end()));
            members[from..].sort_unstable();
        }
    }

    fn decode_group_packed<const WIDTH: usize>(
        &self,
        depth: Depth,
        first: u64,
        group: usize,
        members: &mut Vec<u64>,
    ) {
        let mut counts = self.groups.counts[group];
        let from = members.len();
        self.entries.decode::<WIDTH>(usize::from(self.groups.starts[group]), sum(counts), members);
        let mut members = &mut members[from..];
        for bucket in group * GROUP..(group + 1) * GROUP {
            let first = depth.bucket_first(first, bucket);
            let (of_bucket, others) = members.split_at_mut(count(counts));
            of_bucket.iter_mut().for_each(|member| *member |= first);
            members = others;
            counts >>= COUNT_BITS;
        }
    }

    /// The group that the subject would be in.
    pub(crate) fn group(depth: Depth, subject: u64) -> usize {
        depth.bucket(subject) / GROUP
    }

    /// Calls `each` with all members in ascending order, and frees their memory on the way. `first` is the smallest
    /// subject of the shard.
    pub(crate) fn drain(self, depth: Depth, first: u64, mut each: impl FnMut(u64)) {
        let Buckets { groups, entries, mut surplus } = self;
        let counts = |bucket: usize| count(groups.counts[bucket / GROUP] >> (bucket % GROUP * COUNT_BITS));
        let (mut bucket, mut left) = (0, counts(0));
        let in_order = |entry| {
            while left == 0 {
                bucket += 1;
                left = counts(bucket);
            }
            left -= 1;
            let member = depth.bucket_first(first, bucket) | entry;
            while let Some(smaller) = pop_below(&mut surplus, member) {
                each(smaller);
            }
            each(member);
        };
        at_width!(depth, entries.drain(in_order));
        surplus.into_iter().for_each(each);
    }

    /// Searches the subject's bucket, which has `count` members from index `start`. Returns how many are smaller than
    /// the subject, and whether it is a member.
    fn search(&self, depth: Depth, start: usize, count: usize, subject: u64) -> (usize, bool) {
        at_width!(depth, self.search_packed(start, count, depth.rest(subject)))
    }

    fn search_packed<const WIDTH: usize>(&self, start: usize, count: usize, rest: u64) -> (usize, bool) {
        let entries = self.entries.iter_from::<WIDTH>(start).take(count);
        entries.fold((0, false), |(smaller, found), entry| {
            (smaller + usize::from(entry < rest), found | (entry == rest))
        })
    }
}

fn pop_below(set: &mut BTreeSet<u64>, bound: u64) -> Option<u64> {
    if *set.first()? < bound { set.pop_first() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Buckets {
        /// Asserts that the counts are right, the members ascend, and only full buckets have a surplus. Returns the
        /// members. `first` is the smallest subject of the shard.
        pub(crate) fn assert_sound(&self, depth: Depth, first: u64) -> Vec<u64> {
            let (mut members, mut before) = (Vec::new(), 0);
            for group in 0..GROUPS {
                assert_eq!(usize::from(self.groups.starts[group]), before);
                before += sum(self.groups.counts[group]);
                self.decode_group(depth, first, group, &mut members);
            }
            assert_eq!(before, self.entries.len());
            assert_eq!(members.len(), self.entries.len() + self.surplus.len());
            assert!(members.is_sorted_by(|one, next| one < next));
            let mut place = 0;
            for bucket in 0..BUCKETS {
                let (start, count) = self.groups.find(bucket);
                assert_eq!(start, place);
                place += count;
                let bounds = depth.bucket_range(depth.bucket_first(first, bucket));
                let of_bucket = members.iter().filter(|member| bounds.contains(member)).count();
                let surplus = self.surplus.range(bounds).count();
                assert_eq!(of_bucket, count + surplus);
                assert!(surplus == 0 || count == BUCKET_MAX);
            }
            members
        }
    }

    #[test]
    fn surplus_members_return_to_their_bucket_when_it_has_room() {
        let depth = Depth::new(7);
        let mut buckets = Buckets::default();
        let many = 2 * BUCKET_MAX as u64;
        for rest in 0..many {
            assert!(buckets.insert(depth, 3 * rest));
            assert!(!buckets.insert(depth, 3 * rest));
        }
        assert_eq!(buckets.surplus(), BUCKET_MAX);
        buckets.assert_sound(depth, 0);
        for rest in 0..many {
            assert!(buckets.contains(depth, 3 * rest) && !buckets.contains(depth, 3 * rest + 1));
            assert_eq!(buckets.remove(depth, 3 * rest + 1), Removal::Absent);
        }
        for rest in (0..many).map(|n| 3 * (n * 7 % many)) {
            let last = buckets.entries.len() == 1;
            assert_eq!(buckets.remove(depth, rest), Removal::Removed { slot_free: last });
            assert_eq!(buckets.remove(depth, rest), Removal::Absent);
            buckets.assert_sound(depth, 0);
        }
        assert!(buckets.is_empty());
    }

    #[test]
    fn all_buckets_can_be_full() {
        let depth = Depth::new(20);
        let (mut buckets, mut drained) = (Buckets::default(), Vec::new());
        let members =
            (0..BUCKETS).flat_map(|bucket| (0..20).map(move |rest| depth.bucket_first(0, bucket) | rest));
        let members: Vec<u64> = members.collect();
        members.iter().for_each(|&member| buckets.push(depth, member));
        buckets.count_starts();
        assert_eq!(buckets.surplus(), BUCKETS * (20 - BUCKET_MAX));
        assert_eq!(buckets.assert_sound(depth, 0), members);
        buckets.drain(depth, 0, |member| drained.push(member));
        assert_eq!(drained, members);
    }
}
