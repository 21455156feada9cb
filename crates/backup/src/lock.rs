//! The locks of a ledger's file, as a gateway has them while it runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::BackupError;
use crate::files::{beside, folder_of};

/// How long to wait for a lock: a gateway may be ending.
const TIMEOUT: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(2);

/// No gateway opens the ledger until this is dropped. It need not exist.
pub(crate) struct Locked {
    /// The ledger's file itself, without symbolic links.
    pub(crate) path: PathBuf,
    _locks: Vec<File>,
}

impl Locked {
    /// Locks the ledger at this path: its name, and its file if there is one. Drop it after all connections to the file, as closing
    /// any descriptor of a file gives up SQLite's locks.
    pub(crate) fn new(path: &Path) -> Result<Self, BackupError> {
        let resolved = resolve(path)?;
        let name = beside(&resolved, ".lock");
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&name);
        let mut locks = vec![take(opened.map_err(BackupError::disk("open", &name))?, path)?];
        if resolved.exists() {
            let opened = File::open(&resolved).map_err(BackupError::disk("open", &resolved))?;
            locks.push(take(opened, path)?);
        }
        Ok(Locked { path: resolved, _locks: locks })
    }
}

/// The file itself, as the ledger finds it.
fn resolve(path: &Path) -> Result<PathBuf, BackupError> {
    if let Ok(resolved) = path.canonicalize() {
        return Ok(resolved);
    }
    let absolute = std::path::absolute(path).map_err(BackupError::disk("find", path))?;
    let name = absolute.file_name().ok_or_else(|| BackupError::NoName { path: path.to_owned() })?;
    let folder = folder_of(&absolute);
    Ok(folder.canonicalize().map_err(BackupError::disk("find the folder", folder))?.join(name))
}

fn take(file: File, path: &Path) -> Result<File, BackupError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => return Err(BackupError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(BackupError::disk("lock", path)(source)),
        }
    }
}
