//! An in-memory entry source, in place of the ledger.

use portcullis_benches::SplitMix;
use portcullis_host::{Census, Change, Directions, Entry, EntrySource, SourceError, Subject};

/// A constant number of subjects, each blocked in both directions.
pub(crate) struct Record {
    /// In ascending order.
    subjects: Vec<Subject>,
}

impl Record {
    pub(crate) fn new(size: u64) -> Self {
        let mut numbers = SplitMix::new(1);
        let mut subjects: Vec<Subject> = (0..size).map(|_| numbers.subject()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        Record { subjects }
    }
}

impl EntrySource for Record {
    fn census(&self) -> Result<Census, SourceError> {
        Ok(Census { sequence: 1, entries: self.subjects.len() as u64 })
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        let from = self.subjects.partition_point(|&subject| Some(subject) <= after);
        let subjects = self.subjects[from..].iter().take(limit);
        Ok(subjects.map(|&subject| Entry { subject, directions: Directions::BOTH }).collect())
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        let directions = |subject| match self.subjects.binary_search(subject) {
            Ok(_) => Directions::BOTH,
            Err(_) => Directions::NONE,
        };
        Ok(subjects.iter().map(directions).collect())
    }

    fn changes_since(&self, _: u64, _: usize) -> Result<Vec<Change>, SourceError> {
        Ok(Vec::new())
    }
}
