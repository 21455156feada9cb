//! Errors.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_keys::{KeyError, SealError};
use portcullis_ledger::LedgerError;

/// Why a backup can't be made, read or restored. No message has a number or a key in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The disk.
    #[error("can't {action} {}", .path.display())]
    Disk {
        /// What was to be done.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder of a new backup is there already.
    #[error("{} exists already: give a folder that does not exist", .path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The path of a new backup has no name.
    #[error("{} is no name of a folder that could be created", .path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// Another process writes the same backup.
    #[error("{} is being written by another backup: wait for it, or give another folder", .path.display())]
    Busy {
        /// The unfinished folder.
        path: PathBuf,
    },
    /// A folder has the name of an unfinished backup, and is none.
    #[error("{} is in the way, and is no unfinished backup: move it away", .path.display())]
    InTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// A file's name can't be written into the manifest.
    #[error("the name of {} is not UTF-8: rename it", .path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// SQLite.
    #[error("can't {action} {}", .path.display())]
    Sqlite {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The ledger is of a version that has no number of commits.
    #[error("{} is a ledger of an older version: start the gateway once, which upgrades it", .path.display())]
    OlderSchema {
        /// The ledger's file.
        path: PathBuf,
    },
    /// There is no ledger.
    #[error("there is no ledger {}", .path.display())]
    NoLedger {
        /// The ledger's file.
        path: PathBuf,
    },
    /// There is no manifest: the folder is no backup, or one that was not finished.
    #[error("{} is no backup, or was not finished: it has no manifest.json", .path.display())]
    NotABackup {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest can't be read.
    #[error("the manifest of {} is damaged: {what}; use another backup", .path.display())]
    Manifest {
        /// The folder.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A newer version made it.
    #[error("{} has format {found}, and this version reads 1: restore it with the version that made it", .path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// The format.
        found: u32,
    },
    /// The backup is not what was written.
    #[error("{} is damaged: {first}{}; use another backup", .path.display(), more(*.others))]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// The first flaw.
        first: String,
        /// How many more there are.
        others: usize,
    },
    /// The master key is another one than the backup's.
    #[error(
        "the backup was made under the master key {needed}, which was in {origin}, and {found} is here: provide the backup's key"
    )]
    AnotherKey {
        /// The fingerprint of the backup's.
        needed: String,
        /// Where it was.
        origin: String,
        /// The fingerprint of the key that is here.
        found: String,
    },
    /// The ledger that is there has commits that the backup lacks.
    #[error(
        "the ledger {} has {commits} commits that the backup lacks, which would be lost: give --over-newer if that is meant; it is \
         kept beside, with .replaced- in its name", .path.display()
    )]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// How many.
        commits: u64,
    },
    /// The ledger that is there is another one.
    #[error(
        "{} is another ledger than the one that was backed up, or was restored since: give --over-another if it is to be replaced; \
         it is kept beside, with .replaced- in its name", .path.display()
    )]
    Another {
        /// The ledger's file.
        path: PathBuf,
    },
    /// What is there can't be read, so it may be newer.
    #[error(
        "{} can't be read ({why}), so it may be newer than the backup: give --over-newer if it is to be replaced; it is kept beside, \
         with .replaced- in its name", .path.display()
    )]
    Unreadable {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A gateway runs.
    #[error("{} is in use by a gateway: stop it", .path.display())]
    InUse {
        /// The ledger's file.
        path: PathBuf,
    },
    /// The backup is of a gateway whose ledger is in a database, or the other way round.
    #[error("the backup is of a gateway with {backup}, and storage.url of this configuration is {here}")]
    OtherStorage {
        /// What the backup has.
        backup: &'static str,
        /// What is configured.
        here: &'static str,
    },
    /// The ledger is in place, and could not be opened.
    #[error(
        "the backup is in place, but could not be opened: mend what the next line says, and start the gateway once with \
         --restored"
    )]
    NotOpened(#[source] LedgerError),
    /// The ledger can't be checked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The master key in the backup can't be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The manifest can't be sealed.
    #[error("can't seal the manifest")]
    Seal(#[from] SealError),
}

impl BackupError {
    /// For `map_err`: this could not be done with this file.
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| BackupError::Disk { action, path, source }
    }

    /// The same, of SQLite.
    pub(crate) fn sqlite(action: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| BackupError::Sqlite { action, path, source }
    }
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", and {others} more") }
}
