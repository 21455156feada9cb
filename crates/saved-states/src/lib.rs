#![doc = include_str!("../README.md")]
//!
//! # The format
//!
//! Each tenant has a folder, and each of its lists a file in it. Only with the tenant's key can a file's name be linked to its
//! list. A file begins in clear text:
//!
//! | bytes | |
//! |---|---|
//! | 16 | `portcullis state` |
//! | 1 | the format's version, 1 |
//! | 16 | the file's random id |
//!
//! Records follow: the header, the parts, and the end, which contains the number of parts. A record is
//!
//! | bytes | |
//! |---|---|
//! | 1 | its kind: 1 header, 2 part, 3 end |
//! | 4 | the length of the content, little-endian |
//! | at most 4 MiB + 40 | the content, sealed under the tenant's key |
//!
//! The seal of each record also authenticates the file's beginning, the tenant, the list, and the record's place and kind. So no
//! record opens after it was changed, moved, repeated or copied from another file, or after another one was left out. An older
//! state of the same list is valid: the changes in the ledger since then bring it up to date.
#![forbid(unsafe_code)]

mod error;
mod file;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use portcullis_keys::{Scope, TenantId, TenantKeys};

pub use error::{Flaw, StateError};
pub use file::StateFile;

/// The folder of all saved states.
pub struct States {
    dir: PathBuf,
    /// Locked while the states are open.
    _folder: Option<File>,
}

/// A tenant may be called `.` or `..`.
const TENANT_PREFIX: &str = "tenant-";
/// The extension of files that are being written.
const UNFINISHED: &str = "tmp";

impl States {
    /// Opens the folder, and removes unfinished files from it. It need not exist: saving the first state creates it. Open the ledger
    /// before, as nobody else may write in the folder, and only one process can have the ledger open.
    ///
    /// # Errors
    /// If the folder can't be read, or an unfinished file can't be removed.
    pub fn open(dir: PathBuf) -> Result<Self, StateError> {
        for folder in paths_in(&dir)? {
            if !is_tenants(&folder) {
                continue;
            }
            for file in paths_in(&folder)? {
                if file.extension().is_some_and(|extension| extension == UNFINISHED) {
                    fs::remove_file(&file).map_err(StateError::disk("remove", &file))?;
                }
            }
        }
        Ok(States { dir, _folder: None })
    }

    /// Like [`open`](Self::open), for a ledger that several processes have open: creates the folder, and locks it until this is dropped.
    ///
    /// # Errors
    /// [`StateError::InUse`] if another process has it open. If the folder can't be created, read or locked, or an unfinished file can't
    /// be removed.
    pub fn open_alone(dir: PathBuf) -> Result<Self, StateError> {
        make_folder(&dir)?;
        let folder = File::open(&dir).map_err(StateError::disk("open the folder", &dir))?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path: dir }),
            Err(TryLockError::Error(error)) => return Err(StateError::disk("lock the folder", &dir)(error)),
        }
        Ok(States { _folder: Some(folder), ..Self::open(dir)? })
    }

    /// The folder, to read what is in it.
    pub fn at(dir: PathBuf) -> Self {
        States { dir, _folder: None }
    }

    /// Whether there is such a folder with anything in it.
    pub fn are_in(dir: &Path) -> bool {
        fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some())
    }

    /// The saved state of a list, sealed under the tenant's keys.
    pub fn of(&self, tenant: &TenantId, scope: &Scope, keys: &TenantKeys) -> StateFile {
        let path = self.folder(tenant).join(keys.state_name(scope)).with_extension("state");
        StateFile::new(path, tenant, scope, keys)
    }

    /// Removes all states. None is in use yet.
    ///
    /// # Errors
    /// If a file can't be removed.
    pub fn clear(&self) -> Result<(), StateError> {
        for folder in paths_in(&self.dir)?.into_iter().filter(|path| is_tenants(path)) {
            fs::remove_dir_all(&folder).map_err(StateError::disk("remove", &folder))?;
        }
        Ok(())
    }

    /// Removes all states of a tenant. Stop saving first: a state that is saved later would create the folder again.
    ///
    /// # Errors
    /// If a file can't be removed.
    pub fn forget(&self, tenant: &TenantId) -> Result<(), StateError> {
        let folder = self.folder(tenant);
        match fs::remove_dir_all(&folder).and_then(|()| sync_folder_of(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StateError::disk("remove", &folder)),
        }
    }

    fn folder(&self, tenant: &TenantId) -> PathBuf {
        self.dir.join(format!("{TENANT_PREFIX}{tenant}"))
    }
}

/// Whether this is the folder of a tenant, by its name.
fn is_tenants(folder: &Path) -> bool {
    let name = folder.file_name();
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(TENANT_PREFIX.as_bytes()))
}

/// The files in a folder; none if it does not exist.
fn paths_in(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|files| files.map(|file| Ok(file?.path())).collect()),
    };
    listed.map_err(StateError::disk("read the folder", folder))
}

/// Creates a folder for its owner only, durably, unless it exists.
fn make_folder(path: &Path) -> Result<(), StateError> {
    let made = match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| sync_folder_of(path)),
    };
    made.map_err(StateError::disk("create the folder", path))
}

/// Makes the creation or removal of a file or folder durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
