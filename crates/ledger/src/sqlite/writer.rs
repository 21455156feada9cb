//! Group commit: the writes of many callers share one flush of the disk.
//!
//! A flush costs hundreds of times as much as writing the rows. So one thread owns the writing connection, and callers
//! queue their jobs and wait. The thread takes the jobs that queued up during the previous flush, [fairly between
//! tenants](portcullis_admission::FairQueue), runs them in one transaction, commits once, and replies to all callers. Writes to the entries of the same list are merged, to share
//! the fixed costs. If a job fails, the transaction is rolled back, and each job is run again in its own transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use portcullis_admission::{BULK, FairQueue};
use portcullis_keys::TenantKeys;
use portcullis_ledger_model::{CommitMeter, Write, Written};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::Sqlite;
use super::failure::again;
use super::forgotten;
use super::guard::Guard;
use super::job::{Answer, EntryWrites, Job, Ran, Task, Work};
use super::sums::Sums;
use crate::error::LedgerError;
use crate::store::{ListRow, Stats, TenantRow};

/// The capacity of the job queue. Further callers block.
const QUEUE: usize = 1024;
/// The maximum number of jobs per commit.
const MAX_JOBS: usize = 256;
/// The maximum number of rows per commit, unless a single job has more. Bounds how long a small job waits for larger
/// ones.
const MAX_ROWS: usize = 2 * BULK;
/// The same if no client has written a little lately: an import's batches each touch most pages of their list, so that it is faster the
/// more of them share a transaction. Such a transaction takes half a second.
const MAX_ROWS_ALONE: usize = 50_000;
/// The number of 4 KiB pages in the write-ahead log that triggers a checkpoint. With more, fewer pages are written
/// twice; with fewer, less has to be read after a crash.
const LOG_PAGES: i64 = 8192;

pub(super) struct Writer {
    /// `None` only during drop.
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    meter: CommitMeter,
    /// The number of the latest commit that changed anything, over all openings of the file.
    stamp: AtomicU64,
    /// `None` only in tests.
    guard: Option<Arc<Guard>>,
}

impl Counters {
    fn checks(&self, check: fn(&Guard) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        self.guard.as_deref().map_or(Ok(()), check)
    }

    fn look(&self) -> Result<(), LedgerError> {
        self.checks(Guard::look)
    }

    fn intact(&self) -> Result<(), LedgerError> {
        self.checks(Guard::intact)
    }

    fn note_failure(&self, error: Option<&LedgerError>) {
        if let (Some(guard), Some(error)) = (&self.guard, error) {
            guard.failed(error);
        }
    }

    /// See [`Guard::moves_log`].
    fn moves_log<T>(&self, work: impl FnOnce() -> (T, Option<u64>)) -> T {
        match &self.guard {
            Some(guard) => guard.moves_log(work),
            None => work().0,
        }
    }

    /// Counts a commit, which may be acknowledged if this succeeds.
    fn committed(&self, stamp: Option<u64>) -> Result<(), LedgerError> {
        self.meter.committed();
        let Some(stamp) = stamp else { return self.look() };
        self.stamp.store(stamp, Ordering::Relaxed);
        self.guard.as_ref().map_or(Ok(()), |guard| guard.acknowledge(stamp))
    }
}

struct Message {
    /// The tenant that waits; 0 for the gateway itself.
    tenant: i64,
    kind: Kind,
}

enum Kind {
    /// Runs in a transaction, with others.
    Grouped(Job),
    /// Runs outside any transaction.
    Alone(Box<dyn Work>),
    /// Deletes some rows of forgotten tenants, and comes back until none are left.
    DeleteForgotten,
}

/// The deletion of rows takes turns with the tenants, as if it were one.
const FORGOTTEN: i64 = -1;

fn delete_forgotten() -> Message {
    Message { tenant: FORGOTTEN, kind: Kind::DeleteForgotten }
}

impl Message {
    /// Whether it writes entries, for which a client waits.
    fn is_client_s(&self) -> bool {
        matches!(self.kind, Kind::Grouped(Job::Entries(_)))
    }

    fn rows(&self) -> usize {
        match &self.kind {
            Kind::Grouped(job) => job.rows(),
            Kind::Alone(_) => 0,
            Kind::DeleteForgotten => forgotten::AT_ONCE,
        }
    }
}

impl Writer {
    /// `stamp` is the number of the file's latest commit. Goes on with deletions that an earlier process began.
    pub(super) fn start(
        connection: Connection,
        guard: Arc<Guard>,
        stamp: u64,
        sums: Sums,
    ) -> Result<Self, LedgerError> {
        let (queue, messages) = sync_channel(QUEUE);
        queue.send(delete_forgotten()).map_err(|_| LedgerError::Closed)?;
        let (stamp, guard) = (AtomicU64::new(stamp), Some(guard));
        let counters = Arc::new(Counters { stamp, guard, ..Counters::default() });
        let shared = Arc::clone(&counters);
        let thread = thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || {
                serve(&connection, &messages, &shared, sums);
                close(connection, &shared);
            })
            .map_err(|error| LedgerError::Io(error.into()))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread), counters })
    }

    pub(super) fn stats(&self) -> Stats {
        self.counters.meter.read()
    }

    /// Begins to delete the rows of forgotten tenants.
    pub(super) fn delete_forgotten(&self) -> Result<(), LedgerError> {
        let queue = self.queue.as_ref().ok_or(LedgerError::Closed)?;
        queue.send(delete_forgotten()).map_err(|_| LedgerError::Closed)
    }

    /// What makes a small write, and waits for it. Drop it before the writer, which ends only then.
    pub(super) fn probe(&self) -> impl Fn() + Send + use<> {
        let queue = self.queue.clone();
        move || {
            let (caller, answer) = sync_channel(1);
            let work = |connection: &Connection| -> Result<(), LedgerError> {
                connection.execute("UPDATE ledger SET stamp = stamp", ())?;
                Ok(())
            };
            let task = Task { rows: 1, work, answer: Answer::to(caller) };
            let message = Message { tenant: 0, kind: Kind::Grouped(Job::Other(Box::new(task))) };
            // If many wait, their writes tell.
            if queue.as_ref().is_some_and(|queue| queue.try_send(message).is_ok()) {
                let _ = answer.recv();
            }
        }
    }

    /// Queues a message and waits for the reply.
    fn call<T>(&self, message: impl FnOnce(Answer<T>) -> Message) -> Result<T, LedgerError> {
        let (caller, answer) = sync_channel(1);
        let queue = self.queue.as_ref().ok_or(LedgerError::Closed)?;
        self.counters.meter.waiting(|| {
            queue.send(message(Answer::to(caller))).map_err(|_| LedgerError::Closed)?;
            answer.recv().unwrap_or(Err(LedgerError::Closed))
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Ends the thread's loop.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic has already been reported to callers as `Closed`.
            let _ = thread.join();
        }
    }
}

impl Sqlite {
    /// Runs `work` in a transaction, and returns when the result is on disk. `work` may run more than once, after a
    /// rollback. `rows` is the approximate number of rows it writes.
    pub(super) fn write<T: Send + 'static>(
        &self,
        rows: usize,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.write_in_turn(TenantRow(0), rows, work)
    }

    /// Like [`write`](Self::write), in turn with this tenant's other jobs.
    ///
    /// # Errors
    /// Those of `work`; [`LedgerError::TenantForgotten`].
    pub(super) fn write_for<T: Send + 'static>(
        &self,
        tenant: TenantRow,
        rows: usize,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.write_in_turn(tenant, rows, move |connection| match forgotten::is_known(connection, tenant)? {
            true => work(connection),
            false => Err(LedgerError::TenantForgotten),
        })
    }

    fn write_in_turn<T: Send + 'static>(
        &self,
        tenant: TenantRow,
        rows: usize,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.call(|answer| {
            let kind = Kind::Grouped(Job::Other(Box::new(Task { rows, work, answer })));
            Message { tenant: tenant.0, kind }
        })
    }

    /// Like [`write_for`](Self::write_for), for a list's entries. Merged with other writes to the same list.
    pub(super) fn write_entries(
        &self,
        list: ListRow,
        keys: TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Vec<Written>, LedgerError> {
        let sums = self.sums;
        self.writer.call(|answer| {
            let entries = EntryWrites { list, keys, sums, writes, max_active, answer };
            Message { tenant: list.tenant.0, kind: Kind::Grouped(Job::Entries(entries)) }
        })
    }

    /// Runs `work` on the writing connection, outside any transaction.
    pub(super) fn maintain<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.call(|answer| {
            let kind = Kind::Alone(Box::new(Task { rows: 0, work, answer }));
            Message { tenant: 0, kind }
        })
    }
}

fn serve(connection: &Connection, messages: &Receiver<Message>, counters: &Counters, sums: Sums) {
    let mut queue = FairQueue::new();
    let mut is_open = true;
    loop {
        is_open = collect(&mut queue, messages, is_open);
        let Some((first, rows)) = queue.pop_if(|_, _| true) else { return };
        let start = Instant::now();
        match first.kind {
            Kind::Alone(mut job) => {
                let intact = counters.checks(Guard::before_moving_log);
                if intact.is_ok() {
                    // It may move the log.
                    counters.moves_log(|| (job.run(connection), None));
                    counters.note_failure(job.error());
                }
                job.answer(intact);
            }
            Kind::Grouped(job) => {
                let (mut jobs, mut sum) = (vec![job], rows);
                let most = if queue.has_company(start) { MAX_ROWS } else { MAX_ROWS_ALONE };
                while jobs.len() < MAX_JOBS {
                    let fits = |message: &Message, rows: usize| {
                        matches!(message.kind, Kind::Grouped(_)) && sum + rows <= most
                    };
                    let Some((Message { kind: Kind::Grouped(job), .. }, rows)) = queue.pop_if(fits) else {
                        break;
                    };
                    sum += rows;
                    jobs.push(job);
                }
                commit(connection, jobs, counters);
            }
            Kind::DeleteForgotten => {
                // If it fails, the next opening goes on, or the next tenant that is forgotten.
                let may_be_more = delete_some(connection, counters, sums).unwrap_or(false);
                if may_be_more && is_open {
                    push(&mut queue, delete_forgotten());
                }
            }
        }
        if rows > BULK {
            queue.bulk_ran(start, Instant::now());
        }
        if counters.intact().is_ok() {
            shorten_log(connection, counters);
        }
    }
}

fn push(queue: &mut FairQueue<Message>, message: Message) {
    queue.push(message.tenant, message.rows(), message.is_client_s(), message);
}

/// Takes what was sent, and waits if there is nothing to do yet. Returns whether more may come.
fn collect(queue: &mut FairQueue<Message>, messages: &Receiver<Message>, is_open: bool) -> bool {
    loop {
        // All of it: each caller waits for its only message.
        loop {
            match messages.try_recv() {
                Ok(message) => push(queue, message),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        let received = match (queue.is_empty(), queue.pause(Instant::now())) {
            (true, _) => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (false, Some(pause)) if is_open => messages.recv_timeout(pause),
            (false, _) => return is_open,
        };
        match received {
            Ok(message) => push(queue, message),
            Err(RecvTimeoutError::Timeout) => return is_open,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Marks the ledger as closed. Closing the connection then moves the log into the file, and removes the log.
fn close(connection: Connection, counters: &Counters) {
    let marked = counters.checks(Guard::before_moving_log).and_then(|()| {
        let stamp = counters.stamp.load(Ordering::Relaxed) + 1;
        connection.execute("UPDATE ledger SET is_open = 0, stamp = ?1", [stamp.cast_signed()])?;
        counters.committed(Some(stamp))
    });
    if let Err(LedgerError::Replaced { .. } | LedgerError::Closed) = marked {
        // What is at the path of the log now may not be this ledger's, or is another process's, and must not be removed.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
    counters.moves_log(|| (drop(connection), None));
    if let Some(guard) = &counters.guard {
        guard.put_log_aside();
        guard.keep_witness();
    }
}

/// Deletes some rows of forgotten tenants in a transaction of its own. Returns whether there may be more.
fn delete_some(connection: &Connection, counters: &Counters, sums: Sums) -> Result<bool, LedgerError> {
    let (caller, answer) = sync_channel(1);
    let work = move |connection: &Connection| forgotten::delete_some(connection, sums);
    let task = Task { rows: forgotten::AT_ONCE, work, answer: Answer::to(caller) };
    commit(connection, vec![Job::Other(Box::new(task))], counters);
    answer.recv().unwrap_or(Err(LedgerError::Closed))
}

/// Runs the jobs and replies to their callers.
fn commit(connection: &Connection, mut jobs: Vec<Job>, counters: &Counters) {
    counters.meter.jobs(jobs.len());
    if counters.checks(Guard::before_write).is_err() {
        // Nothing is left of what is written from now on.
        jobs.into_iter().for_each(|job| job.answer(counters.intact()));
        return;
    }
    match together(connection, &mut jobs, counters) {
        Ok(stamp) => {
            let _ = counters.committed(stamp);
            for job in jobs {
                job.answer(counters.intact());
            }
        }
        Err(Undone::NotCommitted(error)) => {
            counters.note_failure(Some(&again(&error).into()));
            for job in jobs {
                job.answer(counters.look().and(Err(again(&error).into())));
            }
        }
        Err(Undone::ByOneJob) => {
            for mut job in jobs {
                if let Err(lost) = counters.checks(Guard::before_write) {
                    job.answer(Err(lost));
                    continue;
                }
                match together(connection, std::slice::from_mut(&mut job), counters) {
                    Ok(stamp) => job.answer(counters.committed(stamp)),
                    Err(Undone::NotCommitted(error)) => {
                        let error = error.into();
                        counters.note_failure(Some(&error));
                        job.answer(counters.look().and(Err(error)));
                    }
                    // The job replies with its own error.
                    Err(Undone::ByOneJob) => {
                        counters.note_failure(job.error());
                        job.answer(counters.look().and(Err(LedgerError::Defect)));
                    }
                }
            }
        }
    }
}

/// Why a transaction was rolled back.
enum Undone {
    NotCommitted(rusqlite::Error),
    /// A job failed, alone or merged with others. Unrelated jobs can succeed in another transaction.
    ByOneJob,
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Undone::NotCommitted(error)
    }
}

/// Runs the jobs in one transaction. The connection is not in a transaction afterwards, even after an error. Returns the
/// number of the commit; `None` if nothing changed.
fn together(connection: &Connection, jobs: &mut [Job], counters: &Counters) -> Result<Option<u64>, Undone> {
    let (start, rows) = (Instant::now(), jobs.iter().map(Job::rows).sum());
    let done = in_transaction(connection, jobs, counters);
    if matches!(done, Ok(Some(_))) {
        counters.meter.took(start.elapsed(), rows);
    }
    if done.is_err() && !connection.is_autocommit() {
        // Fails only if there is nothing left to roll back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn in_transaction(
    connection: &Connection,
    jobs: &mut [Job],
    counters: &Counters,
) -> Result<Option<u64>, Undone> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let before = connection.total_changes();
    // Without savepoints: for each one SQLite would copy every page that a job touches, only to speed up failures.
    for jobs in jobs.chunk_by_mut(|one, next| one.list().is_some() && next.list().is_some()) {
        // A stable sort keeps the jobs of a list in order. Lists are independent.
        jobs.sort_by_key(Job::list);
        for jobs in jobs.chunk_by_mut(|one, next| one.list() == next.list()) {
            if Job::run(jobs, connection) == Ran::Failed {
                return Err(Undone::ByOneJob);
            }
        }
    }
    let stamp = match connection.total_changes() == before {
        true => None,
        false => {
            let stamp = counters.stamp.load(Ordering::Relaxed) + 1;
            put_stamp(connection, jobs.iter().find_map(Job::list), stamp)?;
            Some(stamp)
        }
    };
    execute(connection, "COMMIT")?;
    Ok(stamp)
}

/// Stores the number of the commit: with a list that it changed, because the row is written anyway, else by itself.
fn put_stamp(connection: &Connection, list: Option<i64>, stamp: u64) -> rusqlite::Result<()> {
    let stamp = stamp.cast_signed();
    if let Some(list) = list {
        let mut put = connection.prepare_cached("UPDATE lists SET stamp = ?2 WHERE id = ?1")?;
        // The tenant may have been forgotten.
        if put.execute((list, stamp))? > 0 {
            return Ok(());
        }
    }
    connection.prepare_cached("UPDATE ledger SET stamp = ?1")?.execute([stamp]).map(drop)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(()).map(drop)
}

/// Checkpoints the write-ahead log if it has grown long. Callers have already been answered: if this fails, the next
/// commit tries again.
fn shorten_log(connection: &Connection, counters: &Counters) {
    if let Ok(state) = log_state(connection, "NOOP")
        && state.pages - state.in_file > LOG_PAGES
        // What somebody else wrote into the files must not pass for the writer's.
        && counters.checks(Guard::before_moving_log).is_ok()
    {
        counters.moves_log(|| {
            let is_in_file = log_state(connection, "PASSIVE").is_ok_and(|state| state.is_in_file());
            ((), is_in_file.then(|| counters.stamp.load(Ordering::Relaxed)))
        });
    }
}

/// The result of `PRAGMA wal_checkpoint`.
pub(super) struct LogState {
    /// Whether a reader prevented the checkpoint.
    pub(super) busy: bool,
    /// The number of pages in the log.
    pages: i64,
    /// The number of those already checkpointed.
    in_file: i64,
}

impl LogState {
    /// Whether the file has everything without the log.
    pub(super) fn is_in_file(&self) -> bool {
        !self.busy && self.pages == self.in_file
    }
}

pub(super) fn log_state(connection: &Connection, mode: &str) -> rusqlite::Result<LogState> {
    connection
        .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row((), |row| Ok(LogState { busy: row.get(0)?, pages: row.get(1)?, in_file: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use portcullis_keys::{MasterKey, TenantSecret};
    use portcullis_msisdn::{Directions, Subject};
    use proptest::prelude::*;
    use proptest::{collection, prop_oneof};
    use tempfile::TempDir;

    use super::super::schema::{self, Contents};
    use super::super::sums::Sums;
    use super::super::{connect, create};
    use super::*;
    use portcullis_ledger_model::{Actor, Block, HoldKind, Unblock};

    const SUMS: Sums = Sums::new([1, 2]);

    /// A connection like the writer's, and its counters.
    struct Fixture {
        _folder: TempDir,
        connection: Connection,
        counters: Counters,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger.db");
            create(&path).unwrap();
            let connection = connect(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
            let seal = MasterKey::from_bytes([1; 32]).seal();
            schema::prepare(&connection, &Contents::Empty, &seal, SUMS).unwrap();
            Fixture { _folder: folder, connection, counters: Counters::default() }
        }

        fn tenants(&self) -> Vec<String> {
            let mut names = self.connection.prepare("SELECT name FROM tenants ORDER BY id").unwrap();
            names.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }

        fn commits(&self) -> u64 {
            self.counters.meter.read().commits
        }

        /// Limits the file to this many more pages.
        fn leave_room_for(&self, pages: i64) {
            let count: i64 =
                self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
            let set: i64 = self
                .connection
                .pragma_update_and_check(None, "max_page_count", count + pages, |row| row.get(0))
                .unwrap();
            assert_eq!(set, count + pages);
        }
    }

    fn grouped(job: Job) -> Message {
        Message { tenant: 0, kind: Kind::Grouped(job) }
    }

    type Reply = Receiver<Result<(), LedgerError>>;

    fn task(
        work: impl Fn(&Connection) -> Result<(), LedgerError> + Send + 'static,
    ) -> (Box<dyn Work>, Reply) {
        let (caller, reply) = sync_channel(1);
        (Box::new(Task { rows: 1, work, answer: Answer::to(caller) }), reply)
    }

    fn job(work: impl Fn(&Connection) -> Result<(), LedgerError> + Send + 'static) -> (Job, Reply) {
        let (work, reply) = task(work);
        (Job::Other(work), reply)
    }

    /// A job that stores a tenant, with an actor whose name has this size.
    fn adds(name: &'static str, size: usize) -> (Job, Reply) {
        job(move |connection| {
            connection.execute("INSERT INTO tenants (name) VALUES (?1)", [name])?;
            let tenant = connection.last_insert_rowid();
            let sql = "INSERT INTO actors (tenant, name) VALUES (?1, ?2)";
            connection.execute(sql, (tenant, "a".repeat(size)))?;
            Ok(())
        })
    }

    #[test]
    fn queued_jobs_share_a_commit() {
        let fixture = Fixture::new();
        let (queue, messages) = sync_channel(QUEUE);
        let names = ["a", "b", "c", "d", "e"];
        let answers = names.map(|name| {
            let (job, answer) = adds(name, 9);
            queue.send(grouped(job)).unwrap();
            answer
        });
        drop(queue);
        let path = fixture.connection.path().unwrap().to_owned();
        serve(&fixture.connection, &messages, &fixture.counters, SUMS);
        assert!(answers.iter().all(|answer| answer.recv().unwrap().is_ok()));
        assert_eq!(fixture.commits(), 1);
        assert_eq!(fixture.counters.meter.read().jobs, 5);
        let count = "SELECT count(*) FROM tenants";
        let stored: isize = Connection::open(path).unwrap().query_row(count, (), |row| row.get(0)).unwrap();
        assert_eq!(stored, names.len().cast_signed());
    }

    #[test]
    fn a_job_outside_a_transaction_runs_in_order() {
        let fixture = Fixture::new();
        let (queue, messages) = sync_channel(QUEUE);
        let (before, _before) = adds("before", 9);
        let (alone, answer) = task(|connection| {
            assert!(connection.is_autocommit());
            let stored = "SELECT count(*) FROM tenants";
            let stored: i64 = connection.query_row(stored, (), |row| row.get(0))?;
            assert_eq!(stored, 1);
            Ok(())
        });
        let (after, _after) = adds("after", 9);
        for message in [grouped(before), Message { tenant: 0, kind: Kind::Alone(alone) }, grouped(after)] {
            queue.send(message).unwrap();
        }
        drop(queue);
        serve(&fixture.connection, &messages, &fixture.counters, SUMS);
        answer.recv().unwrap().unwrap();
        assert_eq!(fixture.commits(), 2);
    }

    #[test]
    fn only_the_job_that_fails_or_panics_is_rolled_back() {
        let fixture = Fixture::new();
        let (good, good_answer) = adds("good", 9);
        let (fails, fails_answer) = job(|connection| {
            connection.execute("INSERT INTO tenants (name) VALUES ('bad')", ())?;
            Err(LedgerError::NoDirections)
        });
        let (panics, panics_answer) = job(|connection| {
            connection.execute("INSERT INTO tenants (name) VALUES ('bad')", ())?;
            panic!("on purpose")
        });
        let (last, last_answer) = adds("last", 9);
        commit(&fixture.connection, vec![good, fails, panics, last], &fixture.counters);
        good_answer.recv().unwrap().unwrap();
        last_answer.recv().unwrap().unwrap();
        assert!(matches!(fails_answer.recv().unwrap(), Err(LedgerError::NoDirections)));
        assert!(matches!(panics_answer.recv().unwrap(), Err(LedgerError::Defect)));
        assert_eq!(fixture.tenants(), ["good", "last"]);
        assert_eq!(fixture.commits(), 2);
    }

    /// One call: the list, the maximum number of active entries, and the writes.
    type Call = (i64, u64, Vec<(bool, u64, HoldKind, Directions)>);

    fn call() -> impl Strategy<Value = Call> {
        let hold = prop_oneof![Just(HoldKind::Operator), Just(HoldKind::OptOut)];
        let directions = (1_u8..4).prop_map(|bits| Directions::from_bits(bits).unwrap());
        (1_i64..3, 1_u64..5, collection::vec((any::<bool>(), 1_u64..6, hold, directions), 1..5))
    }

    /// Requests of this second: without a date, merged ones would be of the same moment, and others would not.
    fn writes(
        (list, max_active, writes): &Call,
        second: i64,
    ) -> (Job, Receiver<Result<Vec<Written>, LedgerError>>) {
        let actor = Actor::new("test").unwrap();
        let requested = Timestamp::from_second(1_700_000_000 + second).ok();
        let writes = writes.iter().map(|&(blocks, subject, hold, directions)| {
            let (subject, actor) = (Subject::new(subject).unwrap(), actor.clone());
            if blocks {
                Block { hold, requested, ..Block::new(subject, directions, actor) }.into()
            } else {
                Unblock { hold: Some(hold), requested, ..Unblock::new(subject, directions, actor) }.into()
            }
        });
        let (caller, reply) = sync_channel(1);
        let entries = EntryWrites {
            list: ListRow { id: *list, tenant: TenantRow(1) },
            keys: TenantKeys::new(TenantSecret::random().unwrap()),
            sums: SUMS,
            writes: writes.collect(),
            max_active: *max_active,
            answer: Answer::to(caller),
        };
        (Job::Entries(entries), reply)
    }

    impl Fixture {
        /// Creates a tenant with lists 1 and 2.
        fn with_lists() -> Self {
            let fixture = Fixture::new();
            let sql = "INSERT INTO tenants (id, name) VALUES (1, 'acme');
                INSERT INTO lists (tenant, scope) VALUES (1, ''), (1, 'a');
                INSERT INTO secrets (tenant, wrapped) VALUES (1, x'00');";
            fixture.connection.execute_batch(sql).unwrap();
            fixture
        }

        fn numbers(&self, sql: &str) -> Vec<Vec<Option<i64>>> {
            let mut statement = self.connection.prepare(sql).unwrap();
            let columns = 0..statement.column_count();
            let rows = statement.query_map((), |row| columns.clone().map(|column| row.get(column)).collect());
            rows.unwrap().map(Result::unwrap).collect()
        }

        /// The contents of the file without times and sequence numbers.
        fn content(&self) -> [Vec<Vec<Option<i64>>>; 4] {
            [
                "SELECT id, active FROM lists ORDER BY id",
                "SELECT list, subject, directions, kind, own, ever FROM entries ORDER BY list, subject",
                "SELECT list, subject, kind, directions FROM holds ORDER BY list, subject, kind",
                "SELECT list, subject, hold, outcome, before, after FROM records
                    ORDER BY list, subject, sequence, step",
            ]
            .map(|sql| self.numbers(sql))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merged_calls_have_the_same_effect_as_separate_ones(calls in collection::vec(call(), 1..12)) {
            let (joined, alone) = (Fixture::with_lists(), Fixture::with_lists());
            let numbered = || calls.iter().zip(0..);
            let (jobs, replies): (Vec<_>, Vec<_>) = numbered().map(|(call, n)| writes(call, n)).unzip();
            commit(&joined.connection, jobs, &joined.counters);
            for ((call, n), reply) in numbered().zip(replies) {
                let (job, reply_alone) = writes(call, n);
                commit(&alone.connection, vec![job], &alone.counters);
                let (written, expected) = (reply.recv().unwrap().unwrap(), reply_alone.recv().unwrap().unwrap());
                let what = |written: Vec<Written>| -> Vec<_> {
                    written.iter().map(|written| (written.outcome, written.before, written.after)).collect()
                };
                prop_assert_eq!(what(written), what(expected));
            }
            prop_assert_eq!(joined.commits(), 1);
            prop_assert_eq!(joined.content(), alone.content());
        }
    }

    #[test]
    fn calls_that_fail_together_do_not_fail_others() {
        let fixture = Fixture::with_lists();
        let block = |list, subject| {
            writes(&(list, 9, vec![(true, subject, HoldKind::Operator, Directions::BOTH)]), 0)
        };
        let (jobs, replies): (Vec<_>, Vec<_>) =
            [block(1, 1), block(77, 2), block(1, 3), block(77, 4)].into_iter().unzip();
        commit(&fixture.connection, jobs, &fixture.counters);
        let results: Vec<_> = replies.iter().map(|reply| reply.recv().unwrap().map(|_| ())).collect();
        assert!(matches!(
            results[..],
            [Ok(()), Err(LedgerError::TenantForgotten), Ok(()), Err(LedgerError::TenantForgotten)]
        ));
        let subjects = fixture.numbers("SELECT subject FROM entries ORDER BY subject");
        assert_eq!(subjects, [[Some(1)], [Some(3)]]);
    }

    #[test]
    fn a_full_disk_fails_only_jobs_that_do_not_fit() {
        let fixture = Fixture::new();
        fixture.leave_room_for(4);
        let (small, small_answer) = adds("small", 9);
        let (huge, huge_answer) = adds("huge", 1 << 20);
        let (last, last_answer) = adds("last", 9);
        commit(&fixture.connection, vec![small, huge, last], &fixture.counters);
        small_answer.recv().unwrap().unwrap();
        last_answer.recv().unwrap().unwrap();
        assert!(matches!(huge_answer.recv().unwrap(), Err(LedgerError::Full(_))));
        assert_eq!(fixture.tenants(), ["small", "last"]);

        fixture.leave_room_for(1000);
        let (huge, huge_answer) = adds("huge", 1 << 20);
        commit(&fixture.connection, vec![huge], &fixture.counters);
        huge_answer.recv().unwrap().unwrap();
        assert_eq!(fixture.tenants(), ["small", "last", "huge"]);
    }

    #[test]
    fn a_commit_that_fails_fails_all_its_jobs() {
        let fixture = Fixture::new();
        let (good, good_answer) = adds("good", 9);
        let (breaks, breaks_answer) = job(|connection| {
            // Detected only at the commit.
            connection.pragma_update(None, "defer_foreign_keys", true)?;
            connection.execute("INSERT INTO lists (tenant, scope) VALUES (77, '')", ())?;
            Ok(())
        });
        commit(&fixture.connection, vec![good, breaks], &fixture.counters);
        for answer in [good_answer, breaks_answer] {
            assert!(matches!(answer.recv().unwrap(), Err(LedgerError::Storage(_))));
        }
        assert_eq!((fixture.tenants().len(), fixture.commits()), (0, 0));
        let (good, good_answer) = adds("good", 9);
        commit(&fixture.connection, vec![good], &fixture.counters);
        good_answer.recv().unwrap().unwrap();
    }

    #[test]
    fn no_reply_is_sent_before_the_commit() {
        let fixture = Fixture::new();
        let (first, first_answer) = adds("first", 9);
        let (second, second_answer) = job(move |_| {
            assert!(matches!(first_answer.try_recv(), Err(TryRecvError::Empty)));
            Ok(())
        });
        commit(&fixture.connection, vec![first, second], &fixture.counters);
        assert_eq!(fixture.tenants(), ["first"]);
        assert_eq!(fixture.commits(), 1);
        second_answer.recv().unwrap().unwrap();
    }

    #[test]
    fn a_writer_thread_that_has_ended_is_an_error() {
        let (queue, messages) = sync_channel(QUEUE);
        drop(messages);
        let writer = Writer { queue: Some(queue), thread: None, counters: Arc::default() };
        assert!(matches!(
            writer.call(|answer: Answer<()>| {
                let work = Box::new(Task { rows: 0, work: |_: &Connection| Ok(()), answer });
                Message { tenant: 0, kind: Kind::Alone(work) }
            }),
            Err(LedgerError::Closed)
        ));
    }

    #[test]
    fn the_rows_of_a_forgotten_tenant_are_deleted_in_steps_between_other_writes() {
        const STEPS: usize = 5;
        let fixture = Fixture::with_lists();
        let rows = STEPS * forgotten::AT_ONCE;
        fixture
            .connection
            .execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO visits (list, subject, at) SELECT 1, i, 0 FROM n",
                [rows.cast_signed()],
            )
            .unwrap();
        let forget = "DELETE FROM secrets; UPDATE tenants SET name = 'forgotten 1'";
        fixture.connection.execute_batch(forget).unwrap();
        let (queue, messages) = sync_channel(QUEUE);
        let (caller, reply) = sync_channel(1);
        let left = move |connection: &Connection| -> Result<usize, LedgerError> {
            Ok(connection
                .query_row("SELECT count(*) FROM visits", (), |row| row.get::<_, isize>(0))?
                .cast_unsigned())
        };
        let count = || {
            let task = Task { rows: 1, work: left, answer: Answer::to(caller.clone()) };
            grouped(Job::Other(Box::new(task)))
        };
        queue.send(delete_forgotten()).unwrap();
        queue.send(count()).unwrap();
        thread::scope(|scope| {
            let Fixture { connection, counters, .. } = fixture;
            scope.spawn(move || serve(&connection, &messages, &counters, SUMS));
            assert_eq!(reply.recv().unwrap().unwrap(), rows - forgotten::AT_ONCE, "after the first step");
            let mut before = rows;
            loop {
                queue.send(count()).unwrap();
                let left = reply.recv().unwrap().unwrap();
                assert!(left <= before);
                before = left;
                if left == 0 {
                    break;
                }
            }
            drop(queue);
        });
    }

    #[test]
    fn a_long_log_is_checkpointed() {
        let fixture = Fixture::new();
        let pages = usize::try_from(LOG_PAGES).unwrap();
        let (huge, answer) = adds("huge", (pages + 100) * 4096);
        commit(&fixture.connection, vec![huge], &fixture.counters);
        answer.recv().unwrap().unwrap();
        let left = || {
            let state = log_state(&fixture.connection, "NOOP").unwrap();
            state.pages - state.in_file
        };
        assert!(left() > LOG_PAGES);
        shorten_log(&fixture.connection, &fixture.counters);
        assert_eq!(left(), 0);
    }
}
