use jiff::Timestamp;
use portcullis_ledger::{
    Actor, Change, DisplayForm, ExpiredIn, Filter, HoldKind, Label, LedgerError, Outcome, Paging, PublicId,
    Reason, Scope, Seq, Source, Status, StatusFilter, UserId, Write,
};
use portcullis_msisdn::{Directions, ReservedId, Revealed};

use super::fixture::{
    actor, block, entry, limit, list, of_block, of_unblock, one, sender, subject, tenant, time, unblock,
};
use crate::ledger_dir::LedgerDir;

const IN: Directions = Directions::INBOUND;
const OUT: Directions = Directions::OUTBOUND;
const BOTH: Directions = Directions::BOTH;

fn with_text(write: Write, why: &str, form: &str) -> Write {
    of_block(write, |block| {
        block.label = None;
        block.reason = Some(Reason::new(why).unwrap());
        block.display = Some(DisplayForm::new(form).unwrap());
    })
}

/// As the person's own request.
fn opt_out(write: Write) -> Write {
    let write = of_block(write, |block| {
        block.hold = HoldKind::OptOut;
        block.source = Source::OptOut;
        block.label = Some(Label::new("UNSUBSCRIBE").unwrap());
    });
    of_unblock(write, |unblock| unblock.hold = Some(HoldKind::OptOut))
}

/// For the operator's hold only.
fn of_operator(write: Write) -> Write {
    of_unblock(write, |unblock| unblock.hold = Some(HoldKind::Operator))
}

fn until(write: Write, end: Timestamp) -> Write {
    of_block(write, |block| block.expires = Some(end))
}

#[test]
fn directions_are_added_and_removed() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
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
fn an_entry_records_author_time_and_reason() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let start = ledger.now();
    one(&list, with_text(block(7, OUT), "asked by mail", "073-200 11 22"));
    let blocked = entry(&list, 7);
    assert_eq!(blocked.status(), Status::Active);
    assert_eq!(blocked.holds.lead().source, Source::Api);
    assert_eq!(blocked.holds.lead().actor, actor("crm"));
    assert_eq!(blocked.holds.lead().reason.as_ref().map(Reason::as_str), Some("asked by mail"));
    assert_eq!(blocked.display.as_ref().map(DisplayForm::as_str), Some("073-200 11 22"));
    assert!(blocked.created >= start && blocked.created <= ledger.now());
    assert_eq!(
        (blocked.updated, blocked.deactivated, blocked.holds.lead().lifted_by.as_ref()),
        (blocked.created, None, None)
    );

    one(&list, unblock(7, OUT));
    let lifted = entry(&list, 7);
    assert_eq!(lifted.status(), Status::Inactive);
    let hold = lifted.holds.lead();
    assert_eq!((&hold.actor, &hold.reason), (&blocked.holds.lead().actor, &blocked.holds.lead().reason));
    assert_eq!(hold.lifted_by, Some(actor("help desk")));
    assert_eq!(lifted.deactivated, Some(lifted.updated));
    assert_eq!(lifted.created, blocked.created);
}

#[test]
fn a_reactivated_entry_keeps_only_its_id_and_creation_time() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    one(&list, until(with_text(block(7, OUT), "old", "old"), time(4_000_000_000_000)));
    let old = entry(&list, 7);
    let id = list.public_id(subject(7));
    one(&list, unblock(7, OUT));
    one(&list, block(7, IN));
    let new = entry(&list, 7);
    assert_eq!(list.public_id(subject(7)), id);
    assert_eq!(new.created, old.created);
    let hold = new.holds.lead();
    assert_eq!((new.directions, &hold.reason, new.display, hold.expires), (IN, &None, None, None));
    assert_eq!((new.deactivated, &hold.lifted_by), (None, &None));
}

#[test]
fn blocking_again_updates_the_given_fields() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    one(&list, with_text(block(7, OUT), "why", "form"));
    assert_eq!(one(&list, block(7, OUT)), Outcome::Already);
    assert_eq!(entry(&list, 7).sequence, Seq::new(1));
    assert_eq!(one(&list, until(block(7, OUT), time(4_000_000_000_000))), Outcome::Updated);
    let updated = entry(&list, 7);
    assert_eq!(updated.sequence, Seq::new(2));
    assert_eq!(updated.expires(), Some(time(4_000_000_000_000)));
    assert_eq!(updated.holds.lead().reason.as_ref().map(Reason::as_str), Some("why"));
    assert_eq!(one(&list, with_text(block(7, OUT), "why now", "form")), Outcome::Updated);
    let updated = entry(&list, 7);
    assert_eq!(updated.expires(), None, "the latest block has no expiry");
    assert_eq!(updated.holds.lead().reason.as_ref().map(Reason::as_str), Some("why now"));
}

#[test]
fn times_are_truncated_to_milliseconds_once() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let end = Timestamp::new(4_000_000_000, 123_456_789).unwrap();
    one(&list, until(block(7, OUT), end));
    assert_eq!(entry(&list, 7).expires(), Some(time(4_000_000_000_123)));
    assert_eq!(one(&list, until(block(7, OUT), end)), Outcome::Already);
}

#[test]
fn a_subject_may_appear_twice_in_a_call() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let written =
        list.write(vec![block(7, OUT), block(3, IN), unblock(7, OUT), block(7, IN), block(3, IN)]).unwrap();
    let outcomes: Vec<_> = written.iter().map(|written| written.outcome).collect();
    use Outcome::{Added, Already, Reactivated, Removed};
    assert_eq!(outcomes, [Added, Added, Removed, Reactivated, Already]);
    assert_eq!((written[3].before, written[3].after), (Directions::NONE, IN));
    assert_eq!(list.count().unwrap(), 2);
    // A call gives an entry at most one sequence number.
    assert_eq!(list.sequence().unwrap(), Seq::new(2));
    assert_eq!(written[0].sequence, entry(&list, 7).sequence);
    assert_eq!(written[4].sequence, entry(&list, 3).sequence);
}

#[test]
fn a_call_is_atomic() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let refused = list.write(vec![block(7, OUT), block(8, Directions::NONE)]);
    assert!(matches!(refused, Err(LedgerError::NoDirections)));
    assert_eq!(list.get(subject(7)).unwrap(), None);
    assert_eq!(list.write(Vec::new()).unwrap(), []);
    assert_eq!(list.sequence().unwrap(), Seq::START);
}

#[test]
fn pages_list_all_entries_in_order() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.write((0..5).map(|value| block(value * 10, OUT)).collect()).unwrap();
    one(&list, unblock(20, OUT));
    let page = |after: Option<u64>, most, filter| {
        let page = list
            .page(after.map_or(Paging::Start, |after| Paging::After(subject(after))), limit(most), filter)
            .unwrap();
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
fn pages_can_be_skipped_and_read_backwards() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.write((0..5).map(|value| block(value * 10, OUT)).collect()).unwrap();
    let page = |from, most| {
        let page = list.subjects(from, limit(most), StatusFilter::Active).unwrap();
        (page.entries.iter().map(|subject| subject.get()).collect::<Vec<u64>>(), page.more)
    };
    assert_eq!(page(Paging::Skip(0), 2), (vec![0, 10], true));
    assert_eq!(page(Paging::Skip(3), 2), (vec![30, 40], false));
    assert_eq!(page(Paging::Skip(5), 2), (vec![], false));
    assert_eq!(page(Paging::Skip(u64::MAX), 2), (vec![], false));
    assert_eq!(page(Paging::Before(subject(40)), 2), (vec![20, 30], true));
    assert_eq!(page(Paging::Before(subject(25)), 9), (vec![0, 10, 20], false));
    assert_eq!(page(Paging::Before(subject(0)), 9), (vec![], false));
}

#[test]
fn a_filter_treats_entries_with_fewer_directions_as_inactive() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.write(vec![block(1, IN), block(2, OUT), block(3, BOTH), block(4, BOTH), block(5, BOTH)]).unwrap();
    list.write(vec![unblock(4, OUT), unblock(5, BOTH)]).unwrap();
    let seen = |status, covering| {
        let page = list.subjects(Paging::Start, limit(9), Filter { status, covering }).unwrap();
        page.entries.iter().map(|subject| subject.get()).collect::<Vec<u64>>()
    };
    assert_eq!(seen(StatusFilter::Active, OUT), [2, 3]);
    assert_eq!(seen(StatusFilter::Inactive, OUT), [4, 5], "the first was never blocked outbound");
    assert_eq!(seen(StatusFilter::All, OUT), [2, 3, 4, 5]);
    assert_eq!(seen(StatusFilter::Active, IN), [1, 3, 4]);
    assert_eq!(seen(StatusFilter::Active, BOTH), [3]);
    assert_eq!(seen(StatusFilter::Inactive, BOTH), [4, 5]);
    assert_eq!(seen(StatusFilter::Active, Directions::NONE), [1, 2, 3, 4]);
    assert_eq!(seen(StatusFilter::Inactive, Directions::NONE), [5]);
}

#[test]
fn lifting_one_hold_keeps_the_other() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    assert_eq!(one(&list, with_text(block(7, OUT), "rude", "073")), Outcome::Added);
    assert_eq!(one(&list, opt_out(block(7, OUT))), Outcome::Updated);
    assert_eq!(one(&list, opt_out(block(7, OUT))), Outcome::Already);
    assert_eq!(one(&list, of_operator(unblock(7, BOTH))), Outcome::Lifted);
    assert_eq!(one(&list, of_operator(unblock(7, BOTH))), Outcome::Held);
    let held = entry(&list, 7);
    assert_eq!((held.directions, held.status()), (OUT, Status::Active));
    assert_eq!(held.holds.lead().kind, HoldKind::OptOut);
    assert_eq!(held.holds.lead().label, Some(Label::new("UNSUBSCRIBE").unwrap()));
    assert_eq!(held.holds.get(HoldKind::Operator).unwrap().lifted_by, Some(actor("help desk")));
    assert_eq!(list.members(None, limit(9)).unwrap(), [(subject(7), OUT)]);
    assert_eq!(one(&list, opt_out(unblock(7, BOTH))), Outcome::Removed);
    assert_eq!(one(&list, of_operator(unblock(7, BOTH))), Outcome::Absent);
    assert_eq!(one(&list, block(7, IN)), Outcome::Reactivated);
    assert_eq!(entry(&list, 7).holds.lead().kind, HoldKind::Operator);

    // Each expires by itself.
    one(&list, until(block(7, IN), time(1_000)));
    one(&list, until(opt_out(block(7, OUT)), time(1_100)));
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(1_000)));
    assert_eq!(ledger.expire_due(time(1_000)).unwrap()[0].count, 1);
    assert_eq!(entry(&list, 7).directions, OUT);
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(1_100)));
    assert_eq!(ledger.expire_due(time(1_100)).unwrap()[0].count, 1);
    assert_eq!((entry(&list, 7).status(), ledger.next_expiry().unwrap()), (Status::Inactive, None));
    assert_eq!(list.count().unwrap(), 0);
}

#[test]
fn an_unblock_can_require_that_entries_cover_certain_directions() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.write(vec![block(1, OUT), block(2, BOTH)]).unwrap();
    let of_both = |value| of_unblock(unblock(value, BOTH), |unblock| unblock.covering = BOTH);
    assert_eq!(one(&list, of_both(1)), Outcome::Absent);
    assert_eq!(one(&list, of_both(2)), Outcome::Removed);
    assert_eq!(list.members(None, limit(9)).unwrap(), [(subject(1), OUT)]);
}

#[test]
fn visits_are_stored_and_pruned() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.keep_visits(&[(subject(1), time(1000)), (subject(2), time(2000))], time(0)).unwrap();
    list.keep_visits(&[(subject(1), time(3000))], time(0)).unwrap();
    assert_eq!(list.visits(time(0)).unwrap(), [(subject(1), time(3000)), (subject(2), time(2000))]);
    assert_eq!(list.visits(time(2001)).unwrap(), [(subject(1), time(3000))]);
    list.keep_visits(&[], time(2001)).unwrap();
    assert_eq!(list.visits(time(0)).unwrap(), [(subject(1), time(3000))]);
    assert_eq!(list.visit(subject(1)).unwrap(), Some(time(3000)));
    assert_eq!(list.visit(subject(2)).unwrap(), None);
}

#[test]
fn an_earlier_visit_does_not_hide_a_later_one() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.keep_visits(&[(subject(1), time(3000))], time(0)).unwrap();
    list.keep_visits(&[(subject(1), time(1000))], time(0)).unwrap();
    assert_eq!(list.visit(subject(1)).unwrap(), Some(time(3000)));
    list.keep_visits(&[(subject(2), time(2000)), (subject(2), time(1000))], time(0)).unwrap();
    assert_eq!(list.visit(subject(2)).unwrap(), Some(time(2000)));
}

#[test]
fn a_marketing_hold_is_recorded_and_blocks_nothing() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let marketing = |write| of_block(opt_out(write), |block| block.hold = HoldKind::Marketing);
    assert_eq!(one(&list, marketing(block(7, OUT))), Outcome::Added);
    let held = entry(&list, 7);
    assert_eq!(
        (held.directions, held.status(), list.count().unwrap()),
        (Directions::NONE, Status::Inactive, 0)
    );
    assert_eq!(held.holds.get(HoldKind::Marketing).unwrap().directions, OUT);
    assert_eq!(list.members(None, limit(9)).unwrap(), []);
    assert_eq!(one(&list, block(7, IN)), Outcome::Reactivated);
    assert_eq!(one(&list, of_operator(unblock(7, BOTH))), Outcome::Removed);
    assert_eq!(entry(&list, 7).holds.get(HoldKind::Marketing).unwrap().directions, OUT);
}

#[test]
fn a_list_has_at_most_its_maximum_number_of_entries() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let outcomes = |writes| {
        let written = list.write_up_to(2, writes).unwrap();
        written.iter().map(|written| written.outcome).collect::<Vec<_>>()
    };
    use Outcome::{Added, Full, Reactivated, Removed, Widened};
    assert_eq!(outcomes(vec![block(1, OUT), block(2, OUT), block(3, OUT)]), [Added, Added, Full]);
    assert_eq!(list.get(subject(3)).unwrap(), None);
    assert_eq!(outcomes(vec![block(2, BOTH), block(3, OUT)]), [Widened, Full]);
    assert_eq!(outcomes(vec![unblock(1, BOTH), block(3, OUT), block(1, OUT)]), [Removed, Added, Full]);
    assert_eq!(outcomes(vec![unblock(3, BOTH), block(1, OUT)]), [Removed, Reactivated]);
    assert_eq!(list.count().unwrap(), 2);
}

#[test]
fn the_trail_has_each_change_with_before_and_after() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let there = actor("crm").at("192.0.2.7".parse().unwrap()).through("sinch").unwrap();
    let from_there = |write| of_block(with_text(write, "rude", "073"), |block| block.actor = there.clone());
    list.write(vec![from_there(block(7, BOTH)), block(8, OUT), opt_out(block(7, OUT))]).unwrap();
    list.write(vec![block(8, OUT), of_operator(unblock(7, IN))]).unwrap();
    one(&list, until(block(8, OUT), time(100)));
    ledger.expire_due(time(200)).unwrap();

    let trail = list.trail(None, limit(99)).unwrap();
    assert_eq!(trail.older, None);
    let recorded: Vec<_> = (trail.records.iter())
        .map(|record| (record.subject.get(), record.sequence.get(), record.outcome, record.blocked_after()))
        .collect();
    use Outcome::{Added, Narrowed, Removed, Updated};
    let none = Directions::NONE;
    assert_eq!(
        recorded,
        [
            (8, 5, Removed, none),
            (8, 4, Updated, OUT),
            (7, 3, Narrowed, OUT),
            (8, 2, Added, OUT),
            (7, 1, Updated, BOTH),
            (7, 1, Added, BOTH)
        ]
    );
    let first = trail.records.last().unwrap();
    assert_eq!(
        (&first.actor, first.source, first.hold),
        (&there, Some(Source::Api), Some(HoldKind::Operator))
    );
    assert_eq!(first.reason.as_ref().map(Reason::as_str), Some("rude"));
    assert_eq!(first.display.as_ref().map(DisplayForm::as_str), Some("073"));
    assert_eq!((first.previous, first.blocked_before()), (Seq::START, none));
    let ended = &trail.records[0];
    assert_eq!((&ended.actor, ended.at, ended.previous), (&Actor::expiry(), time(200), Seq::new(4)));
    assert_eq!(trail.records[1].expires, Some(time(100)));

    // Records with the same sequence number are not split.
    let part = list.trail(Some(Seq::new(3)), limit(1)).unwrap();
    assert_eq!((part.records.len(), part.older), (1, Some(Seq::new(2))));
    let part = list.trail(part.older, limit(1)).unwrap();
    assert_eq!(part.records.len(), 2);

    let history = list.history(&[subject(7)], None, limit(99)).unwrap();
    assert_eq!(history.records, [&trail.records[2], &trail.records[4], &trail.records[5]].map(Clone::clone));
    assert_eq!(history.older, None);
    let part = list.history(&[subject(8)], None, limit(1)).unwrap();
    assert_eq!((part.records.len(), part.older), (1, Some(Seq::new(5))));
    let part = list.history(&[subject(8)], part.older, limit(9)).unwrap();
    assert_eq!((part.records.len(), part.older), (2, None));
    assert_eq!(list.history(&[subject(9)], None, limit(9)).unwrap().records, []);
}

#[test]
fn a_person_without_a_number_has_a_permanent_subject() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let acme = list(&ledger);
    let user: UserId = "US.13491208655302741918".parse().unwrap();
    assert_eq!(acme.person_of_user(&user).unwrap(), None);
    let person = acme.ensure_person_of_user(&user).unwrap();
    assert_eq!(acme.ensure_person_of_user(&user).unwrap(), person);
    let wide = ledger.list(&tenant("acme"), Scope::Tenant).unwrap();
    assert_eq!(wide.person_of_user(&user).unwrap(), Some(person));
    let another = acme.ensure_person_of_user(&"US.13491208655302741919".parse().unwrap()).unwrap();
    assert_ne!(another, person);
    let other = ledger.list(&tenant("other"), sender("bot")).unwrap();
    assert_eq!(other.person_of_user(&user).unwrap(), None);
    assert_ne!(other.ensure_person_of_user(&user).unwrap(), person);
    drop((acme, wide, other, ledger));
    let ledger = dir.ledger();
    let acme = list(&ledger);
    assert_eq!(acme.person_of_user(&user).unwrap(), Some(person));
    let Revealed::Reserved(id) = acme.keys().permutation().reveal(person.first()) else {
        panic!("it is not a number's subject")
    };
    assert_eq!(acme.user_of(id).unwrap(), Some(user));
    assert_eq!(acme.user_of(ReservedId::new(99).unwrap()).unwrap(), None);
    let bytes = dir.bytes();
    assert!(!bytes.windows(20).any(|part| part == b"13491208655302741918"));
}

#[test]
fn the_smallest_and_largest_subjects_work() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let (first, last) = (0, (1 << 50) - 1);
    list.write(vec![block(last, OUT), block(first, IN)]).unwrap();
    assert_eq!(list.members(None, limit(9)).unwrap(), [(subject(first), IN), (subject(last), OUT)]);
    assert_eq!(list.members(Some(subject(last)), limit(9)).unwrap(), []);
}

#[test]
fn the_feed_has_each_entry_once_in_the_order_of_latest_changes() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
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
fn holds_expire() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
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
    let hold = ended.holds.lead();
    assert_eq!((&hold.actor, &hold.lifted_by), (&actor("crm"), &Some(Actor::expiry())));
    assert_eq!((ended.deactivated, ended.updated), (Some(time(150)), time(150)));
    assert_eq!(hold.reason.as_ref().map(Reason::as_str), Some("why"));
    assert_eq!(ended.sequence, Seq::new(3));
    assert_eq!((list.count().unwrap(), wide.count().unwrap(), other.count().unwrap()), (1, 0, 1));
    assert_eq!(list.changes_since(Seq::new(2), limit(9)).unwrap().changes[0].directions, Directions::NONE);
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(200)));
    one(&list, unblock(2, BOTH));
    assert_eq!(ledger.next_expiry().unwrap(), None);
}

#[test]
fn a_great_many_holds_expire_in_batches() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    list.write((0..600).map(|value| until(block(value, OUT), time(100))).collect()).unwrap();
    assert_eq!(ledger.expire_due(time(100)).unwrap()[0].count, 500);
    assert_eq!(list.count().unwrap(), 100);
    assert_eq!(ledger.next_expiry().unwrap(), Some(time(100)));
    assert_eq!(ledger.expire_due(time(100)).unwrap()[0].count, 100);
    assert_eq!(list.count().unwrap(), 0);
}

#[test]
fn public_ids_are_specific_to_a_list_and_reversible() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
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
    assert_eq!(list(&dir.ledger()).public_id(subject(7)), ids[0], "also after a restart");
}
