//! The source of truth that generations are filled from.

use std::error::Error;
use std::iter;

use portcullis_msisdn::{Directions, Subject};

use crate::contract::Entry;
use crate::instance::BATCH;

/// An error of an [`EntrySource`] or [`StateStore`](crate::StateStore) implementation.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// All entries of a list, in parts that are not empty. Nothing is read after an error.
pub type EntryParts<'a> = Box<dyn Iterator<Item = Result<Vec<Entry>, SourceError>> + 'a>;

/// The durable source of one blacklist's entries, such as a database.
///
/// Each change of an entry increments the list's sequence number. Iteration over [`entries`](Self::entries) need not be
/// a consistent snapshot: the changes since the sequence number at its start are replayed afterwards.
pub trait EntrySource {
    /// Returns the list's sequence number and length.
    ///
    /// # Errors
    ///
    /// If the source can't be read.
    fn census(&self) -> Result<Census, SourceError>;

    /// Iterates over all entries in force, in ascending order of subject. What is in force is read while the iteration goes on, not before
    /// it.
    fn entries(&self) -> EntryParts<'_> {
        // What the next part follows; `None` at the end.
        let mut next = Some(None);
        Box::new(iter::from_fn(move || {
            let part = self.members(next?, BATCH);
            next = part.as_ref().ok().and_then(|part| part.last()).map(|last| Some(last.subject));
            part.map(|part| (!part.is_empty()).then_some(part)).transpose()
        }))
    }

    /// Returns at most `limit` entries in force with a subject greater than `after`, in ascending order of subject. The
    /// result is empty only at the end.
    ///
    /// # Errors
    ///
    /// If the source can't be read.
    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError>;

    /// Like [`members`](Self::members), to compare a few entries with a plugin that was filled from all of them. A source
    /// that checks what it reads may leave that out here.
    ///
    /// # Errors
    ///
    /// If the source can't be read.
    fn sample(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.members(after, limit)
    }

    /// Returns the directions in force for each subject, in order; [`Directions::NONE`] for a subject without an entry.
    ///
    /// # Errors
    ///
    /// If the source can't be read.
    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError>;

    /// Returns at most `limit` entries that changed after `sequence`, in ascending order of their last change. Each
    /// appears once, in its current state. The result is empty if nothing changed, and has fewer than `limit` entries only if
    /// there are no more at this moment.
    ///
    /// # Errors
    ///
    /// If the source can't be read.
    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError>;
}

/// A list's sequence number and length at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The sequence number of the latest change; 0 if there was none.
    pub sequence: u64,
    /// The number of entries in force. A subject blocked in both directions counts once.
    pub entries: u64,
}

/// A change of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The subject of the entry.
    pub subject: Subject,
    /// The directions now in force; [`Directions::NONE`] if the entry was lifted.
    pub directions: Directions,
    /// The sequence number of the change.
    pub sequence: u64,
}
