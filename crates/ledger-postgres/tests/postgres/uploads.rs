//! Components of plugins.

use std::sync::Arc;

use portcullis_ledger::store::{Upload, Uploads};

use crate::ledger_dir::LedgerDir;

const ONE: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn uploads(dir: &LedgerDir) -> Arc<dyn Uploads> {
    dir.ledger().uploads().unwrap()
}

fn names(ledger: &Arc<dyn Uploads>) -> Vec<(String, [u8; 32], bool)> {
    let uploads = ledger.uploads().unwrap();
    assert!(uploads.is_sorted_by_key(|upload| upload.number));
    uploads.into_iter().map(|Upload { name, digest, is_released, .. }| (name, digest, is_released)).collect()
}

#[test]
fn uploads_are_there_for_all_in_their_order() {
    let dir = LedgerDir::new();
    let (ledger, node) = (uploads(&dir), uploads(&dir));
    assert!(ledger.uploads().unwrap().is_empty());
    ledger.put_upload("vip", ONE, b"one", "admitted", false).unwrap();
    node.put_upload("vip", OTHER, b"other", "admitted", true).unwrap();
    ledger.put_upload("exact", ONE, b"another", "admitted", false).unwrap();
    let first =
        [("vip".to_owned(), ONE, false), ("vip".to_owned(), OTHER, true), ("exact".to_owned(), ONE, false)];
    assert_eq!(names(&node), first);
    assert_eq!(node.component("vip", ONE).unwrap().unwrap(), b"one");
    assert_eq!(node.component("exact", OTHER).unwrap(), None);

    // Again, with other bytes, it is the newest once it is released.
    node.put_upload("vip", ONE, b"ONE", "admitted", false).unwrap();
    assert_eq!(names(&node), first);
    node.release_upload("vip", ONE).unwrap();
    node.release_upload("unknown", ONE).unwrap();
    assert_eq!(names(&ledger).last().unwrap(), &("vip".to_owned(), ONE, true));
    // One that serves stays what it is while it is tried anew.
    node.put_upload("vip", OTHER, b"other", "admitted", false).unwrap();
    assert!(names(&ledger).contains(&("vip".to_owned(), OTHER, true)));
    assert_eq!(names(&ledger).last().unwrap(), &("vip".to_owned(), ONE, true));
    assert_eq!(ledger.component("vip", ONE).unwrap().unwrap(), b"ONE");
    ledger.drop_uploads("vip", &[ONE, OTHER]).unwrap();
    assert_eq!(names(&ledger), [("exact".to_owned(), ONE, false)]);
}

#[test]
fn a_large_component_is_taken_and_one_that_is_too_large_is_not() {
    let dir = LedgerDir::new();
    let ledger = uploads(&dir);
    let component: Vec<u8> = (0..16 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    ledger.put_upload("vip", ONE, &component, "admitted", true).unwrap();
    assert!(ledger.component("vip", ONE).unwrap().unwrap() == component);
    ledger.put_upload("vip", OTHER, &[component, vec![0]].concat(), "admitted", true).unwrap_err();
    assert_eq!(names(&ledger).len(), 1);
}

#[test]
fn what_was_written_without_the_master_key_is_left_out() {
    let dir = LedgerDir::new();
    let ledger = uploads(&dir);
    ledger.put_upload("vip", ONE, b"one", "admitted", true).unwrap();
    for sql in [
        "INSERT INTO plugins (is_released, name, digest, sealed, component)
            SELECT true, 'exact', digest, sealed, component FROM plugins",
        "UPDATE plugins SET digest = sha256('other') WHERE name = 'vip'",
    ] {
        dir.sql(sql);
    }
    assert!(names(&ledger).is_empty());
}
