//! What callers ask the writer for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;

use rusqlite::Connection;

use super::write::write_all;
use crate::error::LedgerError;
use crate::keys::TenantKeys;
use crate::store::ListRow;
use crate::write::{Write, Written};

/// What a caller waits for, to be run in a transaction, with others.
pub(super) enum Job {
    /// Joins others of the same list, and so shares with them what costs the same for one entry as for many.
    Entries(EntryWrites),
    Other(Box<dyn Work>),
}

pub(super) trait Work: Send {
    /// About how many rows it writes.
    fn rows(&self) -> usize;
    /// Does the work, and remembers the result. May be called again if what it did was undone.
    fn run(&mut self, connection: &Connection) -> Ran;
    /// Tells the caller: the result of `run`, or, if that was good, what became of it afterwards.
    fn answer(self: Box<Self>, afterwards: Result<(), LedgerError>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    Well,
    Failed,
}

pub(super) struct Task<T, F> {
    pub(super) rows: usize,
    pub(super) work: F,
    pub(super) answer: Answer<T>,
}

/// What one call writes of a list's entries.
pub(super) struct EntryWrites {
    pub(super) list: ListRow,
    pub(super) keys: TenantKeys,
    pub(super) writes: Vec<Write>,
    /// So many active entries may the list have.
    pub(super) most: u64,
    pub(super) answer: Answer<Vec<Written>>,
}

/// What is to be told, and to whom.
pub(super) struct Answer<T> {
    result: Result<T, LedgerError>,
    caller: SyncSender<Result<T, LedgerError>>,
}

impl<T> Answer<T> {
    pub(super) fn to(caller: SyncSender<Result<T, LedgerError>>) -> Self {
        Answer { result: Err(LedgerError::Closed), caller }
    }

    fn tell(self, afterwards: Result<(), LedgerError>) {
        // The caller waits, unless its thread was torn down.
        let _ = self.caller.send(self.result.and_then(|value| afterwards.map(|()| value)));
    }
}

impl Job {
    pub(super) fn rows(&self) -> usize {
        match self {
            Job::Entries(entries) => entries.writes.len(),
            Job::Other(work) => work.rows(),
        }
    }

    /// The list whose entries it writes, where that is all it does.
    pub(super) fn list(&self) -> Option<i64> {
        match self {
            Job::Entries(entries) => Some(entries.list.id),
            Job::Other(_) => None,
        }
    }

    /// Runs one job, or several that write entries of the same list as if they were one. Where several fail, none has a result.
    pub(super) fn run(jobs: &mut [Job], connection: &Connection) -> Ran {
        if let [Job::Other(work)] = jobs {
            return work.run(connection);
        }
        let entries = jobs.iter_mut().filter_map(|job| match job {
            Job::Entries(entries) => Some(entries),
            Job::Other(_) => None,
        });
        EntryWrites::run(&mut entries.collect::<Vec<_>>(), connection)
    }

    pub(super) fn answer(self, afterwards: Result<(), LedgerError>) {
        match self {
            Job::Entries(entries) => entries.answer.tell(afterwards),
            Job::Other(work) => work.answer(afterwards),
        }
    }
}

/// A defect in one caller's job must not stop everybody's writes. What the job left behind on the connection is undone like
/// after any failure.
fn without_panic<T>(work: impl FnOnce() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(LedgerError::Defect))
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, LedgerError> + Send,
{
    fn rows(&self) -> usize {
        self.rows
    }

    fn run(&mut self, connection: &Connection) -> Ran {
        self.answer.result = without_panic(|| (self.work)(connection));
        if self.answer.result.is_ok() { Ran::Well } else { Ran::Failed }
    }

    fn answer(self: Box<Self>, afterwards: Result<(), LedgerError>) {
        self.answer.tell(afterwards);
    }
}

impl EntryWrites {
    fn run(together: &mut [&mut Self], connection: &Connection) -> Ran {
        match (without_panic(|| write_all(connection, together)), together) {
            (Ok(mut written), together) => {
                for one in together {
                    let rest = written.split_off(one.writes.len().min(written.len()));
                    one.answer.result = Ok(std::mem::replace(&mut written, rest));
                }
                Ran::Well
            }
            (Err(error), [one]) => {
                one.answer.result = Err(error);
                Ran::Failed
            }
            (Err(_), _) => Ran::Failed,
        }
    }
}
