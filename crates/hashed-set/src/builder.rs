//! Building a set from ascending members, for bulk builds and the loader.

use alloc::vec::Vec;

use crate::level::Level;
use crate::shard::{Shard, ShardBuilder};

/// Fills the shards of a level from the left. Nothing is searched, and each allocation has the exact size.
pub(crate) struct SetBuilder {
    level: Level,
    /// The shards before the current one.
    shards: Vec<Shard>,
    shard: ShardBuilder,
    /// The largest subject of the current shard.
    shard_last: u64,
    len: usize,
}

/// The parts of the set that was built.
pub(crate) struct Built {
    pub(crate) level: Level,
    pub(crate) shards: Vec<Shard>,
    pub(crate) len: usize,
}

impl SetBuilder {
    pub(crate) fn new(level: Level) -> Self {
        let (first, depth) = level.shard(0);
        SetBuilder {
            level,
            shards: Vec::new(),
            shard: ShardBuilder::new(depth),
            shard_last: depth.shard_last(first),
            len: 0,
        }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends a member, which must be larger than all others.
    #[inline]
    pub(crate) fn push(&mut self, subject: u64) {
        if subject > self.shard_last {
            let (index, _) = self.level.locate(subject);
            self.begin_shard(index);
        }
        self.len += 1;
        self.shard.push(subject);
    }

    /// Appends the members of all these shards, which belong to another level.
    pub(crate) fn take(&mut self, level: Level, shards: Vec<Shard>) {
        for (index, shard) in shards.into_iter().enumerate() {
            let (first, depth) = level.shard(index);
            shard.drain(depth, first, |member| self.push(member));
        }
    }

    /// Redistributes the members so far, and all further ones, to the shards of another level. Costs a pass over the
    /// members so far.
    pub(crate) fn change_level(&mut self, level: Level) {
        let old = core::mem::replace(self, SetBuilder::new(level)).covered();
        self.take(old.level, old.shards);
    }

    /// Returns the set, with all shards of its level.
    pub(crate) fn finish(self) -> Built {
        let mut built = self.covered();
        let shards = if built.len == 0 { 0 } else { built.level.shard_count() };
        built.shards.reserve_exact(shards.saturating_sub(built.shards.len()));
        built.shards.resize_with(shards, Shard::default);
        built.shards.shrink_to_fit();
        built
    }

    /// Returns the shards up to the current one.
    fn covered(mut self) -> Built {
        let (_, depth) = self.level.shard(0);
        self.shards.push(self.shard.finish(depth));
        Built { level: self.level, shards: self.shards, len: self.len }
    }

    #[cold]
    fn begin_shard(&mut self, index: usize) {
        let (first, depth) = self.level.shard(index);
        self.shards.push(self.shard.finish(depth));
        self.shards.resize_with(index, Shard::default);
        self.shard_last = depth.shard_last(first);
    }
}
