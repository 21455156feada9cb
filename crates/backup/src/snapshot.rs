//! A copy of a ledger's file as of one commit, and what is known of such a file.
//!
//! The copy is made by another process than the gateway, by SQLite's backup interface, in one read transaction. In WAL mode readers and
//! the writer don't block each other, so writes go on meanwhile. They are appended to the log, which can't begin anew until the
//! copy is made.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::ServerRun;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::error::BackupError;
use crate::files::{self, beside};
use crate::manifest::hex;

/// How long to wait for a lock of SQLite's, such as that of a recovery after a crash.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages that are copied at once: 4 MiB.
const PAGES: i32 = 1024;
/// How often a step that finds a lock is repeated, and after which time.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);
/// The first version of the tables that has a number of commits.
const WITH_COMMITS: i64 = 6;

/// What a ledger's file says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// The random id, in hexadecimal digits.
    pub(crate) ledger: String,
    /// The number of the latest commit.
    pub(crate) commit: u64,
    /// The version of the tables.
    pub(crate) schema: i64,
}

/// A copy that was made.
pub(crate) struct Snapshot {
    /// Every write that was acknowledged before is in it.
    pub(crate) complete_until: Timestamp,
    pub(crate) description: Description,
}

/// Reads what a ledger's file says of itself, with its log, and changes nothing.
pub(crate) fn describe(path: &Path) -> Result<Description, BackupError> {
    described(&connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?, path)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, BackupError> {
    let opened = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = opened.map_err(BackupError::sqlite("open", path))?;
    connection.busy_timeout(PATIENCE).map_err(BackupError::sqlite("open", path))?;
    Ok(connection)
}

fn described(connection: &Connection, path: &Path) -> Result<Description, BackupError> {
    let failed = || BackupError::sqlite("read", path);
    let schema: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed())?;
    if schema < WITH_COMMITS {
        return Err(BackupError::OlderSchema { path: path.to_owned() });
    }
    let sql = "SELECT identity, max(stamp, (SELECT coalesce(max(stamp), 0) FROM lists)) FROM ledger";
    let (id, commit): (Vec<u8>, i64) =
        connection.query_row(sql, (), |row| row.try_into()).map_err(failed())?;
    Ok(Description { ledger: hex(&id), commit: commit.cast_unsigned(), schema })
}

/// Copies a ledger, which may be open and written to, into a new file. `told` is called with how many bytes of how many are copied.
pub(crate) fn copy(
    ledger: &Path,
    to: &Path,
    mut told: impl FnMut(u64, u64),
) -> Result<Snapshot, BackupError> {
    if !ledger.is_file() {
        return Err(BackupError::NoLedger { path: ledger.to_owned() });
    }
    files::create(to).map_err(BackupError::disk("create", to))?;
    let source = connect(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut target = connect(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // If it fails, nobody needs what there is of it. It is flushed at the end.
    let set = target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    set.map_err(BackupError::sqlite("write", to))?;
    let complete_until = Timestamp::now();
    let reading = source.unchecked_transaction().map_err(BackupError::sqlite("read", ledger))?;
    // The first read fixes what the transaction sees. While it lasts, SQLite's backup does not start over after each write.
    let description = described(&reading, ledger)?;
    let page: i64 = reading
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .map_err(BackupError::sqlite("read", ledger))?;
    let failed = || BackupError::sqlite("copy the ledger to", to);
    {
        let backup = Backup::new(&source, &mut target).map_err(failed())?;
        let mut tries = 0;
        loop {
            match backup.step(PAGES).map_err(failed())? {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked if tries < TRIES => {
                    tries += 1;
                    thread::sleep(PAUSE);
                }
                StepResult::Busy | StepResult::Locked => {
                    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                    return Err(failed()(rusqlite::Error::SqliteFailure(busy, None)));
                }
                _ => {
                    let progress = backup.progress();
                    let bytes = |pages: i32| i64::from(pages).saturating_mul(page).cast_unsigned();
                    told(bytes(progress.pagecount - progress.remaining), bytes(progress.pagecount));
                }
            }
        }
    }
    drop(reading);
    target.close().map_err(|(_, error)| failed()(error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(BackupError::disk("flush", to))?;
    Ok(Snapshot { complete_until, description })
}

/// Makes a line of its own of a copy that is about to be restored: it gets another id. So what knew the ledger before, such as a
/// later backup of it, or a position that a client has, is not taken for one of this ledger: both have commits and changes of the same
/// numbers.
pub(crate) fn renew(path: &Path) -> Result<(), BackupError> {
    let failed = || BackupError::sqlite("write", path);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let line: [u8; 8] =
        connection.query_row("SELECT randomblob(8)", (), |row| row.get(0)).map_err(failed())?;
    let id = [ServerRun::RESTORED, line];
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed())?;
    let sql = "UPDATE ledger SET identity = ?1, is_open = 0,
        stamp = max(stamp, (SELECT coalesce(max(stamp), 0) FROM lists)) + 1";
    connection.execute(sql, [id.as_flattened()]).map_err(failed())?;
    // The last connection moves the log into the file.
    connection.close().map_err(|(_, error)| failed()(error))?;
    let log = beside(path, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(failed()(rusqlite::Error::SqliteFailure(busy, None)));
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(BackupError::disk("flush", path))
}
