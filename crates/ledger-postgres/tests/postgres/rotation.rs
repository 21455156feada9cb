//! The master key is exchanged for another one while nodes share the ledger.

use std::path::Path;
use std::thread;
use std::time::Duration;

use portcullis_ledger::{Description, Ledger, LedgerError, MasterKey, Opening};
use portcullis_msisdn::Directions;

use crate::contract::crash::members;
use crate::contract::fixture::{block, list, one, tenant};
use crate::ledger_dir::LedgerDir;

const LONG: Duration = Duration::from_secs(3600);

fn key(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

/// Keys as a file has them: that in use, and the one that it is to be exchanged for.
fn keys(bytes: [u8; 2]) -> MasterKey {
    let text = bytes.map(|byte| format!("{byte:02x}").repeat(32)).join("\n");
    MasterKey::from_env_or_file(Some(&text), Path::new(""), false).unwrap().0
}

fn open(dir: &LedgerDir, node: &str, key: &MasterKey) -> Result<Ledger, LedgerError> {
    portcullis_ledger_postgres::open(&dir.address().parse().unwrap(), node, key, &Opening::default())
}

/// A node that has said what it is.
fn node(dir: &LedgerDir, name: &str, key: &MasterKey) -> Ledger {
    let ledger = open(dir, name, key).unwrap();
    says(&ledger);
    ledger
}

fn says(ledger: &Ledger) {
    ledger.describe(&Description { program: "1.2.3".to_owned(), ..Description::default() });
    ledger.stay_alive(LONG, Duration::ZERO).unwrap();
}

#[test]
fn a_key_is_rotated_once_all_nodes_have_the_new_one() {
    let dir = LedgerDir::new();
    let (with, without) = (keys([1, 2]), key(1));
    let a = node(&dir, "a", &with);
    let b = node(&dir, "b", &without);
    one(&list(&a), block(1, Directions::BOTH));
    a.uploads().unwrap().put_upload("vip", [1; 32], b"one", "admitted", true).unwrap();
    let refused = a.rotate_master_key(key(2).in_use()).unwrap_err();
    match &refused {
        LedgerError::KeyNotEverywhere { by, .. } => assert_eq!(by, "b"),
        other => panic!("{other}"),
    }
    // Its file gets the new key, too.
    assert!(without.hold(&keys([1, 2])));
    says(&b);
    let starting = open(&dir, "c", &with).unwrap();
    starting.stay_alive(LONG, Duration::ZERO).unwrap();
    let refused = a.rotate_master_key(key(2).in_use()).unwrap_err();
    assert!(matches!(&refused, LedgerError::KeyNotEverywhere { by, .. } if by == "c"), "{refused}");
    starting.leave().unwrap();

    a.rotate_master_key(key(2).in_use()).unwrap();
    // The other one finds out by itself, also when it adds a tenant.
    assert_eq!(without.in_use(), key(1).in_use());
    b.ensure_tenant(&tenant("globex")).unwrap();
    assert_eq!(without.in_use(), key(2).in_use());
    b.uploads().unwrap().put_upload("vip", [2; 32], b"two", "admitted", true).unwrap();
    one(&list(&b), block(2, Directions::BOTH));
    assert!(without.rotated().is_some());

    assert!(matches!(open(&dir, "d", &key(1)), Err(LedgerError::WrongMasterKey { .. })));
    let fresh = open(&dir, "d", &key(2)).unwrap();
    assert_eq!(members(&list(&fresh)).len(), 2);
    fresh.ensure_tenant(&tenant("globex")).unwrap();
    assert_eq!(fresh.uploads().unwrap().uploads().unwrap().len(), 2);
    // Its digests of settings are those of the others.
    says(&fresh);
    let fleet = fresh.fleet().unwrap();
    let differences: Vec<_> = fleet.differences().into_keys().collect();
    assert_eq!(differences, ["master_keys"], "the others still have the old key");
}

#[test]
fn tenants_and_plugins_that_are_added_during_a_rotation_are_under_the_new_key() {
    let dir = LedgerDir::new();
    let nodes = ["a", "b", "c"].map(|name| node(&dir, name, &keys([1, 2])));
    thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate().skip(1) {
            scope.spawn(move || {
                for n in 0..30_u8 {
                    node.ensure_tenant(&tenant(&format!("tenant-{number}-{n}"))).unwrap();
                    let name = format!("plugin-{number}");
                    node.uploads().unwrap().put_upload(&name, [n; 32], b"one", "admitted", true).unwrap();
                }
            });
        }
        nodes[0].rotate_master_key(key(2).in_use()).unwrap();
    });
    let fresh = open(&dir, "d", &key(2)).unwrap();
    let tenants = fresh.tenants().unwrap();
    assert_eq!(tenants.len(), 60);
    tenants.iter().for_each(|tenant| drop(fresh.ensure_tenant(tenant).unwrap()));
    assert_eq!(fresh.uploads().unwrap().uploads().unwrap().len(), 60);
}
