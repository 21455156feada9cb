//! An in-memory entry source, in place of the gateway's ledger.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use portcullis_host::{Census, Change, Directions, Entry, EntrySource, SourceError, Subject};

#[derive(Default)]
pub struct Record(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    sequence: u64,
    in_force: u64,
    /// Each entry's directions and the number of its last change.
    latest: BTreeMap<Subject, (Directions, u64)>,
    feed: BTreeMap<u64, Subject>,
}

impl Record {
    /// Creates a record with these entries. Each is one change.
    pub fn of(subjects: impl IntoIterator<Item = Subject>) -> Self {
        let record = Record::default();
        for subject in subjects {
            record.set(subject, Directions::BOTH);
        }
        record
    }

    /// Changes an entry. Returns the number of the change.
    pub fn set(&self, subject: Subject, directions: Directions) -> u64 {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.sequence += 1;
        let sequence = entries.sequence;
        let before = entries.latest.insert(subject, (directions, sequence));
        if let Some((_, sequence)) = before {
            entries.feed.remove(&sequence);
        }
        let was_in_force = before.is_some_and(|(before, _)| !before.is_none());
        entries.in_force = entries.in_force - u64::from(was_in_force) + u64::from(!directions.is_none());
        entries.feed.insert(sequence, subject);
        sequence
    }

    /// The number of entries in force.
    pub fn len(&self) -> u64 {
        self.entries().in_force
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EntrySource for Record {
    fn census(&self) -> Result<Census, SourceError> {
        let entries = self.entries();
        Ok(Census { sequence: entries.sequence, entries: entries.in_force })
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self
            .entries()
            .latest
            .range((from, Bound::Unbounded))
            .filter(|(_, (directions, _))| !directions.is_none())
            .take(limit)
            .map(|(&subject, &(directions, _))| Entry { subject, directions })
            .collect())
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        let entries = self.entries();
        let directions =
            |subject| entries.latest.get(subject).map_or(Directions::NONE, |&(directions, _)| directions);
        Ok(subjects.iter().map(directions).collect())
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        let entries = self.entries();
        Ok(entries
            .feed
            .range(sequence + 1..)
            .take(limit)
            .map(|(&sequence, &subject)| {
                let (directions, _) = entries.latest[&subject];
                Change { subject, directions, sequence }
            })
            .collect())
    }
}
