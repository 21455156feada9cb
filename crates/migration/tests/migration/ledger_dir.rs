//! Ledgers in places of their own.

use std::cell::RefCell;

use portcullis_ledger::{Accepted, Ledger, LedgerError, MasterKey, Opening, StorageUrl};
use portcullis_migration::{Contents, MigrationError, Place, Progress, migrate};
use tempfile::TempDir;

use crate::cluster::cluster;

pub(crate) fn master() -> MasterKey {
    MasterKey::from_bytes([1; 32])
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Database,
}

/// From what to what a ledger may move.
pub(crate) const WAYS: [(Kind, Kind); 4] = [
    (Kind::File, Kind::Database),
    (Kind::Database, Kind::File),
    (Kind::File, Kind::File),
    (Kind::Database, Kind::Database),
];

/// A folder in which files of ledgers get names of their own.
pub(crate) struct Folder {
    folder: TempDir,
    used: RefCell<usize>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Folder { folder: tempfile::tempdir().unwrap(), used: RefCell::default() }
    }

    /// The URL of a file that does not exist, or of an empty database.
    pub(crate) fn place(&self, kind: Kind) -> String {
        match kind {
            Kind::Database => cluster().database(),
            Kind::File => {
                *self.used.borrow_mut() += 1;
                let name = format!("{}.db", self.used.borrow());
                format!("sqlite://{}", self.folder.path().join(name).display())
            }
        }
    }
}

pub(crate) fn open(url: &str, opening: &Opening) -> Result<Ledger, LedgerError> {
    match url.parse().unwrap() {
        StorageUrl::Postgres(url) => {
            portcullis_ledger_postgres::open(&url.as_str().parse().unwrap(), "a", &master(), opening)
        }
        storage => Ledger::open_as(&storage, master(), opening),
    }
}

/// Opens a ledger that is there.
pub(crate) fn reopen(url: &str) -> Result<Ledger, LedgerError> {
    let ledger = open(url, &Opening::default().expected("the test"))?;
    assert_eq!(*ledger.accepted(), Accepted::Nothing);
    Ok(ledger)
}

pub(crate) fn place(url: &str) -> Place {
    url.parse().unwrap()
}

pub(crate) fn try_to_move(from: &str, to: &str) -> Result<Contents, MigrationError> {
    move_telling(from, to, &mut |_| {})
}

pub(crate) fn move_telling(
    from: &str,
    to: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents, MigrationError> {
    migrate(&place(from), &place(to), &master(), progress)
}

/// A ledger that moves to the other store whenever it is opened again.
pub(crate) struct LedgerDir {
    folder: Folder,
    at: RefCell<Option<(Kind, String)>>,
}

impl LedgerDir {
    pub(crate) fn new() -> Self {
        LedgerDir { folder: Folder::new(), at: RefCell::default() }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let mut at = self.at.borrow_mut();
        let Some((kind, url)) = at.take() else {
            let url = self.folder.place(Kind::File);
            let ledger = open(&url, &Opening::default()).unwrap();
            *at = Some((Kind::File, url));
            return ledger;
        };
        let next = if kind == Kind::File { Kind::Database } else { Kind::File };
        let to = self.folder.place(next);
        try_to_move(&url, &to).unwrap();
        let ledger = reopen(&to).unwrap();
        *at = Some((next, to));
        ledger
    }
}
