//! The connections that read.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::{Sqlite, connect};
use crate::error::LedgerError;

/// How many threads read at once; others wait for one to be done. Reads are short, and processors
/// few.
const MOST: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Readers { path, pool: Mutex::default(), freed: Condvar::new() }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing panics while it is held, and it is whole at any instant.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> Result<Reader<'_>, LedgerError> {
        let mut pool = self.pool();
        while pool.lent == MOST {
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

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // In KiB.
        connection.pragma_update(None, "cache_size", -8 * 1024)?;
        Ok(connection)
    }
}

/// A lent connection. Dropping it gives it back.
struct Reader<'a> {
    readers: &'a Readers,
    /// `None` only where it could not be opened.
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
    /// Runs `read` on one state of the ledger, which holds every write that was acknowledged before.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let reader = self.readers.lend()?;
        let connection = reader.connection.as_ref().ok_or(LedgerError::Closed)?;
        // Ends with the reads, also where they fail: a forgotten one would keep the log from being
        // emptied.
        let transaction = connection.unchecked_transaction()?;
        read(transaction.deref())
    }
}
