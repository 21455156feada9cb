//! Upgrading a database while gateways of the format before use it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portcullis_ledger::{Accepted, Ledger, LedgerError, MasterKey, Opening};
use portcullis_ledger_postgres::{Finished, finish};
use portcullis_msisdn::Directions;

use crate::cluster::{cluster, name_of};
use crate::contract::fixture::{block, list, one, sender, subject, tenant};
use crate::ledger_dir::{LedgerDir, open};
use crate::nodes::{nodes, replay};
use crate::older::{OlderGateway, TABLES};

fn try_to_finish(dir: &LedgerDir) -> Result<Finished, LedgerError> {
    finish(&dir.address().parse().unwrap(), &MasterKey::from_bytes([1; 32]))
}

fn formats(dir: &LedgerDir) -> String {
    dir.sql("SELECT format, expanded FROM ledger").trim().to_owned()
}

fn is_expanded(dir: &LedgerDir) -> bool {
    let sql = "SELECT to_regclass('deliveries') IS NOT NULL, to_regclass('confirmations') IS NOT NULL,
        EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'commits'::regclass AND attname = 'format'),
        EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'ledger'::regclass AND attname = 'expanded')";
    match dir.sql(sql).trim() {
        "t|t|t|t" => true,
        "f|f|f|f" => false,
        partly => panic!("{partly}"),
    }
}

fn blocks(node: &Ledger, value: u64) -> bool {
    list(node).directions(&[subject(value)]).unwrap() == [Directions::BOTH]
}

#[test]
fn the_tables_of_a_format_stay_as_they_were_released() {
    assert_eq!(include_str!("../../src/schema.sql"), TABLES, "add to the file of the newest format instead");
}

#[test]
fn a_database_is_expanded_once_while_older_gateways_go_on() {
    let dir = LedgerDir::new();
    let older = OlderGateway::create(&dir);
    let id = older.list();
    older.block(id, 1).unwrap();
    assert!(!is_expanded(&dir));
    let nodes: Vec<Ledger> = thread::scope(|scope| {
        let open = |node: usize| {
            let address = dir.address();
            scope.spawn(move || open(&address, &format!("n{node}"), &Opening::default()).unwrap())
        };
        let opening: Vec<_> = (0..4).map(open).collect();
        opening.into_iter().map(|node| node.join().unwrap()).collect()
    });
    assert!(is_expanded(&dir));
    assert_eq!(formats(&dir), "1|2", "older gateways may start");
    let upgrading = Accepted::Upgrading { format: 2, oldest: 1 };
    assert!(nodes.iter().all(|node| *node.accepted() == upgrading));
    for (value, node) in (10..).zip(&nodes) {
        assert!(blocks(node, 1));
        one(&list(node), block(value, Directions::BOTH));
        assert!(older.blocks(id, value));
        older.block(id, value + 100).unwrap();
        assert!(blocks(node, value + 100));
        // What only newer gateways have.
        assert!(!list(node).take_confirmation(subject(1)).unwrap());
        node.deliveries().trim_deliveries().unwrap();
    }
    assert_eq!(replay(&list(&nodes[0])).len(), 9);
    let another = OlderGateway::start(&dir).unwrap();
    assert_eq!(another.list(), id);
}

#[test]
fn what_an_older_gateway_creates_beside_newer_ones_is_theirs_too() {
    let dir = LedgerDir::new();
    let older = OlderGateway::create(&dir);
    let node = dir.ledger();
    let id = older.list();
    older.block(id, 1).unwrap();
    assert!(blocks(&node, 1));
    assert_eq!(list(&node).id().0, i64::from(id));
}

#[test]
fn an_expansion_that_is_interrupted_changes_nothing_and_is_repeated() {
    let dir = LedgerDir::new();
    let older = OlderGateway::create(&dir);
    let id = older.list();
    older.block(id, 1).unwrap();
    // Some of it is done when it waits for this.
    let somebody = dir.hold("BEGIN; LOCK TABLE commits IN ROW EXCLUSIVE MODE");
    let refused = thread::scope(|scope| {
        let node = scope.spawn(|| open(&dir.address(), "a", &Opening::default()).map(drop));
        let waits = "EXISTS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'portcullis/2' AND wait_event_type = 'Lock')";
        cluster().until(name_of(&dir.address()), waits);
        node.join().unwrap().unwrap_err()
    });
    assert!(matches!(refused, LedgerError::Unavailable(_)), "{refused}");
    assert!(!is_expanded(&dir));
    older.block(id, 2).unwrap();
    // One that waits for too long gives up, and does not keep others from writing meanwhile.
    let refused = open(&dir.address(), "a", &Opening::default()).unwrap_err();
    assert!(matches!(refused, LedgerError::Unavailable(_)), "{refused}");
    assert!(!is_expanded(&dir));
    drop(somebody);
    let node = dir.ledger();
    assert!(is_expanded(&dir));
    assert!(blocks(&node, 1) && blocks(&node, 2));
}

#[test]
fn an_upgrade_is_finished_while_all_nodes_write() {
    let dir = LedgerDir::new();
    OlderGateway::create(&dir);
    let nodes = nodes(&dir, 3);
    let is_over = AtomicBool::new(false);
    let (finished, written) = thread::scope(|scope| {
        let writers: Vec<_> = (0..12)
            .zip(nodes.iter().cycle())
            .map(|(writer, node)| {
                let is_over = &is_over;
                scope.spawn(move || {
                    let list = node.list(&tenant("acme"), sender(&format!("s{writer}"))).unwrap();
                    let mut written = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        list.write(vec![block(written, Directions::BOTH)]).unwrap();
                        written += 1;
                    }
                    assert_eq!(list.count().unwrap(), written);
                    written
                })
            })
            .collect();
        let finished = try_to_finish(&dir);
        is_over.store(true, Ordering::SeqCst);
        (finished, writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>())
    });
    assert_eq!(finished.unwrap(), Finished::Now(2));
    assert!(written > 100, "{written}");
}

#[test]
fn an_upgrade_is_finished_once_no_older_gateway_is_connected_and_keeps_them_out() {
    let dir = LedgerDir::new();
    let older = OlderGateway::create(&dir);
    let id = older.list();
    let node = dir.ledger();
    let error = try_to_finish(&dir).unwrap_err();
    assert!(matches!(error, LedgerError::OlderGateway { .. }), "{error}");
    assert!(
        error.to_string().starts_with("a gateway at a local socket, which is of an older version"),
        "{error}"
    );
    assert_eq!(formats(&dir), "1|2");
    older.block(id, 1).unwrap();
    // It is cut off, and comes back after the upgrade.
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'portcullis'";
    dir.sql(sql);
    assert_eq!(try_to_finish(&dir).unwrap(), Finished::Now(2));
    assert_eq!(formats(&dir), "2|2");
    let error = older.block(id, 2).unwrap_err();
    assert!(error.contains("this_gateway_is_too_old_for_the_ledger"), "{error}");
    assert_eq!(OlderGateway::start(&dir).err(), Some(2), "that it is too old");
    one(&list(&node), block(3, Directions::BOTH));
    assert!(blocks(&node, 1) && !blocks(&node, 2));
    assert_eq!(try_to_finish(&dir).unwrap(), Finished::Already(2));
}

#[test]
fn an_upgrade_that_no_gateway_began_is_finished_at_once() {
    let dir = LedgerDir::new();
    let older = OlderGateway::create(&dir);
    let id = older.list();
    older.block(id, 1).unwrap();
    drop(older);
    assert_eq!(try_to_finish(&dir).unwrap(), Finished::Now(2));
    let node = dir.ledger();
    assert_eq!(*node.accepted(), Accepted::Nothing);
    assert!(blocks(&node, 1));
}

#[test]
fn a_new_database_is_like_one_whose_upgrade_is_finished() {
    const TABLES: &str = "
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid),
            col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname, a.attname";
    const CONSTRAINTS: &str =
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2";
    const INDEXES: &str = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname";
    let (new, upgraded) = (LedgerDir::new(), LedgerDir::new());
    drop(new.ledger());
    drop(OlderGateway::create(&upgraded));
    try_to_finish(&upgraded).unwrap();
    for sql in [TABLES, CONSTRAINTS, INDEXES] {
        assert_eq!(new.sql(sql), upgraded.sql(sql));
    }
    assert_eq!(formats(&new), formats(&upgraded));
}

#[test]
fn tables_of_a_newer_format_are_used_until_the_upgrade_to_it_is_finished() {
    let dir = LedgerDir::new();
    let early = dir.ledger();
    dir.sql("UPDATE ledger SET expanded = 3");
    let nodes = nodes(&dir, 2);
    one(&list(&nodes[0]), block(1, Directions::BOTH));
    assert!(nodes.iter().chain([&early]).all(|node| blocks(node, 1)));
    assert_eq!(formats(&dir), "2|3");
    dir.sql(
        "UPDATE ledger SET format = 3;
         ALTER TABLE commits DROP CONSTRAINT this_gateway_is_too_old_for_the_ledger,
            ADD CONSTRAINT this_gateway_is_too_old_for_the_ledger CHECK (format >= 3) NOT VALID",
    );
    let error = open(&dir.address(), "late", &Opening::default()).unwrap_err();
    assert!(matches!(error, LedgerError::NewerSchema { found: 3, known: 2, .. }), "{error}");
    let error = try_to_finish(&dir).unwrap_err();
    assert!(matches!(error, LedgerError::NewerSchema { .. }), "{error}");
    // One that was running all the time.
    let error = list(&early).write(vec![block(2, Directions::BOTH)]).unwrap_err();
    assert!(matches!(error, LedgerError::TooOld), "{error}");
    assert!(blocks(&early, 1) && !blocks(&early, 2));
}

#[test]
fn what_can_t_be_finished_is_refused() {
    let dir = LedgerDir::new();
    let error = try_to_finish(&dir).unwrap_err();
    assert!(matches!(error, LedgerError::Lost { .. }), "{error}");
    drop(dir.ledger());
    let other = MasterKey::from_bytes([2; 32]);
    let error = finish(&dir.address().parse().unwrap(), &other).unwrap_err();
    assert!(matches!(error, LedgerError::WrongMasterKey { .. }), "{error}");
}
