//! Who wrote to a sender within 24 hours, for vendors whose clients may only block such people.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_engine::{List, WriteError};
use portcullis_msisdn::Subject;

/// How long a visit counts.
const WINDOW: Duration = Duration::from_hours(24);
/// The most people to remember per sender. Anyone beyond that counts as not having written.
const MOST: usize = 1_000_000;

/// The people who wrote to a sender within 24 hours, at most a million.
///
/// Visits are kept in memory, and stored in the ledger by [`write_down`](Self::write_down). A crash loses those since
/// the last call. The first use reads the stored visits, which blocks. If other gateways store theirs in the same ledger, it is
/// asked about those who are not known here instead, and a check does not wait for it.
#[derive(Default)]
pub struct Visits(Mutex<Option<Book>>);

#[derive(Default)]
struct Book {
    last: HashMap<Subject, Timestamp>,
    /// Visits that are not stored yet.
    fresh: HashMap<Subject, Timestamp>,
}

impl Visits {
    /// Records that a person wrote to the sender now. Ignored if the maximum number of people is reached.
    ///
    /// # Errors
    /// If the list is no longer served, or the stored visits can't be read from the ledger.
    pub fn note(&self, list: &List, who: Subject) -> Result<(), WriteError> {
        let now = list.now();
        self.with(list, |book| {
            if book.last.len() < MOST || book.last.contains_key(&who) {
                book.last.insert(who, now);
                book.fresh.insert(who, now);
            }
        })
    }

    /// Whether a person is known to have written within 24 hours.
    ///
    /// # Errors
    /// If the list is no longer served, or the stored visits can't be read from the ledger.
    pub fn is_lately(&self, list: &List, who: Subject) -> Result<bool, WriteError> {
        let since = list.now() - WINDOW;
        let is_known = self.with(list, |book| book.last.get(&who).is_some_and(|last| *last >= since))?;
        if is_known || !list.is_shared() {
            return Ok(is_known);
        }
        // Another gateway may have received the message.
        Ok(list.in_ledger()?.visit(who)?.is_some_and(|last| last >= since))
    }

    /// Stores new visits in the ledger, and forgets those older than 24 hours. Blocks on the disk if there are new
    /// visits, otherwise does nothing.
    ///
    /// # Errors
    /// If the list is no longer served, or the ledger can't be written. The visits are kept for the next call.
    pub fn write_down(&self, list: &List) -> Result<(), WriteError> {
        let since = list.now() - WINDOW;
        let fresh = {
            let mut book = self.0.lock();
            let Some(book) = book.as_mut() else { return Ok(()) };
            if book.fresh.is_empty() {
                return Ok(());
            }
            book.last.retain(|_, last| *last >= since);
            std::mem::take(&mut book.fresh)
        };
        let visits: Vec<_> = fresh.iter().map(|(who, at)| (*who, *at)).collect();
        let kept = list.in_ledger().and_then(|list| Ok(list.keep_visits(&visits, since)?));
        if kept.is_err() {
            // Keep them for the next call. Visits recorded meanwhile are newer.
            if let Some(book) = self.0.lock().as_mut() {
                for (who, at) in fresh {
                    book.fresh.entry(who).or_insert(at);
                }
            }
        }
        kept
    }

    fn with<T>(&self, list: &List, work: impl FnOnce(&mut Book) -> T) -> Result<T, WriteError> {
        let mut book = self.0.lock();
        let book = match &mut *book {
            Some(book) => book,
            unread if list.is_shared() => unread.insert(Book::default()),
            unread => {
                let last = list.in_ledger()?.visits(list.now() - WINDOW)?.into_iter().take(MOST).collect();
                unread.insert(Book { last, fresh: HashMap::new() })
            }
        };
        Ok(work(book))
    }
}
