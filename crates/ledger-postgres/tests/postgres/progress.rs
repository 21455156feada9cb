//! What nodes tell each other: that they are live, and how far they have followed.

use std::time::Duration;

use portcullis_ledger::{FeedPosition, Ledger, ListId, Seq};
use portcullis_msisdn::Directions;

use crate::contract::fixture::{block, list};
use crate::ledger_dir::LedgerDir;
use crate::nodes::nodes;

const LONG: Duration = Duration::from_secs(3600);

/// Two live nodes.
fn two_nodes(dir: &LedgerDir) -> [Ledger; 2] {
    let nodes = nodes(dir, 2);
    nodes.iter().for_each(|node| node.stay_alive(LONG, Duration::ZERO).unwrap());
    nodes.try_into().unwrap()
}

/// Writes, and returns the change.
fn change(node: &Ledger, value: u64) -> (ListId, Seq) {
    let list = list(node);
    let written = list.write(vec![block(value, Directions::BOTH)]).unwrap();
    (list.id(), written[0].sequence)
}

fn is_known(node: &Ledger, change: (ListId, Seq)) -> bool {
    let known = node.followed_by_all(&[change]).unwrap();
    assert!(known.is_empty() || known == [change]);
    !known.is_empty()
}

/// Follows, and says so.
fn follow(node: &Ledger, feed: &mut FeedPosition, behind: &[ListId]) {
    node.changed_lists(feed).unwrap();
    node.report_progress(feed, behind).unwrap();
}

#[test]
fn a_change_is_known_to_all_once_each_node_says_so() {
    let dir = LedgerDir::new();
    let [one, other] = two_nodes(&dir);
    let mut feed = FeedPosition::default();
    let first = change(&one, 1);
    assert!(!is_known(&one, first));
    follow(&other, &mut feed, &[]);
    assert!(is_known(&one, first));

    let second = change(&one, 2);
    assert!(!is_known(&one, second));
    assert_eq!(one.followed_by_all(&[second, first]).unwrap(), [first]);
    // It is not known by the time of the report, but by what was looked at.
    other.report_progress(&feed, &[]).unwrap();
    assert!(!is_known(&one, second));
    follow(&other, &mut feed, &[second.0]);
    assert!(!is_known(&one, second), "the list is behind");
    follow(&other, &mut feed, &[ListId(second.0.0 + 1)]);
    assert!(is_known(&one, second) && is_known(&one, first));
}

#[test]
fn a_node_is_waited_for_while_it_is_live_by_the_databases_clock() {
    let dir = LedgerDir::with_clock();
    let [one, other] = two_nodes(&dir);
    let change = change(&one, 1);
    other.stay_alive(Duration::from_secs(4), Duration::ZERO).unwrap();
    dir.set_clock("3 seconds");
    assert!(!is_known(&one, change));
    other.stay_alive(Duration::from_secs(4), Duration::ZERO).unwrap();
    dir.set_clock("6 seconds");
    assert!(!is_known(&one, change), "it said so again");
    dir.set_clock("8 seconds");
    assert!(is_known(&one, change));
    other.stay_alive(Duration::from_secs(4), Duration::ZERO).unwrap();
    assert!(!is_known(&one, change), "it is back");
    other.leave().unwrap();
    assert!(is_known(&one, change));
    other.stay_alive(Duration::from_secs(4), Duration::ZERO).unwrap();
    dir.set_clock("2 days");
    one.stay_alive(LONG, Duration::ZERO).unwrap();
    assert_eq!(dir.sql("SELECT count(*) FROM nodes").trim(), "1");
}

#[test]
fn what_was_followed_on_another_server_or_connection_says_nothing() {
    let dir = LedgerDir::new();
    let [one, other] = two_nodes(&dir);
    let mut feed = FeedPosition::default();
    let change = change(&one, 1);
    other.changed_lists(&mut feed).unwrap();
    one.report_progress(&feed, &[]).unwrap();
    assert_eq!(dir.sql("SELECT count(*) FROM nodes WHERE snapshot IS NOT NULL").trim(), "0");
    other.report_progress(&feed, &[]).unwrap();
    assert!(is_known(&one, change));
    dir.sql("UPDATE nodes SET server = server - interval '1 microsecond'");
    assert!(!is_known(&one, change));
    follow(&other, &mut feed, &[]);
    assert!(is_known(&one, change));
}

#[test]
fn what_the_ledger_has_lost_is_known_to_nobody() {
    let dir = LedgerDir::new();
    let [one, other] = two_nodes(&dir);
    let mut feed = FeedPosition::default();
    let change = change(&one, 1);
    dir.sql("DELETE FROM commits");
    follow(&other, &mut feed, &[]);
    assert!(is_known(&one, change), "it is older than all that is kept");
    dir.sql("UPDATE lists SET sequence = sequence - 1");
    assert!(!is_known(&one, change));
}

#[test]
fn all_nodes_know_which_run_of_the_server_they_are_connected_to() {
    let dir = LedgerDir::new();
    let [one, other] = two_nodes(&dir);
    let mut feed = FeedPosition::default();
    one.changed_lists(&mut feed).unwrap();
    assert_ne!(feed.server.0, 0);
    assert_eq!((one.server(), other.server()), (feed.server, feed.server));
}

#[test]
fn a_node_that_was_last_heard_of_in_the_future_is_waited_for_once_it_is_heard_of_again() {
    let dir = LedgerDir::with_clock();
    dir.set_clock("1 hour");
    let [one, other] = two_nodes(&dir);
    let change = change(&one, 1);
    assert!(!is_known(&one, change));
    // As at a failover to a server whose clock is behind.
    dir.set_clock("0 seconds");
    assert!(is_known(&one, change));
    other.stay_alive(LONG, Duration::ZERO).unwrap();
    assert!(!is_known(&one, change));
    one.stay_alive(LONG, Duration::ZERO).unwrap();
    assert_eq!(one.fleet().unwrap().nodes.iter().filter(|node| node.is_live).count(), 2);
}
