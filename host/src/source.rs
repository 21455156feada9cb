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
    /// The sequence number of the newest change; 0 where there was none.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn sequence(&self) -> Result<u64, SourceError>;

    /// The entries in force with a subject above `after`, in ascending order, at most `limit`. Empty at the end, and only there.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError>;

    /// The entries that changed after `sequence`, each once as it is now, in ascending order of their last
    /// change, at most `limit`. Empty where nothing is newer.
    ///
    /// # Errors
    ///
    /// Where the record can't be read.
    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError>;
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
