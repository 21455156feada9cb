//! Storage of the ledger in an SQLite file.
//!
//! One thread writes (`writer`) and several read (`readers`), each on its own connection. In WAL mode readers and the
//! writer don't block each other. `schema` documents the tables.

mod actors;
mod entries;
mod expiry;
mod failure;
mod feed;
mod identities;
mod job;
mod lists;
mod moves;
mod readers;
mod schema;
mod tenants;
mod trail;
mod visits;
mod write;
mod writer;

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::error::LedgerError;
use crate::keys::Seal;
use crate::keys::sync_folder_of;
use crate::store::{self, Stats};

use readers::Readers;
use writer::Writer;

/// How long a connection waits for another one's lock. Only recovery after a crash and truncating the log hold locks
/// that block others.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for the lock file. A previous owner may be shutting down, and a program that this process is
/// spawning holds a copy of the lock's descriptor until it executes.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(2);

/// An open ledger file. Dropping it checkpoints the log and releases the lock.
pub(crate) struct Sqlite {
    // Fields are dropped in order: the readers, then the writer, whose connection is then the last one and checkpoints
    // the log, then the lock.
    readers: Readers,
    writer: Writer,
    _lock: File,
    /// Encrypts tenants' secrets.
    master: Seal,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, master: Seal) -> Result<Sqlite, LedgerError> {
        let failed = |source| LedgerError::Open { path: path.into(), source };
        // SQLite opens files later, too, and the working directory may change until then.
        let path = &std::path::absolute(path).map_err(failed)?;
        let lock = lock(path)?;
        let new = create(path).map_err(failed)?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::prepare(&connection, path, &master)?;
        if new {
            sync_folder_of(path).map_err(failed)?;
        }
        Ok(Sqlite {
            readers: Readers::new(path.clone()),
            writer: Writer::start(connection)?,
            _lock: lock,
            master,
        })
    }
}

impl store::Store for Sqlite {
    fn stats(&self) -> Stats {
        self.writer.stats()
    }
}

/// Takes the lock of the only writer. SQLite's own locks would let two gateways take turns.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| LedgerError::Open { path: lock_path.clone(), source };
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(failed)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

/// Creates the file with access for its owner only, unless it exists; SQLite uses the same mode for its other files.
/// Returns whether it was created.
fn create(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a connection. It is used by one thread at a time, so it needs no mutex of its own.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
