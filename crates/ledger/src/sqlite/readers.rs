//! The connection pool for reads.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::guard::Guard;
use super::{Sqlite, connect};
use crate::error::LedgerError;

/// The maximum number of concurrent reads. Others wait. Reads are short, and there are few CPUs.
const MAX_READERS: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    guard: Arc<Guard>,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf, guard: Arc<Guard>) -> Self {
        Readers { path, guard, pool: Mutex::default(), freed: Condvar::new() }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // No code panics while holding the lock.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> Result<Reader<'_>, LedgerError> {
        let mut pool = self.pool();
        while pool.lent == MAX_READERS {
            pool = self.freed.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent += 1;
        let mut reader = Reader { readers: self, connection: pool.idle.pop() };
        drop(pool);
        if reader.connection.is_none() {
            reader.connection = Some(self.connect()?);
        }
        Ok(reader)
    }

    fn connect(&self) -> Result<Connection, LedgerError> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // In KiB.
        connection.pragma_update(None, "cache_size", -8 * 1024)?;
        // It must not be another file that was put in place.
        self.guard.look()?;
        Ok(connection)
    }
}

/// A connection from the pool. Dropping it returns it.
struct Reader<'a> {
    readers: &'a Readers,
    /// `None` only if it could not be opened.
    connection: Option<Connection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool();
        pool.lent -= 1;
        pool.idle.extend(self.connection.take());
        self.readers.freed.notify_one();
    }
}

impl Sqlite {
    /// Runs `read` on a consistent snapshot with all writes acknowledged before.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let reader = self.readers.lend()?;
        let connection = reader.connection.as_ref().ok_or(LedgerError::Closed)?;
        // The transaction ends with the read, even if it fails: one left open would keep the log from being truncated.
        let transaction = connection.unchecked_transaction()?;
        read(transaction.deref())
    }
}
