//! What nodes say of themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_ledger::{Description, Ledger, Opening};

use crate::ledger_dir::{LedgerDir, open};

fn node(dir: &LedgerDir, name: &str) -> Ledger {
    open(&dir.address(), name, &Opening::default()).unwrap()
}

fn says(node: &Ledger, settings: &[(&str, &str)]) {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let description = Description { program: "1.2.3".to_owned(), settings };
    node.describe(&description, Duration::from_millis(1500)).unwrap();
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
    assert!(a.fleet().unwrap().members.is_empty());
    says(&a, &[("x", "1"), ("y", "1")]);
    says(&b, &[("x", "1"), ("y", "1")]);
    assert!(differences(&a).is_empty() && differences(&b).is_empty());
    says(&c, &[("x", "2"), ("z", "1")]);
    assert_eq!(differences(&a), [pair("x", "c"), pair("y", "c"), pair("z", "c")]);
    assert_eq!(differences(&c), [pair("x", "a,b"), pair("y", "a,b"), pair("z", "a,b")]);
    says(&c, &[("x", "1"), ("y", "1")]);
    assert!(differences(&a).is_empty() && differences(&c).is_empty());

    let fleet = b.fleet().unwrap();
    let names: Vec<(&str, bool, bool)> = fleet
        .members
        .iter()
        .map(|member| (member.name.as_str(), member.is_self, member.is_there()))
        .collect();
    assert_eq!(names, [("a", false, true), ("b", true, true), ("c", false, true)]);
    assert!(fleet.members.iter().all(|member| member.program == "1.2.3"));
    assert!(fleet.members.iter().all(|member| member.staleness == Duration::from_millis(1500)));
    c.withdraw().unwrap();
    assert_eq!(a.fleet().unwrap().members.len(), 2);
}

#[test]
fn values_are_not_in_the_database() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    says(&ledger, &[("token", "a-secret-value")]);
    let row = dir.sql("SELECT m::text FROM members m");
    assert!(row.contains("token") && !row.contains("a-secret-value"), "{row}");
}

#[test]
fn a_node_that_ended_without_a_word_is_gone_and_replaced_by_its_next_start() {
    let dir = LedgerDir::new();
    let (a, b) = (node(&dir, "a"), node(&dir, "b"));
    says(&a, &[("x", "1")]);
    says(&b, &[("x", "2")]);
    dir.sql("UPDATE members SET seen = seen - interval '20 seconds' WHERE name = 'b'");
    assert!(differences(&a).is_empty());
    let silent = a.fleet().unwrap().members.remove(1);
    assert!(!silent.is_there() && silent.silent_for >= Duration::from_secs(20));
    let again = node(&dir, "b");
    says(&again, &[("x", "1")]);
    let members = a.fleet().unwrap().members;
    assert_eq!(members.iter().map(|member| member.is_there()).collect::<Vec<_>>(), [true, true]);
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
