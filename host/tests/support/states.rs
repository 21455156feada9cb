//! Saved states in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};

/// The saved state of one list in memory, which tests can inspect and tamper with.
#[derive(Default)]
pub struct States(Mutex<Option<State>>);

#[derive(Clone)]
pub struct State {
    pub header: StateHeader,
    pub parts: Vec<Vec<u8>>,
}

impl States {
    pub fn kept(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer<'a> {
    states: &'a States,
    state: State,
}

impl StateStore for States {
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError> {
        Ok(Box::new(Writer { states: self, state: State { header: header.clone(), parts: Vec::new() } }))
    }

    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError> {
        let kept = self.kept().clone();
        Ok(kept.map(|State { header, parts }| (header, Box::new(parts.into_iter().map(Ok)) as StateParts)))
    }

    fn discard(&self) -> Result<(), SourceError> {
        *self.kept() = None;
        Ok(())
    }
}

impl StateWriter for Writer<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.state.parts.push(bytes.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        *self.states.kept() = Some(self.state);
        Ok(())
    }
}
