//! Where the ledger is stored, and opening it there.

use std::fmt;
use std::path::{Path, PathBuf};

use portcullis_ledger::{Ledger, LedgerError, MasterKey, Opening, StorageUrl};
use portcullis_ledger_postgres::{PostgresUrl, PostgresUrlError};

/// Where the ledger is stored.
pub(crate) enum Storage {
    /// In a file of SQLite, which one engine has open.
    File(PathBuf),
    /// In a database of PostgreSQL, which several engines share.
    Database(Box<PostgresUrl>),
}

impl TryFrom<StorageUrl> for Storage {
    type Error = StorageError;

    fn try_from(url: StorageUrl) -> Result<Self, StorageError> {
        match url {
            StorageUrl::Sqlite(file) => Ok(Storage::File(file)),
            StorageUrl::Postgres(url) => Ok(Storage::Database(Box::new(url.as_str().parse()?))),
            _ => Err(StorageError::Unknown),
        }
    }
}

/// Why a ledger's URL is of no use. Does not repeat it, as it may contain a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// It can't be read.
    #[error(transparent)]
    Url(#[from] portcullis_ledger::StorageUrlError),
    /// It is that of a database, and can't be used.
    #[error(transparent)]
    Database(#[from] PostgresUrlError),
    /// The ledger knows its kind, and the engine does not.
    #[error("the engine does not know this kind of storage: use sqlite:// or postgres://")]
    Unknown,
}

impl Storage {
    /// Opens the ledger. `node` names this engine among those that share it.
    pub(crate) fn open(&self, key: MasterKey, node: &str, opening: &Opening) -> Result<Ledger, LedgerError> {
        match self {
            Storage::File(_) => Ledger::open_as(&self.url()?, key, opening),
            Storage::Database(url) => portcullis_ledger_postgres::open(url, node, &key, opening),
        }
    }

    /// The URL of a ledger in a file, for what can be done to a file only.
    pub(crate) fn url(&self) -> Result<StorageUrl, LedgerError> {
        match self {
            Storage::File(file) => Ok(StorageUrl::Sqlite(file.clone())),
            Storage::Database(_) => Err(LedgerError::NotAFile),
        }
    }

    /// Whether there may be no ledger yet, so that a missing master key is created together with it. `accepts_new` is whether the
    /// caller says so. A file shows it by itself. In a database, others may have a ledger, under the key that is missing here.
    pub(crate) fn may_be_new(&self, accepts_new: bool) -> bool {
        match self {
            Storage::File(file) => !file.exists(),
            Storage::Database(_) => accepts_new,
        }
    }

    /// A folder of this engine, by the full name of a file and a suffix, so that no two engines share it: beside the ledger's file, or
    /// beside the master key's with the name of the node.
    pub(crate) fn beside(&self, key_file: Option<&Path>, node: &str, suffix: &str) -> PathBuf {
        let mut name = match self {
            Storage::File(file) => file.as_os_str().to_owned(),
            Storage::Database(_) => {
                let mut name = key_file.unwrap_or(Path::new("portcullis")).as_os_str().to_owned();
                name.push(".");
                name.push(node);
                name
            }
        };
        name.push(suffix);
        name.into()
    }
}

/// The path of the file, or the database without its password.
impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Storage::File(file) => file.display().fmt(f),
            Storage::Database(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(url: &str) -> Storage {
        url.parse::<StorageUrl>().unwrap().try_into().unwrap()
    }

    #[test]
    fn engines_that_share_a_database_have_folders_of_their_own() {
        let database = storage("postgres://me:secret@db/lists?sslmode=disable");
        let key = Path::new("/etc/portcullis.key");
        assert_eq!(
            database.beside(Some(key), "eu-1", ".states"),
            Path::new("/etc/portcullis.key.eu-1.states")
        );
        assert_eq!(database.beside(None, "eu-1", ".states"), Path::new("portcullis.eu-1.states"));
        assert_eq!(database.to_string(), "postgres://db/lists");
        let file = storage("sqlite:///var/lists.db");
        assert_eq!(file.beside(Some(key), "eu-1", ".states"), Path::new("/var/lists.db.states"));
    }

    #[test]
    fn a_key_is_created_for_a_database_only_if_its_ledger_is_said_to_be_new() {
        let database = storage("postgres://db/lists?sslmode=disable");
        assert!(!database.may_be_new(false) && database.may_be_new(true));
        assert!(storage("sqlite:///nowhere/lists.db").may_be_new(false));
    }
}
