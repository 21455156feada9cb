//! Storage of saved states, from which a new generation can be filled faster than entry by entry.

use crate::contract::{Format, Keyspace};
use crate::source::SourceError;

/// Describes a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateHeader {
    /// The plugin's format of the parts.
    pub format: Format,
    /// Whether its keys are hashed subjects or phone numbers in the clear. It is never loaded into a plugin of the
    /// other kind.
    pub keyspace: Keyspace,
    /// The list's sequence number when saving began. Later changes must be replayed.
    pub sequence: u64,
    /// The number of entries in the list then: a hint for reserving memory.
    pub entries: u64,
}

/// Storage for the saved state of one list. It holds one state at a time; a new state replaces the old one when it is
/// complete.
///
/// Implementations must ensure that a state that is read is complete, unmodified, and was written for this list: the
/// host trusts it. Encrypt it at rest, because it contains subjects, or phone numbers in the clear.
pub trait StateStore: Send + Sync {
    /// Begins a new state. The previous one is kept until the writer finishes.
    ///
    /// # Errors
    ///
    /// If the state can't be written.
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError>;

    /// Reads the latest complete state, if there is one.
    ///
    /// # Errors
    ///
    /// If there is a state but it can't be read.
    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError>;

    /// Deletes the state, which turned out to be unusable.
    ///
    /// # Errors
    ///
    /// If it can't be deleted.
    fn discard(&self) -> Result<(), SourceError>;
}

/// Writes the parts of a state. If dropped before `finish`, the previous state is kept.
pub trait StateWriter {
    /// Appends a part of at most 4 MiB.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError>;

    /// Commits the state, replacing the previous one.
    ///
    /// # Errors
    ///
    /// If it can't be committed; the previous state is then kept.
    fn finish(self: Box<Self>) -> Result<(), SourceError>;
}

/// The parts of a state, in order. The iterator ends after an error.
pub type StateParts = Box<dyn Iterator<Item = Result<Vec<u8>, SourceError>> + Send>;
