//! The feed of a list: what changed since a sequence number.

use portcullis_msisdn::{Directions, Subject};

/// A list's sequence number: each change of an entry takes the next one. A list begins at
/// [`Seq::START`], its first change is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(u64);

impl Seq {
    /// Before the first change.
    pub const START: Seq = Seq(0);

    /// The sequence number with this value.
    pub const fn new(value: u64) -> Self {
        Seq(value)
    }

    /// The value.
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Seq(self.0 + 1)
    }
}

/// How far a list is, and how long: both of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// The newest change.
    pub sequence: Seq,
    /// How many entries are active.
    pub active: u64,
}

/// What an entry covers since its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whom the entry is about.
    pub subject: Subject,
    /// The directions that it covers now: an absolute state, so applying a change twice, or after
    /// a later one was applied by other means, does no harm. None where the entry is inactive.
    pub directions: Directions,
    /// The number of the change that led to this state.
    pub sequence: Seq,
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The entries that changed, each once and with its newest state, in the order of their last
    /// changes.
    pub changes: Vec<Change>,
    /// The newest change of the list, whether or not it is among `changes`.
    pub sequence: Seq,
    /// Whether there are changes after those given. Ask again from the last one's sequence.
    pub more: bool,
}

impl Changes {
    /// From where to ask for what comes after this part.
    pub fn next(&self) -> Seq {
        match self.changes.last() {
            Some(last) if self.more => last.sequence,
            _ => self.sequence,
        }
    }
}
