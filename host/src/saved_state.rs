//! Saved states: a generation's list as bytes, so that the next one need not be filled entry by entry.

use crate::contract::{Format, Keyspace};
use crate::source::SourceError;

/// What a saved state is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateHeader {
    /// The format of the parts, as the plugin names it.
    pub format: Format,
    /// Whether the keys in it are hashed subjects or numbers in clear: never loaded into the other kind of plugin.
    pub keyspace: Keyspace,
    /// The list's sequence number when saving began: the changes since then are to be replayed.
    pub sequence: u64,
    /// How many entries the plugin counted at that time: a hint for reserving memory.
    pub entries: u64,
}

/// Where one list's saved state is kept between its plugin's instances. One state at a time: a new one replaces the old one
/// when it is complete.
///
/// Whoever implements it vouches that a state which is read is one that was written, whole and for this very list: the
/// host loads it for true. At rest it belongs sealed, as its keys are subjects, or numbers in clear.
pub trait StateStore: Send + Sync {
    /// Begins a new state. What was kept before stays until the writer finishes.
    ///
    /// # Errors
    ///
    /// Where nothing can be written.
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError>;

    /// The newest complete state, if there is one.
    ///
    /// # Errors
    ///
    /// Where there is something, and it can't be read.
    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError>;

    /// Throws away what is kept: it proved to be of no use.
    ///
    /// # Errors
    ///
    /// Where it can't be removed.
    fn discard(&self) -> Result<(), SourceError>;
}

/// Takes the parts of a state. Dropped before `finish`, it leaves the old state in place.
pub trait StateWriter {
    /// Adds a part, at most 4 MiB.
    ///
    /// # Errors
    ///
    /// Where it can't be written.
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError>;

    /// Puts the state in the place of the one before.
    ///
    /// # Errors
    ///
    /// Where that fails: the one before then stays.
    fn finish(self: Box<Self>) -> Result<(), SourceError>;
}

/// The parts of a state, in order. After an error nothing follows.
pub type StateParts = Box<dyn Iterator<Item = Result<Vec<u8>, SourceError>> + Send>;
