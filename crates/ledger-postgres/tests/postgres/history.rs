//! Positions in the feed and in the history of a list, on one server.

use portcullis_ledger::{ChangedList, FeedPosition, Ledger, LedgerError, List, ListId, Mark, Seq};
use portcullis_msisdn::Directions;

use crate::contract::fixture::{block, limit, list, of_block, one, sender, tenant, time};
use crate::ledger_dir::LedgerDir;

/// What a reader that has read all of the list is at.
pub(crate) fn position(list: &List) -> (ListId, Seq, Mark) {
    let changes = list.changes_since(Seq::START, limit(1_000)).unwrap();
    (list.id(), changes.sequence, changes.mark.expect("all was read"))
}

/// Removes what the ledger remembers of commits until now, as after a day.
fn forget_commits(dir: &LedgerDir, ledger: &Ledger) {
    dir.sql("UPDATE commits SET at = at - interval '25 hours'");
    while ledger.trim().unwrap() {}
    assert_eq!(dir.sql("SELECT count(*) FROM commits").trim(), "0");
}

#[test]
fn a_reader_knows_the_mark_when_it_has_read_all() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let page = |since| list.changes_since(Seq::new(since), limit(2)).unwrap();
    assert_eq!((page(0).sequence, page(0).mark), (Seq::START, Some(Mark::default())));
    list.write((1..=3).map(|value| block(value, Directions::BOTH)).collect()).unwrap();
    let (first, last, end) = (page(0), page(2), page(3));
    assert_eq!((first.changes.len(), first.more, first.mark), (2, true, None));
    assert_eq!((last.changes.len(), last.more), (1, false));
    assert!(last.mark.is_some_and(|mark| mark != Mark::default()));
    assert_eq!((end.changes, end.sequence, end.mark), (vec![], Seq::new(3), last.mark));
    one(&list, block(4, Directions::BOTH));
    assert_ne!(page(3).mark, last.mark);
}

#[test]
fn all_positions_of_a_day_are_in_the_history() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let (one_list, other) = (list(&ledger), ledger.list(&tenant("acme"), sender("other")).unwrap());
    let mut positions = vec![position(&one_list), position(&other)];
    for value in 1..=3 {
        one(&one_list, block(value, Directions::BOTH));
        positions.push(position(&one_list));
    }
    one(&one_list, of_block(block(4, Directions::BOTH), |block| block.expires = Some(time(1))));
    positions.push(position(&one_list));
    assert_eq!(ledger.expire_due(time(1)).unwrap().len(), 1);
    positions.push(position(&one_list));
    assert_eq!(positions.last().map(|(_, sequence, _)| *sequence), Some(Seq::new(5)));
    assert_eq!(ledger.forked(&positions).unwrap(), []);
    assert_eq!(ledger.forked(&[]).unwrap(), []);
}

#[test]
fn a_position_with_another_mark_or_number_is_not_in_the_history() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    let (id, first, first_mark) = position(&list);
    one(&list, block(2, Directions::BOTH));
    let (_, second, second_mark) = position(&list);
    let gone = ListId(id.0 + 1_000);
    for wrong in [
        (id, first, second_mark),
        (id, second, first_mark),
        (id, second, Mark(second_mark.0 ^ 1)),
        (id, Seq::new(9), second_mark),
        (id, first, Mark::default()),
        (gone, second, second_mark),
        (gone, Seq::START, Mark::default()),
    ] {
        assert_eq!(ledger.forked(&[(id, second, second_mark), wrong]).unwrap(), [wrong.0], "{wrong:?}");
    }
}

#[test]
fn a_position_that_was_the_latest_within_a_day_is_in_the_history_however_old_it_is() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    let old = position(&list);
    one(&list, block(2, Directions::BOTH));
    let latest = position(&list);
    forget_commits(&dir, &ledger);
    assert_eq!(ledger.forked(&[latest]).unwrap(), []);
    one(&list, block(3, Directions::BOTH));
    assert_eq!(ledger.forked(&[latest]).unwrap(), [], "it was the latest until just now");
    assert_eq!(ledger.forked(&[old]).unwrap(), [list.id()], "nothing tells whether it was");
    forget_commits(&dir, &ledger);
    assert_eq!(ledger.forked(&[latest]).unwrap(), [list.id()]);
}

/// Two lists, and a follower that has seen them.
fn followed(ledger: &Ledger) -> (List, List, FeedPosition) {
    let (one_list, other) = (list(ledger), ledger.list(&tenant("acme"), sender("other")).unwrap());
    one(&one_list, block(1, Directions::BOTH));
    let mut feed = FeedPosition::default();
    let mut all = ledger.changed_lists(&mut feed).unwrap();
    all.sort_by_key(|changed| changed.list);
    let mut expected = [(&one_list, 1), (&other, 0)]
        .map(|(list, sequence)| ChangedList { list: list.id(), sequence: Seq::new(sequence) });
    expected.sort_by_key(|changed| changed.list);
    assert_eq!(all, expected);
    assert!(feed.restarted);
    assert_eq!(ledger.changed_lists(&mut feed).unwrap(), []);
    assert!(!feed.restarted);
    (one_list, other, feed)
}

#[test]
fn a_follower_whose_connection_is_lost_begins_anew() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let (_, _, mut feed) = followed(&ledger);
    let lineage = ledger.lineage();
    dir.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    let before = feed.token.clone();
    let lists = loop {
        match ledger.changed_lists(&mut feed) {
            Ok(lists) => break lists,
            Err(LedgerError::Unavailable(_)) => assert_eq!(feed.token, before, "the position stays"),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(lists.len(), 2);
    assert!(feed.restarted);
    assert_eq!(ledger.lineage(), lineage, "it is the same server");
    assert_eq!(ledger.changed_lists(&mut feed).unwrap(), []);
    assert!(!feed.restarted);
}

#[test]
fn a_position_of_another_process_or_none_begins_anew() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let (list, _, feed) = followed(&ledger);
    let other = dir.ledger();
    let followed_on = |mut feed: FeedPosition, ledger: &Ledger| {
        let lists = ledger.changed_lists(&mut feed).unwrap();
        (lists.len(), feed.restarted)
    };
    assert_eq!(followed_on(feed.clone(), &other), (2, true));
    for token in ["", "a b c", "1:1:"] {
        let feed = FeedPosition { token: Some(token.to_owned()), ..FeedPosition::default() };
        assert_eq!(followed_on(feed, &ledger), (2, true), "{token}");
    }
    one(&list, block(2, Directions::BOTH));
    assert_eq!(followed_on(feed, &ledger), (1, false), "its own goes on");
}

#[test]
fn a_position_that_is_older_than_what_is_kept_of_commits_begins_anew() {
    let dir = LedgerDir::with_clock();
    let ledger = dir.ledger();
    let (_, _, feed) = followed(&ledger);
    for (ahead, begins_anew) in
        [("11 hours", false), ("13 hours", true), ("-11 hours", false), ("-13 hours", true)]
    {
        dir.set_clock(ahead);
        let mut feed = feed.clone();
        ledger.changed_lists(&mut feed).unwrap();
        assert_eq!(feed.restarted, begins_anew, "{ahead}");
    }
}

#[test]
fn one_node_at_a_time_deletes_old_commits_some_at_once() {
    let dir = LedgerDir::new();
    let (ledger, other) = (dir.ledger(), dir.ledger());
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    dir.sql(
        "INSERT INTO commits (at, list, sequence, mark, previous_sequence, previous_mark, format)
            SELECT at - interval '25 hours', list, -n, n, 0, 0, format FROM commits, generate_series(1, 12000) n",
    );
    let left = || dir.sql("SELECT count(*) FROM commits").trim().to_owned();
    assert!(ledger.trim().unwrap());
    assert_eq!(left(), "7001");
    assert!(!other.trim().unwrap(), "it is the other's to do");
    assert_eq!(left(), "7001");
    assert!(ledger.trim().unwrap());
    assert!(!ledger.trim().unwrap());
    assert_eq!(left(), "1", "what is younger than a day stays");
}
