//! A set as bytes, in parts of bounded size.
//!
//! The format knows nothing of the layout in memory. The members of the three sets come one set
//! after the other, those with both directions first, then inbound only, then outbound only. Each
//! part covers a range of one set; the parts of a set adjoin each other, and together they cover
//! 0..=2^50 - 1. An empty set is one part without members.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `PSET` |
//! | 1 | the format's version, 1 |
//! | 1 | which set: 0, 1 or 2 |
//! | 8 | the first subject that the part covers, little endian |
//! | 8 | the last one that it covers, little endian: 2^50 - 1 where it is the last part of its set, else its last member |
//! | 4 | how many members it has, little endian: 0 only in the last part of a set |
//! | rest | of each member, ascending, how many subjects were left out before it, as minimal LEB128 |
//!
//! So what the parts of a set are is fixed by the set and by where the parts are cut: the same set
//! is always the same bytes. A number takes about 5 bytes at a million, half a byte less for each
//! tenfold.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use portcullis_msisdn::Subject;

use crate::directed_set::{DirectedSet, KINDS};
use crate::members::Members;
use crate::varint;

/// Parts are at least this long, whatever is asked for, where there is as much to write.
pub const MIN_PART_BYTES: usize = 64;

pub(crate) const MAGIC: [u8; 4] = *b"PSET";
pub(crate) const VERSION: u8 = 1;

/// What precedes the members of a part.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) version: u8,
    pub(crate) kind: u8,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u32,
}

impl Header {
    pub(crate) const BYTES: usize = 26;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.version;
        bytes[5] = self.kind;
        bytes[6..14].copy_from_slice(&self.first.to_le_bytes());
        bytes[14..22].copy_from_slice(&self.last.to_le_bytes());
        bytes[22..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }
}

/// Where the next part of a save begins. It stays good whatever is inserted and removed meanwhile,
/// also across another save or the end of the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SaveCursor(u64);

/// As much of the subject as its own `Debug` shows.
impl fmt::Debug for SaveCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS[usize::from(self.kind())];
        f.debug_tuple("SaveCursor").field(&kind).field(&Subject::new(self.first())).finish()
    }
}

impl SaveCursor {
    /// Where a save begins.
    pub const START: SaveCursor = SaveCursor(0);

    /// A cursor from what [`get`](Self::get) gave. `None` for a number that it cannot have given.
    pub const fn new(cursor: u64) -> Option<Self> {
        if cursor >> Subject::BITS < KINDS.len() as u64 { Some(SaveCursor(cursor)) } else { None }
    }

    /// The cursor as a number: which of the three sets (from bit 50 up), and the first subject that
    /// is not yet saved.
    pub const fn get(self) -> u64 {
        self.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "below three")]
    const fn kind(self) -> u8 {
        (self.0 >> Subject::BITS) as u8
    }

    const fn first(self) -> u64 {
        self.0 & Subject::MAX.get()
    }

    /// Behind a part of this cursor's set that ends with the subject `last`.
    const fn after(self, last: u64) -> Option<Self> {
        let kind_begins = self.0 & !Subject::MAX.get();
        Self::new(kind_begins + last + 1)
    }
}

/// A part of a save.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// The part, for [`Loader::load`](crate::Loader::load).
    pub bytes: Vec<u8>,
    /// Where the next one begins, or `None` where this was the last.
    pub next: Option<SaveCursor>,
}

/// Only how long it is: the bytes are the members.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("len", &self.bytes.len()).field("next", &self.next).finish()
    }
}

impl DirectedSet {
    /// The part of a save that begins at the cursor, of at most `max_bytes` or [`MIN_PART_BYTES`],
    /// whichever is more. A save begins at [`SaveCursor::START`] and has at least three parts.
    ///
    /// The set may change between two parts, for nothing is kept but the cursor. A save made while
    /// it changes can be loaded, and has each member that was one throughout, with the directions
    /// that it had throughout; of what was changed meanwhile it may have the state before, the
    /// state after, the union of both, or (where the directions changed) neither. Who changes the
    /// set while saving replays the changes after loading.
    pub fn save_part(&self, cursor: SaveCursor, max_bytes: usize) -> Part {
        let max_bytes = max_bytes.max(MIN_PART_BYTES);
        let set = &self.kinds()[usize::from(cursor.kind())];
        let likely = Header::BYTES + set.len().saturating_mul(6).saturating_add(varint::MAX_BYTES);
        let mut bytes = vec![0; likely.min(max_bytes)];
        let mut used = Header::BYTES;
        let mut header = Header {
            version: VERSION,
            kind: cursor.kind(),
            first: cursor.first(),
            last: Subject::MAX.get(),
            count: 0,
        };
        let mut expected = header.first;
        let mut members = Members::new(set, header.first);
        'part: loop {
            let run = members.next_run();
            if run.is_empty() {
                break;
            }
            for &member in run {
                let (gap, len) = varint::encode(member - expected);
                if used + len > max_bytes || header.count == u32::MAX {
                    header.last = expected - 1;
                    break 'part;
                }
                if used + gap.len() > bytes.len() {
                    bytes.resize(used * 2, 0);
                }
                bytes[used..used + gap.len()].copy_from_slice(&gap);
                used += len;
                header.count += 1;
                expected = member + 1;
            }
        }
        bytes.truncate(used);
        bytes[..Header::BYTES].copy_from_slice(&header.to_bytes());
        Part { bytes, next: cursor.after(header.last) }
    }
}
