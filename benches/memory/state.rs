//! An in-memory store of saved states.

use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};

type Kept = Option<(StateHeader, Vec<Vec<u8>>)>;

/// A store of one state.
#[derive(Default)]
pub(crate) struct State {
    kept: Mutex<Kept>,
}

impl State {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The total size of the parts.
    pub(crate) fn bytes(&self) -> u64 {
        self.kept().iter().flat_map(|(_, parts)| parts).map(|part| part.len() as u64).sum()
    }

    /// Whether there is a state that was not discarded.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept().is_some()
    }
}

impl StateStore for State {
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError> {
        Ok(Box::new(Writer { state: self, header: header.clone(), parts: Vec::new() }))
    }

    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError> {
        let kept = self.kept().clone();
        Ok(kept.map(|(header, parts)| (header, Box::new(parts.into_iter().map(Ok)) as StateParts)))
    }

    fn discard(&self) -> Result<(), SourceError> {
        *self.kept() = None;
        Ok(())
    }
}

struct Writer<'a> {
    state: &'a State,
    header: StateHeader,
    parts: Vec<Vec<u8>>,
}

impl StateWriter for Writer<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.parts.push(bytes.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        *self.state.kept() = Some((self.header, self.parts));
        Ok(())
    }
}
