//! Who wrote to a sender lately: what the rule of 24 hours is about.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_ledger::{LedgerError, List};
use portcullis_msisdn::Subject;

/// How long ago "lately" is.
const WINDOW: Duration = Duration::from_hours(24);
/// The most persons that are remembered of one sender. Who is not, counts as not having written.
const MOST: usize = 1_000_000;

/// Who wrote to a sender lately. In memory, and written down now and then: what a crash loses are the visits since.
#[derive(Default)]
pub struct Visits(Mutex<Option<Book>>);

#[derive(Default)]
struct Book {
    last: HashMap<Subject, Timestamp>,
    /// What is not written down yet.
    fresh: HashMap<Subject, Timestamp>,
}

impl Visits {
    /// That somebody wrote now.
    pub fn note(&self, list: &List, who: Subject) -> Result<(), LedgerError> {
        let now = Timestamp::now();
        self.with(list, |book| {
            if book.last.len() < MOST || book.last.contains_key(&who) {
                book.last.insert(who, now);
                book.fresh.insert(who, now);
            }
        })
    }

    /// Whether somebody wrote lately.
    pub fn is_lately(&self, list: &List, who: Subject) -> Result<bool, LedgerError> {
        let since = Timestamp::now() - WINDOW;
        self.with(list, |book| book.last.get(&who).is_some_and(|last| *last >= since))
    }

    /// Writes down what is new, and forgets what is old.
    pub fn write_down(&self, list: &List) -> Result<(), LedgerError> {
        let since = Timestamp::now() - WINDOW;
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
        let kept = list.keep_visits(&visits, since);
        if kept.is_err() {
            // To be tried again; what came meanwhile is newer.
            if let Some(book) = self.0.lock().as_mut() {
                for (who, at) in fresh {
                    book.fresh.entry(who).or_insert(at);
                }
            }
        }
        kept
    }

    fn with<T>(&self, list: &List, work: impl FnOnce(&mut Book) -> T) -> Result<T, LedgerError> {
        let mut book = self.0.lock();
        let book = match &mut *book {
            Some(book) => book,
            unread => {
                let last = list.visits(Timestamp::now() - WINDOW)?.into_iter().take(MOST).collect();
                unread.insert(Book { last, fresh: HashMap::new() })
            }
        };
        Ok(work(book))
    }
}
