//! Deliveries that are remembered in a file.

use std::time::Duration;

use portcullis_ledger::{Claim, DeliveryKey, Ledger};
use rusqlite::Connection;

use crate::contract::fixture::{list, subject};
use crate::ledger_dir::LedgerDir;

const MINUTE: Duration = Duration::from_secs(60);
/// The most that are remembered.
const MOST: u32 = 100_000;

fn key(number: u32) -> DeliveryKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_be_bytes());
    DeliveryKey(key)
}

fn claim(ledger: &Ledger, number: u32) -> Claim {
    ledger.deliveries().claim(&[key(number)], MINUTE).unwrap().each[0]
}

fn number(dir: &LedgerDir, sql: &str) -> i64 {
    Connection::open(dir.file("ledger.db")).unwrap().query_row(sql, (), |row| row.get(0)).unwrap()
}

#[test]
fn claims_end_with_the_process() {
    let dir = LedgerDir::new();
    assert_eq!(claim(&dir.ledger(), 1), Claim::Granted);
    let ledger = dir.ledger();
    assert_eq!(claim(&ledger, 1), Claim::Granted);
    assert_eq!(claim(&ledger, 1), Claim::Pending);
}

#[test]
fn of_too_many_the_oldest_are_forgotten_also_in_the_file() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let keys: Vec<DeliveryKey> = (0..MOST).map(key).collect();
    ledger.deliveries().finish(&keys).unwrap();
    ledger.deliveries().keep_deliveries().unwrap();
    // They are told apart by the millisecond.
    let made = jiff::Timestamp::now().as_millisecond();
    while jiff::Timestamp::now().as_millisecond() <= made {
        std::thread::yield_now();
    }
    assert_eq!(claim(&ledger, 0), Claim::Done);
    let more: Vec<DeliveryKey> = (MOST..2 * MOST).map(key).collect();
    ledger.deliveries().finish(&more).unwrap();
    assert_eq!(claim(&ledger, MOST - 1), Claim::Granted);
    ledger.deliveries().keep_deliveries().unwrap();
    drop(ledger);
    assert_eq!(number(&dir, "SELECT count(*) FROM deliveries"), i64::from(MOST));
    let ledger = dir.ledger();
    assert_eq!(claim(&ledger, MOST - 1), Claim::Granted);
    assert_eq!(claim(&ledger, MOST), Claim::Done);
}

/// As many as a database remembers.
#[test]
fn of_more_than_are_remembered_here_the_latest_are_read_and_the_others_deleted() {
    let dir = LedgerDir::new();
    drop(dir.ledger());
    let more = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 150000)
        INSERT INTO deliveries (key, until)
        SELECT unhex(printf('%032x', n)), unixepoch() * 1000 + 500000000 + n FROM n";
    Connection::open(dir.file("ledger.db")).unwrap().execute_batch(more).unwrap();
    let ledger = dir.ledger();
    let key = |n: u128| DeliveryKey(n.to_be_bytes());
    assert!(!ledger.deliveries().is_done(key(50_000)).unwrap());
    assert!(ledger.deliveries().is_done(key(50_001)).unwrap());
    ledger.deliveries().trim_deliveries().unwrap();
    drop(ledger);
    assert_eq!(number(&dir, "SELECT count(*) FROM deliveries"), i64::from(MOST));
}

#[test]
fn what_is_a_week_old_is_forgotten() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    ledger.deliveries().finish(&[key(1)]).unwrap();
    ledger.deliveries().keep_deliveries().unwrap();
    list(&ledger).allow_confirmation(subject(7), MINUTE).unwrap();
    drop(ledger);
    let week = Duration::from_hours(7 * 24).as_millis();
    let remembered = number(&dir, "SELECT until FROM deliveries") - jiff::Timestamp::now().as_millisecond();
    assert!((week - 60_000..=week).contains(&u128::try_from(remembered).unwrap()), "{remembered} ms");
    let age = |sql: &str| {
        Connection::open(dir.file("ledger.db")).unwrap().execute_batch(sql).unwrap();
    };
    age(
        "UPDATE deliveries SET until = until - 604800000; UPDATE confirmations SET until = until - 604000000",
    );
    let ledger = dir.ledger();
    ledger.deliveries().trim_deliveries().unwrap();
    assert_eq!(claim(&ledger, 1), Claim::Granted);
    assert!(!list(&ledger).take_confirmation(subject(7)).unwrap());
    drop(ledger);
    assert_eq!(number(&dir, "SELECT count(*) FROM deliveries"), 0);
    assert_eq!(number(&dir, "SELECT count(*) FROM confirmations"), 1, "it may be renewed");
    age("UPDATE confirmations SET until = until - 3600000");
    dir.ledger().deliveries().trim_deliveries().unwrap();
    assert_eq!(number(&dir, "SELECT count(*) FROM confirmations"), 0);
}
