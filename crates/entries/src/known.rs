//! A source of entries for a plugin that lacks only what was read already.

use std::cell::Cell;

use portcullis_host::{Census, Change, Entry, EntryParts, EntrySource, SourceError};
use portcullis_ledger::{Seq, Span};
use portcullis_msisdn::{Directions, Subject};

use crate::ledger_source::{self, LedgerSource};

/// The ledger's list, of which a span is known: what a commit of this engine changed, or what was read for many lists at once.
///
/// Only for a plugin that is to follow to the span's end at least. There may be changes after it that this source does not tell of.
pub struct Known<'a> {
    source: &'a LedgerSource,
    span: &'a Span,
    /// How far the plugin has followed the span.
    reached: Cell<Option<Seq>>,
}

impl<'a> Known<'a> {
    /// The list of `source`, of which `span` is known.
    pub fn new(source: &'a LedgerSource, span: &'a Span) -> Self {
        Known { source, span, reached: Cell::new(None) }
    }

    /// Whether a plugin that has this change can go on from there in the span.
    fn goes_on_from(&self, sequence: Seq) -> bool {
        if self.reached.get() == Some(sequence) {
            return true;
        }
        // Another history may have the same sequence number.
        let is_of_history = || self.span.since_mark.is_none_or(|mark| self.source.has_read(sequence, mark));
        sequence == self.span.since && is_of_history()
    }

    /// The changes after this one, as [`EntrySource::changes_since`]; `None` if the ledger has to be asked.
    fn changes_after(&self, sequence: Seq, limit: usize) -> Option<Vec<Change>> {
        if !self.goes_on_from(sequence) {
            return None;
        }
        let changes = &self.span.changes;
        let first = changes.partition_point(|change| change.sequence <= sequence);
        let page = &changes[first..changes.len().min(first.saturating_add(limit))];
        // A page that is not full says that there are no more.
        if page.len() < limit && self.span.mark.is_none() {
            return None;
        }
        let last = page.last().map_or(sequence, |last| last.sequence);
        if let Some(mark) = self.span.mark
            && last == self.span.sequence
        {
            self.source.note_position(last, mark);
        }
        self.reached.set(Some(last));
        Some(page.iter().copied().map(ledger_source::change).collect())
    }
}

impl EntrySource for Known<'_> {
    fn census(&self) -> Result<Census, SourceError> {
        self.source.census()
    }

    fn entries(&self) -> EntryParts<'_> {
        self.source.entries()
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.source.members(after, limit)
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        self.source.directions(subjects)
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        match self.changes_after(Seq::new(sequence), limit) {
            Some(changes) => Ok(changes),
            None => self.source.changes_since(sequence, limit),
        }
    }
}
