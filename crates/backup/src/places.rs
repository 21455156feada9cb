//! Where a gateway has what is backed up.

use std::path::PathBuf;

use crate::files::beside;

/// Where a gateway has what is backed up.
#[derive(Clone, Debug)]
pub struct Places {
    /// The ledger.
    pub storage: Storage,
    /// The folder of plugins, if one is configured. It need not exist.
    pub plugins: Option<PathBuf>,
}

/// The ledger.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In this file of SQLite.
    File(PathBuf),
    /// In a database.
    Postgres {
        /// Its URL, without the password.
        url: String,
    },
}

impl Storage {
    /// In the words of a person.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Storage::File(_) => "an SQLite file",
            Storage::Postgres { .. } => "a PostgreSQL database",
        }
    }

    /// The ledger's file.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        match self {
            Storage::File(file) => Some(file),
            Storage::Postgres { .. } => None,
        }
    }

    /// The folder of saved states. That of a fleet's gateway is not backed up: it is the node's own.
    pub(crate) fn states(&self) -> Option<PathBuf> {
        self.file().map(|file| beside(file, ".states"))
    }

    /// The folder of counts. That of a fleet's gateway is not backed up: it is the node's own.
    pub(crate) fn meters(&self) -> Option<PathBuf> {
        self.file().map(|file| beside(file, ".meters"))
    }
}
