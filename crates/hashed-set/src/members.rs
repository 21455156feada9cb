//! The members of a set in ascending order.

use alloc::vec::Vec;
use core::iter::FusedIterator;

use portcullis_msisdn::Subject;

use crate::buckets::{Buckets, GROUPS};
use crate::hashed_set::HashedSet;

/// The members of a [`HashedSet`] in ascending order, from where it was asked for. Some hundred
/// neighbours are unpacked at once, so that a walk costs a few nanoseconds a member.
pub struct Members<'a> {
    set: &'a HashedSet,
    /// What to unpack next.
    shard: usize,
    group: usize,
    /// What is being given, from `at` on.
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

    /// Unpacks the next group. `false` where there is none.
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

    /// The next members, ascending, as many as lie ready. None at the end only.
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
