//! What is done once by several nodes, and forgotten by the database's clock.

use std::thread;
use std::time::Duration;

use portcullis_ledger::{Claim, DeliveryKey, Ledger, Opening};

use crate::contract::fixture::{list, subject};
use crate::ledger_dir::{LedgerDir, open};
use crate::nodes::nodes;

const MINUTE: Duration = Duration::from_secs(60);

fn claim(node: &Ledger, key: u8) -> Claim {
    node.deliveries().claim(&[DeliveryKey([key; 16])], MINUTE).unwrap().each[0]
}

#[test]
fn of_several_nodes_one_makes_a_delivery_and_one_sends_the_confirmation() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 4);
    for round in 0..20 {
        list(&nodes[0]).allow_confirmation(subject(7), MINUTE).unwrap();
        let (granted, taken) = thread::scope(|scope| {
            let each: Vec<_> = nodes
                .iter()
                .map(|node| {
                    scope.spawn(move || {
                        (claim(node, round), list(node).take_confirmation(subject(7)).unwrap())
                    })
                })
                .collect();
            let each: Vec<_> = each.into_iter().map(|one| one.join().unwrap()).collect();
            let granted = each.iter().filter(|(claim, _)| *claim == Claim::Granted).count();
            (granted, each.iter().filter(|(_, taken)| *taken).count())
        });
        assert_eq!((granted, taken), (1, 1));
    }
    nodes[1].deliveries().finish(&[DeliveryKey([0; 16])]).unwrap();
    assert!(nodes.iter().all(|node| claim(node, 0) == Claim::Done));
}

#[test]
fn a_claim_outlives_its_node_until_it_ends_by_the_databases_clock() {
    let dir = LedgerDir::with_clock();
    let node = open(&dir.address(), "a", &Opening::default()).unwrap();
    assert_eq!(claim(&node, 1), Claim::Granted);
    drop(node);
    let node = open(&dir.address(), "b", &Opening::default()).unwrap();
    dir.set_clock("50 seconds");
    assert_eq!(claim(&node, 1), Claim::Pending);
    dir.set_clock("61 seconds");
    assert_eq!(claim(&node, 1), Claim::Granted);
}

#[test]
fn what_is_a_week_old_is_forgotten() {
    let dir = LedgerDir::with_clock();
    let node = dir.ledger();
    let bot = list(&node);
    let rows = || {
        let count = |table: &str| dir.sql(&format!("SELECT count(*) FROM {table}")).trim().to_owned();
        (count("deliveries"), count("confirmations"))
    };
    node.deliveries().finish(&[DeliveryKey([1; 16])]).unwrap();
    assert_eq!(claim(&node, 2), Claim::Granted);
    bot.allow_confirmation(subject(7), MINUTE).unwrap();
    dir.set_clock("6 days");
    node.deliveries().trim_deliveries().unwrap();
    assert_eq!(rows(), ("1".to_owned(), "1".to_owned()), "only the claim is forgotten");
    assert_eq!(claim(&node, 1), Claim::Done);
    bot.renew_confirmation(subject(7), MINUTE).unwrap();
    dir.set_clock("12 days");
    node.deliveries().trim_deliveries().unwrap();
    assert_eq!(rows(), ("0".to_owned(), "1".to_owned()));
    dir.set_clock("14 days");
    node.deliveries().trim_deliveries().unwrap();
    assert_eq!(rows(), ("0".to_owned(), "0".to_owned()));
    assert_eq!(claim(&node, 1), Claim::Granted);
}

#[test]
fn of_more_than_a_million_deliveries_the_oldest_are_forgotten() {
    let dir = LedgerDir::new();
    let node = dir.ledger();
    // Each a millisecond later than the one before.
    dir.sql(
        "INSERT INTO deliveries (key, until)
         SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), now() + interval '6 days' + n * interval '1 ms'
         FROM generate_series(1, 1300005) n",
    );
    // It ends sooner than they do.
    assert_eq!(claim(&node, 0xfe), Claim::Granted);
    node.deliveries().trim_deliveries().unwrap();
    let left = dir.sql("SELECT count(*), min(encode(key, 'hex')) FROM deliveries WHERE claim IS NULL");
    assert_eq!(left.trim(), format!("1000000|{:032x}", 300_006));
    assert_eq!(claim(&node, 0xfe), Claim::Pending);
}
