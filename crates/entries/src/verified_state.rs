//! The saved state of a list, verified against the ledger.

use std::sync::Arc;

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};
use portcullis_ledger::{List, Seq};
use portcullis_saved_states::StateFile;

use crate::ledger_source::LedgerSource;

/// The saved state of a list, verified against the ledger.
///
/// A ledger that was restored from a backup has another history than the states beside it. It stores the id of the state that
/// belongs to it; any other state is ignored. It also stores a sum of the entries that changed since, which are read after the state.
pub struct VerifiedState {
    file: StateFile,
    entries: Arc<LedgerSource>,
}

impl VerifiedState {
    /// The state in a file, which belongs to these entries.
    pub fn new(file: StateFile, entries: Arc<LedgerSource>) -> Self {
        VerifiedState { file, entries }
    }

    fn list(&self) -> &List {
        self.entries.list()
    }
}

impl StateStore for VerifiedState {
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError> {
        let sequence = Seq::new(header.sequence);
        Ok(Box::new(Writer { state: self, file: self.file.write(header)?, sequence }))
    }

    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError> {
        let Some(known) = self.list().kept_state()? else { return Ok(None) };
        let Some((header, parts)) = self.file.read_known(known)? else { return Ok(None) };
        self.list()
            .check_changes_since_state(Seq::new(header.sequence))
            .map_err(|error| self.entries.failed(error))?;
        Ok(Some((header, parts)))
    }

    fn discard(&self) -> Result<(), SourceError> {
        self.file.discard()
    }
}

struct Writer<'a> {
    state: &'a VerifiedState,
    file: Box<dyn StateWriter + 'a>,
    sequence: Seq,
}

impl StateWriter for Writer<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.file.part(bytes)
    }

    /// The file first: until the ledger has its id, the state is ignored, which does no harm.
    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        self.file.finish()?;
        if let Some(id) = self.state.file.id()? {
            self.state.list().keep_state(id, self.sequence)?;
        }
        Ok(())
    }
}
