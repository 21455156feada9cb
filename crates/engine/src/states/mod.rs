//! Saved states on disk: what a plugin saved of its list comes back whole, into the list it is of, or not at all.
//!
//! Each tenant has a folder, each of its lists a file in it, whose name tells the list only to those who have the
//! tenant's key. A file begins in clear:
//!
//! | bytes | |
//! |---|---|
//! | 16 | `portcullis state` |
//! | 1 | the version of all this, 1 |
//! | 16 | the file's id, at random |
//!
//! Then come records: the header first, then the parts, at last the end, which tells how many parts there were. A
//! record is
//!
//! | bytes | |
//! |---|---|
//! | 1 | its kind: 1 header, 2 part, 3 end |
//! | 4 | the length of what follows, lowest byte first |
//! | at most 4 MiB + 40 | its content, sealed under the tenant's key |
//!
//! The seal of each record also covers how the file begins, the tenant, the list, and the record's place and kind. So
//! no record opens that was changed, moved, repeated, left out or brought from elsewhere. An older state of the same
//! list is a valid one: the ledger's changes since then bring it up to date.

mod error;
mod file;
pub mod fuzz;
mod header;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use portcullis_ledger::{Scope, TenantId, TenantKeys};

pub(crate) use error::StateError;
pub(crate) use file::StateFile;

/// Where all saved states of a gateway are kept.
pub(crate) struct States {
    dir: PathBuf,
}

/// So a tenant may be called `.` or `..`.
const TENANT_PREFIX: &str = "tenant-";
/// What a file is called while it is written.
const UNFINISHED: &str = "tmp";

impl States {
    /// Takes over the folder, which is made when the first state is saved, and removes the unfinished files in it.
    /// Nobody else may be writing there: so open the ledger first, which only one gateway can.
    ///
    /// # Errors
    /// Where the folder is there, but can't be read, or not rid of unfinished files.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, StateError> {
        for folder in paths_in(&dir)? {
            let is_tenants = folder
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(TENANT_PREFIX.as_bytes()));
            if !is_tenants {
                continue;
            }
            for file in paths_in(&folder)? {
                if file.extension().is_some_and(|extension| extension == UNFINISHED) {
                    fs::remove_file(&file).map_err(StateError::disk("remove", &file))?;
                }
            }
        }
        Ok(States { dir })
    }

    /// Where the state of one list is kept, under the keys of its tenant.
    pub(crate) fn of(&self, tenant: &TenantId, scope: &Scope, keys: &TenantKeys) -> StateFile {
        let path = self.folder(tenant).join(keys.state_name(scope)).with_extension("state");
        StateFile::new(path, tenant, scope, keys)
    }

    /// Removes all that is kept of a tenant. A state that is being written meanwhile can't be finished; one that is
    /// begun afterwards makes the folder anew, so stop saving first.
    ///
    /// # Errors
    /// Where some of it can't be removed.
    pub(crate) fn forget(&self, tenant: &TenantId) -> Result<(), StateError> {
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

/// What lies in a folder; nothing where there is none.
fn paths_in(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|files| files.map(|file| Ok(file?.path())).collect()),
    };
    listed.map_err(StateError::disk("look into the folder", folder))
}

/// Makes a folder that is its owner's alone, durably, unless there is one.
fn make_folder(path: &Path) -> Result<(), StateError> {
    let made = match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| sync_folder_of(path)),
    };
    made.map_err(StateError::disk("make the folder", path))
}

/// Makes durable that a file or folder has its name, or is gone.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
