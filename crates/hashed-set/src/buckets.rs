//! The members of a shard, packed in buckets.

use alloc::vec::Vec;

use crate::depth::{BUCKETS, Depth};
use crate::entries::Entries;

/// Neighbouring buckets whose counts are added up to find where one of them begins: two words.
const GROUP: usize = 16;
const GROUP_WORDS: usize = GROUP / 8;
/// Groups of a shard.
pub(crate) const GROUPS: usize = BUCKETS / GROUP;

/// The most members a bucket holds. Two words of counts are then added without a carry from byte
/// to byte, and the start of a group fits 16 bits. A bucket has 3 to 7 members on average: among
/// 10^10 that are spread evenly, not one is surplus.
const BUCKET_MAX: u8 = 31;

/// What became of a subject that was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Insertion {
    Added,
    Already,
    /// It is not in its bucket, and the bucket is full.
    Full,
}

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
pub(crate) struct Buckets {
    /// How many members stand before each group. Exact only where
    /// [`count_starts`](Self::count_starts) came after the last `push`.
    starts: [u16; GROUPS],
    counts: [u8; BUCKETS],
    entries: Entries,
}

impl Default for Buckets {
    fn default() -> Self {
        Buckets { starts: [0; GROUPS], counts: [0; BUCKETS], entries: Entries::default() }
    }
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

    pub(crate) fn contains(&self, depth: Depth, subject: u64) -> bool {
        let (bucket, rest) = (depth.bucket(subject), depth.rest(subject));
        let (start, count) = (self.start(bucket), usize::from(self.counts[bucket]));
        let entries = &self.entries;
        count > 0 && at_width!(depth, entries.contains(start, count, rest))
    }

    pub(crate) fn insert(&mut self, depth: Depth, subject: u64) -> Insertion {
        let bucket = depth.bucket(subject);
        let (place, found) = self.find(depth, subject);
        if found {
            return Insertion::Already;
        }
        if self.counts[bucket] == BUCKET_MAX {
            return Insertion::Full;
        }
        let entries = &mut self.entries;
        at_width!(depth, entries.insert(place, depth.rest(subject)));
        self.counts[bucket] += 1;
        self.starts[bucket / GROUP + 1..].iter_mut().for_each(|start| *start += 1);
        Insertion::Added
    }

    pub(crate) fn remove(&mut self, depth: Depth, subject: u64) -> Removal {
        let (place, found) = self.find(depth, subject);
        if !found {
            return Removal::Absent;
        }
        let bucket = depth.bucket(subject);
        let entries = &mut self.entries;
        at_width!(depth, entries.remove(place));
        self.counts[bucket] -= 1;
        self.starts[bucket / GROUP + 1..].iter_mut().for_each(|start| *start -= 1);

        // Members of one slot are neighbours in one bucket: only the two beside the gap can have
        // it.
        let start = self.start(bucket);
        let left = start..start + usize::from(self.counts[bucket]);
        let entries = &self.entries;
        let slot_free = [place.wrapping_sub(1), place].into_iter().all(|neighbour| {
            !left.contains(&neighbour)
                || !depth.same_slot(at_width!(depth, entries.get(neighbour)), depth.rest(subject))
        });
        Removal::Removed { slot_free }
    }

    /// Adds a member, larger than all before. `false` where its bucket is full.
    /// [`count_starts`](Self::count_starts) is due after the last one.
    #[inline]
    pub(crate) fn push(&mut self, depth: Depth, subject: u64) -> bool {
        let count = &mut self.counts[depth.bucket(subject)];
        if *count == BUCKET_MAX {
            return false;
        }
        *count += 1;
        let entries = &mut self.entries;
        at_width!(depth, entries.push(depth.rest(subject)));
        true
    }

    pub(crate) fn count_starts(&mut self) {
        let mut before = 0;
        for (start, group) in self.starts.iter_mut().zip(self.counts.chunks(GROUP)) {
            *start = before;
            before += group.iter().map(|&count| u16::from(count)).sum::<u16>();
        }
    }

    /// Appends the members of a group, ascending. `first` is the smallest subject of the shard.
    pub(crate) fn decode_group(&self, depth: Depth, first: u64, group: usize, members: &mut Vec<u64>) {
        at_width!(depth, self.decode_group_packed(depth, first, group, members));
    }

    fn decode_group_packed<const WIDTH: usize>(
        &self,
        depth: Depth,
        first: u64,
        group: usize,
        members: &mut Vec<u64>,
    ) {
        let counts = &self.counts[group * GROUP..][..GROUP];
        let count = counts.iter().map(|&count| usize::from(count)).sum();
        let from = members.len();
        self.entries.decode::<WIDTH>(usize::from(self.starts[group]), count, members);
        let mut members = &mut members[from..];
        for (bucket, &count) in counts.iter().enumerate() {
            let first = depth.bucket_first(first, group * GROUP + bucket);
            let (of_bucket, others) = members.split_at_mut(usize::from(count));
            of_bucket.iter_mut().for_each(|member| *member |= first);
            members = others;
        }
    }

    /// The group that the subject would be in.
    pub(crate) fn group(depth: Depth, subject: u64) -> usize {
        depth.bucket(subject) / GROUP
    }

    /// Gives all members in ascending order and frees them on the way. `first` is the smallest
    /// subject of the shard.
    pub(crate) fn drain(self, depth: Depth, first: u64, mut each: impl FnMut(u64)) {
        let Buckets { counts, entries, .. } = self;
        let (mut bucket, mut left) = (0, counts[0]);
        let each = |entry| {
            while left == 0 {
                bucket += 1;
                left = counts[bucket];
            }
            left -= 1;
            each(depth.bucket_first(first, bucket) | entry);
        };
        at_width!(depth, entries.drain(each));
    }

    /// The place where the subject stands, or would stand, and whether it does.
    fn find(&self, depth: Depth, subject: u64) -> (usize, bool) {
        at_width!(depth, self.find_packed(depth.bucket(subject), depth.rest(subject)))
    }

    fn find_packed<const WIDTH: usize>(&self, bucket: usize, rest: u64) -> (usize, bool) {
        let start = self.start(bucket);
        let entries = self.entries.iter_from::<WIDTH>(start).take(usize::from(self.counts[bucket]));
        let (smaller, found) = entries.fold((0, false), |(smaller, found), entry| {
            (smaller + usize::from(entry < rest), found | (entry == rest))
        });
        (start + smaller, found)
    }

    /// How many members stand before a bucket. Without a branch, for which bucket is asked for is
    /// never foreseen.
    #[inline]
    fn start(&self, bucket: usize) -> usize {
        let (group, bucket) = (bucket / GROUP, bucket % GROUP);
        let words = self.counts.as_chunks::<8>().0;
        let words = &words[group * GROUP_WORDS..][..GROUP_WORDS];
        let (whole, partial) = (bucket / 8, (1 << (bucket % 8 * 8)) - 1);
        let mut sums = 0;
        for (n, &word) in words.iter().enumerate() {
            let mask = if n < whole { u64::MAX } else { partial };
            let mask = if n > whole { 0 } else { mask };
            sums += u64::from_le_bytes(word) & mask;
        }
        usize::from(self.starts[group]) + sum_of_bytes(sums)
    }
}

/// The sum of a word's eight bytes.
#[inline]
fn sum_of_bytes(word: u64) -> usize {
    const EVEN: u64 = 0x00FF_00FF_00FF_00FF;
    let pairs = (word & EVEN) + (word >> 8 & EVEN);
    (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Buckets {
        /// That the counts tell where the members are, and the members ascend. Returns them.
        /// `first` is the smallest subject of the shard.
        pub(crate) fn assert_sound(&self, depth: Depth, first: u64) -> Vec<u64> {
            let mut members = Vec::new();
            for group in 0..GROUPS {
                assert_eq!(usize::from(self.starts[group]), members.len());
                self.decode_group(depth, first, group, &mut members);
            }
            assert_eq!(members.len(), self.entries.len());
            assert!(members.is_sorted_by(|one, next| one < next));
            for bucket in 0..BUCKETS {
                let of_bucket = &members[self.start(bucket)..][..usize::from(self.counts[bucket])];
                assert!(of_bucket.iter().all(|&member| depth.bucket(member) == bucket));
                assert!(self.counts[bucket] <= BUCKET_MAX);
            }
            members
        }
    }

    #[test]
    fn a_full_bucket_takes_no_more_until_one_leaves() {
        let depth = Depth::new(7);
        let mut buckets = Buckets::default();
        for rest in 0..u64::from(BUCKET_MAX) {
            assert_eq!(buckets.insert(depth, 2 * rest), Insertion::Added);
        }
        assert_eq!(buckets.insert(depth, 4), Insertion::Already);
        assert_eq!(buckets.insert(depth, 5), Insertion::Full);
        assert_eq!(buckets.remove(depth, 4), Removal::Removed { slot_free: false });
        assert_eq!(buckets.remove(depth, 4), Removal::Absent);
        assert_eq!(buckets.insert(depth, 5), Insertion::Added);
        buckets.assert_sound(depth, 0);
    }

    #[test]
    fn all_buckets_may_be_full() {
        let depth = Depth::new(20);
        let mut buckets = Buckets::default();
        for bucket in 0..BUCKETS {
            for rest in 0..u64::from(BUCKET_MAX) {
                assert!(buckets.push(depth, depth.bucket_first(0, bucket) | rest));
            }
        }
        buckets.count_starts();
        assert_eq!(buckets.assert_sound(depth, 0).len(), BUCKETS * usize::from(BUCKET_MAX));
    }
}
