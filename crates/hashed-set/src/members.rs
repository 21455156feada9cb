//! Iteration over the members of a set.

use alloc::vec::Vec;
use core::iter::FusedIterator;

use portcullis_msisdn::Subject;

use crate::buckets::{Buckets, GROUPS};
use crate::hashed_set::HashedSet;

/// An iterator over the members of a [`HashedSet`] in ascending order. It unpacks about a hundred members at a time, so
/// a member takes only a few nanoseconds.
pub struct Members<'a> {
    set: &'a HashedSet,
    /// The group to unpack next.
    shard: usize,
    group: usize,
    /// The unpacked members; those from `at` are yet to be returned.
    unpacked: Vec<u64>,
    at: usize,
}

impl<'a> Members<'a> {
    pub(crate) fn new(set: &'a HashedSet, from: u64) -> Self {
        let (shard, depth) = set.level.locate(from);
        let group = Buckets::group(depth, from);
        let mut members = Members { set, shard, group, unpacked: Vec::new(), at: 0 };
        if members.unpack() {
            members.at = members.unpacked.partition_point(|&member| member < from);
        }
        members
    }

    /// Unpacks the next group. Returns `false` if there is none.
    fn unpack(&mut self) -> bool {
        let Some(shard) = self.set.shards.get(self.shard) else { return false };
        let (first, depth) = self.set.level.shard(self.shard);
        self.unpacked.clear();
        self.at = 0;
        shard.decode_group(depth, first, self.group, &mut self.unpacked);
        self.group += 1;
        if self.group == GROUPS {
            self.group = 0;
            self.shard += 1;
        }
        true
    }

    #[inline]
    pub(crate) fn next_value(&mut self) -> Option<u64> {
        while self.at == self.unpacked.len() {
            if !self.unpack() {
                return None;
            }
        }
        let member = self.unpacked[self.at];
        self.at += 1;
        Some(member)
    }

    /// Returns the unpacked members that are left, or unpacks more. Empty only at the end.
    pub(crate) fn next_run(&mut self) -> &[u64] {
        while self.at == self.unpacked.len() {
            if !self.unpack() {
                return &[];
            }
        }
        let start = core::mem::replace(&mut self.at, self.unpacked.len());
        &self.unpacked[start..]
    }
}

impl Iterator for Members<'_> {
    type Item = Subject;

    #[inline]
    fn next(&mut self) -> Option<Subject> {
        Subject::new(self.next_value()?)
    }
}

impl FusedIterator for Members<'_> {}
