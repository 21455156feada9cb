//! One number on one blacklist.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::changes::Seq;
use crate::hold::Holds;
use crate::text::DisplayForm;

/// One number on one blacklist, blocked now or once. Times have millisecond precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about.
    pub subject: Subject,
    /// The directions that are blocked: those that any hold covers which [blocks](crate::HoldKind::blocks). None where the entry
    /// is inactive.
    pub directions: Directions,
    /// The directions that were ever blocked.
    pub ever: Directions,
    /// Why: all its holds, lifted or not.
    pub holds: Holds,
    /// The number as it was written by whoever blocked.
    pub display: Option<DisplayForm>,
    /// When the number was first blocked on this list. Reactivation does not change it.
    pub created: Timestamp,
    /// When anything of the entry last changed.
    pub updated: Timestamp,
    /// Since when it is inactive.
    pub deactivated: Option<Timestamp>,
    /// The number of its last change.
    pub sequence: Seq,
}

impl Entry {
    /// Whether it blocks anything.
    ///
    /// An entry whose time is over stays active until
    /// [`expire_due`](crate::Ledger::expire_due) runs, so that every reader, every plugin and the
    /// count agree.
    pub fn status(&self) -> Status {
        if self.directions.is_none() { Status::Inactive } else { Status::Active }
    }

    /// When the first of its holds ends that will.
    pub fn expires(&self) -> Option<Timestamp> {
        self.holds.iter().filter(|hold| !hold.directions.is_none()).filter_map(|hold| hold.expires).min()
    }
}

/// Whether an entry blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It covers at least one direction.
    Active,
    /// It is kept for the record only.
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

/// Which entries a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// By whether they block.
    pub status: StatusFilter,
    /// Entries that don't block all of these directions are taken for inactive, and those that never blocked all of them
    /// for absent. With none, every entry counts as what it is.
    pub covering: Directions,
}

impl From<StatusFilter> for Filter {
    fn from(status: StatusFilter) -> Self {
        Filter { status, covering: Directions::NONE }
    }
}

/// Which entries a page shows, by whether they block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusFilter {
    /// Those that block.
    Active,
    /// Those that don't any more.
    Inactive,
    /// Both.
    All,
}

/// Where a page begins, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// It begins with the first entry.
    Start,
    /// It begins with the first entry after this one, which need not be there.
    After(Subject),
    /// It ends with the last entry before this one, which need not be there.
    Before(Subject),
    /// It begins after as many entries. Costs as much as reading them.
    Skip(u64),
}

/// Entries in the order of their subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T = Entry> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether there are entries beyond: after the last of these, or before the first where the page was to end
    /// [before](Paging::Before) one.
    pub more: bool,
}
