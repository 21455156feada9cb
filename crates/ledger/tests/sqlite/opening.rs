use std::os::unix::fs::PermissionsExt as _;

use portcullis_ledger::{Block, HoldKind, Ledger, LedgerError, MasterKey, Outcome, StorageUrl, Unblock};
use portcullis_msisdn::{Directions, Msisdn};
use rusqlite::Connection;

use crate::contract::fixture::{actor, block, limit, list, one, subject, unblock};
use crate::ledger_dir::{LedgerDir, open};

#[test]
fn other_users_can_not_read_the_files() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    one(&list(&ledger), block(1, Directions::BOTH));
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock", "ledger.db.witness"] {
        let mode = std::fs::metadata(dir.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn closing_checkpoints_everything_into_the_file() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    drop(ledger);
    assert!(dir.file("ledger.db-wal").exists(), "a list keeps the ledger open");
    drop(list);
    assert!(!dir.file("ledger.db-wal").exists());
    assert_eq!(crate::contract::fixture::list(&dir.ledger()).count().unwrap(), 1);
}

#[test]
fn a_ledger_can_be_open_only_once() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let second = open(&dir.file("ledger.db")).unwrap_err();
    assert!(matches!(second, LedgerError::InUse { .. }), "{second}");
    drop(ledger);
    dir.ledger();
}

#[test]
fn another_master_key_is_rejected() {
    let dir = LedgerDir::new();
    drop(dir.ledger());
    let before = std::fs::read(dir.file("ledger.db")).unwrap();
    let storage = StorageUrl::Sqlite(dir.file("ledger.db"));
    let refused = Ledger::open(&storage, MasterKey::from_bytes([2; 32])).unwrap_err();
    assert!(matches!(refused, LedgerError::WrongMasterKey { .. }), "{refused}");
    assert_eq!(std::fs::read(dir.file("ledger.db")).unwrap(), before);
    dir.ledger();
}

#[test]
fn a_newer_schema_is_rejected() {
    let dir = LedgerDir::new();
    drop(dir.ledger());
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    connection.pragma_update(None, "user_version", 8).unwrap();
    drop(connection);
    let refused = open(&dir.file("ledger.db")).unwrap_err();
    assert!(matches!(refused, LedgerError::NewerSchema { found: 8, known: 7, .. }), "{refused}");
}

#[test]
fn an_older_schema_is_migrated() {
    let dir = LedgerDir::new();
    let (blocked, opted_out, lifted) = (subject(1), subject(2), subject(3));
    {
        let list = list(&dir.ledger());
        list.write(vec![
            block(1, Directions::BOTH),
            block(2, Directions::OUTBOUND),
            block(3, Directions::INBOUND),
        ])
        .unwrap();
        one(&list, unblock(3, Directions::BOTH));
    }
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    let as_it_was = "
        UPDATE entries SET source = 3 WHERE subject = 2;
        DROP INDEX entries_by_expiry; DROP TABLE holds; DROP TABLE records; DROP TABLE identities; DROP TABLE visits; DROP TABLE moves;
        DROP TABLE deliveries; DROP TABLE confirmations;
        ALTER TABLE entries DROP COLUMN requested; ALTER TABLE entries DROP COLUMN kind; ALTER TABLE entries DROP COLUMN own;
        ALTER TABLE entries DROP COLUMN ever; ALTER TABLE entries DROP COLUMN since;
        CREATE INDEX entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL AND directions <> 0;
        CREATE TABLE old (id INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL REFERENCES tenants (id),
            name TEXT NOT NULL, UNIQUE (tenant, name)) STRICT;
        INSERT INTO old SELECT id, tenant, name FROM actors;
        DROP TABLE actors; ALTER TABLE old RENAME TO actors;
        ALTER TABLE lists DROP COLUMN state; ALTER TABLE lists DROP COLUMN told; ALTER TABLE lists DROP COLUMN stamp;
        ALTER TABLE lists DROP COLUMN saved; ALTER TABLE lists DROP COLUMN changed; ALTER TABLE tenants DROP COLUMN people;
        DROP TABLE sums; DROP TABLE ledger; PRAGMA user_version = 1";
    connection.execute_batch(as_it_was).unwrap();
    drop(connection);
    std::fs::remove_file(dir.file("ledger.db.witness")).unwrap();
    let list = list(&dir.ledger());
    assert_eq!(list.members(None, limit(9)).unwrap().len(), 2, "the sums are those of the entries");
    assert_eq!((list.count().unwrap(), list.kept_state().unwrap()), (2, None));
    list.keep_state([7; 16], list.sequence().unwrap()).unwrap();
    assert_eq!(list.kept_state().unwrap(), Some([7; 16]));
    let hold = |subject| list.get(subject).unwrap().unwrap().holds.lead().clone();
    assert_eq!((hold(blocked).kind, hold(opted_out).kind), (HoldKind::Operator, HoldKind::OptOut));
    assert_eq!(hold(blocked).actor, actor("crm"));
    assert_eq!(hold(lifted).lifted_by, Some(actor("help desk")));
    // Older schemas did not record the directions of inactive entries.
    assert_eq!(list.get(lifted).unwrap().unwrap().ever, Directions::BOTH);
    assert_eq!(list.history(&[blocked], None, limit(9)).unwrap().records, []);
    one(&list, unblock(1, Directions::INBOUND));
    let history = list.history(&[blocked], None, limit(9)).unwrap();
    assert_eq!((history.records.len(), history.older), (1, None));
    assert_eq!(history.records[0].blocked_before(), Directions::BOTH);
}

#[test]
fn a_file_that_is_not_a_ledger_is_left_alone() {
    let dir = LedgerDir::new();
    let (text, database) = (dir.file("text"), dir.file("other.db"));
    std::fs::write(&text, "not a database".repeat(100)).unwrap();
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    for path in [text, database] {
        let before = std::fs::read(&path).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, LedgerError::NotALedger { .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_missing_directory_is_named() {
    let dir = LedgerDir::new();
    let refused = open(&dir.file("missing/ledger.db")).unwrap_err();
    assert!(matches!(refused, LedgerError::Open { .. }));
    assert!(refused.to_string().contains("missing/ledger.db"), "{refused}");
}

#[test]
fn a_partly_created_ledger_is_created_again() {
    let dir = LedgerDir::new();
    std::fs::write(dir.file("empty.db"), "").unwrap();
    Connection::open(dir.file("header.db")).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
    assert!(std::fs::metadata(dir.file("header.db")).unwrap().len() > 0);
    for name in ["empty.db", "header.db"] {
        one(&list(&open(&dir.file(name)).unwrap()), block(1, Directions::BOTH));
    }
}

#[test]
fn entries_of_both_variants_from_older_versions_are_shown_and_lifted_together() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let number = |digits: u64| list.keys().permutation().subject(Msisdn::try_from(digits).unwrap());
    let (one, other) = (number(5_511_987_654_321), number(551_187_654_321));
    // As written by a version without support for variants.
    list.write(vec![Block::new(one, Directions::OUTBOUND, actor("crm")).into()]).unwrap();
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    let copy = format!(
        "INSERT INTO entries SELECT list, {}, directions, source, 2, actor, created, updated, lifted_by, deactivated,
             expires, sealed, kind, own, ever, since, requested FROM entries;
         UPDATE lists SET sequence = 2, active = 2 WHERE sequence = 1",
        other.get()
    );
    connection.execute_batch(&copy).unwrap();
    drop((connection, list, ledger));
    // An older version wrote no sums.
    dir.accept_damage();
    let list = self::list(&dir.ledger());
    let person = list.person_of(other).unwrap();
    assert_eq!(list.find(&person).unwrap().len(), 2);
    let written = list.write(vec![Unblock::new(other, Directions::BOTH, actor("crm")).into()]).unwrap();
    assert_eq!((written[0].outcome, written[0].after), (Outcome::Removed, Directions::NONE));
    assert_eq!((list.count().unwrap(), list.members(None, limit(9)).unwrap()), (0, vec![]));
    let history = list.history(&person, None, limit(9)).unwrap();
    assert_eq!(history.records.len(), 3, "both lifts, and the block that is in the trail");
    let part = list.history(&person, None, limit(1)).unwrap();
    assert_eq!(list.history(&person, part.older, limit(9)).unwrap().records, history.records[1..]);
}

#[test]
fn a_ledger_that_was_given_up_is_left_to_the_process_that_opens_it_next() {
    let dir = LedgerDir::new();
    let before = dir.ledger();
    let of_before = list(&before);
    one(&of_before, block(1, Directions::BOTH));
    before.give_up().unwrap();
    let refused = of_before.write(vec![block(2, Directions::BOTH)]).unwrap_err();
    assert!(matches!(refused, LedgerError::Closed), "{refused}");
    assert!(before.trouble().is_none(), "it is in order");

    let next = dir.ledger();
    let of_next = list(&next);
    one(&of_next, block(3, Directions::BOTH));
    assert_eq!((of_before.count().unwrap(), of_next.count().unwrap()), (2, 2));
    drop((before, of_before));
    assert!(dir.file("ledger.db-wal").exists(), "what the next one wrote is in it");
    one(&of_next, block(4, Directions::BOTH));
    assert!(next.trouble().is_none());
    drop((next, of_next));
    assert_eq!(list(&dir.ledger()).count().unwrap(), 3);
    assert_eq!(dir.findings(), [""; 0]);
}
