//! All entries of a list, in parts.

use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};
use std::{mem, vec};

use portcullis_host::{BATCH, Entry};
use portcullis_ledger::{LedgerError, List};
use portcullis_msisdn::{Directions, Subject};

/// How many entries are read at once, at least, and which share of a long list. The ledger compares sums of whole parts of a list, so
/// small pages would be read many times over.
const PAGE: NonZeroUsize = NonZeroUsize::new(1 << 16).unwrap();
const SHARE: u64 = 16;

type Page = Vec<(Subject, Directions)>;

/// Iterates over a list's entries in force, in ascending order of subject, in parts of at most [`BATCH`]. Ends after an error.
pub(crate) struct Parts {
    list: List,
    /// How many entries are read at once.
    size: NonZeroUsize,
    /// Whether the next page is read while this one is taken: the ledger is elsewhere.
    is_ahead: bool,
    page: vec::IntoIter<(Subject, Directions)>,
    next: Next,
}

/// The page after this one.
enum Next {
    /// It begins after this subject, or is the first.
    After(Option<Subject>),
    /// It is being read.
    Coming(JoinHandle<Result<Page, LedgerError>>),
    None,
}

impl Parts {
    /// The parts of a list that has about `entries` in force.
    pub(crate) fn of(list: List, entries: u64, is_ahead: bool) -> Self {
        let share = usize::try_from(entries / SHARE).ok().and_then(NonZeroUsize::new).unwrap_or(PAGE);
        let page = Vec::new().into_iter();
        Parts { list, size: share.max(PAGE), is_ahead, page, next: Next::After(None) }
    }

    fn turn(&mut self) -> Result<(), LedgerError> {
        let page = match mem::replace(&mut self.next, Next::None) {
            Next::After(after) => self.list.members(after, self.size)?,
            Next::Coming(thread) => thread.join().unwrap_or(Err(LedgerError::Defect))?,
            Next::None => return Ok(()),
        };
        if page.len() >= self.size.get() {
            self.next = self.after(page.last().map(|(subject, _)| *subject));
        }
        self.page = page.into_iter();
        Ok(())
    }

    fn after(&self, last: Option<Subject>) -> Next {
        let (list, size) = (self.list.clone(), self.size);
        let thread = self.is_ahead.then(|| thread::Builder::new().spawn(move || list.members(last, size)));
        match thread {
            Some(Ok(thread)) => Next::Coming(thread),
            // Without a thread, it is read when it is asked for.
            Some(Err(_)) | None => Next::After(last),
        }
    }
}

impl Iterator for Parts {
    type Item = Result<Vec<Entry>, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && let Err(error) = self.turn()
        {
            return Some(Err(error));
        }
        let part = self.page.by_ref().take(BATCH);
        let part: Vec<Entry> = part.map(|(subject, directions)| Entry { subject, directions }).collect();
        (!part.is_empty()).then_some(Ok(part))
    }
}
