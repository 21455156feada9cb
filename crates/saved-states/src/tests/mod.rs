//! Tests with a real ledger and a folder of states.

mod damage;
mod folders;
mod saving;

use portcullis_host::{Format, Keyspace, SourceError, StateHeader, StateStore};
use portcullis_ledger::{Ledger, MasterKey, StorageUrl};
use tempfile::TempDir;

use super::*;

/// A ledger, and its states beside it.
struct Gateway {
    folder: TempDir,
    ledger: Ledger,
    states: States,
}

impl Gateway {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.db");
        let ledger = Ledger::open(&StorageUrl::Sqlite(file), MasterKey::from_bytes([1; 32])).unwrap();
        let states = States::open(folder.path().join("portcullis.states")).unwrap();
        Gateway { folder, ledger, states }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("portcullis.states")
    }

    fn keys(&self, tenant: &str) -> TenantKeys {
        self.ledger.ensure_tenant(&name(tenant)).unwrap()
    }

    fn state(&self, tenant: &str, scope: &Scope) -> StateFile {
        self.states.of(&name(tenant), scope, &self.keys(tenant))
    }

    /// The files of all tenants.
    fn files(&self) -> Vec<PathBuf> {
        let folders = paths_in(&self.dir()).unwrap();
        folders.iter().flat_map(|folder| paths_in(folder).unwrap()).collect()
    }
}

fn name(tenant: &str) -> TenantId {
    tenant.parse().unwrap()
}

fn sender(name: &str) -> Scope {
    Scope::Sender(name.parse().unwrap())
}

fn header() -> StateHeader {
    StateHeader {
        format: Format { name: "hashed-set".to_owned(), version: 3 },
        keyspace: Keyspace::Hashed,
        sequence: 4711,
        entries: u64::MAX,
    }
}

fn save(state: &StateFile, parts: &[&[u8]]) {
    let mut writer = state.write(&header()).unwrap();
    for part in parts {
        writer.part(part).unwrap();
    }
    writer.finish().unwrap();
}

/// The parts up to the end, or to an error.
fn load(state: &StateFile) -> (Vec<Vec<u8>>, Option<SourceError>) {
    let (found, parts) = match state.read() {
        Ok(state) => state.expect("a state"),
        Err(error) => return (Vec::new(), Some(error)),
    };
    assert_eq!(found, header());
    let mut whole = Vec::new();
    let mut error = None;
    for part in parts {
        assert!(error.is_none(), "something follows an error");
        match part {
            Ok(part) => whole.push(part),
            Err(met) => error = Some(met),
        }
    }
    (whole, error)
}

/// The parts of a complete state.
fn loaded(state: &StateFile) -> Vec<Vec<u8>> {
    match load(state) {
        (parts, None) => parts,
        (_, Some(error)) => panic!("{error}"),
    }
}
