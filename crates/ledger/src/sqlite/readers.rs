//! The connection pool for reads.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::guard::Guard;
use super::{Sqlite, connect};
use crate::error::LedgerError;

/// The maximum number of concurrent brief reads. Others wait.
const BRIEF_READERS: usize = 16;
/// The maximum number of concurrent long reads. They have connections of their own, as they may be on threads of low
/// priority, which hold them for long on a busy machine.
const LONG_READERS: usize = 32;
/// How long a long read may take.
const LONGEST: Duration = Duration::from_secs(10);
/// The steps of SQLite's machine after which a long read looks at the time: some tens of microseconds.
const STEPS: i32 = 10_000;

pub(super) struct Readers {
    path: PathBuf,
    guard: Arc<Guard>,
    brief: Pool,
    long: Pool,
}

struct Pool {
    most: usize,
    /// The memory for pages of a connection, in KiB.
    cache: i32,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf, guard: Arc<Guard>) -> Self {
        let brief = Pool::new(BRIEF_READERS, 8 * 1024);
        Readers { path, guard, brief, long: Pool::new(LONG_READERS, 2 * 1024) }
    }

    fn lend<'a>(&self, pool: &'a Pool) -> Result<Reader<'a>, LedgerError> {
        let mut reader = Reader { pool, connection: pool.take() };
        if reader.connection.is_none() {
            reader.connection = Some(self.connect(pool.cache)?);
        }
        Ok(reader)
    }

    fn connect(&self, cache: i32) -> Result<Connection, LedgerError> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "cache_size", -cache)?;
        // It must not be another file that was put in place.
        self.guard.look()?;
        Ok(connection)
    }
}

impl Pool {
    fn new(most: usize, cache: i32) -> Self {
        Pool { most, cache, state: Mutex::default(), freed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while holding the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection may be lent. Returns an idle one, if there is one.
    fn take(&self) -> Option<Connection> {
        let mut state = self.state();
        while state.lent == self.most {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        state.idle.pop()
    }
}

/// A connection from the pool. Dropping it returns it.
struct Reader<'a> {
    pool: &'a Pool,
    /// `None` only if it could not be opened.
    connection: Option<Connection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.lent -= 1;
        state.idle.extend(self.connection.take());
        self.pool.freed.notify_one();
    }
}

impl Sqlite {
    /// Runs `read`, which takes some milliseconds at most, on a consistent snapshot with all writes acknowledged before.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let reader = self.readers.lend(&self.readers.brief)?;
        let connection = reader.connection.as_ref().ok_or(LedgerError::Closed)?;
        self.explained(in_snapshot(connection, read))
    }

    /// A file that was overwritten while it was open looks damaged.
    fn explained<T>(&self, read: Result<T, LedgerError>) -> Result<T, LedgerError> {
        read.map_err(|error| match error {
            LedgerError::Damaged { .. } => match self.guard.look() {
                Err(lost @ LedgerError::Replaced { .. }) => lost,
                _ => error,
            },
            error => error,
        })
    }

    /// Like [`read`](Self::read), for what may take long, apart from brief reads.
    ///
    /// # Errors
    /// Those of `read`, and [`LedgerError::TookTooLong`] after 10 seconds.
    pub(super) fn read_long<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.read_within(LONGEST, read)
    }

    fn read_within<T>(
        &self,
        longest: Duration,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut reader = self.readers.lend(&self.readers.long)?;
        let connection = reader.connection.as_mut().ok_or(LedgerError::Closed)?;
        let start = Instant::now();
        connection.progress_handler(STEPS, Some(move || start.elapsed() > longest))?;
        self.explained(in_snapshot(connection, read))
    }
}

fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    // The transaction ends with the read, even if it fails: one left open would keep the log from being truncated.
    let transaction = connection.unchecked_transaction()?;
    read(transaction.deref())
}

#[cfg(test)]
mod tests {
    use portcullis_keys::MasterKey;

    use super::*;
    use crate::Opening;

    /// Takes an hour, unless it is interrupted.
    fn endless(connection: &Connection) -> Result<i64, LedgerError> {
        const SQL: &str =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        Ok(connection.query_row(SQL, (), |row| row.get(0))?)
    }

    #[test]
    fn a_long_read_ends_and_leaves_its_connection_usable() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("ledger.db"), MasterKey::from_bytes([1; 32]));
        let sqlite = Sqlite::open(&path, &key, &Opening::default()).unwrap();
        for _ in 0..3 {
            let ended = sqlite.read_within(Duration::ZERO, endless);
            assert!(matches!(ended, Err(LedgerError::TookTooLong)), "{ended:?}");
        }
        assert!(
            sqlite
                .read_long(|connection| Ok(connection.query_row("SELECT 1", (), |row| row.get::<_, i64>(0))?))
                .is_ok()
        );
        assert_eq!(sqlite.readers.long.state().lent, 0);
    }
}
