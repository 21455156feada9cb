//! The members of a shard, packed in buckets.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::depth::{BUCKETS, Depth};
use crate::entries::Entries;

/// Neighbouring buckets whose counts stand in one word, and are added up to find where one of them
/// begins.
const GROUP: usize = 16;
/// Groups of a shard.
pub(crate) const GROUPS: usize = BUCKETS / GROUP;

/// Bits of a count.
const COUNT_BITS: usize = 4;
/// The most members that stand in a bucket; the others are surplus. So a count is half a byte, and
/// the counts of a group are added without a carry from one to the next. A bucket has 3 to 7
/// members on average: of 10,000 that are spread evenly, up to three are surplus.
const BUCKET_MAX: usize = (1 << COUNT_BITS) - 1;

/// What became of a subject that was to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Removal {
    Absent,
    /// Removed, and `slot_free` where no other member has its slot.
    Removed {
        slot_free: bool,
    },
}

/// Members in ascending order. Of each, the bits below its bucket are stored, in whole bytes. Which
/// depth the shard has is the caller's to know: it is the same in each call.
#[derive(Default)]
pub(crate) struct Buckets {
    groups: Groups,
    entries: Entries,
    /// The members for whom there was no room in their bucket, whole. A bucket that has such is
    /// full: so only who meets a full one looks here.
    surplus: BTreeSet<u64>,
}

/// How many members each bucket has.
struct Groups {
    /// How many members stand before each group. Exact only where
    /// [`count_starts`](Buckets::count_starts) came after the last `push`.
    starts: [u16; GROUPS],
    /// The counts of a group's buckets, the first lowest.
    counts: [u64; GROUPS],
}

impl Default for Groups {
    fn default() -> Self {
        Groups { starts: [0; GROUPS], counts: [0; GROUPS] }
    }
}

impl Groups {
    /// How many members stand before a bucket, and in it. Without a branch, for which bucket is
    /// asked for is never foreseen.
    #[inline]
    fn find(&self, bucket: usize) -> (usize, usize) {
        let (group, shift) = (bucket / GROUP, bucket % GROUP * COUNT_BITS);
        let counts = self.counts[group];
        let before = counts & ((1 << shift) - 1);
        (usize::from(self.starts[group]) + sum(before), count(counts >> shift))
    }

    /// One member more in a bucket, before which members are counted.
    fn add(&mut self, bucket: usize) {
        self.counts[bucket / GROUP] += 1 << (bucket % GROUP * COUNT_BITS);
        self.starts[bucket / GROUP + 1..].iter_mut().for_each(|start| *start += 1);
    }

    /// One member less.
    fn subtract(&mut self, bucket: usize) {
        self.counts[bucket / GROUP] -= 1 << (bucket % GROUP * COUNT_BITS);
        self.starts[bucket / GROUP + 1..].iter_mut().for_each(|start| *start -= 1);
    }
}

/// The lowest of a group's counts.
#[expect(clippy::cast_possible_truncation, reason = "four bits")]
const fn count(counts: u64) -> usize {
    counts as usize & BUCKET_MAX
}

/// The counts of a group, added up: at most 240.
#[inline]
const fn sum(counts: u64) -> usize {
    const EVEN: u64 = 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (counts & EVEN) + (counts >> COUNT_BITS & EVEN);
    (pairs.wrapping_mul(0x0101_0101_0101_0101) >> 56) as usize
}

/// Calls a method that is generic over the width of an entry with the width of the depth.
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

    /// How many members found their bucket full.
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

    /// `false` where the subject was a member already.
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

    /// Whether one of those that stand in the subject's bucket has its slot.
    fn has_slot<const WIDTH: usize>(&self, depth: Depth, subject: u64) -> bool {
        let (start, count) = self.groups.find(depth.bucket(subject));
        let mut entries = self.entries.iter_from::<WIDTH>(start).take(count);
        entries.any(|entry| depth.same_slot(entry, depth.rest(subject)))
    }

    /// Brings a member from the surplus back to the subject's bucket, in which there is room.
    #[cold]
    fn refill(&mut self, depth: Depth, subject: u64) {
        let next = self.surplus.range(depth.bucket_range(subject)).next().copied();
        if let Some(member) = next {
            self.surplus.remove(&member);
            self.insert(depth, member);
        }
    }

    /// Adds a member, larger than all before. [`count_starts`](Self::count_starts) is due after the
    /// last one.
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

    /// Appends the members of a group, ascending. `first` is the smallest subject of the shard.
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

    /// Gives all members in ascending order and frees them on the way. `first` is the smallest
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

    /// Of the `count` members from `start` on, which are the subject's bucket: how many are smaller
    /// than the subject, and whether it is one of them.
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
        /// That the counts tell where the members are, the members ascend, and only a full bucket
        /// has a surplus. Returns the members. `first` is the smallest subject of the shard.
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
    fn what_a_full_bucket_has_no_room_for_comes_back_when_it_has() {
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
    fn all_buckets_may_be_full() {
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
