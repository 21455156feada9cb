//! The saved state of a list, verified against the ledger.

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};
use portcullis_ledger::List;

use crate::states::StateFile;

/// The saved state of a list, verified against the ledger.
///
/// A ledger that was restored from a backup has another history than the states beside it. It stores the id of the state that
/// belongs to it; any other state is ignored.
pub(crate) struct VerifiedState {
    file: StateFile,
    list: List,
}

impl VerifiedState {
    pub(super) fn new(file: StateFile, list: List) -> Self {
        VerifiedState { file, list }
    }
}

impl StateStore for VerifiedState {
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError> {
        Ok(Box::new(Writer { state: self, file: self.file.write(header)? }))
    }

    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError> {
        match self.list.kept_state()? {
            Some(known) => Ok(self.file.read_known(known)?),
            None => Ok(None),
        }
    }

    fn discard(&self) -> Result<(), SourceError> {
        self.file.discard()
    }
}

struct Writer<'a> {
    state: &'a VerifiedState,
    file: Box<dyn StateWriter + 'a>,
}

impl StateWriter for Writer<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.file.part(bytes)
    }

    /// The file first: until the ledger has its id, the state is ignored, which does no harm.
    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        self.file.finish()?;
        if let Some(id) = self.state.file.id()? {
            self.state.list.keep_state(id)?;
        }
        Ok(())
    }
}
