//! Committing writes: by comparing what was read, or under locks.

use std::iter::repeat;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join;
use portcullis_keys::TenantKeys;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::batch::{Batch, Pending, write_entries};
use portcullis_ledger::store::people::People;
use portcullis_ledger::store::tables::{Loaded, Tables as _};
use portcullis_ledger::store::{ListRow, TenantRow};
use portcullis_ledger_model::{Change, Committed, Entry, Mark, Seq, Span, Whom, Write};
use portcullis_msisdn::Revealed;

use crate::Postgres;
use crate::columns::{Columns, number, row_id};
use crate::failure::{Failure, Fate};
use crate::head::head;
use crate::joiner::{Call, Joined};
use crate::pool::{DEADLINE, Lent};
use crate::rows::Rows;
use crate::session::Session;
use crate::write::{self, Guard};

/// How often a write is compared before it takes locks: each time, another node wrote to the list meanwhile.
const COMPARISONS: usize = 2;
/// How often a transaction is tried that collides with others.
const LOCKINGS: usize = 5;

impl Postgres {
    /// Writes to a list, together with those who wait to write to it.
    pub(crate) fn join(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Committed, LedgerError> {
        self.counters.job();
        self.joiner.write(list.id, keys, writes, max_active, &|calls| self.commit(list, calls))
    }

    /// Applies the calls in their order, in one commit.
    fn commit(&self, list: ListRow, calls: &[Call]) -> Result<Joined, LedgerError> {
        let Some(first) = calls.first() else { return Ok(Joined { written: Vec::new(), span: None }) };
        let keys = &first.keys;
        let writes = || calls.iter().flat_map(|call| call.writes.iter().zip(repeat(call.max_active)));
        let Committed { mut written, span } = self.write_to(list, keys, writes)?;
        let results = calls.iter().map(|call| {
            let rest = written.split_off(call.writes.len().min(written.len()));
            std::mem::replace(&mut written, rest)
        });
        Ok(Joined { written: results.collect(), span })
    }

    fn write_to<'w, W>(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: impl Fn() -> W,
    ) -> Result<Committed, LedgerError>
    where
        W: Iterator<Item = (&'w Write, u64)>,
    {
        let until = Instant::now() + DEADLINE;
        for _ in 0..COMPARISONS {
            match self.compare_and_write(list, keys, writes(), remaining(until)) {
                Ok(Compared::Written(committed)) => return Ok(committed),
                Ok(Compared::TakesLocks) => break,
                Err(failure) if failure.is_transient() => {}
                Err(failure) => return Err(self.disk.noting(failure.into_ledger_error())),
            }
        }
        let written =
            self.in_transaction(list.tenant, keys, until, |rows| write_entries(rows, keys, list, writes()))?;
        Ok(Committed { written, span: None })
    }

    /// Reads, applies the writes, and stores what changed unless somebody else wrote meanwhile.
    fn compare_and_write<'w>(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: impl Iterator<Item = (&'w Write, u64)>,
        within: Duration,
    ) -> Result<Compared, Failure> {
        let mut session = self.pool.committer(within)?;
        let tenant = row_id(list.tenant.0)?;
        let writes: Vec<(&Write, u64)> = writes.collect();
        // What is read of people afterwards is of this moment, if the number is still the same when it is written.
        let people = match writes.iter().any(|(write, _)| may_ask_who(write, keys)) {
            true => Some(session.run(async |session| people(session, tenant).await)?),
            false => None,
        };
        let rows = Rows::unlocked(&mut session, list.tenant, keys, &self.actors);
        let pending = match People::new(&rows, keys).resolve(writes.into_iter()) {
            Ok(pending) => pending,
            Err(_) if rows.needs_lock() => return Ok(Compared::TakesLocks),
            Err(error) => return Err(rows.explain(error)),
        };
        let subjects = Pending::subjects(&pending);
        let loaded = rows.load(list, &subjects);
        let Loaded { position, census, entries } = loaded.map_err(|error| rows.explain(error))?;
        let people = people.filter(|_| rows.knows_people());
        drop(rows);
        let mut batch = Batch::new(census, subjects.into_iter().zip(entries));
        let written = match batch.apply(&pending, session.now()) {
            Ok(written) => written,
            // Nothing is wrong with the list if what was read of it is of different moments.
            Err(error) => {
                let now = session.run(async |session| head(session, list).await)?;
                let is_changed = now.mark != position.mark;
                return Err(if is_changed { Failure::Conflict } else { LedgerError::from(error).into() });
            }
        };
        if !batch.changes_anything() {
            // The answer is true if all that was read is of one moment.
            let now = session.run(async |session| {
                // Both are sent at once.
                let (now, ()) = try_join(head(session, list), session.wait_until_replicated()).await?;
                Ok(now)
            })?;
            return if now.mark == position.mark {
                Ok(Compared::Written(Committed { written, span: None }))
            } else {
                Err(Failure::Conflict)
            };
        }
        let (mark, sequence) = (position.mark, position.census.sequence);
        let guard = Guard { mark, sequence, people, new_mark: write::random()? };
        let stored = session.run(async |session| {
            write::store(session, &self.actors, list, keys, guard, &batch).await?;
            session.check_replicated()
        });
        match stored {
            Ok(()) => {}
            Err(failure) if failure.fate() == Fate::NotStored => return Err(failure),
            // Not even a look at the database tells whether a standby has it.
            Err(Failure::NotReplicated) => return Err(Failure::NotReplicated),
            Err(_) => {
                drop(session);
                self.settle(list, batch.census().sequence, guard.new_mark)?;
            }
        }
        self.counters.commit();
        let span = span(guard, &batch);
        Ok(Compared::Written(Committed { written, span: Some(Arc::new(span)) }))
    }

    /// Finds out whether a commit whose answer was lost was made, and waits until it is as durable as any other.
    fn settle(&self, list: ListRow, sequence: Seq, mark: i64) -> Result<(), Failure> {
        // Waits for the transaction, if it still runs. If it was committed, the server may have ended its wait for a standby together with
        // the connection. A lock on a row is written to the log, too, so this waits for a standby that has both.
        const WAIT: &str = "SELECT 1 FROM lists WHERE id = $1 FOR NO KEY UPDATE";
        const LOOK: &str = "SELECT 1 FROM commits WHERE list = $1 AND sequence = $2 AND mark = $3";
        let look = || -> Result<bool, Failure> {
            let id = row_id(list.id)?;
            let mut session = self.pool.writer(DEADLINE)?;
            session.run(async |session| {
                session.query_opt(WAIT, &[&id]).await?;
                session.check_replicated()?;
                Ok(session.query_opt(LOOK, &[&id, &number(sequence), &mark]).await?.is_some())
            })
        };
        match look() {
            Ok(true) => Ok(()),
            // It was rolled back, and may be tried again.
            Ok(false) => Err(Failure::Conflict),
            Err(_) => Err(LedgerError::OutcomeUnknown.into()),
        }
    }

    /// Runs `work` in a transaction that holds the tenant's lock, so that nobody else changes who is who. May run it again if the
    /// transaction collides with others.
    pub(crate) fn in_transaction<T>(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        until: Instant,
        work: impl Fn(&Rows<'_, '_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut session = self.pool.committer(remaining(until)).map_err(Failure::into_ledger_error)?;
            match self.transaction(&mut session, tenant, keys, &work) {
                Ok(done) => {
                    self.counters.commit();
                    return Ok(done);
                }
                Err(Undone::Failed(failure)) => {
                    // The transaction may be open.
                    session.discard();
                    if tries >= LOCKINGS || !failure.is_transient() {
                        return Err(self.disk.noting(failure.into_ledger_error()));
                    }
                }
                Err(Undone::Unknown) => return Err(LedgerError::OutcomeUnknown),
            }
        }
    }

    fn transaction<T>(
        &self,
        session: &mut Lent<'_>,
        tenant: TenantRow,
        keys: &TenantKeys,
        work: impl Fn(&Rows<'_, '_>) -> Result<T, LedgerError>,
    ) -> Result<T, Undone> {
        const LOCK: &str =
            "SELECT 1 FROM tenants WHERE id = $1 AND name NOT LIKE 'forgotten %' FOR NO KEY UPDATE";
        const CHANGED: &str = "UPDATE tenants SET people = people + 1 WHERE id = $1";
        let id = row_id(tenant.0).map_err(Failure::Ledger)?;
        session.run(async |session| {
            session.batch("BEGIN").await?;
            session.query_opt(LOCK, &[&id]).await?.ok_or(LedgerError::TenantForgotten)?;
            Ok(())
        })?;
        let rows = Rows::locked(session, tenant, keys, &self.actors);
        let done = work(&rows).map_err(|error| rows.explain(error))?;
        let changed_people = rows.changed_people();
        drop(rows);
        if changed_people {
            session.run(async |session| session.execute(CHANGED, &[&id]).await)?;
        }
        let committed = session.run(async |session| {
            session.batch("COMMIT").await?;
            session.check_replicated()
        });
        match committed {
            Ok(()) => Ok(done),
            Err(failure) if failure.fate() == Fate::NotStored => Err(failure.into()),
            Err(_) => Err(Undone::Unknown),
        }
    }
}

/// What became of a write that is compared.
enum Compared {
    Written(Committed),
    /// It registers somebody, which takes locks.
    TakesLocks,
}

/// Why a transaction was not committed.
enum Undone {
    Failed(Failure),
    /// Nobody knows whether it was.
    Unknown,
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Self {
        Undone::Failed(failure)
    }
}

/// What a batch changed, once it is stored.
fn span(guard: Guard, batch: &Batch<()>) -> Span {
    let change = |entry: &Entry| Change {
        subject: entry.subject,
        directions: entry.directions,
        sequence: entry.sequence,
    };
    let mut changes: Vec<Change> = batch.to_store().map(|(_, entry)| change(entry)).collect();
    changes.sort_unstable_by_key(|change| change.sequence);
    Span {
        since: guard.sequence,
        since_mark: Some(Mark(guard.mark.cast_unsigned())),
        changes,
        sequence: batch.census().sequence,
        mark: Some(Mark(guard.new_mark.cast_unsigned())),
    }
}

/// Whether what a write does may depend on who is who. A number alone says who is meant, unless the person may have changed numbers
/// since the request was made.
fn may_ask_who(write: &Write, keys: &TenantKeys) -> bool {
    match write.whom() {
        Whom::User(_) => true,
        Whom::Subject(subject) => {
            write.requested().is_some()
                || matches!(keys.permutation().reveal(*subject), Revealed::Reserved(_))
        }
    }
}

async fn people(session: &Session, tenant: i32) -> Result<i64, Failure> {
    const SQL: &str = "SELECT people FROM tenants WHERE id = $1 AND name NOT LIKE 'forgotten %'";
    let row = session.query_opt(SQL, &[&tenant]).await?.ok_or(LedgerError::TenantForgotten)?;
    Columns::of(&row).get()
}

fn remaining(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
