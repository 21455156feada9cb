//! The saved state of one list, as far as the ledger vouches for it.

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};
use portcullis_ledger::List;

use crate::states::StateFile;

/// The saved state of one list, as far as the ledger vouches for it.
///
/// A ledger that was put back to an earlier copy of itself knows another history than the states beside it. It names the
/// state that it knows; any other is taken for none.
pub(crate) struct KeptState {
    file: StateFile,
    list: List,
}

impl KeptState {
    pub(super) fn new(file: StateFile, list: List) -> Self {
        KeptState { file, list }
    }
}

impl StateStore for KeptState {
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
    state: &'a KeptState,
    file: Box<dyn StateWriter + 'a>,
}

impl StateWriter for Writer<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.file.part(bytes)
    }

    /// The file first: until the ledger knows it, there is no state, and no harm done.
    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        self.file.finish()?;
        if let Some(id) = self.state.file.id()? {
            self.state.list.keep_state(id)?;
        }
        Ok(())
    }
}
