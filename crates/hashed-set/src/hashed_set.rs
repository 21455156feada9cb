//! The set of subjects.

use alloc::vec::Vec;
use core::fmt;

use portcullis_msisdn::Subject;

use crate::builder::{Built, SetBuilder};
use crate::depth::Depth;
use crate::level::{Level, Limits};
use crate::members::Members;
use crate::shard::{Shard, ShardBuilder};

/// The surplus from which a shard is considered crowded. If members are uniformly distributed, even ten are unusual.
const CROWD: usize = 64;

/// An exact, ordered set of subjects. It takes 4.9 to 5.9 bytes per member from 832,000 members (5.5 at a million), up
/// to 7 from 10,000, and 4 KiB for the first member.
///
/// An insertion or a removal changes one shard, and splits or merges at most one more. It takes hundreds of
/// nanoseconds, and hundreds of microseconds in the worst case, independent of the set's size. Methods whose cost grows
/// with the set say so.
pub struct HashedSet {
    pub(crate) level: Level,
    /// All shards of the level; none until the first member is inserted.
    pub(crate) shards: Vec<Shard>,
    len: usize,
    /// The expected number of members: see [`recut`](Self::recut).
    expected: usize,
    limits: Limits,
}

impl Default for HashedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl HashedSet {
    /// Creates an empty set. Does not allocate.
    pub const fn new() -> Self {
        Self::with_limits(Limits::DEFAULT)
    }

    pub(crate) const fn with_limits(limits: Limits) -> Self {
        HashedSet { level: Level::ROOT, shards: Vec::new(), len: 0, expected: 0, limits }
    }

    /// Sets the expected number of members. Does not allocate.
    pub(crate) fn expect(&mut self, members: usize) {
        self.expected = members;
    }

    /// Creates a set from subjects in any order, possibly repeated. Sorts them, and makes each allocation once, with
    /// the exact size.
    pub fn from_unsorted(mut subjects: Vec<Subject>) -> Self {
        subjects.sort_unstable();
        subjects.dedup();
        let members = subjects.iter().map(|subject| subject.get());
        Self::from_ascending(subjects.len(), members, Limits::DEFAULT)
    }

    /// Creates a set from `len` members in strictly ascending order.
    pub(crate) fn from_ascending(len: usize, members: impl Iterator<Item = u64>, limits: Limits) -> Self {
        let mut builder = SetBuilder::new(Level::for_len(len as u64, &limits));
        members.for_each(|member| builder.push(member));
        Self::from_builder(builder, limits)
    }

    /// Creates a set and brings it to the level for its number of members, which costs one split or merge per shard of
    /// difference.
    pub(crate) fn from_builder(builder: SetBuilder, limits: Limits) -> Self {
        let Built { level, shards, len } = builder.finish();
        let mut set = HashedSet { level, shards, len, expected: 0, limits };
        if len == 0 {
            set.level = Level::ROOT;
        }
        while set.level.split_due(len as u64, &limits) {
            set.split();
        }
        while set.level.merge_due(len as u64, &limits) {
            set.merge();
        }
        set
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the subject is a member. Reads a single bit for most non-members.
    #[inline]
    pub fn contains(&self, subject: Subject) -> bool {
        let subject = subject.get();
        let (index, depth) = self.level.locate(subject);
        let Some(shard) = self.shards.get(index) else { return false };
        shard.may_contain(depth, subject) && shard.contains(depth, subject)
    }

    /// Checks up to 64 subjects. Bit n of the result says whether the n-th subject is a member.
    ///
    /// Reads all bitmaps before any members, so that memory accesses overlap.
    pub(crate) fn contained(&self, subjects: &[Subject]) -> u64 {
        debug_assert!(subjects.len() <= 64);
        // Unless a level is being split, which is rare, a shard is found by a single shift.
        match self.level.single_depth() {
            Some(depth) => self.contained_at(subjects, |subject| (depth.shard(subject), depth)),
            None => self.contained_at(subjects, |subject| self.level.locate(subject)),
        }
    }

    fn contained_at(&self, subjects: &[Subject], locate: impl Fn(u64) -> (usize, Depth)) -> u64 {
        let mut candidates = self.candidates_at(subjects, &locate);
        let mut contained = 0;
        while candidates != 0 {
            let n = candidates.trailing_zeros();
            let subject = subjects[n as usize].get();
            let (index, depth) = locate(subject);
            contained |= u64::from(self.shards[index].contains(depth, subject)) << n;
            candidates &= candidates - 1;
        }
        contained
    }

    /// Of up to 64 subjects, those whose slots are taken.
    ///
    /// Not inlined, so that a compiler with few registers keeps in them what this loop needs: inlined, it is a quarter
    /// slower in WebAssembly.
    #[inline(never)]
    fn candidates_at(&self, subjects: &[Subject], locate: impl Fn(u64) -> (usize, Depth)) -> u64 {
        let shards = &self.shards[..];
        subjects.iter().enumerate().fold(0, |candidates, (n, subject)| {
            let (index, depth) = locate(subject.get());
            let taken = shards.get(index).is_some_and(|shard| shard.may_contain(depth, subject.get()));
            candidates | u64::from(taken) << n
        })
    }

    /// Inserts a subject. Returns `false` if it was already a member.
    pub fn insert(&mut self, subject: Subject) -> bool {
        let subject = subject.get();
        if self.shards.is_empty() {
            self.shards.push(Shard::default());
        }
        let (index, depth) = self.level.locate(subject);
        let shard = &mut self.shards[index];
        if !shard.insert(depth, subject) {
            return false;
        }
        let crowded = shard.surplus() >= CROWD;
        self.len += 1;
        if self.level.split_due(self.len as u64, &self.limits) {
            self.split();
        }
        if crowded && self.len < self.expected {
            self.recut(subject);
        }
        true
    }

    /// Removes a subject. Returns `false` if it was not a member.
    pub fn remove(&mut self, subject: Subject) -> bool {
        let subject = subject.get();
        let (index, depth) = self.level.locate(subject);
        let Some(shard) = self.shards.get_mut(index) else { return false };
        if !shard.remove(depth, subject) {
            return false;
        }
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        } else if self.level.merge_due(self.len as u64, &self.limits) {
            self.merge();
        }
        true
    }

    /// Removes all members and frees their memory. The cost is proportional to the number of shards, one per 10,000
    /// members.
    pub fn clear(&mut self) {
        *self = HashedSet { expected: self.expected, ..Self::with_limits(self.limits) };
    }

    /// Iterates over the members in ascending order.
    pub fn iter(&self) -> Members<'_> {
        self.iter_from(Subject::MIN)
    }

    /// Iterates over the members from `first` on, in ascending order.
    pub fn iter_from(&self, first: Subject) -> Members<'_> {
        Members::new(self, first.get())
    }

    /// Redistributes the set, whose members are crowded around this one, to as many shards as it will soon need.
    ///
    /// This happens when a set is filled in ascending order: all members so far are in a small part of the space, and
    /// the few shards for so few members would be overfull long before they are split. The final number of members is
    /// extrapolated from the number so far.
    #[cold]
    fn recut(&mut self, subject: u64) {
        let coming = ((self.len as u128) << Subject::BITS) / (u128::from(subject) + 1);
        let expected = self.expected as u128;
        // Above half of the expected number, assume all of it: the estimate is rough.
        let coming = if coming > expected / 2 { expected } else { coming };
        let level = Level::for_len(u64::try_from(coming).unwrap_or(u64::MAX), &self.limits);
        if level.shard_count() >= 2 * self.level.shard_count() {
            let mut builder = SetBuilder::new(level);
            builder.take(self.level, core::mem::take(&mut self.shards));
            let built = builder.finish();
            (self.level, self.shards) = (built.level, built.shards);
        }
    }

    fn split(&mut self) {
        let (level, index) = self.level.after_split();
        let (first, depth) = self.level.shard(index);
        let (middle, half_depth) = level.shard(index + 1);
        let (mut left, mut right) = (ShardBuilder::new(half_depth), ShardBuilder::new(half_depth));
        core::mem::take(&mut self.shards[index]).drain(depth, first, |member| {
            let half = if member < middle { &mut left } else { &mut right };
            half.push(member);
        });
        self.shards[index] = left.finish(half_depth);
        self.shards.insert(index + 1, right.finish(half_depth));
        self.level = level;
    }

    fn merge(&mut self) {
        let (level, index) = self.level.after_merge();
        let (_, depth) = level.shard(index);
        let mut builder = ShardBuilder::new(depth);
        let right = self.shards.remove(index + 1);
        let left = core::mem::take(&mut self.shards[index]);
        for (half, shard) in [(index, left), (index + 1, right)] {
            let (first, depth) = self.level.shard(half);
            shard.drain(depth, first, |member| builder.push(member));
        }
        self.shards[index] = builder.finish(depth);
        self.level = level;
        if self.shards.capacity() > 4 * self.shards.len() {
            self.shards.shrink_to(2 * self.shards.len());
        }
    }
}

impl<'a> IntoIterator for &'a HashedSet {
    type Item = Subject;
    type IntoIter = Members<'a>;

    fn into_iter(self) -> Members<'a> {
        self.iter()
    }
}

impl FromIterator<Subject> for HashedSet {
    /// Like [`HashedSet::from_unsorted`].
    fn from_iter<I: IntoIterator<Item = Subject>>(subjects: I) -> Self {
        Self::from_unsorted(subjects.into_iter().collect())
    }
}

/// Shows only the number of members.
impl fmt::Debug for HashedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedSet").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
