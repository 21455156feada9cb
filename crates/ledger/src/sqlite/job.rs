//! Jobs for the writer thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;

use portcullis_keys::TenantKeys;
use portcullis_ledger_model::{Write, Written};
use rusqlite::Connection;

use super::sums::Sums;
use super::write::write_all;
use crate::error::LedgerError;
use crate::store::ListRow;

/// A job that runs in a transaction, possibly with others.
pub(super) enum Job {
    /// Writes of entries. Merged with others of the same list, to share the fixed costs.
    Entries(EntryWrites),
    Other(Box<dyn Work>),
}

pub(super) trait Work: Send {
    /// The approximate number of rows written.
    fn rows(&self) -> usize;
    /// Does the work and keeps the result. May be called again after a rollback.
    fn run(&mut self, connection: &Connection) -> Ran;
    /// The error of `run`.
    fn error(&self) -> Option<&LedgerError>;
    /// Sends the result of `run` to the caller. If that was a success, `afterwards` takes precedence.
    fn answer(self: Box<Self>, afterwards: Result<(), LedgerError>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    Succeeded,
    Failed,
}

pub(super) struct Task<T, F> {
    pub(super) rows: usize,
    pub(super) work: F,
    pub(super) answer: Answer<T>,
}

/// One call's writes to a list's entries.
pub(super) struct EntryWrites {
    pub(super) list: ListRow,
    pub(super) keys: TenantKeys,
    pub(super) sums: Sums,
    pub(super) writes: Vec<Write>,
    /// The maximum number of active entries.
    pub(super) max_active: u64,
    pub(super) answer: Answer<Vec<Written>>,
}

/// The result of a job, and the channel to the caller.
pub(super) struct Answer<T> {
    result: Result<T, LedgerError>,
    caller: SyncSender<Result<T, LedgerError>>,
}

impl<T> Answer<T> {
    pub(super) fn to(caller: SyncSender<Result<T, LedgerError>>) -> Self {
        Answer { result: Err(LedgerError::Closed), caller }
    }

    fn error(&self) -> Option<&LedgerError> {
        self.result.as_ref().err()
    }

    fn send(self, afterwards: Result<(), LedgerError>) {
        let answer = match (self.result, afterwards) {
            // The job was not run.
            (Err(LedgerError::Closed), Err(error)) => Err(error),
            // It explains whatever the job ran into.
            (_, Err(error @ LedgerError::Replaced { .. })) => Err(error),
            (result, afterwards) => result.and_then(|value| afterwards.map(|()| value)),
        };
        // Fails only if the caller's thread is gone.
        let _ = self.caller.send(answer);
    }
}

impl Job {
    pub(super) fn rows(&self) -> usize {
        match self {
            Job::Entries(entries) => entries.writes.len(),
            Job::Other(work) => work.rows(),
        }
    }

    /// The list whose entries the job writes, if it does nothing else.
    pub(super) fn list(&self) -> Option<i64> {
        match self {
            Job::Entries(entries) => Some(entries.list.id),
            Job::Other(_) => None,
        }
    }

    /// Runs one job, or merges several that write entries of the same list. If a merged run fails, no job has a result.
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

    /// The error with which it ran.
    pub(super) fn error(&self) -> Option<&LedgerError> {
        match self {
            Job::Entries(entries) => entries.answer.error(),
            Job::Other(work) => work.error(),
        }
    }

    pub(super) fn answer(self, afterwards: Result<(), LedgerError>) {
        match self {
            Job::Entries(entries) => entries.answer.send(afterwards),
            Job::Other(work) => work.answer(afterwards),
        }
    }
}

/// Catches panics: a bug in one caller's job must not stop all writes. What the job left on the connection is rolled
/// back like after any failure.
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
        if self.answer.result.is_ok() { Ran::Succeeded } else { Ran::Failed }
    }

    fn error(&self) -> Option<&LedgerError> {
        self.answer.error()
    }

    fn answer(self: Box<Self>, afterwards: Result<(), LedgerError>) {
        self.answer.send(afterwards);
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
                Ran::Succeeded
            }
            (Err(error), [one]) => {
                one.answer.result = Err(error);
                Ran::Failed
            }
            (Err(_), _) => Ran::Failed,
        }
    }
}
