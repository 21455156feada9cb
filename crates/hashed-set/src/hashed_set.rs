//! The exact set.

use alloc::vec::Vec;
use core::fmt;

use portcullis_msisdn::Subject;

use crate::builder::{Built, SetBuilder};
use crate::depth::Depth;
use crate::level::{Level, Limits};
use crate::members::Members;
use crate::shard::{Shard, ShardBuilder};

/// A shard with so much surplus is one whose members are not spread evenly: where they are, ten are
/// many.
const CROWD: usize = 64;

/// An exact, ordered set of subjects. It takes 4.9 to 5.9 bytes a member from 832,000 members up
/// (5.5 at a million), up to 7 from 10,000, and 4 KiB for the first.
///
/// An insert or a removal changes one shard, and splits or merges at most one more: some hundred
/// nanoseconds, and some hundred microseconds in the worst case, at any size. Calls whose cost
/// grows with the set say so.
pub struct HashedSet {
    pub(crate) level: Level,
    /// All shards of the level, or none while the set has never had a member.
    pub(crate) shards: Vec<Shard>,
    len: usize,
    /// How many members there may soon be: see [`recut`](Self::recut).
    expected: usize,
    limits: Limits,
}

impl Default for HashedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl HashedSet {
    /// An empty set. Allocates nothing.
    pub const fn new() -> Self {
        Self::with_limits(Limits::DEFAULT)
    }

    pub(crate) const fn with_limits(limits: Limits) -> Self {
        HashedSet { level: Level::ROOT, shards: Vec::new(), len: 0, expected: 0, limits }
    }

    /// Has it know how many members it may soon have. Allocates nothing.
    pub(crate) fn expect(&mut self, members: usize) {
        self.expected = members;
    }

    /// The set of these subjects, which may repeat and be in any order. Sorts them, and makes each
    /// allocation once and exactly.
    pub fn from_unsorted(mut subjects: Vec<Subject>) -> Self {
        subjects.sort_unstable();
        subjects.dedup();
        let members = subjects.iter().map(|subject| subject.get());
        Self::from_ascending(subjects.len(), members, Limits::DEFAULT)
    }

    /// From `len` members, each larger than the one before.
    pub(crate) fn from_ascending(len: usize, members: impl Iterator<Item = u64>, limits: Limits) -> Self {
        let mut builder = SetBuilder::new(Level::for_len(len as u64, &limits));
        members.for_each(|member| builder.push(member));
        Self::from_builder(builder, limits)
    }

    /// Brings the level to what the number of members asks for, which costs one split or merge for
    /// each shard it is away.
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

    /// How many members the set has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the subject is a member. For most strangers one bit is read.
    #[inline]
    pub fn contains(&self, subject: Subject) -> bool {
        let subject = subject.get();
        let (index, depth) = self.level.locate(subject);
        let Some(shard) = self.shards.get(index) else { return false };
        shard.may_contain(depth, subject) && shard.contains(depth, subject)
    }

    /// Of up to 64 subjects, those that are members: the n-th subject's bit is 1 << n.
    ///
    /// All bitmaps are read before any member is, so that the reads wait for memory together.
    pub(crate) fn contained(&self, subjects: &[Subject]) -> u64 {
        debug_assert!(subjects.len() <= 64);
        // While no level is being split, which is most of the time, a shard is found by one shift.
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
    /// A function of its own, so that a compiler with few registers to spare keeps in them what this
    /// loop needs: inlined, it is a quarter slower in WebAssembly.
    #[inline(never)]
    fn candidates_at(&self, subjects: &[Subject], locate: impl Fn(u64) -> (usize, Depth)) -> u64 {
        let shards = &self.shards[..];
        subjects.iter().enumerate().fold(0, |candidates, (n, subject)| {
            let (index, depth) = locate(subject.get());
            let taken = shards.get(index).is_some_and(|shard| shard.may_contain(depth, subject.get()));
            candidates | u64::from(taken) << n
        })
    }

    /// Makes the subject a member. `false` where it was one already.
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

    /// Makes the subject a stranger. `false` where it was one already.
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

    /// Removes all members and frees their memory, which takes time in proportion to the number of
    /// shards, one for about 10,000 members.
    pub fn clear(&mut self) {
        *self = HashedSet { expected: self.expected, ..Self::with_limits(self.limits) };
    }

    /// The members in ascending order.
    pub fn iter(&self) -> Members<'_> {
        self.iter_from(Subject::MIN)
    }

    /// The members from `first` on, in ascending order.
    pub fn iter_from(&self, first: Subject) -> Members<'_> {
        Members::new(self, first.get())
    }

    /// Cuts the set, whose members crowd around this one, into as many shards as it will soon need.
    ///
    /// That is how a set is filled in ascending order: all that has come is in a small part of the
    /// space, and the few shards that so few members ask for would be overfull long before they
    /// are split. How many will come follows from how many have come up to here.
    #[cold]
    fn recut(&mut self, subject: u64) {
        let coming = ((self.len as u128) << Subject::BITS) / (u128::from(subject) + 1);
        let expected = self.expected as u128;
        // What is more than half of all is all, counted from few.
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
    /// As [`HashedSet::from_unsorted`].
    fn from_iter<I: IntoIterator<Item = Subject>>(subjects: I) -> Self {
        Self::from_unsorted(subjects.into_iter().collect())
    }
}

/// Only how many there are.
impl fmt::Debug for HashedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedSet").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
