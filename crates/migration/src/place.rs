//! Where a ledger is, or is to be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use portcullis_ledger::store::copy::{Source, Target};
use portcullis_ledger::{Ledger, LedgerError, MasterKey, StorageUrl};
use portcullis_ledger_postgres::{self as postgres, Finished, PostgresUrl};

use crate::error::MigrationError;

/// Where a ledger is, or is to be: a file of SQLite, or a database of PostgreSQL. `Display` does not show a password.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A database.
    Database(Box<PostgresUrl>),
}

impl FromStr for Place {
    type Err = MigrationError;

    fn from_str(url: &str) -> Result<Self, MigrationError> {
        match url.parse()? {
            StorageUrl::Sqlite(path) => Ok(Place::File(path)),
            StorageUrl::Postgres(url) => Ok(Place::Database(Box::new(url.as_str().parse()?))),
            _ => Err(MigrationError::UnknownStore),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It is read later, perhaps in another folder.
            Place::File(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                write!(f, "sqlite://{}", path.display())
            }
            Place::Database(url) => url.fmt(f),
        }
    }
}

impl Place {
    pub(crate) fn source(&self, master: &MasterKey) -> Result<Box<dyn Source>, LedgerError> {
        match self {
            Place::File(path) => Ledger::copy_from(&StorageUrl::Sqlite(path.clone()), master),
            Place::Database(url) => postgres::copy_from(url, master),
        }
    }

    pub(crate) fn target(&self, master: &MasterKey) -> Result<Box<dyn Target>, MigrationError> {
        let target = match self {
            Place::File(path) => Ledger::copy_into(&StorageUrl::Sqlite(path.clone()), master),
            Place::Database(url) => postgres::copy_into(url, master),
        };
        target.map_err(MigrationError::Target)
    }

    pub(crate) fn finish_upgrade(&self, master: &MasterKey) -> Result<Finished, MigrationError> {
        match self {
            Place::File(_) => Err(MigrationError::NoUpgrade),
            Place::Database(url) => postgres::finish(url, master).map_err(MigrationError::Upgrade),
        }
    }

    pub(crate) fn take_back(&self, master: &MasterKey) -> Result<(), LedgerError> {
        match self {
            Place::File(path) => Ledger::take_back(&StorageUrl::Sqlite(path.clone()), master),
            Place::Database(url) => postgres::take_back(url, master),
        }
    }
}
