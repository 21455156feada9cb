//! One number on one blacklist.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
use crate::source::Source;
use crate::text::{DisplayForm, Reason};

/// One number on one blacklist, blocked now or once. Times have millisecond precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about.
    pub subject: Subject,
    /// The directions that it covers; none where it is inactive.
    pub directions: Directions,
    /// How the newest block came about.
    pub source: Source,
    /// Who made the newest block.
    pub actor: Actor,
    /// Who took directions away since the newest block: the last one who did.
    pub lifted_by: Option<Actor>,
    /// Why, in the words of whoever blocked.
    pub reason: Option<Reason>,
    /// The number as it was written by whoever blocked.
    pub display: Option<DisplayForm>,
    /// When the number was first blocked on this list. Reactivation does not change it.
    pub created: Timestamp,
    /// When anything of the entry last changed.
    pub updated: Timestamp,
    /// Since when it is inactive.
    pub deactivated: Option<Timestamp>,
    /// When it ends, or ended, by itself.
    pub expires: Option<Timestamp>,
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
pub enum StatusFilter {
    /// Those that block.
    Active,
    /// Those that don't any more.
    Inactive,
    /// Both.
    All,
}

/// Entries in the order of their subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether there are entries after the last of these.
    pub more: bool,
}
