//! The division of the set into shards: linear hashing on the upper bits of a subject.

use crate::depth::Depth;

/// When shards are split and merged, in members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Splitting of a level begins when its shards have more members than this on average.
    pub(crate) high: u32,
    /// The number of members by which the set grows between two splits.
    pub(crate) step: u32,
    /// Shards are merged while they have fewer members than this on average. At most half of `high`, or a merge would
    /// require a split.
    pub(crate) low: u32,
}

impl Limits {
    /// A whole level is split while the set grows by 4 %, so that shards have 6,500 to 13,500 members: enough for the
    /// bitset form of a roaring container (over 4,096), and few enough that less than one in five non-members hits a
    /// set bit. At one, ten and a hundred million members the set is well within a level. Merging starts only well
    /// below the size that a split leaves, so that a set whose size fluctuates is not split and merged repeatedly.
    pub(crate) const DEFAULT: Limits = Limits { high: 13_000, step: 512, low: 2_048 };
}

/// The number of shards and the subjects of each: 2^`bits` shards, of which the first `split` have already been split
/// in two. Shards are numbered in the order of their subjects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Level {
    bits: u32,
    split: usize,
}

impl Level {
    pub(crate) const ROOT: Level = Level { bits: 0, split: 0 };

    /// The level of a set that grew from nothing to `len` members.
    pub(crate) fn for_len(len: u64, limits: &Limits) -> Self {
        let (high, step) = (u64::from(limits.high), u64::from(limits.step));
        let mut level = Level::ROOT;
        while level.bits < Depth::MAX && len > (high + step) << level.bits {
            level.bits += 1;
        }
        if level.bits < Depth::MAX {
            let splits = len.saturating_sub(high << level.bits).div_ceil(step);
            level.split = usize::try_from(splits).unwrap_or(usize::MAX);
        }
        level.carried()
    }

    /// Moves on to the next level if all shards have been split.
    fn carried(self) -> Self {
        if self.split >= 1 << self.bits { Level { bits: self.bits + 1, split: 0 } } else { self }
    }

    pub(crate) fn shard_count(self) -> usize {
        (1 << self.bits) + self.split
    }

    /// The depth of all shards, unless a level is being split.
    #[inline]
    pub(crate) fn single_depth(self) -> Option<Depth> {
        (self.split == 0).then(|| Depth::new(self.bits))
    }

    /// The index of the subject's shard, and the shard's depth.
    #[inline]
    pub(crate) fn locate(self, subject: u64) -> (usize, Depth) {
        let coarse = Depth::new(self.bits).shard(subject);
        if coarse < self.split {
            let depth = Depth::new(self.bits + 1);
            (depth.shard(subject), depth)
        } else {
            (coarse + self.split, Depth::new(self.bits))
        }
    }

    /// The smallest subject of a shard, and the shard's depth.
    pub(crate) fn shard(self, index: usize) -> (u64, Depth) {
        if index < 2 * self.split {
            let depth = Depth::new(self.bits + 1);
            (depth.first(index), depth)
        } else {
            let depth = Depth::new(self.bits);
            (depth.first(index - self.split), depth)
        }
    }

    /// Whether a set of `len` members must be split once more.
    pub(crate) fn split_due(self, len: u64, limits: &Limits) -> bool {
        let splits_paid = u64::from(limits.step) * self.split as u64;
        self.bits < Depth::MAX && len > (u64::from(limits.high) << self.bits) + splits_paid
    }

    /// Whether a set of `len` members must be merged once more.
    pub(crate) fn merge_due(self, len: u64, limits: &Limits) -> bool {
        self != Level::ROOT && len < u64::from(limits.low) * self.shard_count() as u64
    }

    /// The level with one more shard, and the index of the shard to split. Its halves have that index and the next.
    pub(crate) fn after_split(self) -> (Self, usize) {
        (Level { bits: self.bits, split: self.split + 1 }.carried(), 2 * self.split)
    }

    /// The level with one shard less, and the index of the first of the two to merge. Must not be called at
    /// [`Level::ROOT`].
    pub(crate) fn after_merge(self) -> (Self, usize) {
        let (bits, split) =
            if self.split == 0 { (self.bits - 1, 1 << (self.bits - 1)) } else { (self.bits, self.split) };
        (Level { bits, split: split - 1 }, 2 * (split - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_msisdn::Subject;

    const SMALL: Limits = Limits { high: 20, step: 3, low: 4 };

    #[test]
    fn the_level_depends_only_on_the_length() {
        for limits in [SMALL, Limits { high: 8, step: 8, low: 4 }, Limits { high: 5, step: 1, low: 2 }] {
            let mut level = Level::ROOT;
            for len in 0..5_000 {
                if level.split_due(len, &limits) {
                    level = level.after_split().0;
                }
                assert!(!level.split_due(len, &limits), "one split per insertion suffices");
                assert_eq!(level, Level::for_len(len, &limits));
                assert!(!level.merge_due(len, &limits));
            }
        }
    }

    #[test]
    fn a_merge_undoes_a_split() {
        let mut level = Level::ROOT;
        for _ in 0..500 {
            let (next, split) = level.after_split();
            assert_eq!(next.after_merge(), (level, split));
            assert_eq!(next.shard_count(), level.shard_count() + 1);
            level = next;
        }
    }

    #[test]
    fn shards_are_contiguous_and_in_order() {
        let mut level = Level::ROOT;
        for _ in 0..300 {
            let mut next = 0;
            for index in 0..level.shard_count() {
                let (first, depth) = level.shard(index);
                assert_eq!(first, next);
                let last = depth.shard_last(first);
                assert_eq!(level.locate(first), (index, depth));
                assert_eq!(level.locate(last), (index, depth));
                next = last + 1;
            }
            assert_eq!(next, Subject::MAX.get() + 1);
            level = level.after_split().0;
        }
    }

    #[test]
    fn the_largest_level_is_never_split() {
        let level = Level::for_len(u64::MAX >> 24, &Limits::DEFAULT);
        assert_eq!(level.shard_count(), 1 << Depth::MAX);
        assert!(!level.split_due(u64::MAX, &Limits::DEFAULT));
        assert_eq!(level.locate(Subject::MAX.get()).0, (1 << Depth::MAX) - 1);
    }
}
