//! Opening a ledger: empty databases, wrong keys, newer tables, and databases that can't be reached.

use std::thread;

use portcullis_ledger::{Accepted, LedgerError, MasterKey, Opening};
use portcullis_msisdn::Directions;

use crate::cluster::{cluster, name_of};
use crate::contract::fixture::{block, list, one};
use crate::ledger_dir::{LedgerDir, open};

#[test]
fn a_new_ledger_says_so_and_an_existing_one_does_not() {
    let dir = LedgerDir::new();
    let opened = || open(&dir.address(), "a", &Opening::default()).unwrap();
    assert!(matches!(opened().accepted(), Accepted::New { .. }));
    assert!(matches!(opened().accepted(), Accepted::Nothing));
}

#[test]
fn nodes_that_start_at_once_share_one_ledger() {
    let dir = LedgerDir::new();
    let address = dir.address();
    let ledgers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|node| {
                let address = &address;
                scope.spawn(move || open(address, &format!("n{node}"), &Opening::default()).unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    one(&list(&ledgers[0]), block(1, Directions::BOTH));
    assert!(ledgers.iter().all(|ledger| list(ledger).count().unwrap() == 1));
    let new = ledgers.iter().filter(|ledger| matches!(ledger.accepted(), Accepted::New { .. }));
    assert_eq!(new.count(), 1);
}

#[test]
fn an_empty_database_is_refused_where_a_ledger_was() {
    let dir = LedgerDir::new();
    let expected = Opening::default().expected("the key");
    let error = open(&dir.address(), "a", &expected).unwrap_err();
    assert!(matches!(error, LedgerError::Lost { .. }), "{error}");
    open(&dir.address(), "a", &expected.clone().new_ledger(true)).unwrap();
    let error = open(&dir.address(), "a", &expected.new_ledger(true)).unwrap_err();
    assert!(matches!(error, LedgerError::NotNew { .. }), "{error}");
}

/// As after an upgrade of the system that the server runs on.
#[test]
fn a_warning_of_the_server_at_each_connection_is_not_of_a_commit() {
    let name = "collated";
    let create =
        "CREATE DATABASE collated TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'";
    cluster().sql("postgres", create);
    let outdated = "UPDATE pg_database SET datcollversion = '0' WHERE datname = 'collated'";
    cluster().sql("postgres", outdated);
    let like = LedgerDir::new().address();
    let ledger = LedgerDir::open(&like.replace(name_of(&like), name));
    one(&list(&ledger), block(1, Directions::BOTH));
    assert_eq!(list(&ledger).count().unwrap(), 1);
}

#[test]
fn another_master_key_is_refused() {
    let dir = LedgerDir::new();
    drop(dir.ledger());
    let other = MasterKey::from_bytes([2; 32]);
    let address = dir.address().parse().unwrap();
    let error = portcullis_ledger_postgres::open(&address, "a", &other, &Opening::default()).unwrap_err();
    assert!(matches!(error, LedgerError::WrongMasterKey { .. }), "{error}");
}

#[test]
fn tables_of_a_newer_program_are_refused() {
    let dir = LedgerDir::new();
    drop(dir.ledger());
    cluster().sql(name_of(&dir.address()), "UPDATE ledger SET format = 1000");
    let error = open(&dir.address(), "a", &Opening::default()).unwrap_err();
    assert!(matches!(error, LedgerError::NewerSchema { found: 1000, .. }), "{error}");
}

#[test]
fn a_database_that_can_t_be_reached_is_unavailable() {
    let url = "postgres://portcullis@%2Fnowhere/ledger?sslmode=disable";
    let error = open(url, "a", &Opening::default()).unwrap_err();
    assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
}
