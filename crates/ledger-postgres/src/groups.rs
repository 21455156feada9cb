//! Reads and commits of several lists, each by one statement for all that wait.
//!
//! A statement costs the server more than a row in it, and a gateway with many lists writes a row here and a row there.

use std::sync::Arc;
use std::time::Instant;

use portcullis_keys::TenantKeys;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::ListRow;
use portcullis_ledger::store::batch::Batch;

use crate::Postgres;
use crate::entries::{self, Found, Part};
use crate::failure::{Failure, Fate};
use crate::joiner::{Call, Joiner, Unanswered};
use crate::write::{self, Guard, ToStore};

/// How many statements read at a time.
const READS: usize = 2;
/// How many commits are under way at a time. Each waits for the server's disk; the more there are, the fewer lists share one.
const COMMITS: usize = 4;
/// The most rows of a statement that lists share. More of one list are worth a statement of their own.
const MOST: usize = 500;

/// Calls of the threads that write to lists.
pub(crate) struct Groups {
    reads: Joiner<(), Timed<Part>, Result<Found, Failure>>,
    commits: Joiner<(), Timed<Change>, Result<(), Failure>>,
}

impl Default for Groups {
    fn default() -> Self {
        Groups { reads: Joiner::new(READS, MOST), commits: Joiner::new(COMMITS, MOST) }
    }
}

/// What was changed in a list, and is to be stored.
pub(crate) struct Change {
    pub(crate) list: ListRow,
    pub(crate) keys: TenantKeys,
    pub(crate) guard: Guard,
    pub(crate) batch: Arc<Batch<()>>,
}

impl Change {
    fn to_store(&self) -> ToStore<'_> {
        ToStore { list: self.list, keys: &self.keys, guard: self.guard, batch: &self.batch }
    }
}

/// What is asked for, and until when.
struct Timed<Q> {
    asked: Q,
    until: Instant,
}

impl Postgres {
    /// Reads a list's head and entries, maybe together with others.
    pub(crate) fn load(&self, part: Part, until: Instant) -> Result<Found, Failure> {
        let weight = part.subjects.len();
        let read = |parts: &[&Part], until| self.read_parts(parts, until);
        if weight > MOST {
            return one(read(&[&part], until));
        }
        let asked = Timed { asked: part, until };
        let found = self.groups.reads.join((), asked, weight, until, |take| serve(take(), &read));
        found.unwrap_or_else(|unanswered| Err(failure(unanswered)))
    }

    /// Stores what was changed in a list, maybe in one commit with others.
    pub(crate) fn store(&self, change: Change, until: Instant) -> Result<(), Failure> {
        let weight = change.batch.records().len();
        let store = |changes: &[&Change], until| self.store_changes(changes, until);
        if weight > MOST {
            return one(store(&[&change], until));
        }
        let asked = Timed { asked: change, until };
        let stored = self.groups.commits.join((), asked, weight, until, |take| serve(take(), &store));
        stored.unwrap_or_else(|unanswered| Err(failure(unanswered)))
    }

    fn read_parts(&self, parts: &[&Part], until: Instant) -> Result<Vec<Result<Found, Failure>>, Failure> {
        let mut session = self.pool.committer(until.saturating_duration_since(Instant::now()))?;
        session.run(async |session| entries::read_with_heads(session, parts).await)
    }

    fn store_changes(
        &self,
        changes: &[&Change],
        until: Instant,
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        let lists: Vec<ToStore<'_>> = changes.iter().map(|change| change.to_store()).collect();
        let mut session = self.pool.committer(until.saturating_duration_since(Instant::now()))?;
        session.run(async |session| {
            let stored = write::store(session, &self.actors, &lists).await?;
            session.check_replicated()?;
            Ok(stored)
        })
    }
}

/// A call that nobody has answered. Nothing of it was stored unless somebody began with it.
fn failure(unanswered: Unanswered) -> Failure {
    match unanswered {
        Unanswered::Withdrawn => LedgerError::Unavailable(Box::new(Failure::Deadline)).into(),
        Unanswered::Taken => Failure::Deadline,
    }
}

/// The answer of a statement for a single call.
fn one<A>(answers: Result<Vec<Result<A, Failure>>, Failure>) -> Result<A, Failure> {
    answers?.pop().unwrap_or(Err(LedgerError::Defect.into()))
}

/// Serves calls by one statement. If that fails and nothing was stored, each is served by one of its own.
fn serve<Q, A>(
    calls: Vec<Call<Timed<Q>, Result<A, Failure>>>,
    run: &impl Fn(&[&Q], Instant) -> Result<Vec<Result<A, Failure>>, Failure>,
) {
    let Some(until) = calls.iter().map(|call| call.asked.until).min() else { return };
    let asked: Vec<&Q> = calls.iter().map(|call| &call.asked.asked).collect();
    match run(&asked, until) {
        Ok(answers) => {
            for (call, answer) in calls.into_iter().zip(answers) {
                call.answer(answer);
            }
        }
        Err(failure) if calls.len() > 1 && failure.fate() == Fate::NotStored => {
            for call in calls {
                let answer = one(run(&[&call.asked.asked], call.asked.until));
                call.answer(answer);
            }
        }
        Err(failure) => {
            let mut calls = calls.into_iter();
            let first = calls.next();
            for call in calls {
                call.answer(Err(failure.again()));
            }
            if let Some(call) = first {
                call.answer(Err(failure));
            }
        }
    }
}
