//! Nodes whose clocks are not that of the database.

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use portcullis_ledger::{Block, FeedPosition, HoldKind, Link, Whom};
use portcullis_msisdn::{Directions, Msisdn};

use crate::contract::fixture::{actor, block, entry, limit, list, of_block, one, unblock};
use crate::ledger_dir::LedgerDir;

/// How much `time` is ahead of this machine's clock, in whole minutes.
fn minutes_ahead(time: Timestamp) -> i64 {
    let ahead = time.duration_since(Timestamp::now()) + SignedDuration::from_secs(30);
    ahead.as_secs().div_euclid(60)
}

#[test]
fn what_a_node_writes_has_the_databases_time() {
    for (ahead, minutes) in [("1 hour", 60), ("-1 hour", -60)] {
        let dir = LedgerDir::with_clock();
        dir.set_clock(ahead);
        let ledger = dir.ledger();
        let list = list(&ledger);
        assert_eq!(minutes_ahead(ledger.now()), minutes);
        let number = |number| list.keys().permutation().subject(Msisdn::parse(number).unwrap());
        let (left, reached) = (number("+46732001122"), number("+46732001133"));
        one(&list, block(left.get(), Directions::BOTH));
        one(&list, unblock(left.get(), Directions::OUTBOUND));
        let written = entry(&list, left.get());
        let hold = written.holds.lead();
        for time in [written.created, written.updated, hold.since, hold.requested] {
            assert_eq!(minutes_ahead(time), minutes);
        }
        // An id that is new is registered under locks.
        let user = Whom::User("US.1234567890".parse().unwrap());
        list.write(vec![Block::new(user, Directions::BOTH, actor("crm")).into()]).unwrap();
        // A number that is given up carries its holds over, as of now.
        let moved = Link {
            number: Some(reached),
            users: Vec::new(),
            left: Some(left),
            at: None,
            actor: actor("webhook"),
        };
        list.link(moved).unwrap();
        assert_eq!(minutes_ahead(entry(&list, reached.get()).created), minutes);
        let records = list.trail(None, limit(99)).unwrap().records;
        assert_eq!(records.len(), 4);
        for record in records {
            assert_eq!(minutes_ahead(record.at), minutes, "{:?}", record.outcome);
        }
        for table in ["moves", "commits"] {
            let sql = "SELECT bool_and(abs(extract(epoch FROM at - clock_timestamp())) < 60) FROM";
            assert_eq!(dir.sql(&format!("{sql} {table}")).trim(), "t", "{table}");
        }
    }
}

#[test]
fn a_clock_that_is_set_is_followed_by_the_feed() {
    let dir = LedgerDir::with_clock();
    let ledger = dir.ledger();
    let mut position = FeedPosition::default();
    for (ahead, minutes) in [("0", 0), ("3 hours", 180), ("-2 hours", -120)] {
        dir.set_clock(ahead);
        ledger.changed_lists(&mut position).unwrap();
        assert_eq!(minutes_ahead(ledger.now()), minutes);
        let list = list(&ledger);
        let value = u64::try_from(minutes + 1_000).unwrap();
        one(&list, block(value, Directions::BOTH));
        assert_eq!(minutes_ahead(entry(&list, value).created), minutes);
    }
}

#[test]
fn a_node_whose_clock_is_fast_lifts_no_hold_early() {
    let dir = LedgerDir::with_clock();
    dir.set_clock("-1 hour");
    let ledger = dir.ledger();
    let list = list(&ledger);
    // Each hold of an entry ends by itself.
    let end = Timestamp::now() - 5.minutes();
    let ends = |write| of_block(write, |block| block.expires = Some(end));
    let of_kind = |kind| ends(of_block(block(1, Directions::BOTH), |block| block.hold = kind));
    list.write(vec![of_kind(HoldKind::Operator), of_kind(HoldKind::OptOut)]).unwrap();
    assert_eq!(ledger.expire_due(Timestamp::now()).unwrap(), [], "by the node's clock only");
    assert_eq!(entry(&list, 1).directions, Directions::BOTH);
    dir.set_clock("0");
    assert_eq!(ledger.expire_due(end - 1.seconds()).unwrap(), [], "by the database's clock only");
    assert_eq!(ledger.expire_due(Timestamp::now() + 1.hour()).unwrap()[0].count, 1);
    assert_eq!(entry(&list, 1).directions, Directions::NONE);
    let records = list.trail(None, limit(2)).unwrap().records;
    assert!(records.iter().all(|record| minutes_ahead(record.at) == 0), "not the time of the caller's clock");
}
