//! Restoring a backup.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use portcullis_keys::MasterKey;
use portcullis_ledger::{Age, Ledger, Opening, StorageUrl};

use crate::check::Backup;
use crate::error::BackupError;
use crate::files::{self, beside, folder_of, sync_folder};
use crate::lock::Locked;
use crate::manifest::{self, Database, LEDGER, LedgerFile, METERS, PLUGINS, STATES};
use crate::places::{Places, Storage};
use crate::{Progress, Stage, snapshot};

/// What may be replaced. Nothing is removed in any case: what was there is kept beside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// A ledger that has commits which the backup lacks, or that can't be read.
    pub over_newer: bool,
    /// A ledger of another installation, or one that was restored since.
    pub over_another: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What was there before, under its new names.
    pub replaced: Vec<PathBuf>,
    /// How many commits were acknowledged that are not in the backup, if the witness was there to say it.
    pub missing_commits: Option<u64>,
    /// How many files of plugins were put.
    pub plugins: u64,
    /// How many files of plugins were there, and were left as they are.
    pub kept_plugins: u64,
    /// Whether the configuration file is another one than at the time of the backup.
    pub is_configured_otherwise: bool,
}

/// Puts a backup in the place of what a stopped gateway has, so that the next start accepts it as the ledger that was there.
///
/// Everything is checked before anything is changed. If the process is killed in the middle, no start accepts what is there, and the
/// same call can be made again. The restored ledger gets an id of its own: a later backup of the ledger before is another ledger from then
/// on, and not a newer one of this.
///
/// Files of plugins are added, and none is replaced. Compiled plugins stay. Blocks for some seconds per million entries.
///
/// # Errors
/// See [`BackupError`]. Nothing was replaced then, except after [`BackupError::NotOpened`], and after an error of the disk in the
/// middle.
pub fn restore(
    backup: &Backup,
    places: &Places,
    key: MasterKey,
    configuration_text: &[u8],
    allowed: Allowed,
    progress: Progress<'_>,
) -> Result<Restored, BackupError> {
    let manifest = backup.manifest();
    backup.check_key(&key)?;
    let mut flaws = backup.compare(progress)?.into_iter();
    if let Some(first) = flaws.next() {
        return Err(backup.damaged(first, flaws.len()));
    }
    let is_configured_otherwise =
        manifest::configuration_digest(&key, configuration_text) != manifest.configuration.digest;
    // They replace nothing, so they may stay if something fails.
    let plugins = || match &places.plugins {
        Some(folder) => put(backup, PLUGINS, folder),
        None => Ok((0, 0)),
    };
    let ((replaced, missing_commits), (plugins, kept_plugins)) = match (&manifest.database, &places.storage) {
        (Database::Sqlite(of), Storage::File(file)) => {
            let replacing = Replacing { backup, of, file, storage: &places.storage, key };
            replacing.run(allowed, plugins, progress)?
        }
        (Database::Postgres { .. }, Storage::Postgres { .. }) => ((Vec::new(), None), plugins()?),
        (Database::Sqlite(_), here) => {
            return Err(BackupError::OtherStorage { backup: "an SQLite file", here: here.as_str() });
        }
        (Database::Postgres { .. }, here) => {
            return Err(BackupError::OtherStorage { backup: "a PostgreSQL database", here: here.as_str() });
        }
    };
    Ok(Restored { replaced, missing_commits, plugins, kept_plugins, is_configured_otherwise })
}

/// Writes the digits of a master key to a file that must not exist, for its owner only.
///
/// # Errors
/// If there is a file, or it can't be written.
pub fn write_key(path: &Path, text: &str) -> Result<(), BackupError> {
    files::write(path, text.as_bytes())?;
    sync_folder(folder_of(path))
}

/// How many files were put, and how many were there.
type Put = (u64, u64);

struct Replacing<'a> {
    backup: &'a Backup,
    of: &'a LedgerFile,
    file: &'a Path,
    storage: &'a Storage,
    key: MasterKey,
}

/// What was put aside, and what a gateway on it had seen.
type Replaced = (Vec<PathBuf>, Option<u64>);

impl Replacing<'_> {
    fn run(
        self,
        allowed: Allowed,
        plugins: impl FnOnce() -> Result<Put, BackupError>,
        progress: Progress<'_>,
    ) -> Result<(Replaced, Put), BackupError> {
        let locked = Locked::new(self.file)?;
        admit(&locked.path, self.of, allowed)?;
        let staged = beside(&locked.path, ".restoring");
        let prepared = self.prepare(&locked.path, &staged, progress);
        let missing = prepared.inspect_err(|_| remove_staged(&staged))?;
        progress(Stage::Replacing, 0, 0);
        let plugins = plugins().inspect_err(|_| remove_staged(&staged))?;
        let replaced = self.replace(&locked.path, &staged)?;
        for (name, folder) in [(METERS, self.storage.meters()), (STATES, self.storage.states())] {
            if let Some(folder) = folder {
                put(self.backup, name, &folder)?;
            }
        }
        // It locks the ledger itself.
        drop(locked);
        let url = StorageUrl::Sqlite(self.file.to_owned());
        let opening = Opening::default().restored(true);
        // It gets a witness, and the next start opens it as the ledger that was there.
        drop(Ledger::open_as(&url, self.key, &opening).map_err(BackupError::NotOpened)?);
        Ok(((replaced, missing), plugins))
    }

    /// Copies the ledger beside the one that is there, and checks it. Returns how many acknowledged commits it lacks.
    fn prepare(
        &self,
        ledger: &Path,
        staged: &Path,
        progress: Progress<'_>,
    ) -> Result<Option<u64>, BackupError> {
        remove_staged(staged);
        let source = self.backup.path().join(LEDGER);
        progress(Stage::Ledger, 0, 0);
        let from = File::open(&source).map_err(BackupError::disk("read", &source))?;
        let sum = files::copy(&from, &source, staged)?;
        // It may have been exchanged since the digests were compared.
        let is_same = self.backup.manifest().file(LEDGER).is_some_and(|file| file.sha256 == sum.sha256);
        if !is_same {
            return Err(self.backup.damaged(format!("{LEDGER} is not as it was written"), 0));
        }
        progress(Stage::Checking, 0, 0);
        let verified = Ledger::verify_copy(&StorageUrl::Sqlite(ledger.to_owned()), staged, &self.key)?;
        if let Some(first) = verified.findings.first() {
            return Err(self.backup.damaged(first.to_string(), verified.findings.len() - 1));
        }
        snapshot::renew(staged)?;
        Ok(match verified.age {
            Some(Age::Behind(commits)) => Some(commits),
            _ => None,
        })
    }

    /// Puts the copy in place. Until it is opened, no start accepts what is there: first of all, the witness is gone.
    fn replace(&self, ledger: &Path, staged: &Path) -> Result<Vec<PathBuf>, BackupError> {
        let mut before = vec![beside(ledger, ".witness"), beside(ledger, "-wal"), ledger.to_owned()];
        before.extend(self.storage.states());
        before.extend(self.storage.meters());
        before.retain(|path| fs::symlink_metadata(path).is_ok());
        let suffix = free_suffix(&before);
        let mut replaced = Vec::new();
        for path in before {
            let to = beside(&path, &suffix);
            fs::rename(&path, &to).map_err(BackupError::disk("rename", &path))?;
            replaced.push(to);
        }
        // Only an index of the log, which is made anew.
        let index = beside(ledger, "-shm");
        match fs::remove_file(&index) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(BackupError::disk("remove", &index))?,
        }
        fs::rename(staged, ledger).map_err(BackupError::disk("rename", staged))?;
        sync_folder(folder_of(ledger))?;
        Ok(replaced)
    }
}

/// Whether the ledger that is there may be replaced.
fn admit(ledger: &Path, backup: &LedgerFile, allowed: Allowed) -> Result<(), BackupError> {
    let path = || ledger.to_owned();
    match fs::metadata(ledger) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if found.len() == 0 => return Ok(()),
        _ => {}
    }
    match snapshot::describe(ledger) {
        Ok(found) if found.ledger != backup.ledger && !allowed.over_another => {
            Err(BackupError::Another { path: path() })
        }
        Ok(found) if found.ledger == backup.ledger && found.commit > backup.commit && !allowed.over_newer => {
            Err(BackupError::Newer { path: path(), commits: found.commit - backup.commit })
        }
        Ok(_) => Ok(()),
        Err(_) if allowed.over_newer => Ok(()),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let why = format!("{error}{}", cause.unwrap_or_default());
            Err(BackupError::Unreadable { path: path(), why })
        }
    }
}

/// Removes what an earlier call left. Best effort: creating the file says if it is still there.
fn remove_staged(staged: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(staged, suffix));
    }
}

/// A suffix with the time, which none of the paths has.
fn free_suffix(paths: &[PathBuf]) -> String {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let is_free =
        |suffix: &String| paths.iter().all(|path| fs::symlink_metadata(beside(path, suffix)).is_err());
    let others = (2_u32..).map(|number| format!(".replaced-{now}-{number}"));
    let first = format!(".replaced-{now}");
    std::iter::once(first.clone()).chain(others).find(is_free).unwrap_or(first)
}

/// Puts the files of a folder of the backup that are not there yet. Returns how many, and how many were there.
fn put(backup: &Backup, name: &str, folder: &Path) -> Result<Put, BackupError> {
    let (mut added, mut kept) = (0, 0);
    let mut folders = Vec::new();
    for file in &backup.manifest().files {
        let Some(rest) = file.path.strip(name) else { continue };
        let (source, target) = (file.path.within(backup.path()), folder.join(rest));
        if fs::symlink_metadata(&target).is_ok() {
            kept += 1;
            continue;
        }
        files::make_folder(folder_of(&target))?;
        let from = File::open(&source).map_err(BackupError::disk("read", &source))?;
        // Under a name that a gateway leaves alone, in case that this is killed.
        let unfinished = folder_of(&target).join(format!(".incoming-{}", file.sha256));
        let _ = fs::remove_file(&unfinished);
        let sum = files::copy(&from, &source, &unfinished)?;
        if sum.sha256 != file.sha256 {
            let _ = fs::remove_file(&unfinished);
            return Err(backup.damaged(format!("{} is not as it was written", file.path), 0));
        }
        let put = File::open(&unfinished)
            .and_then(|file_put| file_put.set_modified(SystemTime::from(file.modified)))
            .and_then(|()| fs::rename(&unfinished, &target));
        put.map_err(BackupError::disk("write", &target))?;
        folders.push(folder_of(&target).to_owned());
        added += 1;
    }
    folders.sort();
    folders.dedup();
    for folder in &folders {
        sync_folder(folder)?;
    }
    Ok((added, kept))
}
