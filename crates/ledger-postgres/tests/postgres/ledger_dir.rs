//! A ledger in a database of its own.

use portcullis_ledger::{Ledger, LedgerError, MasterKey, Opening};

use crate::cluster::{cluster, name_of};

/// The name is that of the same helper for files, which the tests of every store share.
pub(crate) struct LedgerDir {
    url: String,
}

impl LedgerDir {
    pub(crate) fn new() -> Self {
        LedgerDir { url: cluster().database() }
    }

    /// A ledger in a database whose clock [`set_clock`](Self::set_clock) sets.
    pub(crate) fn with_clock() -> Self {
        LedgerDir { url: cluster().database_with_clock() }
    }

    /// Sets the database's clock ahead of this machine's.
    pub(crate) fn set_clock(&self, ahead: &str) {
        cluster().set_clock(name_of(&self.url), ahead);
    }

    /// Runs SQL in the database. Returns what it printed.
    pub(crate) fn sql(&self, sql: &str) -> String {
        cluster().sql(name_of(&self.url), sql)
    }

    /// The number of rows of a table.
    pub(crate) fn rows(&self, table: &str) -> usize {
        self.sql(&format!("SELECT count(*) FROM {table}")).trim().parse().unwrap()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        LedgerDir::open(&self.url)
    }

    /// The URL of the database, for another process.
    pub(crate) fn address(&self) -> String {
        self.url.clone()
    }

    /// The contents of all files of the database.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        cluster().bytes(name_of(&self.url))
    }

    pub(crate) fn open(address: &str) -> Ledger {
        open(address, "a", &Opening::default()).unwrap()
    }
}

pub(crate) fn open(address: &str, node: &str, opening: &Opening) -> Result<Ledger, LedgerError> {
    let master = MasterKey::from_bytes([1; 32]);
    portcullis_ledger_postgres::open(&address.parse().unwrap(), node, &master, opening)
}
