//! Blacklist entries.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::changes::Seq;
use crate::hold::Holds;
use crate::text::DisplayForm;

/// A person on a blacklist, blocked now or in the past. Times have millisecond precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The subject of the entry.
    pub subject: Subject,
    /// The blocked directions: the union of all holds that [block](crate::HoldKind::blocks). None if the entry is
    /// inactive.
    pub directions: Directions,
    /// The directions that were ever blocked.
    pub ever: Directions,
    /// The reasons for the block: all holds, in force and lifted.
    pub holds: Holds,
    /// The number as the client wrote it.
    pub display: Option<DisplayForm>,
    /// When the person was first blocked on this list. Not changed by reactivation.
    pub created: Timestamp,
    /// When the entry last changed.
    pub updated: Timestamp,
    /// When the entry became inactive.
    pub deactivated: Option<Timestamp>,
    /// The sequence number of the entry's latest change.
    pub sequence: Seq,
}

impl Entry {
    /// Whether the entry blocks anything.
    ///
    /// An expired entry stays active until the ledger lifts its holds, so that all readers, plugins and counts agree.
    pub fn status(&self) -> Status {
        if self.directions.is_none() { Status::Inactive } else { Status::Active }
    }

    /// When the first of its holds expires, if any does.
    pub fn expires(&self) -> Option<Timestamp> {
        self.holds.iter().filter(|hold| !hold.directions.is_none()).filter_map(|hold| hold.expires).min()
    }
}

/// Whether an entry blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The entry blocks at least one direction.
    Active,
    /// The entry blocks nothing and is kept for the record.
    Inactive,
}

impl Status {
    /// `active` or `inactive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Inactive => "inactive",
        }
    }
}

/// Selects the entries of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Selects by status.
    pub status: StatusFilter,
    /// Treats entries that don't block all of these directions as inactive, and omits entries that never blocked all of
    /// them. With none, has no effect.
    pub covering: Directions,
}

impl From<StatusFilter> for Filter {
    fn from(status: StatusFilter) -> Self {
        Filter { status, covering: Directions::NONE }
    }
}

/// Selects entries by status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusFilter {
    /// Entries that block.
    Active,
    /// Entries that no longer block.
    Inactive,
    /// All entries.
    All,
}

/// The position of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Begins with the first entry.
    Start,
    /// Begins with the first entry after this subject, which need not exist.
    After(Subject),
    /// Ends with the last entry before this subject, which need not exist.
    Before(Subject),
    /// Skips this many entries. Costs as much as reading them.
    Skip(u64),
}

/// A page of entries, in the order of their subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T = Entry> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether there are more entries: after the last of these, or, for a page that ends [before](Paging::Before) a
    /// subject, before the first.
    pub more: bool,
}
