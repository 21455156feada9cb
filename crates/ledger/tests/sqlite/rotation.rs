//! The master key is exchanged for another one while the ledger is used.

use std::path::Path;
use std::thread;

use portcullis_ledger::{Ledger, LedgerError, MasterKey, Opening};
use portcullis_msisdn::Directions;

use crate::contract::crash::members;
use crate::contract::fixture::{block, list, one, tenant};
use crate::ledger_dir::LedgerDir;

fn key(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

/// Keys as a file has them: that in use, and the one that it is to be exchanged for.
fn keys(bytes: [u8; 2]) -> MasterKey {
    let text = bytes.map(|byte| format!("{byte:02x}").repeat(32)).join("\n");
    MasterKey::from_env_or_file(Some(&text), Path::new(""), false).unwrap().0
}

fn open(dir: &LedgerDir, key: MasterKey) -> Result<Ledger, LedgerError> {
    Ledger::open_as(&dir.storage(), key, &Opening::default())
}

fn findings(dir: &LedgerDir, key: &MasterKey) -> Vec<String> {
    let verified = Ledger::verify(&dir.storage(), key).unwrap();
    verified.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn after_a_rotation_the_new_key_opens_everything_and_the_old_one_nothing() {
    let dir = LedgerDir::new();
    let ledger = open(&dir, keys([1, 2])).unwrap();
    one(&list(&ledger), block(1, Directions::BOTH));
    ledger.put_settings(&tenant("acme"), b"settings").unwrap();
    let before = ledger.ensure_tenant(&tenant("acme")).unwrap();
    let sealed = before.state_seal().seal(b"context", b"state").unwrap();

    ledger.rotate_master_key(key(2).in_use()).unwrap();
    // It goes on as it was, and with tenants that are new.
    one(&list(&ledger), block(2, Directions::BOTH));
    ledger.put_settings(&tenant("globex"), b"others").unwrap();
    assert_eq!(ledger.settings().unwrap().len(), 2);
    // Once more changes nothing.
    ledger.rotate_master_key(key(2).in_use()).unwrap();
    drop(ledger);

    let refused = open(&dir, key(1)).unwrap_err();
    assert!(matches!(refused, LedgerError::WrongMasterKey { .. }), "{refused}");
    assert_eq!(findings(&dir, &key(2)), [""; 0]);
    assert_eq!(findings(&dir, &keys([1, 2])), [""; 0]);
    for new in [key(2), keys([1, 2]), keys([2, 3])] {
        let ledger = open(&dir, new.clone()).unwrap();
        assert!(new.rotated().is_some() && new.in_use() == key(2).in_use());
        assert_eq!(members(&list(&ledger)).len(), 2);
        assert_eq!(ledger.settings().unwrap().len(), 2);
        let again = ledger.ensure_tenant(&tenant("acme")).unwrap();
        assert_eq!(again.state_seal().open(b"context", &sealed).unwrap(), b"state");
    }
    // Again, from there.
    let ledger = open(&dir, keys([2, 3])).unwrap();
    ledger.rotate_master_key(key(3).in_use()).unwrap();
    drop(ledger);
    assert!(matches!(open(&dir, keys([1, 2])), Err(LedgerError::WrongMasterKey { .. })));
    assert_eq!(findings(&dir, &key(3)), [""; 0]);
    assert_eq!(members(&list(&open(&dir, key(3)).unwrap())).len(), 2);
}

#[test]
fn a_rotation_to_a_key_that_is_not_there_changes_nothing() {
    let dir = LedgerDir::new();
    let ledger = open(&dir, key(1)).unwrap();
    one(&list(&ledger), block(1, Directions::BOTH));
    let refused = ledger.rotate_master_key(key(2).in_use()).unwrap_err();
    assert!(matches!(refused, LedgerError::AnotherMasterKey), "{refused}");
    drop(ledger);
    assert_eq!(findings(&dir, &key(1)), [""; 0]);
}

#[test]
fn tenants_that_are_added_during_a_rotation_are_under_the_new_key() {
    let dir = LedgerDir::new();
    let ledger = open(&dir, keys([1, 2])).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let ledger = ledger.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    ledger.ensure_tenant(&tenant(&format!("tenant-{thread}-{n}"))).unwrap();
                }
            });
        }
        ledger.rotate_master_key(key(2).in_use()).unwrap();
    });
    drop(ledger);
    assert_eq!(findings(&dir, &key(2)), [""; 0]);
    let ledger = open(&dir, key(2)).unwrap();
    let tenants = ledger.tenants().unwrap();
    assert_eq!(tenants.len(), 200);
    tenants.iter().for_each(|tenant| drop(ledger.ensure_tenant(tenant).unwrap()));
}

#[test]
fn a_copy_from_before_is_under_the_key_from_before() {
    let dir = LedgerDir::new();
    let ledger = open(&dir, keys([1, 2])).unwrap();
    one(&list(&ledger), block(1, Directions::BOTH));
    let old = dir.file("old.db");
    std::fs::copy(dir.file("ledger.db"), &old).unwrap();
    ledger.rotate_master_key(key(2).in_use()).unwrap();
    drop(ledger);
    let copy = |key: MasterKey| Ledger::verify_copy(&dir.storage(), &old, &key);
    assert!(copy(key(1)).is_ok());
    assert!(matches!(copy(key(2)), Err(LedgerError::WrongMasterKey { .. })));
    assert!(copy(keys([1, 2])).is_ok());
}
