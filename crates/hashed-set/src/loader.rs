//! Loading a set from the parts of a save.

use alloc::vec::Vec;
use core::fmt;

use portcullis_msisdn::Subject;

use crate::builder::SetBuilder;
use crate::directed_set::{DirectedSet, KINDS};
use crate::hashed_set::HashedSet;
use crate::level::{Level, Limits};
use crate::saved::{Header, MAGIC, VERSION};
use crate::varint;

/// Builds a set from the parts returned by [`DirectedSet::save_part`], in order.
///
/// Rejects data that a save could not have written, so a loaded set would be saved as the same bytes. The exception is
/// a subject in several of the three sets, which can occur in a save made while the set changed: its directions are
/// united. Memory use is proportional to the bytes loaded, even for hostile data.
///
/// Parts are not authenticated. If they come from elsewhere, authenticate them first: an attacker who can forge
/// a part can add and remove members.
pub struct Loader {
    limits: Limits,
    /// The complete sets, in the order of [`KINDS`].
    complete: Vec<HashedSet>,
    /// The current set.
    builder: SetBuilder,
    /// The first subject of the next part's range.
    first: u64,
    /// Subjects that are in two of the sets, and therefore cover both directions.
    both: Vec<Subject>,
    refused: bool,
}

/// Whether there is more to load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There are more parts.
    More,
    /// That was the last part. Call [`Loader::finish`].
    Complete,
}

/// Why a part, or the whole save, can't be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not a part of a saved set.
    NotAPart,
    /// The part has another version of the format.
    Version(u8),
    /// The part ends before its last member.
    Truncated,
    /// Bytes follow the part's last member.
    Trailing,
    /// A gap between members is not encoded as a save would encode it.
    Gap,
    /// A member is beyond the part's range.
    BeyondRange,
    /// The part's range is invalid, or does not match its members.
    Range,
    /// The part does not follow the previous part.
    OutOfOrder,
    /// Parts are missing.
    Incomplete,
    /// A previous part was rejected.
    Refused,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotAPart => f.write_str("this is not a part of a saved set"),
            LoadError::Version(version) => {
                write!(f, "the saved set has format {version}, but only format {VERSION} is supported: fill the set from its entries instead")
            }
            LoadError::Truncated => f.write_str("the part of the saved set ends before its last member"),
            LoadError::Trailing => f.write_str("bytes follow the last member of the part of the saved set"),
            LoadError::Gap => f.write_str("a member of the saved set is not encoded as a save would encode it"),
            LoadError::BeyondRange => f.write_str("a member of the saved set is beyond its part's range"),
            LoadError::Range => f.write_str("the range of the part of the saved set does not match its members"),
            LoadError::OutOfOrder => f.write_str("this part of the saved set does not follow the previous part: load the parts in the order in which they were saved"),
            LoadError::Incomplete => f.write_str("parts of the saved set are missing at the end"),
            LoadError::Refused => f.write_str("a previous part was rejected: start again with a new loader"),
        }
    }
}

impl core::error::Error for LoadError {}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loader {
    /// Creates a loader that expects the first part.
    pub fn new() -> Self {
        Self::with_limits(Limits::DEFAULT)
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Loader {
            limits,
            complete: Vec::new(),
            builder: SetBuilder::new(Level::ROOT),
            first: 0,
            both: Vec::new(),
            refused: false,
        }
    }

    /// Loads the next part.
    ///
    /// # Errors
    ///
    /// If the part is not the next one of a save. All later parts are then rejected, too.
    pub fn load(&mut self, part: &[u8]) -> Result<Progress, LoadError> {
        if self.refused {
            return Err(LoadError::Refused);
        }
        let progress = self.load_next(part);
        self.refused = progress.is_err();
        progress
    }

    /// Returns the set. Each allocation has the exact size.
    ///
    /// # Errors
    ///
    /// If parts are missing, or a part was rejected.
    pub fn finish(self) -> Result<DirectedSet, LoadError> {
        if self.refused {
            return Err(LoadError::Refused);
        }
        let kinds = <[HashedSet; KINDS.len()]>::try_from(self.complete);
        let [mut both, mut inbound, outbound] = kinds.map_err(|_| LoadError::Incomplete)?;
        for subject in self.both {
            inbound.remove(subject);
            both.insert(subject);
        }
        Ok(DirectedSet::from_kinds([both, inbound, outbound]))
    }

    fn load_next(&mut self, part: &[u8]) -> Result<Progress, LoadError> {
        let (header, mut gaps) = Header::parse(part)?;
        let (kind, kinds) = (usize::from(header.kind), self.complete.len());
        if kind != kinds || kind >= KINDS.len() || header.first != self.first {
            return Err(LoadError::OutOfOrder);
        }
        if header.last < header.first || header.last > Subject::MAX.get() {
            return Err(LoadError::Range);
        }
        let ends_kind = header.last == Subject::MAX.get();
        let count = usize::try_from(header.count).unwrap_or(usize::MAX);
        if count > gaps.len() {
            return Err(LoadError::Truncated);
        }
        self.fit_level(count, header.last);

        let mut expected = header.first;
        for _ in 0..count {
            let (gap, len) = match gaps.first_chunk() {
                Some(&bytes) => varint::decode(bytes).ok_or(LoadError::Gap)?,
                None => last_gap(gaps)?,
            };
            gaps = &gaps[len..];
            let member = expected + gap;
            if member > header.last {
                return Err(LoadError::BeyondRange);
            }
            self.push(member);
            expected = member + 1;
        }
        if !gaps.is_empty() {
            return Err(LoadError::Trailing);
        }
        if !ends_kind {
            // Then it has members, and its range ends with the last one.
            if expected != header.last + 1 {
                return Err(LoadError::Range);
            }
            self.first = expected;
            return Ok(Progress::More);
        }
        self.first = 0;
        let builder = core::mem::replace(&mut self.builder, SetBuilder::new(Level::ROOT));
        self.complete.push(HashedSet::from_builder(builder, self.limits));
        Ok(if self.complete.len() == KINDS.len() { Progress::Complete } else { Progress::More })
    }

    /// Changes the level of the current set to about the number of shards it will need, before `count` members up to
    /// the subject `last` are added. The final number of members is extrapolated from the number so far, because
    /// subjects are uniformly distributed. If they are not, this repeats, at most once per doubling. The members so far
    /// fill their shards, so no data can make it allocate many shards for few members.
    fn fit_level(&mut self, count: usize, last: u64) {
        let known = self.builder.len() as u128 + count as u128;
        let expected = (known << Subject::BITS) / (u128::from(last) + 1);
        let level = Level::for_len(u64::try_from(expected).unwrap_or(u64::MAX), &self.limits);
        let (shards, wanted) = (self.builder.level().shard_count(), level.shard_count());
        if self.builder.len() == 0 || wanted >= 2 * shards || wanted <= shards / 2 {
            self.builder.change_level(level);
        }
    }

    #[inline]
    fn push(&mut self, member: u64) {
        if self.complete.iter().all(HashedSet::is_empty) {
            self.builder.push(member);
        } else {
            self.push_disjoint(member);
        }
    }

    /// Adds a member when previous sets are not empty. A save made while the set changed may contain a subject in
    /// several sets; its directions are united.
    fn push_disjoint(&mut self, member: u64) {
        let Some(subject) = Subject::new(member) else { return };
        let mut before = self.complete.iter().filter(|kind| !kind.is_empty());
        if before.any(|kind| kind.contains(subject)) {
            self.both.push(subject);
        } else {
            self.builder.push(member);
        }
    }
}

impl Header {
    /// Parses the header. Also returns what follows it.
    fn parse(part: &[u8]) -> Result<(Header, &[u8]), LoadError> {
        let Some((magic, part)) = part.split_first_chunk() else { return Err(LoadError::NotAPart) };
        if *magic != MAGIC {
            return Err(LoadError::NotAPart);
        }
        let Some((&[version], part)) = part.split_first_chunk() else { return Err(LoadError::Truncated) };
        if version != VERSION {
            return Err(LoadError::Version(version));
        }
        let fields = || {
            let (&[kind], part) = part.split_first_chunk()?;
            let (&first, part) = part.split_first_chunk()?;
            let (&last, part) = part.split_first_chunk()?;
            let (&count, part) = part.split_first_chunk()?;
            let (first, last) = (u64::from_le_bytes(first), u64::from_le_bytes(last));
            Some((Header { version, kind, first, last, count: u32::from_le_bytes(count) }, part))
        };
        fields().ok_or(LoadError::Truncated)
    }
}

/// Decodes a gap near the end of the data, where fewer bytes than the maximum are left.
#[cold]
fn last_gap(gaps: &[u8]) -> Result<(u64, usize), LoadError> {
    let mut bytes = [0x80; varint::MAX_BYTES];
    bytes[..gaps.len()].copy_from_slice(gaps);
    let ended = gaps.iter().any(|byte| byte & 0x80 == 0);
    if ended { varint::decode(bytes).ok_or(LoadError::Gap) } else { Err(LoadError::Truncated) }
}

#[cfg(test)]
mod tests;
