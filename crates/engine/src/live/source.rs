//! The ledger's list as the host's source of entries.

use std::num::NonZeroUsize;

use portcullis_host::{Census, Change, Entry, EntrySource, SourceError};
use portcullis_ledger::{LedgerError, List, Seq};
use portcullis_msisdn::{Directions, Subject};

/// The ledger's list as the host's source of entries.
pub(crate) struct LedgerSource(pub(crate) List);

fn source_error(error: LedgerError) -> SourceError {
    Box::new(error)
}

fn at_least_one(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN)
}

impl EntrySource for LedgerSource {
    fn census(&self) -> Result<Census, SourceError> {
        let portcullis_ledger::Census { sequence, active } = self.0.census().map_err(source_error)?;
        Ok(Census { sequence: sequence.get(), entries: active })
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        let members = self.0.members(after, at_least_one(limit)).map_err(source_error)?;
        let entry = |(subject, directions)| Entry { subject, directions };
        Ok(members.into_iter().map(entry).collect())
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        self.0.directions(subjects).map_err(source_error)
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        let changes = self.0.changes_since(Seq::new(sequence), at_least_one(limit)).map_err(source_error)?;
        let change = |change: portcullis_ledger::Change| Change {
            subject: change.subject,
            directions: change.directions,
            sequence: change.sequence.get(),
        };
        Ok(changes.changes.into_iter().map(change).collect())
    }
}
