//! Group commit: many callers' writes, one wait for the disk.
//!
//! A commit costs one flush of the disk, hundreds of times what the rows cost. So one thread owns
//! the writing connection; callers queue their jobs and wait. It takes what has queued up while the
//! disk was busy, runs all of it in one transaction, commits once, and answers all. Writes of one
//! list's entries are joined, so that they share what costs the same for one as for many. Where a job
//! fails, all are undone, and each is run again in a transaction of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::Sqlite;
use super::failure::again;
use super::job::{Answer, EntryWrites, Job, Ran, Task, Work};
use crate::error::LedgerError;
use crate::keys::TenantKeys;
use crate::store::ListRow;
use crate::store::Stats;
use crate::write::{Write, Written};

/// Jobs that may queue; further callers wait to be let in.
const QUEUE: usize = 1024;
/// The most jobs of one commit.
const MOST_JOBS: usize = 256;
/// The most rows of one commit, but for a single job that has more: bounds how long a small job
/// waits for big ones that came at the same time.
const MOST_ROWS: usize = 50_000;
/// How many pages of 4 KiB the log may hold before they are put into the file. The more, the fewer
/// pages are written twice; the fewer, the less there is to read after a crash.
const LOG_PAGES: i64 = 8192;

pub(super) struct Writer {
    /// `None` only while it is being dropped.
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    jobs: AtomicU64,
    commits: AtomicU64,
}

enum Message {
    /// To be run in a transaction, with others.
    Grouped(Job),
    /// To be run outside of any transaction.
    Alone(Box<dyn Work>),
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, LedgerError> {
        let (queue, messages) = sync_channel(QUEUE);
        let counters = Arc::<Counters>::default();
        let shared = Arc::clone(&counters);
        let thread = thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || serve(connection, &messages, &shared))
            .map_err(|error| LedgerError::Io(error.into()))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread), counters })
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            jobs: self.counters.jobs.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }

    /// Queues what is to be answered, and waits for the answer.
    fn call<T>(&self, message: impl FnOnce(Answer<T>) -> Message) -> Result<T, LedgerError> {
        let (caller, answer) = sync_channel(1);
        let queue = self.queue.as_ref().ok_or(LedgerError::Closed)?;
        queue.send(message(Answer::to(caller))).map_err(|_| LedgerError::Closed)?;
        answer.recv().unwrap_or(Err(LedgerError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Ends the thread's loop.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing left to say: a panic has been answered with `Closed`.
            let _ = thread.join();
        }
    }
}

impl Sqlite {
    /// Runs `work` in a transaction, and returns when its result is on the disk. It may be run more
    /// than once, each time on what is committed or about to be. `rows` is about how many rows it
    /// writes.
    pub(super) fn write<T: Send + 'static>(
        &self,
        rows: usize,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.call(|answer| Message::Grouped(Job::Other(Box::new(Task { rows, work, answer }))))
    }

    /// As [`write`](Self::write), for writes of a list's entries, which are joined with others of the list.
    pub(super) fn write_entries(
        &self,
        list: ListRow,
        keys: TenantKeys,
        writes: Vec<Write>,
        most: u64,
    ) -> Result<Vec<Written>, LedgerError> {
        self.writer
            .call(|answer| Message::Grouped(Job::Entries(EntryWrites { list, keys, writes, most, answer })))
    }

    /// Runs `work` on the writing connection outside of any transaction.
    pub(super) fn maintain<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.call(|answer| Message::Alone(Box::new(Task { rows: 0, work, answer })))
    }
}

fn serve(connection: Connection, messages: &Receiver<Message>, counters: &Counters) {
    let mut next = None;
    while let Some(message) = next.take().or_else(|| messages.recv().ok()) {
        match message {
            Message::Alone(mut job) => {
                job.run(&connection);
                job.answer(Ok(()));
            }
            Message::Grouped(job) => {
                let mut rows = job.rows();
                let mut jobs = vec![job];
                while jobs.len() < MOST_JOBS && rows < MOST_ROWS {
                    match messages.try_recv() {
                        Ok(Message::Grouped(job)) => {
                            rows += job.rows();
                            jobs.push(job);
                        }
                        Ok(alone) => {
                            next = Some(alone);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit(&connection, jobs, counters);
            }
        }
        shorten_log(&connection);
    }
}

/// Runs the jobs and answers each.
fn commit(connection: &Connection, mut jobs: Vec<Job>, counters: &Counters) {
    counters.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    match together(connection, &mut jobs) {
        Ok(()) => {
            counters.commits.fetch_add(1, Ordering::Relaxed);
            for job in jobs {
                job.answer(Ok(()));
            }
        }
        Err(Undone::NotCommitted(error)) => {
            for job in jobs {
                job.answer(Err(again(&error).into()));
            }
        }
        Err(Undone::ByOneJob) => {
            for mut job in jobs {
                let done = together(connection, std::slice::from_mut(&mut job));
                match done {
                    Ok(()) => {
                        counters.commits.fetch_add(1, Ordering::Relaxed);
                        job.answer(Ok(()));
                    }
                    Err(Undone::NotCommitted(error)) => job.answer(Err(error.into())),
                    // It has its own error to answer with.
                    Err(Undone::ByOneJob) => job.answer(Err(LedgerError::Defect)),
                }
            }
        }
    }
}

/// Why nothing of a transaction is stored.
enum Undone {
    NotCommitted(rusqlite::Error),
    /// A job failed, alone or with those that it was joined with. The others are not to blame.
    ByOneJob,
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Undone::NotCommitted(error)
    }
}

/// Runs the jobs in one transaction. Leaves the connection without one, whatever happens.
fn together(connection: &Connection, jobs: &mut [Job]) -> Result<(), Undone> {
    let done = in_transaction(connection, jobs);
    if done.is_err() && !connection.is_autocommit() {
        // It fails only where there is nothing left to undo.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn in_transaction(connection: &Connection, jobs: &mut [Job]) -> Result<(), Undone> {
    execute(connection, "BEGIN IMMEDIATE")?;
    // Without a savepoint for each, which would have SQLite copy each page that a job touches, for the sake of jobs that fail.
    for jobs in jobs.chunk_by_mut(|one, next| one.list().is_some() && next.list().is_some()) {
        // Stable: the jobs of a list stay in their order, and lists know nothing of one another.
        jobs.sort_by_key(Job::list);
        for jobs in jobs.chunk_by_mut(|one, next| one.list() == next.list()) {
            if Job::run(jobs, connection) == Ran::Failed {
                return Err(Undone::ByOneJob);
            }
        }
    }
    Ok(execute(connection, "COMMIT")?)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(()).map(drop)
}

/// Puts the log back into the file where it has grown long. Whoever waited has been answered: where
/// this fails, the log stays, and the next commit tries again.
fn shorten_log(connection: &Connection) {
    if let Ok(state) = log_state(connection, "NOOP")
        && state.pages - state.in_file > LOG_PAGES
    {
        let _ = log_state(connection, "PASSIVE");
    }
}

/// What `PRAGMA wal_checkpoint` tells.
pub(super) struct LogState {
    /// Somebody reading kept it from being done.
    pub(super) busy: bool,
    /// Pages in the log.
    pages: i64,
    /// How many of them are in the file too.
    in_file: i64,
}

pub(super) fn log_state(connection: &Connection, mode: &str) -> rusqlite::Result<LogState> {
    connection
        .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row((), |row| Ok(LogState { busy: row.get(0)?, pages: row.get(1)?, in_file: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use portcullis_msisdn::{Directions, Subject};
    use proptest::prelude::*;
    use proptest::{collection, prop_oneof};
    use tempfile::TempDir;

    use super::super::{connect, create, schema};
    use super::*;
    use crate::actor::Actor;
    use crate::hold::HoldKind;
    use crate::keys::{Seal, TenantSecret};
    use crate::store::TenantRow;
    use crate::write::{Block, Unblock};

    /// A connection as the writer has it, and what counts its work.
    struct Desk {
        _folder: TempDir,
        connection: Connection,
        counters: Counters,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger.db");
            create(&path).unwrap();
            let connection = connect(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
            schema::prepare(&connection, &path, &Seal::new(&[1; 32])).unwrap();
            Desk { _folder: folder, connection, counters: Counters::default() }
        }

        fn tenants(&self) -> Vec<String> {
            let mut names = self.connection.prepare("SELECT name FROM tenants ORDER BY id").unwrap();
            names.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }

        fn commits(&self) -> u64 {
            self.counters.commits.load(Ordering::Relaxed)
        }

        /// Lets the file grow by this many pages more.
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

    type Told = Receiver<Result<(), LedgerError>>;

    fn task(work: impl Fn(&Connection) -> Result<(), LedgerError> + Send + 'static) -> (Box<dyn Work>, Told) {
        let (caller, told) = sync_channel(1);
        (Box::new(Task { rows: 1, work, answer: Answer::to(caller) }), told)
    }

    fn job(work: impl Fn(&Connection) -> Result<(), LedgerError> + Send + 'static) -> (Job, Told) {
        let (work, told) = task(work);
        (Job::Other(work), told)
    }

    /// Stores a tenant with an actor whose name has this size.
    fn adds(name: &'static str, size: usize) -> (Job, Told) {
        job(move |connection| {
            connection.execute("INSERT INTO tenants (name) VALUES (?1)", [name])?;
            let tenant = connection.last_insert_rowid();
            let sql = "INSERT INTO actors (tenant, name) VALUES (?1, ?2)";
            connection.execute(sql, (tenant, "a".repeat(size)))?;
            Ok(())
        })
    }

    #[test]
    fn what_has_queued_up_is_committed_at_once() {
        let desk = Desk::new();
        let (queue, messages) = sync_channel(QUEUE);
        let names = ["a", "b", "c", "d", "e"];
        let answers = names.map(|name| {
            let (job, answer) = adds(name, 9);
            queue.send(Message::Grouped(job)).unwrap();
            answer
        });
        drop(queue);
        let path = desk.connection.path().unwrap().to_owned();
        serve(desk.connection, &messages, &desk.counters);
        assert!(answers.iter().all(|answer| answer.recv().unwrap().is_ok()));
        assert_eq!(desk.counters.commits.into_inner(), 1);
        assert_eq!(desk.counters.jobs.into_inner(), 5);
        let count = "SELECT count(*) FROM tenants";
        let stored: isize = Connection::open(path).unwrap().query_row(count, (), |row| row.get(0)).unwrap();
        assert_eq!(stored, names.len().cast_signed());
    }

    #[test]
    fn what_runs_alone_runs_in_its_turn() {
        let desk = Desk::new();
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
        for message in [Message::Grouped(before), Message::Alone(alone), Message::Grouped(after)] {
            queue.send(message).unwrap();
        }
        drop(queue);
        serve(desk.connection, &messages, &desk.counters);
        answer.recv().unwrap().unwrap();
        assert_eq!(desk.counters.commits.into_inner(), 2);
    }

    #[test]
    fn a_job_that_fails_or_panics_is_undone_alone() {
        let desk = Desk::new();
        let (good, good_answer) = adds("good", 9);
        let (fails, fails_answer) = job(|connection| {
            connection.execute("INSERT INTO tenants (name) VALUES ('bad')", ())?;
            Err(LedgerError::NoDirections)
        });
        let (panics, panics_answer) = job(|connection| {
            connection.execute("INSERT INTO tenants (name) VALUES ('bad')", ())?;
            panic!("as it is meant to")
        });
        let (last, last_answer) = adds("last", 9);
        commit(&desk.connection, vec![good, fails, panics, last], &desk.counters);
        good_answer.recv().unwrap().unwrap();
        last_answer.recv().unwrap().unwrap();
        assert!(matches!(fails_answer.recv().unwrap(), Err(LedgerError::NoDirections)));
        assert!(matches!(panics_answer.recv().unwrap(), Err(LedgerError::Defect)));
        assert_eq!(desk.tenants(), ["good", "last"]);
        assert_eq!(desk.commits(), 2);
    }

    /// What a call asks for: on which of two lists, up to how many active entries, and what.
    type Call = (i64, u64, Vec<(bool, u64, HoldKind, Directions)>);

    fn call() -> impl Strategy<Value = Call> {
        let hold = prop_oneof![Just(HoldKind::Operator), Just(HoldKind::OptOut)];
        let directions = (1_u8..4).prop_map(|bits| Directions::from_bits(bits).unwrap());
        (1_i64..3, 1_u64..5, collection::vec((any::<bool>(), 1_u64..6, hold, directions), 1..5))
    }

    fn writes((list, most, writes): &Call) -> (Job, Receiver<Result<Vec<Written>, LedgerError>>) {
        let actor = Actor::new("test").unwrap();
        let writes = writes.iter().map(|&(blocks, subject, hold, directions)| {
            let (subject, actor) = (Subject::new(subject).unwrap(), actor.clone());
            if blocks {
                Block { hold, ..Block::new(subject, directions, actor) }.into()
            } else {
                Unblock { hold: Some(hold), ..Unblock::new(subject, directions, actor) }.into()
            }
        });
        let (caller, told) = sync_channel(1);
        let entries = EntryWrites {
            list: ListRow { id: *list, tenant: TenantRow(1) },
            keys: TenantKeys::new(TenantSecret::random().unwrap()),
            writes: writes.collect(),
            most: *most,
            answer: Answer::to(caller),
        };
        (Job::Entries(entries), told)
    }

    impl Desk {
        /// With a tenant that has lists 1 and 2.
        fn with_lists() -> Self {
            let desk = Desk::new();
            let sql = "INSERT INTO tenants VALUES (1, 'acme'); INSERT INTO lists (tenant, scope) VALUES (1, ''), (1, 'a');";
            desk.connection.execute_batch(sql).unwrap();
            desk
        }

        fn numbers(&self, sql: &str) -> Vec<Vec<Option<i64>>> {
            let mut statement = self.connection.prepare(sql).unwrap();
            let columns = 0..statement.column_count();
            let rows = statement.query_map((), |row| columns.clone().map(|column| row.get(column)).collect());
            rows.unwrap().map(Result::unwrap).collect()
        }

        /// What stands in the file, without times and numbers of changes.
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
        fn calls_that_are_joined_do_what_each_does_alone(calls in collection::vec(call(), 1..12)) {
            let (joined, alone) = (Desk::with_lists(), Desk::with_lists());
            let (jobs, told): (Vec<_>, Vec<_>) = calls.iter().map(writes).unzip();
            commit(&joined.connection, jobs, &joined.counters);
            for (call, told) in calls.iter().zip(told) {
                let (job, told_alone) = writes(call);
                commit(&alone.connection, vec![job], &alone.counters);
                let (written, expected) = (told.recv().unwrap().unwrap(), told_alone.recv().unwrap().unwrap());
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
        let desk = Desk::with_lists();
        let block =
            |list, subject| writes(&(list, 9, vec![(true, subject, HoldKind::Operator, Directions::BOTH)]));
        let (jobs, told): (Vec<_>, Vec<_>) =
            [block(1, 1), block(77, 2), block(1, 3), block(77, 4)].into_iter().unzip();
        commit(&desk.connection, jobs, &desk.counters);
        let told: Vec<_> = told.iter().map(|told| told.recv().unwrap().map(|_| ())).collect();
        assert!(matches!(
            told[..],
            [Ok(()), Err(LedgerError::TenantForgotten), Ok(()), Err(LedgerError::TenantForgotten)]
        ));
        let subjects = desk.numbers("SELECT subject FROM entries ORDER BY subject");
        assert_eq!(subjects, [[Some(1)], [Some(3)]]);
    }

    #[test]
    fn a_full_disk_stops_only_what_does_not_fit() {
        let desk = Desk::new();
        desk.leave_room_for(4);
        let (small, small_answer) = adds("small", 9);
        let (huge, huge_answer) = adds("huge", 1 << 20);
        let (last, last_answer) = adds("last", 9);
        commit(&desk.connection, vec![small, huge, last], &desk.counters);
        small_answer.recv().unwrap().unwrap();
        last_answer.recv().unwrap().unwrap();
        assert!(matches!(huge_answer.recv().unwrap(), Err(LedgerError::Full(_))));
        assert_eq!(desk.tenants(), ["small", "last"]);

        desk.leave_room_for(1000);
        let (huge, huge_answer) = adds("huge", 1 << 20);
        commit(&desk.connection, vec![huge], &desk.counters);
        huge_answer.recv().unwrap().unwrap();
        assert_eq!(desk.tenants(), ["small", "last", "huge"]);
    }

    #[test]
    fn a_commit_that_fails_fails_all_its_jobs() {
        let desk = Desk::new();
        let (good, good_answer) = adds("good", 9);
        let (breaks, breaks_answer) = job(|connection| {
            // Noticed no sooner than at the commit.
            connection.pragma_update(None, "defer_foreign_keys", true)?;
            connection.execute("INSERT INTO lists (tenant, scope) VALUES (77, '')", ())?;
            Ok(())
        });
        commit(&desk.connection, vec![good, breaks], &desk.counters);
        for answer in [good_answer, breaks_answer] {
            assert!(matches!(answer.recv().unwrap(), Err(LedgerError::Storage(_))));
        }
        assert_eq!((desk.tenants().len(), desk.commits()), (0, 0));
        let (good, good_answer) = adds("good", 9);
        commit(&desk.connection, vec![good], &desk.counters);
        good_answer.recv().unwrap().unwrap();
    }

    #[test]
    fn nobody_is_answered_before_the_commit() {
        let desk = Desk::new();
        let (first, first_answer) = adds("first", 9);
        let (second, second_answer) = job(move |_| {
            assert!(matches!(first_answer.try_recv(), Err(TryRecvError::Empty)));
            Ok(())
        });
        commit(&desk.connection, vec![first, second], &desk.counters);
        assert_eq!(desk.tenants(), ["first"]);
        assert_eq!(desk.commits(), 1);
        second_answer.recv().unwrap().unwrap();
    }

    #[test]
    fn a_writer_that_is_gone_is_an_error() {
        let (queue, messages) = sync_channel(QUEUE);
        drop(messages);
        let writer = Writer { queue: Some(queue), thread: None, counters: Arc::default() };
        assert!(matches!(
            writer.call(|answer: Answer<()>| {
                Message::Alone(Box::new(Task { rows: 0, work: |_: &Connection| Ok(()), answer }))
            }),
            Err(LedgerError::Closed)
        ));
    }

    #[test]
    fn a_long_log_is_put_into_the_file() {
        let desk = Desk::new();
        let pages = usize::try_from(LOG_PAGES).unwrap();
        let (huge, answer) = adds("huge", (pages + 100) * 4096);
        commit(&desk.connection, vec![huge], &desk.counters);
        answer.recv().unwrap().unwrap();
        let left = || {
            let state = log_state(&desk.connection, "NOOP").unwrap();
            state.pages - state.in_file
        };
        assert!(left() > LOG_PAGES);
        shorten_log(&desk.connection);
        assert_eq!(left(), 0);
    }
}
