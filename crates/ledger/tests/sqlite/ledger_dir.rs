//! A ledger in a temporary directory.

use std::path::{Path, PathBuf};

use portcullis_ledger::{Ledger, LedgerError, MasterKey, StorageUrl};
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

    /// The contents of all files in the directory.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(self.0.path()).unwrap() {
            bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        bytes
    }
}

pub(crate) fn open(path: &Path) -> Result<Ledger, LedgerError> {
    Ledger::open(&StorageUrl::Sqlite(path.into()), MasterKey::from_bytes([1; 32]))
}
