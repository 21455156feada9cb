//! Several nodes that write to one ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis_ledger::{
    Block, ChangedList, FeedPosition, Ledger, LedgerError, Link, List, ListId, Opening, Outcome, Scope, Seq,
    Whom, Write,
};
use portcullis_msisdn::{Directions, Msisdn, Subject};

use crate::cluster::{Cluster, cluster, name_of};
use crate::contract::fixture::{actor, block, limit, list, one, sender, subject, tenant, unblock};
use crate::ledger_dir::{LedgerDir, open};

pub(crate) fn nodes(dir: &LedgerDir, count: usize) -> Vec<Ledger> {
    (0..count).map(|node| open(&dir.address(), &format!("n{node}"), &Opening::default()).unwrap()).collect()
}

/// Replays the trail: each record must begin where the one before it on the same subject ended.
pub(crate) fn replay(list: &List) -> BTreeMap<u64, Directions> {
    let mut state: BTreeMap<u64, (Seq, Directions)> = BTreeMap::new();
    let mut after = Seq::START;
    loop {
        let records = list.records_after(after, limit(10_000)).unwrap();
        let Some(last) = records.last() else { break };
        after = last.sequence;
        for record in records {
            let (sequence, blocked) =
                state.get(&record.subject.get()).copied().unwrap_or((Seq::START, Directions::NONE));
            if record.step == 0 {
                assert_eq!(record.previous, sequence, "a change was lost or made twice");
            }
            assert_eq!(record.blocked_before(), blocked);
            state.insert(record.subject.get(), (record.sequence, record.blocked_after()));
        }
    }
    let blocked = state.into_iter().filter(|(_, (_, directions))| !directions.is_none());
    blocked.map(|(subject, (_, directions))| (subject, directions)).collect()
}

pub(crate) fn members(list: &List) -> BTreeMap<u64, Directions> {
    let members = list.members(None, limit(1_000_000)).unwrap();
    members.into_iter().map(|(subject, directions)| (subject.get(), directions)).collect()
}

#[test]
fn writes_of_three_nodes_to_one_list_have_one_order() {
    const EACH: u64 = 40;
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 3);
    thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate() {
            for client in 0..8 {
                scope.spawn(move || {
                    let list = list(node);
                    for n in 0..EACH {
                        // All write to the same few entries, so that they collide.
                        let value = (n * 7 + client * 3 + number as u64) % 50;
                        let directions = if n % 2 == 0 { Directions::OUTBOUND } else { Directions::INBOUND };
                        let write = match (n + client) % 3 {
                            0 => unblock(value, directions),
                            _ => block(value, directions),
                        };
                        list.write(vec![write]).unwrap();
                    }
                });
            }
        }
    });
    let list = list(&nodes[0]);
    let members = members(&list);
    assert_eq!(replay(&list), members);
    assert_eq!(list.count().unwrap(), members.len() as u64);
}

#[test]
fn a_write_is_seen_by_all_nodes_when_it_is_acknowledged() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 2);
    let (one_node, other) = (&nodes[0], &nodes[1]);
    let turns = [(one_node, other), (other, one_node)].into_iter().cycle();
    for (value, (writer, reader)) in (0..50).zip(turns) {
        one(&list(writer), block(value, Directions::BOTH));
        let list = list(reader);
        assert_eq!(list.directions(&[subject(value)]).unwrap(), [Directions::BOTH]);
        let changes = list.changes_since(Seq::new(value), limit(10)).unwrap();
        assert_eq!(changes.changes.last().map(|change| change.subject), Some(subject(value)));
    }
}

#[test]
fn no_commit_is_missing_from_the_feed_while_others_are_under_way() {
    const WRITERS: usize = 16;
    const EACH: u64 = 60;
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 3);
    let done = AtomicUsize::new(0);
    let mut seen: BTreeMap<ListId, Seq> = BTreeMap::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (node, done) = (&nodes[writer % 2], &done);
            scope.spawn(move || {
                for n in 0..EACH {
                    // Many lists, and some that several write to.
                    let name = format!("s{}", (writer as u64 * 13 + n * 7) % 40);
                    let list = node.list(&tenant("acme"), sender(&name)).unwrap();
                    list.write(vec![block(n, Directions::BOTH)]).unwrap();
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        let mut position = FeedPosition::default();
        loop {
            let is_over = done.load(Ordering::SeqCst) == WRITERS;
            for changed in nodes[2].changed_lists(&mut position).unwrap() {
                let latest = seen.entry(changed.list).or_default();
                assert!(*latest <= changed.sequence, "a list went back");
                *latest = changed.sequence;
            }
            if is_over {
                break;
            }
        }
    });
    for scope in nodes[0].lists(&tenant("acme")).unwrap() {
        let list = nodes[0].list(&tenant("acme"), scope).unwrap();
        assert_eq!(seen.get(&list.id()).copied(), Some(list.sequence().unwrap()));
    }
}

#[test]
fn a_transaction_that_stays_open_holds_up_nobody() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let mut position = FeedPosition::default();
    let list = list(&ledger);
    ledger.changed_lists(&mut position).unwrap();
    let open = cluster().hold_open(name_of(&dir.address()));
    for value in 0..20 {
        one(&list, block(value, Directions::BOTH));
        let changed = ledger.changed_lists(&mut position).unwrap();
        assert_eq!(changed, [ChangedList { list: list.id(), sequence: Seq::new(value + 1) }]);
    }
    assert_eq!(ledger.changed_lists(&mut position).unwrap(), []);
    drop(open);
}

#[test]
fn the_maximum_of_a_list_holds_over_all_nodes() {
    const MOST: u64 = 25;
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 3);
    thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate() {
            scope.spawn(move || {
                let list = list(node);
                for n in 0..20 {
                    let value = number as u64 * 100 + n;
                    list.write_up_to(MOST, vec![block(value, Directions::BOTH)]).unwrap();
                }
            });
        }
    });
    assert_eq!(list(&nodes[0]).count().unwrap(), MOST);
    assert_eq!(members(&list(&nodes[1])).len() as u64, MOST);
}

#[test]
fn nodes_that_meet_a_user_id_at_once_agree_on_who_it_is() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 3);
    let user: portcullis_ledger::UserId = "US.1234567890".parse().unwrap();
    let subjects: BTreeSet<u64> = thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| {
                let block = Block::new(Whom::User(user.clone()), Directions::BOTH, actor("crm"));
                scope.spawn(move || list(node).write(vec![block.into()]).unwrap()[0].subject.unwrap().get())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(subjects.len(), 1);
    assert_eq!(list(&nodes[0]).count().unwrap(), 1);
}

#[test]
fn a_block_by_user_id_follows_a_link_that_another_node_makes() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 2);
    let keys = nodes[0].ensure_tenant(&tenant("acme")).unwrap();
    let number: Subject = keys.permutation().subject(Msisdn::parse("+46732001122").unwrap());
    for round in 0..20 {
        let user: portcullis_ledger::UserId = format!("US.{round}000000000").parse().unwrap();
        thread::scope(|scope| {
            let (blocking, linking) = (&nodes[0], &nodes[1]);
            let user = &user;
            scope.spawn(move || {
                let write: Write =
                    Block::new(Whom::User(user.clone()), Directions::OUTBOUND, actor("crm")).into();
                list(blocking).write(vec![write]).unwrap();
            });
            scope.spawn(move || {
                let link = Link {
                    number: Some(number),
                    users: vec![user.clone()],
                    left: None,
                    at: None,
                    actor: actor("webhook"),
                };
                list(linking).link(link).unwrap();
            });
        });
        // In either order, the person is blocked under the number.
        let list = list(&nodes[0]);
        let person = list.person_of_user(&user).unwrap().unwrap();
        let directions = list.directions(&person).unwrap();
        assert!(person.contains(&number), "round {round}");
        assert!(directions.contains(&Directions::OUTBOUND), "round {round}");
        one(&list, unblock(number.get(), Directions::BOTH));
    }
}

#[test]
fn a_tenant_that_one_node_forgets_is_gone_for_the_others() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 2);
    let (kept, other) = (list(&nodes[0]), list(&nodes[1]));
    one(&kept, block(1, Directions::BOTH));
    assert!(nodes[1].forget_tenant(&tenant("acme")).unwrap());
    for list in [&kept, &other] {
        let error = list.write(vec![block(2, Directions::BOTH)]).unwrap_err();
        assert!(matches!(error, LedgerError::TenantForgotten), "{error}");
    }
    let left = cluster().sql(
        name_of(&dir.address()),
        "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM records) + (SELECT count(*) FROM secrets)",
    );
    assert_eq!(left.trim(), "0");
}

#[test]
fn nodes_that_open_a_list_at_the_same_time_share_it() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 4);
    thread::scope(|scope| {
        for (value, node) in (0..).zip(&nodes) {
            scope.spawn(move || {
                let list = node.ledger_list();
                one(&list, block(value, Directions::BOTH));
            });
        }
    });
    assert_eq!(nodes[0].lists(&tenant("acme")).unwrap(), [Scope::Tenant]);
    assert_eq!(nodes[0].ledger_list().count().unwrap(), 4);
    assert_eq!(nodes[0].list(&tenant("acme"), sender("bot")).unwrap().count().unwrap(), 0);
}

/// The tenant-wide list.
trait TenantWide {
    fn ledger_list(&self) -> List;
}

impl TenantWide for Ledger {
    fn ledger_list(&self) -> List {
        self.list(&tenant("acme"), Scope::Tenant).unwrap()
    }
}

#[test]
fn a_commit_and_a_query_of_many_lists_tell_the_same_changes_as_the_list() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 2);
    let scopes: Vec<Scope> = (0..4).map(|n| sender(&format!("s{n}"))).collect();
    let lists = |node: &Ledger| -> Vec<List> {
        scopes.iter().map(|scope| node.list(&tenant("acme"), scope.clone()).unwrap()).collect()
    };
    let (here, there) = (lists(&nodes[0]), lists(&nodes[1]));
    for round in 0..4 {
        let since: Vec<Seq> = here.iter().map(|list| list.sequence().unwrap()).collect();
        for (n, list) in here.iter().take(3).enumerate() {
            let writes = vec![
                block(round, Directions::BOTH),
                block(90 + n as u64, Directions::INBOUND),
                unblock(round, Directions::OUTBOUND),
                unblock(90 + n as u64, Directions::INBOUND),
            ];
            let span = list.commit(u64::MAX, writes).unwrap().span.unwrap();
            let read = there[n].changes_since(since[n], limit(100)).unwrap();
            assert_eq!((span.since, &span.changes), (since[n], &read.changes));
            assert_eq!((span.sequence, span.mark), (read.sequence, read.mark));
            assert!(span.since_mark.is_some() && span.since_mark != span.mark);
        }
        let from = || there.iter().zip(&since).map(|(list, since)| (&**list, *since));
        let spans: BTreeMap<i64, _> = nodes[1]
            .spans_since(from(), limit(100))
            .unwrap()
            .into_iter()
            .map(|(id, span)| (id.0, span))
            .collect();
        // The last one did not change.
        assert_eq!(spans.len(), 3);
        for (n, list) in there.iter().take(3).enumerate() {
            let read = list.changes_since(since[n], limit(100)).unwrap();
            let span = &spans[&list.id().0];
            assert_eq!((span.since, span.since_mark, &span.changes), (since[n], None, &read.changes));
            assert_eq!((span.sequence, span.mark), (read.sequence, read.mark));
        }
        for (_, span) in nodes[1].spans_since(from(), limit(1)).unwrap() {
            assert_eq!((span.changes.len(), span.mark), (1, None), "it was cut off");
            assert_eq!(span.sequence, span.changes[0].sequence);
        }
    }
    let repeated = here[0].commit(u64::MAX, vec![block(0, Directions::INBOUND)]).unwrap();
    assert_eq!(repeated.span, None, "it changed nothing");
}

#[test]
fn nodes_share_a_server_that_has_few_connections() {
    const WRITERS: u64 = 24;
    let server = Cluster::with("max_connections=20");
    let address = server.database();
    let nodes: Vec<Ledger> =
        (0..3).map(|node| open(&address, &format!("n{node}"), &Opening::default()).unwrap()).collect();
    for node in &nodes {
        one(&list(node), block(1_000_000, Directions::BOTH));
        list(node).count().unwrap();
    }
    thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate() {
            for writer in 0..WRITERS {
                scope.spawn(move || {
                    let list = node.list(&tenant("acme"), sender(&format!("s{writer}"))).unwrap();
                    for n in 0..5 {
                        one(&list, block(number as u64 * 100 + n, Directions::BOTH));
                        assert!(list.count().unwrap() > n);
                    }
                });
            }
        }
    });
}

#[test]
fn a_lock_that_is_held_for_longer_than_it_is_waited_for_at_a_time_is_waited_for_again() {
    // Each wait that was seen: which connection waits, since when.
    const WAITS: &str = "SELECT pid, query_start FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    let held = dir.hold("BEGIN; DO $$ BEGIN PERFORM 1 FROM lists FOR UPDATE; END $$");
    thread::scope(|scope| {
        let writer = scope.spawn(|| one(&list, block(2, Directions::BOTH)));
        let mut waits = BTreeSet::new();
        while waits.len() < 2 {
            waits.extend(dir.sql(WAITS).lines().filter(|line| !line.is_empty()).map(str::to_owned));
            assert!(!writer.is_finished(), "it did not wait");
        }
        drop(held);
        assert_eq!(writer.join().unwrap(), Outcome::Added);
    });
    assert_eq!(members(&list).len(), 2);
}

#[test]
fn commits_that_a_dump_brought_from_another_server_are_read_once() {
    let dir = LedgerDir::new();
    let nodes = nodes(&dir, 1);
    let list = list(&nodes[0]);
    one(&list, block(1, Directions::BOTH));
    // This server has not reached their numbers yet.
    dir.sql("UPDATE commits SET xact = '4000000000000'");
    let mut feed = FeedPosition::default();
    let changed = [ChangedList { list: list.id(), sequence: Seq::new(1) }];
    assert_eq!(nodes[0].changed_lists(&mut feed).unwrap(), changed);
    assert_eq!(nodes[0].changed_lists(&mut feed).unwrap(), []);
    one(&list, block(2, Directions::BOTH));
    let changed = [ChangedList { list: list.id(), sequence: Seq::new(2) }];
    assert_eq!(nodes[0].changed_lists(&mut feed).unwrap(), changed);
}
