//! Pages of the audit trail. Records that share a sequence number are not split, because the number is the cursor. Their count is
//! bounded by the size of a commit.

use std::num::NonZeroUsize;

use portcullis_msisdn::Subject;

use crate::changes::Seq;
use crate::record::{Record, Trail};

/// A page, as far as it is known from the records that were read.
#[derive(Debug)]
pub enum Page {
    /// The page.
    Is(Trail),
    /// The page is all records with this number, of which only some were read.
    AllOf(Seq),
}

impl Page {
    /// The page that begins with the latest of these records, which are in order, the latest first: one more than the limit if there are
    /// so many.
    pub fn of(mut records: Vec<Record>, limit: NonZeroUsize) -> Self {
        let Some(beyond) = records.get(limit.get()).map(|record| record.sequence) else {
            return Page::Is(Trail { records, older: None });
        };
        records.truncate(limit.get());
        if records.first().is_some_and(|first| first.sequence == beyond) {
            return Page::AllOf(beyond);
        }
        records.retain(|record| record.sequence != beyond);
        let older = records.last().map(|record| record.sequence);
        Page::Is(Trail { records, older })
    }
}

/// Takes out the last records, which share a number, if others with it may not have been read: if there are as many records as the limit.
/// The oldest come first. Returns the number.
pub fn take_last(records: &mut Vec<Record>, limit: NonZeroUsize) -> Option<Seq> {
    let last = records.last().filter(|_| records.len() == limit.get()).map(|last| last.sequence)?;
    records.retain(|record| record.sequence != last);
    Some(last)
}

/// The records of one subject, collected from the latest on: each says where the one before it is.
#[derive(Debug)]
pub struct History {
    subject: Subject,
    before: Option<Seq>,
    limit: NonZeroUsize,
    next: Seq,
    records: Vec<Record>,
}

impl History {
    /// Begins with the latest change of the subject's entry, or finds nothing if there is no entry. Leaves out records from `before` on.
    pub fn new(subject: Subject, latest: Option<Seq>, before: Option<Seq>, limit: NonZeroUsize) -> Self {
        History { subject, before, limit, next: latest.unwrap_or(Seq::START), records: Vec::new() }
    }

    /// The number whose records are to be added next; `None` if there are no more, or the page is full.
    pub fn wants(&self) -> Option<Seq> {
        (self.next != Seq::START && self.records.len() < self.limit.get()).then_some(self.next)
    }

    /// Adds the records that it wants, the latest first.
    pub fn add(&mut self, found: Vec<Record>) {
        let Some(first) = found.first().filter(|record| record.subject == self.subject) else {
            // The entry is older than the trail.
            self.next = Seq::START;
            return;
        };
        let at = self.next;
        self.next = first.previous;
        if self.before.is_none_or(|before| at < before) {
            self.records.extend(found);
        }
    }

    /// The page.
    pub fn finish(self) -> Trail {
        let older = self.records.last().filter(|_| self.next != Seq::START).map(|record| record.sequence);
        Trail { records: self.records, older }
    }
}
