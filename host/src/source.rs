//! What the host needs from outside: the truth that a generation is filled from.

use std::error::Error;

use portcullis_msisdn::{Directions, Subject};

use crate::contract::Entry;

/// Why the source gave nothing: whatever its implementer says.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// The durable record of one blacklist.
///
/// Each change of an entry increments the list's sequence number. A walk over `members` need not be one
/// consistent snapshot: the changes since the sequence at its start, replayed afterwards, mend what moved meanwhile.
pub trait EntrySource {
    /// How far the list is, and how long.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn census(&self) -> Result<Census, SourceError>;

    /// The entries in force with a subject above `after`, in ascending order, at most `limit`. Empty at the end, and only there.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError>;

    /// The directions in force for each of these subjects, in their order; none for a stranger.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError>;

    /// The entries that changed after `sequence`, each once as it is now, in ascending order of their last
    /// change, at most `limit`. Empty where nothing is newer.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError>;
}

/// How far a list is, and how long: both of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The number of the newest change; 0 where there was none.
    pub sequence: u64,
    /// How many entries are in force, a subject in both directions counting once.
    pub entries: u64,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whom the entry is about.
    pub subject: Subject,
    /// The directions that it covers now; none where it is lifted.
    pub directions: Directions,
    /// The number of this change.
    pub sequence: u64,
}
