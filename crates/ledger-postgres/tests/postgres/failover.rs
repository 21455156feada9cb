//! A primary that dies, and a standby that takes over.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_ledger::{
    Block, Claim, DeliveryKey, FeedPosition, Ledger, LedgerError, List, ListId, Opening, Seq, Whom, Write,
};
use portcullis_msisdn::Directions;

use crate::cluster::{Cluster, name_of, url};
use crate::contract::fixture::{actor, block, list, one, sender, subject, tenant};
use crate::history::position;
use crate::ledger_dir::open;
use crate::nodes::{members, replay};

/// A primary and its standby, with a database for a ledger.
struct Pair {
    primary: Cluster,
    standby: Cluster,
    database: String,
}

impl Pair {
    fn new() -> Self {
        let primary = Cluster::new();
        let database = name_of(&primary.database()).to_owned();
        let standby = primary.standby();
        Pair { primary, standby, database }
    }

    /// Commits wait for the standby.
    fn synchronous() -> Self {
        let pair = Pair::new();
        pair.primary.wait_for_standby();
        pair
    }

    /// The ledger, by a URL with both hosts.
    fn ledger(&self) -> Ledger {
        let url = url(&[&self.primary, &self.standby], &self.database);
        open(&url, "a", &Opening::default()).unwrap()
    }

    /// The standby takes over after the primary was killed.
    fn fail_over(&self) {
        self.primary.kill();
        self.standby.promote();
    }
}

/// Repeats a call while connections of the old primary are found to be broken.
fn retried<T>(call: impl Fn() -> Result<T, LedgerError>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match call() {
            Ok(done) => return done,
            Err(LedgerError::Unavailable(_) | LedgerError::OutcomeUnknown) if Instant::now() < until => {}
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
}

/// Sets it when it is dropped, so that threads end also after a panic.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_synchronous_standby_has_all_acknowledged_writes() {
    const WRITERS: u64 = 8;
    const EACH_SIDE: usize = 150;
    let pair = Pair::synchronous();
    let ledger = pair.ledger();
    let lists = ["a", "b"].map(|name| ledger.list(&tenant("acme"), sender(name)).unwrap());
    let over = AtomicBool::new(false);
    let (acknowledge, acknowledged) = channel();
    let mut kept = Vec::new();
    let failures: u64 = thread::scope(|scope| {
        let ends = Ends(&over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (acknowledge, over, lists) = (acknowledge.clone(), &over, &lists);
                scope.spawn(move || {
                    let place = usize::from(writer % 2 == 0);
                    let mut failures = 0;
                    for value in writer * 1_000_000.. {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        match lists[place].write(vec![block(value, Directions::BOTH)]) {
                            Ok(_) => acknowledge.send((place, value)).unwrap(),
                            Err(LedgerError::Unavailable(_) | LedgerError::OutcomeUnknown) => failures += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    failures
                })
            })
            .collect();
        drop(acknowledge);
        let next = || acknowledged.recv_timeout(Duration::from_secs(60)).expect("a write is acknowledged");
        kept.extend((0..EACH_SIDE).map(|_| next()));
        pair.primary.kill();
        // What was acknowledged before.
        kept.extend(acknowledged.try_iter());
        pair.standby.promote();
        kept.extend((0..EACH_SIDE).map(|_| next()));
        drop(ends);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    kept.extend(acknowledged.try_iter());
    assert!(failures > 0, "nobody wrote while the primary died");

    let ledger = open(&url(&[&pair.standby], &pair.database), "b", &Opening::default()).unwrap();
    for (place, name) in ["a", "b"].into_iter().enumerate() {
        let list = ledger.list(&tenant("acme"), sender(name)).unwrap();
        let members = members(&list);
        let lost = kept.iter().filter(|(of, value)| *of == place && !members.contains_key(value));
        assert_eq!(lost.count(), 0, "of {} that were acknowledged", kept.len());
        assert_eq!(replay(&list), members, "the trail leads to the entries");
    }
}

#[test]
fn lists_that_lost_commits_are_found_after_they_were_written_again() {
    let pair = Pair::new();
    let ledger = pair.ledger();
    let list = |name| ledger.list(&tenant("acme"), sender(name)).unwrap();
    let write = |list: &List, values: std::ops::Range<u64>| {
        for value in values {
            retried(|| list.write(vec![block(value, Directions::BOTH)]));
        }
    };
    let [idle, kept, longer, shorter, empty] = ["idle", "kept", "longer", "shorter", "empty"].map(list);
    for list in [&idle, &kept, &longer, &shorter] {
        write(list, 0..3);
    }
    let mut feed = FeedPosition::default();
    ledger.changed_lists(&mut feed).unwrap();
    pair.primary.catch_up(&pair.standby);
    pair.standby.cut_off();
    // These commits are lost.
    write(&longer, 10..12);
    write(&shorter, 10..11);
    let new = list("new");
    write(&new, 0..1);
    let positions = [&idle, &kept, &longer, &shorter, &empty, &new].map(position);
    assert_eq!(ledger.forked(&positions).unwrap(), []);
    assert_eq!(ledger.changed_lists(&mut feed).unwrap().len(), 3);
    assert!(!feed.restarted);
    let lineage = ledger.lineage();

    pair.fail_over();
    write(&kept, 20..21);
    assert_eq!(ledger.lineage(), lineage + 1);
    write(&longer, 20..24);
    let found = retried(|| ledger.forked(&positions));
    let mut lost = [longer.id(), shorter.id(), new.id()];
    lost.sort_unstable();
    assert_eq!(found, lost);
    let known = |list: &List| positions.iter().find(|(id, ..)| *id == list.id()).unwrap().1;
    assert!(retried(|| longer.sequence()) > known(&longer), "its number alone tells nothing");
    assert!(retried(|| shorter.sequence()) < known(&shorter));

    let changed = ledger.changed_lists(&mut feed).unwrap();
    assert!(feed.restarted);
    let mut changed: Vec<(ListId, Seq)> = changed.iter().map(|list| (list.list, list.sequence)).collect();
    changed.sort_unstable();
    let there = [(&idle, 3), (&kept, 4), (&longer, 7), (&shorter, 3), (&empty, 0)];
    let mut there = there.map(|(list, sequence)| (list.id(), Seq::new(sequence)));
    there.sort_unstable();
    assert_eq!(changed, there);
    let positions = [&idle, &kept, &longer, &shorter, &empty].map(position);
    assert_eq!(ledger.forked(&positions).unwrap(), []);
    assert_eq!(ledger.lineage(), lineage + 1);
}

#[test]
fn ids_that_were_lost_are_not_given_to_others() {
    const MANY: usize = 40;
    let pair = Pair::new();
    let [before, after] = [pair.ledger(), pair.ledger()];
    let lists = |ledger: &Ledger, name: &str| -> Vec<List> {
        let list = |n| retried(|| ledger.list(&tenant(&format!("{name}-{n}")), sender("bot")));
        (0..MANY).map(list).collect()
    };
    let kept = list(&before);
    pair.primary.catch_up(&pair.standby);
    pair.standby.cut_off();
    let lost = lists(&before, "lost");
    for list in &lost {
        one(list, block(1, Directions::BOTH));
    }
    pair.fail_over();
    let new = lists(&after, "new");
    let ids = |lists: &[List]| lists.iter().map(|list| list.id()).collect::<HashSet<ListId>>();
    assert_eq!(ids(&lost).intersection(&ids(&new)).count(), 0);
    for list in &lost {
        // Nothing of it is written anywhere.
        let refused = loop {
            match list.write(vec![block(2, Directions::BOTH)]) {
                Err(LedgerError::Unavailable(_) | LedgerError::OutcomeUnknown) => {}
                written => break written.unwrap_err(),
            }
        };
        assert!(matches!(refused, LedgerError::TenantForgotten), "{refused}");
    }
    one(&kept, block(3, Directions::BOTH));
    assert!(new.iter().all(|list| list.count().unwrap() == 0));
    // It is created again, with another id.
    let again = retried(|| after.list(&tenant("lost-0"), sender("bot")));
    assert_ne!(again.id(), lost[0].id());
}

#[test]
fn a_commit_that_no_longer_waits_for_the_standby_is_not_acknowledged() {
    let pair = Pair::synchronous();
    // The server is to tell it, whatever it tells others.
    pair.primary.sql(&pair.database, "ALTER ROLE portcullis SET client_min_messages = error");
    let ledger = pair.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    pair.standby.cut_off();
    let user = Whom::User("US.1234567890".parse().unwrap());
    let of_user: Write = Block::new(user, Directions::BOTH, actor("crm")).into();
    for (write, ends_the_wait) in [
        (block(2, Directions::BOTH), "pg_cancel_backend"),
        (of_user, "pg_cancel_backend"),
        // The connection is lost, too, and a look at the database finds the commit.
        (block(3, Directions::BOTH), "pg_terminate_backend"),
    ] {
        // Who repeats it finds it done, but has no better promise.
        for ends_the_wait in [ends_the_wait, "pg_cancel_backend"] {
            thread::scope(|scope| {
                let writer = scope.spawn(|| list.write(vec![write.clone()]));
                const WAITS: &str = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
                pair.primary.until(&pair.database, &format!("EXISTS (SELECT {WAITS})"));
                pair.primary.sql(&pair.database, &format!("SELECT {ends_the_wait}(pid) {WAITS}"));
                // The one before it may have waited for longer than its caller: then that one was cancelled.
                while !writer.is_finished() {
                    pair.primary.sql(&pair.database, &format!("SELECT pg_cancel_backend(pid) {WAITS}"));
                }
                let error = writer.join().unwrap().unwrap_err();
                assert!(matches!(error, LedgerError::OutcomeUnknown), "{ends_the_wait}: {error:?}");
            });
        }
    }
    // It is stored, but only until the primary is lost.
    assert_eq!(list.directions(&[subject(3)]).unwrap(), [Directions::BOTH]);
    pair.fail_over();
    assert_eq!(retried(|| list.directions(&[subject(1)])), [Directions::BOTH]);
    assert_eq!(list.directions(&[subject(2)]).unwrap(), [Directions::NONE]);
}

#[test]
fn claims_wait_for_no_standby_and_a_confirmation_is_taken_only_once_the_standby_has_it() {
    let pair = Pair::synchronous();
    let ledger = pair.ledger();
    let list = list(&ledger);
    list.allow_confirmation(subject(1), Duration::from_secs(600)).unwrap();
    pair.standby.cut_off();
    let (made, failed) = (DeliveryKey([1; 16]), DeliveryKey([2; 16]));
    let claims = ledger.deliveries().claim(&[made, failed], Duration::from_secs(600)).unwrap();
    assert_eq!(claims.each, [Claim::Granted; 2]);
    ledger.deliveries().finish(&[made]).unwrap();
    ledger.deliveries().release(&[failed], claims.id).unwrap();
    // On the same connection: the setting ended with each statement.
    let error = list.take_confirmation(subject(1)).unwrap_err();
    assert!(matches!(error, LedgerError::OutcomeUnknown), "{error}");
    pair.fail_over();
    assert!(retried(|| list.take_confirmation(subject(1))), "nobody was told that it was taken");
    assert!(!list.take_confirmation(subject(1)).unwrap());
}
