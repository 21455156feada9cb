//! The lock of the only writer. SQLite's own locks would let two gateways take turns.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::LedgerError;
use crate::files::beside;

/// How long to wait for a lock. A previous owner may be shutting down, and a program that this process is spawning holds
/// a copy of the lock's descriptor until it executes.
const TIMEOUT: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(2);

/// The path of the file itself, without symbolic links: wherever the links are changed to, the same file is meant.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // It is yet to be created, or a link leads nowhere.
            let absolute = std::path::absolute(path)?;
            let name = absolute.file_name().map(OsStr::to_owned).ok_or(error)?;
            let folder = absolute.parent().unwrap_or(Path::new("/"));
            Ok(folder.canonicalize()?.join(name))
        }
        resolved => resolved,
    }
}

/// Locks the name of a ledger, which need not exist.
pub(super) fn of_name(path: &Path) -> Result<File, LedgerError> {
    let lock_path = beside(path, ".lock");
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
    let failed = |source| LedgerError::Open { path: lock_path.clone(), source };
    take(opened.map_err(failed)?, path)
}

/// Locks the file itself, which may have several names (hard links).
///
/// SQLite locks byte ranges of the file, which is independent of this. But when any descriptor of the file is closed,
/// the process loses SQLite's locks: drop this after all connections.
pub(super) fn of_file(path: &Path) -> Result<File, LedgerError> {
    let opened = File::open(path).map_err(|source| LedgerError::Open { path: path.into(), source })?;
    take(opened, path)
}

fn take(file: File, path: &Path) -> Result<File, LedgerError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(LedgerError::Open { path: path.into(), source }),
        }
    }
}
