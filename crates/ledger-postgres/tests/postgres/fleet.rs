//! What nodes know of each other: who is live, and what they are.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_ledger::{Description, Ledger, Opening};

use crate::ledger_dir::{LedgerDir, open};

const LONG: Duration = Duration::from_secs(3600);

fn node(dir: &LedgerDir, name: &str) -> Ledger {
    open(&dir.address(), name, &Opening::default()).unwrap()
}

fn says(node: &Ledger, settings: &[(&str, &str)]) {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let description = Description { program: "1.2.3".to_owned(), settings };
    node.describe(&description);
    node.stay_alive(LONG, Duration::from_millis(1500)).unwrap();
}

/// The differences that a node sees: settings, and nodes separated by commas.
fn differences(node: &Ledger) -> Vec<(String, String)> {
    let fleet = node.fleet().unwrap();
    let differences = fleet.differences().into_iter();
    differences
        .map(|(setting, nodes)| (setting.to_owned(), nodes.into_iter().collect::<Vec<_>>().join(",")))
        .collect()
}

fn pair(setting: &str, nodes: &str) -> (String, String) {
    (setting.to_owned(), nodes.to_owned())
}

#[test]
fn settings_that_differ_are_named_with_the_nodes() {
    let dir = LedgerDir::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| node(&dir, name));
    assert!(a.fleet().unwrap().nodes.is_empty());
    says(&a, &[("x", "1"), ("y", "1")]);
    says(&b, &[("x", "1"), ("y", "1")]);
    assert!(differences(&a).is_empty() && differences(&b).is_empty());
    says(&c, &[("x", "2"), ("z", "1")]);
    assert_eq!(differences(&a), [pair("x", "c"), pair("y", "c"), pair("z", "c")]);
    assert_eq!(differences(&c), [pair("x", "a,b"), pair("y", "a,b"), pair("z", "a,b")]);
    says(&c, &[("x", "1"), ("y", "1")]);
    assert!(differences(&a).is_empty() && differences(&c).is_empty());

    let fleet = b.fleet().unwrap();
    let names: Vec<(&str, bool, bool)> =
        fleet.nodes.iter().map(|node| (node.name.as_str(), node.is_self, node.is_live)).collect();
    assert_eq!(names, [("a", false, true), ("b", true, true), ("c", false, true)]);
    assert!(fleet.nodes.iter().all(|node| node.program.as_deref() == Some("1.2.3")));
    assert!(fleet.nodes.iter().all(|node| node.staleness == Duration::from_millis(1500)));
    c.leave().unwrap();
    assert_eq!(a.fleet().unwrap().nodes.len(), 2);
}

#[test]
fn values_are_not_in_the_database() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    says(&ledger, &[("token", "a-secret-value")]);
    let row = dir.sql("SELECT n::text FROM nodes n");
    assert!(row.contains("token") && !row.contains("a-secret-value"), "{row}");
}

#[test]
fn a_node_that_ended_without_a_word_is_gone_and_replaced_by_its_next_start() {
    let dir = LedgerDir::with_clock();
    let (a, b) = (node(&dir, "a"), node(&dir, "b"));
    says(&a, &[("x", "1")]);
    says(&b, &[("x", "2")]);
    assert_eq!(differences(&a), [pair("x", "b")]);
    b.stay_alive(Duration::from_secs(4), Duration::ZERO).unwrap();
    dir.set_clock("20 seconds");
    assert!(differences(&a).is_empty());
    let silent = a.fleet().unwrap().nodes.remove(1);
    assert!(!silent.is_live && silent.silent_for >= Duration::from_secs(19), "{silent:?}");
    let again = node(&dir, "b");
    says(&again, &[("x", "1")]);
    let nodes = a.fleet().unwrap().nodes;
    assert_eq!(nodes.iter().map(|node| node.is_live).collect::<Vec<_>>(), [true, true]);
}

#[test]
fn a_node_is_live_before_it_has_said_what_it_is_and_says_it_again_if_the_database_forgets() {
    let dir = LedgerDir::new();
    let (a, b) = (node(&dir, "a"), node(&dir, "b"));
    says(&a, &[("x", "1")]);
    b.stay_alive(LONG, Duration::ZERO).unwrap();
    let starting = a.fleet().unwrap().nodes.remove(1);
    assert_eq!((starting.is_live, starting.program), (true, None));
    assert!(differences(&a).is_empty());
    for forgotten in ["", "DELETE FROM nodes", "UPDATE nodes SET digest = '', digests = '{}'"] {
        dir.sql(forgotten);
        says(&a, &[("x", "1")]);
        says(&b, &[("x", "2")]);
        assert_eq!(differences(&a), [pair("x", "b")], "{forgotten}");
    }
}

#[test]
fn leases_are_shown_with_their_holders() {
    let dir = LedgerDir::new();
    let (a, b) = (node(&dir, "a"), node(&dir, "b"));
    for (ledger, name, time) in [(&a, "events", 60), (&b, "expiry", 60), (&b, "other", 0)] {
        assert!(ledger.lease(name, Duration::from_secs(time)).unwrap());
    }
    let leases: BTreeMap<String, String> =
        a.fleet().unwrap().leases.into_iter().map(|lease| (lease.name, lease.holder)).collect();
    let expected = [("events", "a"), ("expiry", "b")];
    assert_eq!(leases, expected.map(|(name, holder)| (name.to_owned(), holder.to_owned())).into());
}
