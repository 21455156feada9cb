//! The serialization of a set, in parts of bounded size.
//!
//! The format is independent of the layout in memory. It contains the members of the three sets one set after the
//! other: those with both directions, then inbound only, then outbound only. Each part covers a range of one set. The
//! ranges of a set's parts are adjacent, and together cover 0..=2^50 - 1. An empty set is one part without members.
//!
//! | bytes | contents |
//! | --- | --- |
//! | 4 | `PSET` |
//! | 1 | the format's version, 1 |
//! | 1 | the set: 0, 1 or 2 |
//! | 8 | the first subject of the range, little endian |
//! | 8 | the last subject of the range, little endian: 2^50 - 1 in the last part of a set, otherwise the part's last member |
//! | 4 | the number of members, little endian: 0 only in the last part of a set |
//! | rest | for each member in ascending order, the number of subjects skipped before it, as minimal LEB128 |
//!
//! So a set's parts are determined by the set and by where it is divided: the same set always yields the same bytes. A
//! number takes about 5 bytes in a set of a million, and half a byte less for each factor of ten.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use portcullis_msisdn::Subject;

use crate::directed_set::{DirectedSet, KINDS};
use crate::members::Members;
use crate::varint;

/// The minimum for the maximum size of a part.
pub const MIN_PART_BYTES: usize = 64;

pub(crate) const MAGIC: [u8; 4] = *b"PSET";
pub(crate) const VERSION: u8 = 1;

/// The header of a part.
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

/// The position of the next part of a save. It stays valid when the set changes, during another save, and across
/// processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SaveCursor(u64);

/// Shows as much of the subject as its own `Debug` implementation.
impl fmt::Debug for SaveCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS[usize::from(self.kind())];
        f.debug_tuple("SaveCursor").field(&kind).field(&Subject::new(self.first())).finish()
    }
}

impl SaveCursor {
    /// The beginning of a save.
    pub const START: SaveCursor = SaveCursor(0);

    /// Creates a cursor from a number that [`get`](Self::get) returned. Returns `None` for numbers that it can't have
    /// returned.
    pub const fn new(cursor: u64) -> Option<Self> {
        if cursor >> Subject::BITS < KINDS.len() as u64 { Some(SaveCursor(cursor)) } else { None }
    }

    /// The cursor as a number: the index of the set (from bit 50), and the first subject that is not yet saved.
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

    /// The cursor after a part that ends with the subject `last`.
    const fn after(self, last: u64) -> Option<Self> {
        let kind_begins = self.0 & !Subject::MAX.get();
        Self::new(kind_begins + last + 1)
    }
}

/// A part of a save.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// The bytes of the part, for [`Loader::load`](crate::Loader::load).
    pub bytes: Vec<u8>,
    /// The cursor for the next part; `None` if this was the last.
    pub next: Option<SaveCursor>,
}

/// Shows only the length: the bytes are the members.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("len", &self.bytes.len()).field("next", &self.next).finish()
    }
}

impl DirectedSet {
    /// Saves the part that begins at the cursor, in at most `max_bytes` or [`MIN_PART_BYTES`], whichever is more. A
    /// save begins at [`SaveCursor::START`] and has at least three parts.
    ///
    /// The set may change between two parts, because only the cursor is kept. A save made while the set changes can be
    /// loaded, and contains each subject that was a member throughout, with the directions that it had throughout. For
    /// subjects changed meanwhile it may contain the state before, the state after, the union of both, or (if the
    /// directions changed) neither. Replay such changes after loading.
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
