//! Leases: one node at a time.

use std::thread;
use std::time::Duration;

use portcullis_ledger::{Ledger, Opening};

use crate::ledger_dir::{LedgerDir, open};
use crate::nodes::nodes;

fn two_nodes(dir: &LedgerDir) -> (Ledger, Ledger) {
    let node = |name| open(&dir.address(), name, &Opening::default()).unwrap();
    (node("a"), node("b"))
}

fn takes(node: &Ledger) -> bool {
    node.lease("expiry", Duration::from_secs(60)).unwrap()
}

fn fence(dir: &LedgerDir) -> String {
    dir.sql("SELECT fence FROM leases WHERE name = 'expiry'").trim().to_owned()
}

#[test]
fn a_lease_is_of_the_node_that_took_it_until_it_gives_it_up() {
    let dir = LedgerDir::new();
    let (one, other) = two_nodes(&dir);
    assert!(takes(&one) && takes(&one));
    assert!(!takes(&other));
    assert!(other.lease("events", Duration::from_secs(60)).unwrap(), "another lease");
    other.release_lease("expiry").unwrap();
    assert!(!takes(&other), "nobody gives up what another one has");
    one.release_lease("expiry").unwrap();
    assert!(takes(&other));
    assert!(!takes(&one));
}

#[test]
fn a_lease_ends_by_the_databases_clock() {
    let dir = LedgerDir::with_clock();
    let (one, other) = two_nodes(&dir);
    assert!(takes(&one));
    dir.set_clock("50 seconds");
    assert!(!takes(&other));
    assert!(takes(&one), "renewed");
    dir.set_clock("100 seconds");
    assert!(!takes(&other));
    dir.set_clock("111 seconds");
    assert!(takes(&other));
    assert!(!takes(&one));
}

#[test]
fn each_change_of_the_holder_raises_the_fence() {
    let dir = LedgerDir::new();
    let (one, other) = two_nodes(&dir);
    assert!(takes(&one) && takes(&one));
    assert_eq!(fence(&dir), "1");
    one.release_lease("expiry").unwrap();
    assert!(takes(&other));
    assert_eq!(fence(&dir), "2");
    other.release_lease("expiry").unwrap();
    assert!(takes(&one));
    assert_eq!(fence(&dir), "3");
}

#[test]
fn nodes_with_the_same_name_are_told_apart() {
    let dir = LedgerDir::new();
    let (one, other) = (dir.ledger(), dir.ledger());
    assert!(takes(&one));
    assert!(!takes(&other));
    assert_eq!(dir.sql("SELECT node FROM leases").trim(), "a");
}

#[test]
fn of_nodes_that_want_a_lease_at_once_one_gets_it() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 6);
    for round in 0..10 {
        let name = format!("lease {round}");
        let taken: Vec<bool> = thread::scope(|scope| {
            let lease = |node: &Ledger| node.lease(&name, Duration::from_secs(60)).unwrap();
            let threads: Vec<_> = nodes.iter().map(|node| scope.spawn(move || lease(node))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.into_iter().filter(|is_taken| *is_taken).count(), 1, "round {round}");
    }
}

#[test]
fn a_lease_that_was_taken_by_a_clock_that_is_set_back_is_taken_by_the_next() {
    let dir = LedgerDir::with_clock();
    let (one, other) = two_nodes(&dir);
    dir.set_clock("1 hour");
    assert!(takes(&one));
    dir.set_clock("0 seconds");
    assert!(takes(&other));
    assert!(!takes(&one));
}
