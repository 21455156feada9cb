//! Many people who are put on a list at once.

use portcullis_ledger::{Block, Ledger, Outcome, Unblock, Write};
use portcullis_msisdn::{Directions, Msisdn, Subject};

use crate::contract::fixture::{actor, limit, list, one, tenant};
use crate::ledger_dir::LedgerDir;
use crate::nodes::{members, nodes, replay};

/// More than it takes for a commit to be followed by one that assumes that people are new.
const MANY: u32 = 600;

fn person(ledger: &Ledger, number: u32) -> Subject {
    let keys = ledger.ensure_tenant(&tenant("acme")).unwrap();
    let number: Msisdn = format!("+46732{number:06}").parse().unwrap();
    keys.permutation().person(number).first()
}

fn block(ledger: &Ledger, number: u32) -> Write {
    Block::new(person(ledger, number), Directions::BOTH, actor("crm")).into()
}

fn unblock(ledger: &Ledger, number: u32) -> Write {
    Unblock::new(person(ledger, number), Directions::BOTH, actor("crm")).into()
}

fn import(ledger: &Ledger, numbers: impl Iterator<Item = u32>) -> Vec<Outcome> {
    let writes = numbers.map(|number| block(ledger, number)).collect();
    list(ledger).write(writes).unwrap().into_iter().map(|written| written.outcome).collect()
}

fn count(outcomes: &[Outcome], wanted: Outcome) -> usize {
    outcomes.iter().filter(|outcome| **outcome == wanted).count()
}

/// The list has so many people, and its trail leads there.
fn is_whole(ledger: &Ledger, people: u32) {
    let list = list(ledger);
    assert_eq!(list.count().unwrap(), u64::from(people));
    let members = members(&list);
    assert_eq!(members.len(), people as usize);
    assert_eq!(replay(&list), members);
}

#[test]
fn an_import_meets_people_who_are_there() {
    let dir = LedgerDir::new();
    let node = &nodes(&dir, 1)[0];
    let added = import(node, 0..MANY);
    assert_eq!(count(&added, Outcome::Added), MANY as usize);
    let added = import(node, MANY..2 * MANY);
    assert_eq!(count(&added, Outcome::Added), MANY as usize);
    // The last is there already, and was to be new.
    let added = import(node, 2 * MANY - 1..3 * MANY);
    assert_eq!((added[0], count(&added, Outcome::Added)), (Outcome::Already, MANY as usize));
    let added = import(node, 3 * MANY..4 * MANY);
    assert_eq!(count(&added, Outcome::Added), MANY as usize);
    is_whole(node, 4 * MANY);
}

#[test]
fn an_import_goes_on_after_another_node_has_written() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 2);
    import(&nodes[0], 0..MANY);
    assert_eq!(one(&list(&nodes[1]), block(&nodes[1], MANY)), Outcome::Added);
    assert_eq!(one(&list(&nodes[1]), unblock(&nodes[1], MANY + 1)), Outcome::Absent);
    let added = import(&nodes[0], MANY..2 * MANY);
    assert_eq!((added[0], count(&added, Outcome::Added)), (Outcome::Already, MANY as usize - 1));
    is_whole(&nodes[1], 2 * MANY);
}

#[test]
fn those_who_are_to_be_taken_off_were_not_assumed_to_be_away() {
    let dir = LedgerDir::new();
    let node = &nodes(&dir, 1)[0];
    import(node, 0..MANY);
    let mut writes: Vec<Write> = (MANY..2 * MANY).map(|number| block(node, number)).collect();
    writes.push(unblock(node, 7));
    // Twice the same person.
    writes.push(unblock(node, MANY));
    let written = list(node).write(writes).unwrap();
    let last: Vec<Outcome> = written[MANY as usize..].iter().map(|written| written.outcome).collect();
    assert_eq!(last, [Outcome::Removed, Outcome::Removed]);
    is_whole(node, 2 * MANY - 2);
}

#[test]
fn an_import_ends_where_the_list_is_full() {
    let dir = LedgerDir::new();
    let node = &nodes(&dir, 1)[0];
    import(node, 0..MANY);
    let writes = (MANY..2 * MANY).map(|number| block(node, number)).collect();
    let written = list(node).write_up_to(u64::from(MANY) + 500, writes).unwrap();
    let outcomes: Vec<Outcome> = written.into_iter().map(|written| written.outcome).collect();
    assert_eq!((count(&outcomes, Outcome::Added), count(&outcomes, Outcome::Full)), (500, 100));
    is_whole(node, MANY + 500);
    let page = list(node).members(None, limit(10)).unwrap();
    assert!(page.windows(2).all(|pair| pair[0].0 < pair[1].0), "in the order of subjects");
}
