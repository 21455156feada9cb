//! The change feed of a list.

use std::sync::Arc;

use portcullis_msisdn::{Directions, Subject};

use crate::shared::Mark;
use crate::write::Written;

/// A list's sequence number. Each change of an entry takes the next one: a list starts at [`Seq::START`], and its first
/// change is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(u64);

impl Seq {
    /// The sequence number before the first change: 0.
    pub const START: Seq = Seq(0);

    /// Creates a sequence number.
    pub const fn new(value: u64) -> Self {
        Seq(value)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence number of the next change.
    #[must_use]
    pub const fn next(self) -> Self {
        Seq(self.0 + 1)
    }
}

/// A list's latest sequence number and number of entries, at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// The latest change.
    pub sequence: Seq,
    /// The number of active entries.
    pub active: u64,
}

/// The latest state of an entry that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The subject of the entry.
    pub subject: Subject,
    /// The directions that are blocked now; none if the entry is inactive. This is absolute, so applying a change
    /// twice, or after a later one, is harmless.
    pub directions: Directions,
    /// The sequence number of the entry's latest change.
    pub sequence: Seq,
}

/// A page of the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The entries that changed, in the order of their latest changes. Each appears once, in its latest state.
    pub changes: Vec<Change>,
    /// The latest change of the list, whether or not it is in `changes`.
    pub sequence: Seq,
    /// Whether there are more changes, after the last one returned.
    pub more: bool,
    /// The list's mark at `sequence`, if a reader of this page has reached it: if there are no more changes. `None` for a ledger
    /// that is not shared.
    pub mark: Option<Mark>,
}

impl Changes {
    /// The sequence number to continue from.
    pub fn next(&self) -> Seq {
        match self.changes.last() {
            Some(last) if self.more => last.sequence,
            _ => self.sequence,
        }
    }
}

/// A part of a list's history: what leads a reader from one position to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position that it begins after.
    pub since: Seq,
    /// The list's mark there, if only a reader of this history may go on from there.
    pub since_mark: Option<Mark>,
    /// The entries that changed, in the order of their latest changes. Each appears once, in its state at the end.
    pub changes: Vec<Change>,
    /// The position that it leads to: that of the last change.
    pub sequence: Seq,
    /// The list's mark there; `None` if there may be further changes that were left out.
    pub mark: Option<Mark>,
}

/// What a call that writes to a list has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The result of each write.
    pub written: Vec<Written>,
    /// All that its commit changed, with other calls' writes, if the store tells.
    pub span: Option<Arc<Span>>,
}
