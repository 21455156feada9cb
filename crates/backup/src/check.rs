//! A backup that was made, and whether it is still what was written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use portcullis_keys::MasterKey;
use portcullis_ledger::{Ledger, StorageUrl, Verified};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::BackupError;
use crate::files;
use crate::manifest::{self, Database, FORMAT, KEY, KeyReference, LEDGER, MANIFEST, Manifest, SEAL};
use crate::{Progress, Stage};

/// The longest manifest that is read: of a million files.
const LONGEST: u64 = 256 << 20;
/// How deep files are in a backup.
const DEPTH: u32 = 3;

/// A backup that was made.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    manifest: Manifest,
    /// As it is in the file, which is what is sealed.
    text: Vec<u8>,
}

/// What every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Backup {
    /// Reads the manifest of the backup in this folder.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`], [`BackupError::Manifest`] or [`BackupError::Format`].
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let file = path.join(MANIFEST);
        let opened = match File::open(&file) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(BackupError::NotABackup { path: path.to_owned() });
            }
            opened => opened.map_err(BackupError::disk("read", &file))?,
        };
        let mut text = Vec::new();
        opened.take(LONGEST).read_to_end(&mut text).map_err(BackupError::disk("read", &file))?;
        let damaged = |error: serde_json::Error| BackupError::Manifest {
            path: path.to_owned(),
            // Where it is, without what is there.
            what: format!("line {}, column {}", error.line(), error.column()),
        };
        let Format { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format != FORMAT {
            return Err(BackupError::Format { path: path.to_owned(), found: format });
        }
        let manifest = serde_json::from_slice(&text).map_err(damaged)?;
        Ok(Backup { path: path.to_owned(), manifest, text })
    }

    /// What is in it, as it says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares all files with the manifest, and returns what is wrong: a file that is missing, altered, or not in the manifest. It
    /// takes no key, and tells damage. Somebody who altered the manifest as well is found out by [`check_key`](Self::check_key). Reads
    /// everything.
    ///
    /// # Errors
    /// If a folder can't be read.
    pub fn compare(&self, progress: Progress<'_>) -> Result<Vec<String>, BackupError> {
        let (total, mut done) = (self.manifest.bytes(), 0);
        progress(Stage::Comparing, 0, total);
        let mut flaws = Vec::new();
        let mut expected = BTreeSet::from([MANIFEST, SEAL]);
        for file in &self.manifest.files {
            if !expected.insert(file.path.as_str()) {
                flaws.push(format!("{} is in the manifest twice", file.path));
                continue;
            }
            let path = file.path.within(&self.path);
            // Anything else might wait for ever.
            if !path.is_file() {
                flaws.push(format!("{} is missing", file.path));
                continue;
            }
            let read = |bytes| {
                done += bytes;
                progress(Stage::Comparing, done, total);
            };
            match files::sum(&path, read) {
                Ok(sum) if (sum.bytes, &sum.sha256) == (file.bytes, &file.sha256) => {}
                Ok(sum) if sum.bytes != file.bytes => {
                    flaws.push(format!("{} has {} bytes, not {}", file.path, sum.bytes, file.bytes));
                }
                Ok(_) => flaws.push(format!("{} is not as it was written", file.path)),
                Err(_) => flaws.push(format!("{} can't be read", file.path)),
            }
        }
        for found in files::listed(&self.path, DEPTH)? {
            if !expected.contains(found.as_str()) {
                flaws.push(format!("{} is not of the backup", found.escape_debug()));
            }
        }
        Ok(flaws)
    }

    /// Checks that the backup was made under this master key, and that the manifest is as it was written.
    ///
    /// # Errors
    /// [`BackupError::AnotherKey`] or [`BackupError::Damaged`].
    pub fn check_key(&self, key: &MasterKey) -> Result<(), BackupError> {
        let found = manifest::fingerprint(key);
        let KeyReference { fingerprint, origin, .. } = &self.manifest.master_key;
        if found != *fingerprint {
            let (needed, origin) = (fingerprint.clone(), origin.clone());
            return Err(BackupError::AnotherKey { needed, origin, found });
        }
        // A seal has 160 digits.
        let mut sealed = String::new();
        let read =
            File::open(self.path.join(SEAL)).and_then(|file| file.take(1024).read_to_string(&mut sealed));
        if read.is_err() || !manifest::is_sealed(key, &self.text, &sealed) {
            return Err(self.damaged("the manifest is not the one that was sealed".to_owned(), 0));
        }
        Ok(())
    }

    /// Checks all entries of the ledger: SQLite's structures, all sums, and that everything that is encrypted can be decrypted. `None`
    /// if the ledger is in a database. `live` is the ledger that it may be a copy of, which may be open: the result says how old the copy
    /// is. Takes some seconds per million entries.
    ///
    /// # Errors
    /// See [`Ledger::verify_copy`].
    pub fn check_ledger(
        &self,
        key: &MasterKey,
        live: Option<&Path>,
    ) -> Result<Option<Verified>, BackupError> {
        let Database::Sqlite(_) = self.manifest.database else { return Ok(None) };
        // Without one, a file that is not there: it has no witness.
        let live = live.map_or_else(|| self.path.join("none"), Path::to_owned);
        let verified = Ledger::verify_copy(&StorageUrl::Sqlite(live), &self.path.join(LEDGER), key)?;
        Ok(Some(verified))
    }

    /// The digits of the master key, if they are in the backup. [Compare](Self::compare) before.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn key_text(&self) -> Result<Option<Zeroizing<String>>, BackupError> {
        if !self.manifest.master_key.included {
            return Ok(None);
        }
        let path = self.path.join(KEY);
        let mut text = Zeroizing::new(String::with_capacity(1024));
        let read = File::open(&path).and_then(|file| file.take(1024).read_to_string(&mut text));
        read.map_err(BackupError::disk("read", &path))?;
        Ok(Some(text))
    }

    /// The error for a backup that is not what was written.
    pub(crate) fn damaged(&self, first: String, others: usize) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), first, others }
    }
}
