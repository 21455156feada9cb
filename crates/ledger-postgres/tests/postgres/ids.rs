//! Ids of tenants, lists and authors.

use std::collections::HashSet;

use portcullis_ledger::{Block, LedgerError};
use portcullis_msisdn::Directions;

use crate::contract::fixture::{actor, block, list, one, sender, subject, tenant};
use crate::ledger_dir::LedgerDir;

const TABLES: [&str; 3] = ["tenants", "lists", "actors"];

/// The next rows of the table get the id of one that is there, as often as this.
fn draw_in_vain(dir: &LedgerDir, table: &str, times: usize) {
    dir.sql(&format!(
        "CREATE SEQUENCE {table}_draws;
         CREATE FUNCTION {table}_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('{table}_draws') <= {times} THEN NEW.id = (SELECT max(id) FROM {table}); END IF;
            RETURN NEW;
         END $$;
         CREATE TRIGGER taken BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_taken()"
    ));
}

#[test]
fn an_id_that_is_taken_is_drawn_again() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    one(&list(&ledger), block(1, Directions::BOTH));
    TABLES.iter().for_each(|table| draw_in_vain(&dir, table, 2));
    let other = ledger.list(&tenant("other"), sender("bot")).unwrap();
    one(&other, Block::new(subject(2), Directions::BOTH, actor("another")).into());
    assert_ne!(list(&ledger).id(), other.id());
    assert_eq!((list(&ledger).count().unwrap(), other.count().unwrap()), (1, 1));
    let entry = other.get(subject(2)).unwrap().unwrap();
    assert_eq!(entry.holds.first.actor, actor("another"));
    for table in TABLES {
        let ids = dir.sql(&format!("SELECT id FROM {table}"));
        let ids: Vec<i64> = ids.lines().map(|id| id.parse().unwrap()).collect();
        let different: HashSet<i64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), different.len()), (2, 2), "{table}");
        assert!(ids.iter().all(|id| *id >= 1 << 30), "{table}: {ids:?}");
    }
}

#[test]
fn a_list_that_is_another_tenants_is_not_written_to() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let lost = list(&ledger);
    let other = ledger.list(&tenant("other"), sender("bot")).unwrap();
    one(&other, block(1, Directions::BOTH));
    // As if the id had been lost, and drawn again for another tenant.
    dir.sql(&format!("DELETE FROM lists WHERE id = {0}; UPDATE lists SET id = {0}", lost.id().0));
    let refused = lost.write(vec![block(2, Directions::BOTH)]).unwrap_err();
    assert!(matches!(refused, LedgerError::TenantForgotten), "{refused}");
    assert_eq!(dir.rows("entries"), 1);
}
