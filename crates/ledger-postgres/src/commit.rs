//! Committing writes: by comparing what was read, or under locks.

use std::iter::repeat;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, try_join};
use portcullis_keys::TenantKeys;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::batch::{Batch, Pending, write_entries};
use portcullis_ledger::store::people::People;
use portcullis_ledger::store::tables::{Loaded, Tables as _};
use portcullis_ledger::store::{ListRow, TenantRow};
use portcullis_ledger_model::{Change, Committed, Entry, Inconsistent, Mark, Seq, Span, Write, Written};
use portcullis_msisdn::{Person, Subject};

use crate::Postgres;
use crate::columns::{Columns, number, row_id};
use crate::entries::{self, Part};
use crate::failure::{Failure, Fate};
use crate::groups;
use crate::head::{Head, head};
use crate::joiner::{self, Joiner, Unanswered};
use crate::locked::Locked;
use crate::pool::{DEADLINE, Lent};
use crate::rows::Rows;
use crate::session::Session;
use crate::streaks;
use crate::upgrade::FORMAT;
use crate::write::{self, Guard, ToStore};

/// The most writes of one commit, unless a single call has more.
const MOST: usize = 2_000;
/// How often a write about people is compared before it takes the tenant's lock: each time, another node wrote meanwhile.
const COMPARISONS: usize = 2;
/// How often a transaction is tried that collides with others.
const LOCKINGS: usize = 5;

/// What a call writes to a list.
pub(crate) struct Writes {
    keys: TenantKeys,
    writes: Vec<Write>,
    /// Who each write is about; `None` if it takes the tenant's tables to know that of all.
    persons: Option<Vec<Person>>,
    /// The maximum number of active entries.
    max_active: u64,
}

impl Writes {
    fn new(keys: &TenantKeys, writes: Vec<Write>, max_active: u64) -> Self {
        let persons = writes.iter().map(|write| write.person_by_number(keys.permutation()));
        Writes { keys: keys.clone(), persons: persons.collect(), writes, max_active }
    }

    /// The writes, if it is known who they are about.
    fn of_numbers(&self) -> Option<impl Iterator<Item = Pending<'_>>> {
        let writes = self.writes.iter().zip(self.persons.as_ref()?);
        Some(writes.map(|(write, &person)| Pending {
            write,
            max_active: self.max_active,
            person: Some(person),
            is_reported: true,
        }))
    }
}

/// Calls that write to the same list wait for each other.
pub(crate) type Writers = Joiner<i64, Writes, Result<Committed, LedgerError>>;

/// Nobody's call waits for long behind others.
pub(crate) fn writers() -> Writers {
    Joiner::new(1, MOST)
}

impl Postgres {
    /// Writes to a list, together with those who wait to write to it. Waits for up to twice the deadline: for the commit under way, and
    /// for the call's own.
    pub(crate) fn join(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Committed, LedgerError> {
        self.counters.job();
        let weight = writes.len();
        // Not while others wait.
        let call = Writes::new(keys, writes, max_active);
        let until = Instant::now() + 2 * DEADLINE;
        let committed = self.writers.join(list.id, call, weight, until, |take| self.lead(list, take));
        committed.unwrap_or_else(|unanswered| {
            Err(match unanswered {
                Unanswered::Withdrawn => Failure::Deadline.into_ledger_error(),
                Unanswered::Taken => LedgerError::OutcomeUnknown,
            })
        })
    }

    /// Writes for those who wait. Where other nodes write, too, the lock is taken first, and then the calls: those that come while this
    /// node waits for its turn are in the same commit.
    fn lead(&self, list: ListRow, take: &dyn Fn() -> Vec<Call>) {
        let until = Instant::now() + DEADLINE;
        let held = self.contended.contains(list.id).then(|| self.lock(list, until));
        let calls = take();
        match held {
            Some(Err(failure)) if !failure.is_transient() => {
                let error = self.disk.noting(failure.into_ledger_error());
                fail(calls, &error);
            }
            held => self.serve(list, calls, held.and_then(Result::ok), until),
        }
    }

    /// Commits the calls and answers them. If they can't be committed together, each is committed alone.
    fn serve(&self, list: ListRow, calls: Vec<Call>, held: Option<Locked<'_>>, until: Instant) {
        match self.commit(list, &calls, held, until) {
            Ok(Committed { mut written, span }) => {
                for call in calls {
                    let rest = written.split_off(call.asked.writes.len().min(written.len()));
                    let written = std::mem::replace(&mut written, rest);
                    call.answer(Ok(Committed { written, span: span.clone() }));
                }
            }
            Err(error) if calls.len() > 1 && is_of_one(&error) => {
                for call in calls {
                    self.serve(list, vec![call], None, Instant::now() + DEADLINE);
                }
            }
            Err(error) => fail(calls, &error),
        }
    }

    /// Applies the calls in their order, in one commit.
    fn commit(
        &self,
        list: ListRow,
        calls: &[Call],
        held: Option<Locked<'_>>,
        until: Instant,
    ) -> Result<Committed, LedgerError> {
        let Some(first) = calls.first() else { return Ok(Committed { written: Vec::new(), span: None }) };
        let keys = &first.asked.keys;
        let asked = || calls.iter().map(|call| &call.asked);
        let committed = match asked().map(Writes::of_numbers).collect::<Option<Vec<_>>>() {
            Some(pending) => {
                let pending: Vec<Pending<'_>> = pending.into_iter().flatten().collect();
                self.write_to_numbers(list, keys, &pending, held, until)
            }
            None => {
                drop(held);
                let writes = asked().flat_map(|asked| asked.writes.iter().zip(repeat(asked.max_active)));
                let writes: Vec<(&Write, u64)> = writes.collect();
                self.write_to_people(list, keys, &writes, until)
            }
        };
        committed.map_err(|failure| self.disk.noting(failure.into_ledger_error()))
    }

    /// Writes what is about numbers: only the list itself must not change meanwhile.
    fn write_to_numbers(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        pending: &[Pending<'_>],
        held: Option<Locked<'_>>,
        until: Instant,
    ) -> Result<Committed, Failure> {
        let mut attempt = match held {
            Some(locked) => self.write_locked(list, keys, pending, locked),
            None => self.compare_and_write(list, keys, pending, until),
        };
        for _ in 0..LOCKINGS {
            match attempt {
                Err(failure) if failure.is_transient() => {}
                attempt => return attempt,
            }
            self.contended.note(list.id);
            attempt =
                self.lock(list, until).and_then(|locked| self.write_locked(list, keys, pending, locked));
        }
        attempt
    }

    /// Writes what may depend on who is who.
    fn write_to_people(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: &[(&Write, u64)],
        until: Instant,
    ) -> Result<Committed, Failure> {
        for _ in 0..COMPARISONS {
            match self.compare_people_and_write(list, keys, writes, until) {
                Ok(Compared::Written(committed)) => return Ok(committed),
                Ok(Compared::TakesLocks) => break,
                Err(failure) if failure.is_transient() => {}
                Err(failure) => return Err(failure),
            }
        }
        let written = self.in_transaction(list.tenant, keys, until, |rows| {
            write_entries(rows, keys, list, writes.iter().copied())
        })?;
        Ok(Committed { written, span: None })
    }

    /// Reads, applies the writes, and stores what changed unless somebody else wrote meanwhile.
    fn compare_and_write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        pending: &[Pending<'_>],
        until: Instant,
    ) -> Result<Committed, Failure> {
        let subjects = Pending::subjects(pending);
        if let Some(head) = self.streaks.take(list.id)
            && subjects.len() >= streaks::LEAST
            && let Some(done) = self.write_as_new(list, keys, pending, &subjects, head, until)
        {
            return done;
        }
        let part = Part { list, keys: keys.clone(), subjects: subjects.clone() };
        let (head, mut found) = self.load(part, until)?;
        let mut batch =
            Batch::new(head.census, subjects.iter().map(|subject| (*subject, (found.remove(subject), ()))));
        let written = match batch.apply(pending, self.pool.clock().now()) {
            Ok(written) => written,
            Err(error) => return Err(self.explain(list, head, error, until)),
        };
        if !batch.changes_anything() {
            return self.unchanged(list, head, written, until);
        }
        self.store_compared(list, keys, head, batch, written, until)
    }

    /// Writes as if nobody was on the list before. `None` if that was wrong, or can't be told: it can if everybody is on the list
    /// afterwards, as the server refuses to add somebody who is there.
    fn write_as_new(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        pending: &[Pending<'_>],
        subjects: &[Subject],
        head: Head,
        until: Instant,
    ) -> Option<Result<Committed, Failure>> {
        let mut batch = Batch::new(head.census, subjects.iter().map(|subject| (*subject, (None, ()))));
        let written = batch.apply(pending, self.pool.clock().now()).ok()?;
        if batch.to_store().count() < subjects.len() {
            return None;
        }
        match self.store_compared(list, keys, head, batch, written, until) {
            Err(failure) if failure.is_transient() => None,
            done => Some(done),
        }
    }

    /// Stores what changed since the head was read, unless somebody else wrote since.
    fn store_compared(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        read: Head,
        batch: Batch<()>,
        written: Vec<Written>,
        until: Instant,
    ) -> Result<Committed, Failure> {
        let guard = Guard::of(read, None)?;
        let batch = Arc::new(batch);
        let change = groups::Change { list, keys: keys.clone(), guard, batch: Arc::clone(&batch) };
        let stored = self.store(change, until);
        let committed = self.conclude(list, guard, &batch, written, stored)?;
        let mut stored = batch.to_store();
        if batch.records().len() >= streaks::LEAST && stored.all(|(slot, _)| !slot.is_stored) {
            self.streaks.put(list.id, Head { census: batch.census(), mark: guard.new_mark });
        }
        Ok(committed)
    }

    /// Like [`compare_and_write`](Self::compare_and_write), where who is who must not change meanwhile, either.
    fn compare_people_and_write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: &[(&Write, u64)],
        until: Instant,
    ) -> Result<Compared, Failure> {
        let mut session = self.pool.committer(remaining(until))?;
        let tenant = row_id(list.tenant.0)?;
        // What is read of people afterwards is of this moment, if the number is still the same when it is written.
        let people = session.run(async |session| people(session, tenant).await)?;
        let rows = Rows::unlocked(&mut session, list.tenant, keys, &self.actors);
        let pending = match People::new(&rows, keys).resolve(writes.iter().copied()) {
            Ok(pending) => pending,
            Err(_) if rows.needs_lock() => return Ok(Compared::TakesLocks),
            Err(error) => return Err(rows.explain(error)),
        };
        let subjects = Pending::subjects(&pending);
        let loaded = rows.load(list, &subjects);
        let Loaded { position, census, entries } = loaded.map_err(|error| rows.explain(error))?;
        let people = rows.knows_people().then_some(people);
        drop(rows);
        let mut batch = Batch::new(census, subjects.into_iter().zip(entries));
        let written = match batch.apply(&pending, session.now()) {
            Ok(written) => written,
            Err(error) => {
                drop(session);
                return Err(self.explain(list, position, error, until));
            }
        };
        if !batch.changes_anything() {
            drop(session);
            return self.unchanged(list, position, written, until).map(Compared::Written);
        }
        let guard = Guard::of(position, people)?;
        let to_store = ToStore { list, keys, guard, batch: &batch };
        let stored = session.run(async |session| {
            write::store_one(session, &self.actors, to_store).await?;
            session.check_replicated()
        });
        drop(session);
        self.conclude(list, guard, &batch, written, stored).map(Compared::Written)
    }

    /// Reads, applies the writes, and stores what changed, while nobody else can write to the list.
    fn write_locked(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        pending: &[Pending<'_>],
        mut locked: Locked<'_>,
    ) -> Result<Committed, Failure> {
        let subjects = Pending::subjects(pending);
        let mut found = locked
            .run(async |session| entries::read_here(session, list, keys.text_seal(), &subjects).await)?;
        let head = locked.head;
        let mut batch =
            Batch::new(head.census, subjects.iter().map(|subject| (*subject, (found.remove(subject), ()))));
        let written = batch.apply(pending, self.pool.clock().now()).map_err(LedgerError::from)?;
        if !batch.changes_anything() {
            locked.end(async |session| {
                try_join(session.batch("COMMIT"), session.wait_until_replicated()).await
            })?;
            return Ok(Committed { written, span: None });
        }
        let guard = Guard::of(head, None)?;
        let to_store = ToStore { list, keys, guard, batch: &batch };
        let stored = locked.end(async |session| {
            write::prepare(session).await?;
            // Both are sent at once.
            let stored = write::store_one(session, &self.actors, to_store);
            let (stored, committed) = join(stored, session.batch("COMMIT")).await;
            stored?;
            committed?;
            session.check_replicated()
        });
        self.conclude(list, guard, &batch, written, stored)
    }

    /// Why writes can't be applied. Nothing is wrong with a list if what was read of it is of different moments.
    fn explain(&self, list: ListRow, read: Head, error: Inconsistent, until: Instant) -> Failure {
        let now = self.pool.committer(remaining(until));
        let now = now.and_then(|mut session| session.run(async |session| head(session, list).await));
        match now {
            Ok(now) if now.mark != read.mark => Failure::Conflict,
            Ok(_) => LedgerError::from(error).into(),
            Err(failure) => failure,
        }
    }

    /// Writes that change nothing: the answer is true if all that was read is of one moment, and as durable as a commit.
    fn unchanged(
        &self,
        list: ListRow,
        read: Head,
        written: Vec<Written>,
        until: Instant,
    ) -> Result<Committed, Failure> {
        let now = self.pool.committer(remaining(until))?.run(async |session| {
            // Both are sent at once.
            let (now, ()) = try_join(head(session, list), session.wait_until_replicated()).await?;
            Ok(now)
        })?;
        match now.mark == read.mark {
            true => Ok(Committed { written, span: None }),
            false => Err(Failure::Conflict),
        }
    }

    /// What became of a commit.
    fn conclude(
        &self,
        list: ListRow,
        guard: Guard,
        batch: &Batch<()>,
        written: Vec<Written>,
        stored: Result<(), Failure>,
    ) -> Result<Committed, Failure> {
        match stored {
            Ok(()) => {}
            Err(failure) if failure.fate() == Fate::NotStored => return Err(failure),
            // Not even a look at the database tells whether a standby has it.
            Err(Failure::NotReplicated) => return Err(Failure::NotReplicated),
            Err(_) => self.settle(list, batch.census().sequence, guard)?,
        }
        self.counters.commit();
        Ok(Committed { written, span: Some(Arc::new(span(guard, batch))) })
    }

    /// Finds out whether a commit whose answer was lost was made, and waits until it is as durable as any other. If it was not, it never
    /// will be: its statement may be on its way yet, and finds another mark when it arrives.
    fn settle(&self, list: ListRow, sequence: Seq, guard: Guard) -> Result<(), Failure> {
        // Waits for the transaction, if it still runs. If it was committed, the server may have ended its wait for a standby together with
        // the connection. A lock on a row is written to the log, too, so this waits for a standby that has both.
        const WAIT: &str = "SELECT 1 FROM lists WHERE id = $1 FOR NO KEY UPDATE";
        // Those who follow know of a position by the commits that lead to it, and from it.
        const FENCE: &str = "
            WITH fenced AS (
                UPDATE lists SET mark = $4 WHERE id = $1 AND sequence = $2 AND mark = $3 RETURNING id)
            INSERT INTO commits (list, sequence, mark, previous_sequence, previous_mark, format)
            SELECT id, $2, $4, $2, $3, $5 FROM fenced";
        const LOOK: &str = "SELECT 1 FROM commits WHERE list = $1 AND sequence = $2 AND mark = $3";
        let look = || -> Result<bool, Failure> {
            let (id, before) = (row_id(list.id)?, number(guard.sequence));
            let mark = write::random()?;
            let mut session = self.pool.writer(DEADLINE)?;
            session.run(async |session| {
                session.query_opt(WAIT, &[&id]).await?;
                session.check_replicated()?;
                let fenced = session.execute(FENCE, &[&id, &before, &guard.mark, &mark, &FORMAT]).await?;
                session.check_replicated()?;
                if fenced > 0 {
                    return Ok(false);
                }
                Ok(session.query_opt(LOOK, &[&id, &number(sequence), &guard.new_mark]).await?.is_some())
            })
        };
        match look() {
            Ok(true) => Ok(()),
            // It was rolled back, or will not be made, and may be tried again.
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

/// A call that waits for its answer.
type Call = joiner::Call<Writes, Result<Committed, LedgerError>>;

fn fail(calls: Vec<Call>, error: &LedgerError) {
    for call in calls {
        call.answer(Err(again(error)));
    }
}

/// Whether an error may be due to a single call, so that the others would succeed without it.
fn is_of_one(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Damaged { .. } | LedgerError::Seal(_) | LedgerError::Defect)
}

/// The same error for each caller of a commit that failed.
fn again(error: &LedgerError) -> LedgerError {
    let cause = || -> Box<dyn std::error::Error + Send + Sync> {
        let cause = std::error::Error::source(error);
        cause.map_or_else(|| error.to_string(), ToString::to_string).into()
    };
    match error {
        LedgerError::OutcomeUnknown => LedgerError::OutcomeUnknown,
        LedgerError::TenantForgotten => LedgerError::TenantForgotten,
        LedgerError::TooOld => LedgerError::TooOld,
        LedgerError::TookTooLong => LedgerError::TookTooLong,
        LedgerError::Defect => LedgerError::Defect,
        LedgerError::Full(_) => LedgerError::Full(cause()),
        LedgerError::Io(_) => LedgerError::Io(cause()),
        LedgerError::Unavailable(_) => LedgerError::Unavailable(cause()),
        LedgerError::Damaged { what, .. } => LedgerError::Damaged { what, source: Some(cause()) },
        _ => LedgerError::Storage(cause()),
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

async fn people(session: &Session, tenant: i32) -> Result<i64, Failure> {
    const SQL: &str = "SELECT people FROM tenants WHERE id = $1 AND name NOT LIKE 'forgotten %'";
    let row = session.query_opt(SQL, &[&tenant]).await?.ok_or(LedgerError::TenantForgotten)?;
    Columns::of(&row).get()
}

fn remaining(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
