//! The ledger's list as the host's source of entries.

use std::iter;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use portcullis_fleet::{Positions, Staleness};
use portcullis_host::{Census, Change, Entry, EntryParts, EntrySource, SourceError};
use portcullis_ledger::{LedgerError, List, Mark, Scope, Seq};
use portcullis_msisdn::{Directions, Subject};
use tracing::error;

use crate::parts::Parts;

/// The ledger's list as the host's source of entries.
pub struct LedgerSource {
    list: List,
    /// Whether the log says that the list is damaged.
    is_reported: AtomicBool,
    /// How often the host asked for something.
    reads: AtomicU64,
    /// How far a list of a shared ledger was read.
    positions: Mutex<Positions>,
    staleness: Arc<Staleness>,
}

fn at_least_one(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN)
}

impl LedgerSource {
    /// The entries of a list, of a ledger that is as fresh as `staleness` says.
    pub fn new(list: List, staleness: Arc<Staleness>) -> Self {
        LedgerSource {
            list,
            is_reported: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            positions: Mutex::default(),
            staleness,
        }
    }

    /// The ledger's list.
    pub fn list(&self) -> &List {
        &self.list
    }

    /// How often the host asked for something. It does so between calls of the plugin, so this grows as long as a plugin is filled.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The positions up to which a list of a shared ledger was read, as far as they are remembered. `None` if there are too many.
    pub fn positions(&self) -> Option<Vec<(Seq, Mark)>> {
        self.positions.lock().known().map(<[_]>::to_vec)
    }

    /// Forgets how far the list was read: the ledger has lost some of it.
    pub fn forget_positions(&self) {
        self.positions.lock().forget();
    }

    /// Notes how far the list of a shared ledger was read.
    pub(crate) fn note_position(&self, sequence: Seq, mark: Mark) {
        self.positions.lock().note(self.staleness.epoch(), sequence, mark);
    }

    /// Whether the list was read up to this position, as far as that is remembered.
    pub(crate) fn has_read(&self, sequence: Seq, mark: Mark) -> bool {
        let positions = self.positions.lock();
        positions.known().is_some_and(|known| known.contains(&(sequence, mark)))
    }

    fn note_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs damage, once. The list goes out of service by itself, because it can't be filled.
    pub(crate) fn failed(&self, error: LedgerError) -> SourceError {
        if let LedgerError::Damaged { .. } = error
            && !self.is_reported.swap(true, Ordering::Relaxed)
        {
            let list = match self.list.scope() {
                Scope::Tenant => "tenant-wide",
                Scope::Sender(sender) => sender.as_str(),
            };
            error!(
                tenant = %self.list.tenant(), list, error = portcullis_host::ErrorChain(&error).to_string(),
                "the list is damaged in the ledger: what is damaged does not answer checks"
            );
        }
        Box::new(error)
    }
}

pub(crate) fn change(change: portcullis_ledger::Change) -> Change {
    Change { subject: change.subject, directions: change.directions, sequence: change.sequence.get() }
}

fn entries(members: Vec<(Subject, Directions)>) -> Vec<Entry> {
    members.into_iter().map(|(subject, directions)| Entry { subject, directions }).collect()
}

impl EntrySource for LedgerSource {
    fn census(&self) -> Result<Census, SourceError> {
        self.note_read();
        let portcullis_ledger::Census { sequence, active } =
            self.list.census().map_err(|error| self.failed(error))?;
        Ok(Census { sequence: sequence.get(), entries: active })
    }

    fn entries(&self) -> EntryParts<'_> {
        let active = match self.census() {
            Ok(census) => census.entries,
            Err(error) => return Box::new(iter::once(Err(error))),
        };
        let parts = Parts::of(self.list.clone(), active, self.staleness.is_shared());
        Box::new(parts.map(|part| {
            self.note_read();
            part.map_err(|error| self.failed(error))
        }))
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.note_read();
        self.list.members(after, at_least_one(limit)).map(entries).map_err(|error| self.failed(error))
    }

    fn sample(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.note_read();
        self.list.sample(after, at_least_one(limit)).map(entries).map_err(|error| self.failed(error))
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        self.note_read();
        // To compare with a plugin that was filled from all entries, or to find out whether it has to be.
        self.list.sample_directions(subjects).map_err(|error| self.failed(error))
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        self.note_read();
        let changes = self
            .list
            .changes_since(Seq::new(sequence), at_least_one(limit))
            .map_err(|error| self.failed(error))?;
        if changes.sequence < Seq::new(sequence) {
            self.staleness.add_lost(self.list.id());
            return Err(self.failed(LedgerError::HistoryLost));
        }
        if let Some(mark) = changes.mark {
            self.note_position(changes.sequence, mark);
        }
        Ok(changes.changes.into_iter().map(change).collect())
    }
}
