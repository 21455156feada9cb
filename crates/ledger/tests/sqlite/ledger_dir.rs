//! A ledger in a temporary directory.

use std::path::{Path, PathBuf};

use portcullis_ledger::{Ledger, LedgerError, MasterKey, Opening, StorageUrl, Verified};
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) struct LedgerDir(TempDir);

impl LedgerDir {
    pub(crate) fn new() -> Self {
        LedgerDir(tempfile::tempdir().unwrap())
    }

    pub(crate) fn ledger(&self) -> Ledger {
        LedgerDir::open(&self.address())
    }

    /// The path of the ledger, for another process.
    pub(crate) fn address(&self) -> String {
        self.file("ledger.db").to_str().unwrap().to_owned()
    }

    pub(crate) fn open(address: &str) -> Ledger {
        open(Path::new(address)).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn storage(&self) -> StorageUrl {
        StorageUrl::Sqlite(self.file("ledger.db"))
    }

    pub(crate) fn open_as(&self, opening: &Opening) -> Result<Ledger, LedgerError> {
        Ledger::open_as(&self.storage(), master(), opening)
    }

    /// What is damaged, on one line each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let verified = Ledger::verify(&self.storage(), &master()).unwrap();
        verified.findings.iter().map(ToString::to_string).collect()
    }

    /// Checks a copy of the ledger that has this name.
    pub(crate) fn verify_copy(&self, name: &str) -> Verified {
        Ledger::verify_copy(&self.storage(), &self.file(name), &master()).unwrap()
    }

    pub(crate) fn accept_damage(&self) {
        Ledger::accept_damage(&self.storage(), &master()).unwrap();
    }

    /// The number of rows of a table of the open ledger.
    pub(crate) fn rows(&self, table: &str) -> usize {
        let connection = Connection::open(self.file("ledger.db")).unwrap();
        let count: i64 =
            connection.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }

    /// The contents of all files in the directory.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(self.0.path()).unwrap() {
            bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        bytes
    }
}

fn master() -> MasterKey {
    MasterKey::from_bytes([1; 32])
}

pub(crate) fn open(path: &Path) -> Result<Ledger, LedgerError> {
    Ledger::open(&StorageUrl::Sqlite(path.into()), master())
}
