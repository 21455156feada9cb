//! Backups of a gateway: what it has on disk, in a folder that is whole or not there.
//!
//! [`take()`] copies while the gateway runs and writes, or while it is stopped. [`Backup`] is one that was made, and checks it.
//! [`restore()`] puts it in the place of what a stopped gateway has.
//!
//! # The folder
//!
//! | file | content |
//! | --- | --- |
//! | `manifest.json` | a [`Manifest`]: what is in the backup, with the size and SHA-256 of each file |
//! | `manifest.seal` | the digest of the manifest, sealed under the master key, in hexadecimal digits |
//! | `ledger.db` | the ledger, as of one commit, unless it is in a database |
//! | `plugins/` | the folder of plugins, with the versions in `.versions` |
//! | `meters/` | what rules have counted |
//! | `states/` | saved states of plugins, if asked for |
//! | `master.key` | the master key, if asked for |
//!
//! It is written under the name `….partial`, flushed, and gets its own name last. The ledger is copied after everything else: so no
//! saved state is newer than the ledger.
#![forbid(unsafe_code)]

mod check;
mod error;
mod files;
mod folder;
mod lock;
mod manifest;
mod places;
mod restore;
mod snapshot;
mod take;

pub use check::Backup;
pub use error::BackupError;
pub use manifest::{
    Configuration, Database, File, FilePath, FilePathError, KeyReference, LedgerFile, MANIFEST, Manifest,
};
pub use places::{Places, Storage};
pub use restore::{Allowed, Restored, restore, write_key};
pub use take::{Request, Taken, take};

/// What is being done. It is told together with how much of how much is done, in bytes; of 0 if that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Files beside the ledger are copied.
    Files,
    /// The ledger is copied.
    Ledger,
    /// What was copied is compared with its digests.
    Comparing,
    /// All entries of the ledger are checked.
    Checking,
    /// The backup is put in the place of what was there.
    Replacing,
}

impl Stage {
    /// In the words of a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Files => "copying files",
            Stage::Ledger => "copying the ledger",
            Stage::Comparing => "comparing digests",
            Stage::Checking => "checking the entries",
            Stage::Replacing => "replacing files",
        }
    }
}

/// Is told how far it is.
pub type Progress<'a> = &'a mut dyn FnMut(Stage, u64, u64);
