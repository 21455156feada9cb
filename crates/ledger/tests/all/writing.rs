use jiff::Timestamp;
use portcullis_ledger::{
    Actor, Change, DisplayForm, ExpiredIn, LedgerError, Outcome, PublicId, Reason, Scope, Seq, Source,
    Status, StatusFilter, Write,
};
use portcullis_msisdn::Directions;

use crate::fixture::{Folder, actor, block, entry, limit, list, one, sender, subject, tenant, time, unblock};

const IN: Directions = Directions::INBOUND;
const OUT: Directions = Directions::OUTBOUND;
const BOTH: Directions = Directions::BOTH;

fn with_text(write: Write, why: &str, form: &str) -> Write {
    match write {
        Write::Block { subject, directions, source, actor, expires, .. } => Write::Block {
            subject,
            directions,
            source,
            actor,
            reason: Some(Reason::new(why).unwrap()),
            display: Some(DisplayForm::new(form).unwrap()),
            expires,
        },
        other => other,
    }
}

fn until(write: Write, end: Timestamp) -> Write {
    match write {
        Write::Block { subject, directions, source, actor, reason, display, .. } => {
            Write::Block { subject, directions, source, actor, reason, display, expires: Some(end) }
        }
        other => other,
    }
}

#[test]
fn directions_are_added_and_taken_away() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    assert_eq!(one(&list, block(7, OUT)), Outcome::Added);
    assert_eq!(one(&list, block(7, OUT)), Outcome::Already);
    assert_eq!(one(&list, block(7, BOTH)), Outcome::Widened);
    assert_eq!(one(&list, unblock(7, OUT)), Outcome::Narrowed);
    assert_eq!(one(&list, unblock(7, OUT)), Outcome::Absent);
    assert_eq!(entry(&list, 7).directions, IN);
    assert_eq!(one(&list, unblock(7, BOTH)), Outcome::Removed);
    assert_eq!(one(&list, unblock(7, BOTH)), Outcome::Absent);
    assert_eq!(one(&list, unblock(8, BOTH)), Outcome::Absent);
    assert_eq!(list.get(subject(8)).unwrap(), None);
    assert_eq!(one(&list, block(7, IN)), Outcome::Reactivated);
}

#[test]
fn an_entry_remembers_who_when_why() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    let start = time(Timestamp::now().as_millisecond());
    one(&list, with_text(block(7, OUT), "asked by mail", "073-200 11 22"));
    let blocked = entry(&list, 7);
    assert_eq!(blocked.status(), Status::Active);
    assert_eq!(blocked.source, Source::Api);
    assert_eq!(blocked.actor, actor("crm"));
    assert_eq!(blocked.reason.as_ref().map(Reason::as_str), Some("asked by mail"));
    assert_eq!(blocked.display.as_ref().map(DisplayForm::as_str), Some("073-200 11 22"));
    assert!(blocked.created >= start && blocked.created <= Timestamp::now());
    assert_eq!(
        (blocked.updated, blocked.deactivated, blocked.lifted_by.as_ref()),
        (blocked.created, None, None)
    );

    one(&list, unblock(7, OUT));
    let lifted = entry(&list, 7);
    assert_eq!(lifted.status(), Status::Inactive);
    assert_eq!((&lifted.actor, &lifted.reason), (&blocked.actor, &blocked.reason));
    assert_eq!(lifted.lifted_by, Some(actor("help desk")));
    assert_eq!(lifted.deactivated, Some(lifted.updated));
    assert_eq!(lifted.created, blocked.created);
}

#[test]
fn a_reactivated_entry_keeps_its_id_and_birth_only() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    one(&list, until(with_text(block(7, OUT), "old", "old"), time(4_000_000_000_000)));
    let old = entry(&list, 7);
    let id = list.public_id(subject(7));
    one(&list, unblock(7, OUT));
    one(&list, block(7, IN));
    let new = entry(&list, 7);
    assert_eq!(list.public_id(subject(7)), id);
    assert_eq!(new.created, old.created);
    assert_eq!((new.directions, new.reason, new.display, new.expires), (IN, None, None, None));
    assert_eq!((new.deactivated, new.lifted_by), (None, None));
}

#[test]
fn blocking_again_updates_what_is_given() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    one(&list, with_text(block(7, OUT), "why", "form"));
    assert_eq!(one(&list, block(7, OUT)), Outcome::Already);
    assert_eq!(entry(&list, 7).sequence, Seq::new(1));
    assert_eq!(one(&list, until(block(7, OUT), time(4_000_000_000_000))), Outcome::Updated);
    let updated = entry(&list, 7);
    assert_eq!(updated.sequence, Seq::new(2));
    assert_eq!(updated.expires, Some(time(4_000_000_000_000)));
    assert_eq!(updated.reason.as_ref().map(Reason::as_str), Some("why"));
    assert_eq!(one(&list, with_text(block(7, OUT), "why now", "form")), Outcome::Updated);
    let updated = entry(&list, 7);
    assert_eq!(updated.expires, None, "the newest block holds for good");
    assert_eq!(updated.reason.as_ref().map(Reason::as_str), Some("why now"));
}

#[test]
fn times_finer_than_milliseconds_are_cut_once() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    let end = Timestamp::new(4_000_000_000, 123_456_789).unwrap();
    one(&list, until(block(7, OUT), end));
    assert_eq!(entry(&list, 7).expires, Some(time(4_000_000_000_123)));
    assert_eq!(one(&list, until(block(7, OUT), end)), Outcome::Already);
}

#[test]
fn a_subject_may_come_twice_in_a_call() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    let written =
        list.write(vec![block(7, OUT), block(3, IN), unblock(7, OUT), block(7, IN), block(3, IN)]).unwrap();
    let outcomes: Vec<_> = written.iter().map(|written| written.outcome).collect();
    use Outcome::{Added, Already, Reactivated, Removed};
    assert_eq!(outcomes, [Added, Added, Removed, Reactivated, Already]);
    assert_eq!((written[3].before, written[3].after), (Directions::NONE, IN));
    assert_eq!(list.count().unwrap(), 2);
    // One call changes an entry once.
    assert_eq!(list.sequence().unwrap(), Seq::new(2));
    assert_eq!(written[0].sequence, entry(&list, 7).sequence);
    assert_eq!(written[4].sequence, entry(&list, 3).sequence);
}

#[test]
fn a_call_is_all_or_nothing() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    let refused = list.write(vec![block(7, OUT), block(8, Directions::NONE)]);
    assert!(matches!(refused, Err(LedgerError::NoDirections)));
    assert_eq!(list.get(subject(7)).unwrap(), None);
    assert_eq!(list.write(Vec::new()).unwrap(), []);
    assert_eq!(list.sequence().unwrap(), Seq::START);
}

#[test]
fn pages_walk_the_list_in_order() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    list.write((0..5).map(|value| block(value * 10, OUT)).collect()).unwrap();
    one(&list, unblock(20, OUT));
    let page = |after: Option<u64>, most, filter| {
        let page = list.page(after.map(subject), limit(most), filter).unwrap();
        let subjects: Vec<u64> = page.entries.iter().map(|entry| entry.subject.get()).collect();
        (subjects, page.more)
    };
    assert_eq!(page(None, 2, StatusFilter::All), (vec![0, 10], true));
    assert_eq!(page(Some(10), 2, StatusFilter::All), (vec![20, 30], true));
    assert_eq!(page(Some(30), 2, StatusFilter::All), (vec![40], false));
    assert_eq!(page(None, 3, StatusFilter::Active), (vec![0, 10, 30], true));
    assert_eq!(page(None, 4, StatusFilter::Active), (vec![0, 10, 30, 40], false));
    assert_eq!(page(None, 1, StatusFilter::Inactive), (vec![20], false));
    assert_eq!(list.members(Some(subject(10)), limit(9)).unwrap(), [(subject(30), OUT), (subject(40), OUT)]);
    let found = list.get_many(&[subject(40), subject(41), subject(20)]).unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn subjects_at_both_ends_are_like_others() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    let (first, last) = (0, (1 << 50) - 1);
    list.write(vec![block(last, OUT), block(first, IN)]).unwrap();
    assert_eq!(list.members(None, limit(9)).unwrap(), [(subject(first), IN), (subject(last), OUT)]);
    assert_eq!(list.members(Some(subject(last)), limit(9)).unwrap(), []);
}

#[test]
fn the_feed_gives_each_entry_once_in_the_order_of_last_changes() {
    let folder = Folder::new();
    let list = list(&folder.ledger());
    list.write(vec![block(1, OUT), block(2, OUT), block(3, OUT)]).unwrap();
    one(&list, unblock(1, OUT));
    let feed = list.changes_since(Seq::START, limit(2)).unwrap();
    let change = |value, directions, sequence| Change {
        subject: subject(value),
        directions,
        sequence: Seq::new(sequence),
    };
    assert_eq!(feed.changes, [change(2, OUT, 2), change(3, OUT, 3)]);
    assert_eq!((feed.sequence, feed.more, feed.next()), (Seq::new(4), true, Seq::new(3)));
    let feed = list.changes_since(feed.next(), limit(2)).unwrap();
    assert_eq!(feed.changes, [change(1, Directions::NONE, 4)]);
    assert_eq!((feed.more, feed.next()), (false, Seq::new(4)));
    for since in [4, 5, u64::MAX] {
        assert_eq!(list.changes_since(Seq::new(since), limit(1)).unwrap().changes, []);
    }
}

#[test]
fn entries_end_when_their_time_is_over() {
    let folder = Folder::new();
    let ledger = folder.ledger();
    let list = list(&ledger);
    let wide = ledger.list(&tenant("acme"), Scope::Tenant).unwrap();
    let other = ledger.list(&tenant("other"), sender("bot")).unwrap();
    list.write(vec![
        until(with_text(block(1, OUT), "why", "form"), time(100)),
        until(block(2, BOTH), time(200)),
    ])
    .unwrap();
    one(&wide, until(block(1, OUT), time(100)));
    one(&other, until(block(1, OUT), time(150)));
    one(&other, block(2, OUT));
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(100)));
    assert_eq!(ledger.expire_due(time(99)).unwrap(), []);

    let mut expired = ledger.expire_due(time(150)).unwrap();
    expired.sort_by(|one, other| (&one.tenant, &one.scope).cmp(&(&other.tenant, &other.scope)));
    let one_in = |name, scope| ExpiredIn { tenant: tenant(name), scope, count: 1 };
    assert_eq!(
        expired,
        [one_in("acme", Scope::Tenant), one_in("acme", sender("bot")), one_in("other", sender("bot"))]
    );
    let ended = entry(&list, 1);
    assert_eq!(ended.status(), Status::Inactive);
    assert_eq!((ended.actor, ended.lifted_by), (actor("crm"), Some(Actor::expiry())));
    assert_eq!((ended.deactivated, ended.updated), (Some(time(150)), time(150)));
    assert_eq!(ended.reason.as_ref().map(Reason::as_str), Some("why"));
    assert_eq!(ended.sequence, Seq::new(3));
    assert_eq!((list.count().unwrap(), wide.count().unwrap(), other.count().unwrap()), (1, 0, 1));
    assert_eq!(list.changes_since(Seq::new(2), limit(9)).unwrap().changes[0].directions, Directions::NONE);
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(200)));
    one(&list, unblock(2, BOTH));
    assert_eq!(ledger.next_expiry().unwrap(), None);
}

#[test]
fn a_great_many_entries_end_in_parts() {
    let folder = Folder::new();
    let ledger = folder.ledger();
    let list = list(&ledger);
    list.write((0..10_500).map(|value| until(block(value, OUT), time(100))).collect()).unwrap();
    assert_eq!(ledger.expire_due(time(100)).unwrap()[0].count, 10_000);
    assert_eq!(list.count().unwrap(), 500);
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(100)));
    assert_eq!(ledger.expire_due(time(100)).unwrap()[0].count, 500);
    assert_eq!(list.count().unwrap(), 0);
}

#[test]
fn public_ids_are_of_their_list_and_lead_back() {
    let folder = Folder::new();
    let ledger = folder.ledger();
    let lists = [
        list(&ledger),
        ledger.list(&tenant("acme"), Scope::Tenant).unwrap(),
        ledger.list(&tenant("other"), sender("bot")).unwrap(),
    ];
    let ids: Vec<PublicId> = lists.iter().map(|list| list.public_id(subject(7))).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[0]);
    for (list, id) in lists.iter().zip(&ids) {
        assert_eq!(list.subject_of(&id.to_string().parse().unwrap()), subject(7));
    }
    drop((lists, ledger));
    assert_eq!(list(&folder.ledger()).public_id(subject(7)), ids[0], "also after a restart");
}
