//! Persons with several variants and ids, whose requests arrive in any order.

use jiff::Timestamp;
use portcullis_ledger::{
    Block, HoldKind, Ledger, Link, List, Outcome, Scope, Source, Unblock, UserId, Whom, Write,
};
use portcullis_msisdn::{Directions, Msisdn, Subject};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::fixture::{actor, cases, limit, list, of_block, of_unblock, sender, tenant, time};
use crate::ledger_dir::LedgerDir;

const OUT: Directions = Directions::OUTBOUND;

fn number(list: &List, number: u64) -> Subject {
    list.keys().permutation().subject(Msisdn::try_from(number).unwrap())
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn stop(whom: impl Into<Whom>, second: i64) -> Write {
    Block {
        hold: HoldKind::OptOut,
        source: Source::OptOut,
        requested: Some(time(second * 1000)),
        ..Block::new(whom, OUT, actor("person"))
    }
    .into()
}

fn start(whom: impl Into<Whom>, second: i64) -> Write {
    Unblock {
        hold: Some(HoldKind::OptOut),
        requested: Some(time(second * 1000)),
        ..Unblock::new(whom, Directions::BOTH, actor("person"))
    }
    .into()
}

fn link(number: Option<Subject>, users: &[&str]) -> Link {
    Link {
        number,
        users: users.iter().map(|id| user(id)).collect(),
        left: None,
        at: None,
        actor: actor("person"),
    }
}

fn outcomes(list: &List, writes: Vec<Write>) -> Vec<Outcome> {
    list.write(writes).unwrap().iter().map(|written| written.outcome).collect()
}

/// Whether a person is blocked, as a check would find out.
fn is_blocked(list: &List, whom: &Whom) -> bool {
    let person = match whom {
        Whom::Subject(subject) => list.keys().permutation().person_of(*subject),
        Whom::User(user) => match list.person_of_user(user).unwrap() {
            Some(person) => person,
            None => return false,
        },
    };
    list.directions(&person)
        .unwrap()
        .iter()
        .any(|directions| directions.covers(portcullis_msisdn::Direction::Outbound))
}

#[test]
fn a_person_has_one_entry_whichever_variant_is_written() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let (with_one, without) = (number(&list, 5_215_512_345_678), number(&list, 525_512_345_678));
    use Outcome::{Absent, Added, Already, Removed, Widened};
    let block = |subject, directions| Write::from(Block::new(subject, directions, actor("crm")));
    let unblock = |subject| Write::from(Unblock::new(subject, Directions::BOTH, actor("crm")));
    let writes = vec![block(with_one, OUT), block(without, OUT), block(without, Directions::BOTH)];
    assert_eq!(outcomes(&list, writes), [Added, Already, Widened]);
    assert_eq!(list.members(None, limit(9)).unwrap(), [(with_one, Directions::BOTH)]);
    assert_eq!(outcomes(&list, vec![unblock(without), unblock(with_one)]), [Removed, Absent]);
    assert_eq!(list.count().unwrap(), 0);
}

#[test]
fn a_block_applies_to_a_number_and_its_ids_both_ways() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let wide = ledger.list(&tenant("acme"), Scope::Tenant).unwrap();
    let phone = number(&list, 46_732_001_122);
    let (id, parent) = (Whom::User(user("US.1")), Whom::User(user("US.ENT.1")));
    // The business blocks the id before the number is known, in two lists.
    list.write(vec![Block::new(id.clone(), OUT, actor("crm")).into()]).unwrap();
    wide.write(vec![Block::new(parent.clone(), OUT, actor("crm")).into()]).unwrap();
    assert!(is_blocked(&list, &id) && !is_blocked(&list, &phone.into()) && !is_blocked(&wide, &phone.into()));
    let linked = list.link(link(Some(phone), &["US.1", "US.ENT.1"])).unwrap();
    assert_eq!(linked.changed, [Scope::Tenant, sender("bot")]);
    assert_eq!(list.link(link(Some(phone), &["US.1"])).unwrap().changed, [], "already known");
    for list in [&list, &wide] {
        assert!(is_blocked(list, &id) && is_blocked(list, &parent) && is_blocked(list, &phone.into()));
        assert_eq!(list.members(None, limit(9)).unwrap(), [(phone, OUT)], "the entry is the number's");
    }
    // Unblocking the number unblocks the ids, and blocking an id blocks the number.
    list.write(vec![Unblock::new(phone, Directions::BOTH, actor("crm")).into()]).unwrap();
    assert!(!is_blocked(&list, &id) && !is_blocked(&list, &phone.into()));
    list.write(vec![Block::new(parent, OUT, actor("crm")).into()]).unwrap();
    assert!(is_blocked(&list, &id) && is_blocked(&list, &phone.into()));
}

#[test]
fn a_person_who_changes_numbers_keeps_all_holds() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let (old, new) = (number(&list, 16_505_551_234), number(&list, 12_025_550_173));
    list.link(link(Some(old), &["US.1"])).unwrap();
    list.write(vec![stop(old, 100), Block::new(old, Directions::BOTH, actor("crm")).into()]).unwrap();
    let moved = Link { left: Some(old), ..link(Some(new), &["US.2"]) };
    assert_eq!(list.link(moved).unwrap().changed.len(), 1);
    let entry = &list.find(&list.person_of(new).unwrap()).unwrap()[0];
    let kinds: Vec<_> = entry.holds.iter().map(|hold| hold.kind).collect();
    assert_eq!(kinds, [HoldKind::OptOut, HoldKind::Operator]);
    assert_eq!(entry.holds.get(HoldKind::OptOut).unwrap().requested, time(100_000));
    for id in ["US.1", "US.2"] {
        assert_eq!(list.person_of_user(&user(id)).unwrap().unwrap().first(), new, "{id}");
    }
    assert!(is_blocked(&list, &old.into()), "the old number has no new owner yet");
}

fn moved(left: Subject, number: Subject, second: i64) -> Link {
    Link { left: Some(left), at: Some(time(second * 1000)), ..link(Some(number), &[]) }
}

fn at(second: i64, link: Link) -> Link {
    Link { at: Some(time(second * 1000)), ..link }
}

/// A time after those of the writes.
const LATER: i64 = 3_000_000_000;

/// When the hold of a number expires.
fn end(list: &List, number: Subject, kind: HoldKind) -> Option<Timestamp> {
    let entry = list.find(&list.person_of(number).unwrap()).unwrap().remove(0);
    let hold = entry.holds.get(kind).unwrap();
    assert!(!hold.directions.is_none());
    hold.expires
}

#[test]
fn of_two_linked_holds_the_later_expiry_or_none_applies() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let soon = time(4_000_000_000_000);
    let for_ever = |whom: Whom| Write::from(Block::new(whom, OUT, actor("crm")));
    let for_a_time =
        |whom: Whom| Write::from(Block { expires: Some(soon), ..Block::new(whom, OUT, actor("crm")) });
    let phones: Vec<Subject> = (1..=6).map(|n| number(&list, 46_732_001_120 + n)).collect();
    let users = ["SE.1", "SE.2", "SE.3"].map(|id| Whom::User(user(id)));
    // Whichever of the two blocks has no expiry.
    list.write(vec![for_ever(phones[0].into()), for_a_time(users[0].clone())]).unwrap();
    list.write(vec![for_a_time(phones[1].into()), for_ever(users[1].clone())]).unwrap();
    list.link(link(Some(phones[0]), &["SE.1"])).unwrap();
    list.link(link(Some(phones[1]), &["SE.2"])).unwrap();
    // A person's own requests, of which the older one has no expiry.
    let Write::Block(stop_for_a_time) = stop(users[2].clone(), 200) else { unreachable!() };
    let stop_for_a_time = Block { expires: Some(soon), ..stop_for_a_time };
    list.write(vec![stop(phones[2], 100), stop_for_a_time.into()]).unwrap();
    list.link(link(Some(phones[2]), &["SE.3"])).unwrap();
    // A number given up for one that is already blocked.
    list.write(vec![for_a_time(phones[3].into()), for_ever(phones[4].into())]).unwrap();
    list.link(moved(phones[3], phones[4], 300)).unwrap();
    for (phone, kind) in [
        (phones[0], HoldKind::Operator),
        (phones[1], HoldKind::Operator),
        (phones[2], HoldKind::OptOut),
        (phones[4], HoldKind::Operator),
    ] {
        assert_eq!(end(&list, phone, kind), None);
    }
    assert_eq!(end(&list, phones[3], HoldKind::Operator), Some(soon), "the number that was given up");
    // Of two expiries, the later one.
    let later = Block { expires: Some(time(5_000_000_000_000)), ..Block::new(phones[5], OUT, actor("crm")) };
    list.write(vec![later.into()]).unwrap();
    list.link(moved(phones[3], phones[5], 301)).unwrap();
    assert_eq!(end(&list, phones[5], HoldKind::Operator), Some(time(5_000_000_000_000)));
}

#[test]
fn an_expired_request_lifts_no_other_hold() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let phone = number(&list, 46_732_001_122);
    let Write::Block(brief) = stop(Whom::User(user("SE.1")), 200) else { unreachable!() };
    list.write(vec![stop(phone, 100), Block { expires: Some(time(1)), ..brief }.into()]).unwrap();
    ledger.expire_due(time(2)).unwrap();
    assert!(!is_blocked(&list, &Whom::User(user("SE.1"))));
    list.link(link(Some(phone), &["SE.1"])).unwrap();
    assert!(is_blocked(&list, &phone.into()));
}

#[test]
fn a_carried_hold_keeps_its_author_and_history() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = number(&list, 46_732_001_122);
    list.write(vec![Block::new(Whom::User(user("SE.1")), OUT, actor("kaleyra")).into()]).unwrap();
    list.link(link(Some(phone), &["SE.1"])).unwrap();
    let person = list.person_of(phone).unwrap();
    let entry = &list.find(&person).unwrap()[0];
    assert_eq!(entry.holds.get(HoldKind::Operator).unwrap().actor, actor("kaleyra"));
    let history = list.history(&person, None, limit(9)).unwrap().records;
    let outcomes: Vec<Outcome> = history.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    assert_eq!(outcomes.last(), Some(&Outcome::Added));
}

#[test]
fn a_late_message_does_not_return_a_person_to_their_old_number() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let (old, new) = (number(&list, 16_505_551_234), number(&list, 12_025_550_173));
    let home = |id: &str| list.person_of_user(&user(id)).unwrap().unwrap().first();
    let message = at(100, link(Some(old), &["US.1"]));
    list.link(message.clone()).unwrap();
    list.link(Link { users: vec![user("US.1")], ..moved(old, new, 200) }).unwrap();
    assert_eq!(home("US.1"), new);
    list.link(message.clone()).unwrap();
    list.link(Link { at: None, ..message }).unwrap();
    list.link(at(200, link(Some(old), &["US.1"]))).unwrap();
    assert_eq!(home("US.1"), new);
    // Nor does an earlier message that mentions an id for the first time.
    list.link(at(150, link(Some(old), &["US.2"]))).unwrap();
    assert_eq!(home("US.2"), new);
    // The number's later owner is someone else.
    list.link(at(300, link(Some(old), &["US.3"]))).unwrap();
    assert_eq!(home("US.3"), old);
    // A person who writes from yet another number has that one.
    let other = number(&list, 12_025_550_174);
    list.link(at(400, link(Some(other), &["US.1"]))).unwrap();
    assert_eq!(home("US.1"), other);
}

#[test]
fn a_change_of_number_applies_once_and_also_to_late_requests() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phones: Vec<Subject> = (0..4).map(|n| number(&list, 46_732_001_120 + n)).collect();
    let block = |phone: Subject| Write::from(Block::new(phone, OUT, actor("crm")));
    list.write(vec![block(phones[0])]).unwrap();
    // The later change of number is learned first.
    list.link(moved(phones[1], phones[2], LATER + 300)).unwrap();
    list.link(moved(phones[0], phones[1], LATER + 200)).unwrap();
    assert!(is_blocked(&list, &phones[1].into()) && is_blocked(&list, &phones[2].into()));
    // A hold lifted since stays lifted, however often the message arrives.
    list.write(vec![Unblock::new(phones[2], Directions::BOTH, actor("crm")).into()]).unwrap();
    for again in
        [moved(phones[0], phones[1], LATER + 200), Link { at: None, ..moved(phones[0], phones[1], LATER) }]
    {
        assert_eq!(list.link(again).unwrap().changed, []);
    }
    assert!(!is_blocked(&list, &phones[2].into()));
    // A request made before the change is that of the old owner, one made afterwards that of the new owner.
    list.write(vec![stop(phones[0], LATER + 100)]).unwrap();
    assert!(is_blocked(&list, &phones[1].into()) && is_blocked(&list, &phones[2].into()));
    list.write(vec![stop(phones[1], LATER + 250), start(phones[0], LATER + 199), stop(phones[3], 301)])
        .unwrap();
    assert!(is_blocked(&list, &phones[2].into()));
    // Without a date, as one of a time to come would not be believed.
    let start = Unblock {
        hold: Some(HoldKind::OptOut),
        ..Unblock::new(phones[2], Directions::BOTH, actor("person"))
    };
    list.write(vec![start.into()]).unwrap();
    list.write(vec![stop(phones[0], LATER + 500)]).unwrap();
    assert!(!is_blocked(&list, &phones[2].into()));
    // Back to the earlier number.
    list.link(moved(phones[2], phones[1], LATER + 600)).unwrap();
    list.link(at(LATER + 350, link(Some(phones[1]), &["SE.9"]))).unwrap();
    list.link(at(LATER + 250, link(Some(phones[1]), &["SE.8"]))).unwrap();
    for id in ["SE.8", "SE.9"] {
        assert_eq!(list.person_of_user(&user(id)).unwrap().unwrap().first(), phones[1], "{id}");
    }
}

#[test]
fn an_opt_out_of_a_time_to_come_follows_a_change_of_number() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = |n: u64| number(&list, 46_732_001_220 + n);
    for (n, requested, follows) in [(0, 100, true), (2, 300, false), (4, LATER, true)] {
        list.write(vec![stop(phone(n), requested)]).unwrap();
        list.link(moved(phone(n), phone(n + 1), 200)).unwrap();
        assert_eq!(is_blocked(&list, &phone(n + 1).into()), follows, "{requested}");
    }
}

#[test]
fn requests_of_a_numbers_next_owner_do_not_follow_the_previous_one() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = |n: u64| number(&list, 46_732_001_000 + n);
    // In every order in which the change and both owners' requests may arrive.
    let orders: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (person, order) in (0..).step_by(10).zip(orders) {
        let (stopped, taken) = (phone(person), phone(person + 1));
        for event in order {
            match event {
                0 => drop(list.write(vec![stop(stopped, 100)]).unwrap()),
                1 => drop(list.write(vec![start(stopped, 300)]).unwrap()),
                _ => drop(list.link(moved(stopped, taken, 200)).unwrap()),
            }
        }
        assert!(is_blocked(&list, &taken.into()), "an opt-out from before the move, in the order {order:?}");
        assert!(!is_blocked(&list, &stopped.into()), "{order:?}");
        let (left, reached) = (phone(person + 2), phone(person + 3));
        for event in order {
            match event {
                0 => drop(list.write(vec![stop(left, 300)]).unwrap()),
                1 => drop(list.write(vec![start(left, 100)]).unwrap()),
                _ => drop(list.link(moved(left, reached, 200)).unwrap()),
            }
        }
        assert!(
            !is_blocked(&list, &reached.into()),
            "an opt-out from after the move, in the order {order:?}"
        );
        assert!(is_blocked(&list, &left.into()), "{order:?}");
    }
}

/// A moment after everything before, and before everything after. Not a whole second, with which others of that second have no order.
fn moment(ledger: &Ledger) -> Timestamp {
    let (before, mut now) = (ledger.now(), ledger.now());
    while now == before || now.subsec_millisecond() == 0 {
        now = ledger.now();
    }
    let after = now;
    while now == after {
        now = ledger.now();
    }
    after
}

/// The person gives up `left` for `number`. Returns what is blocked there.
fn gives_up(list: &List, left: Subject, number: Subject, second: i64) -> Directions {
    list.link(moved(left, number, second)).unwrap();
    let person = list.person_of(number).unwrap();
    list.directions(&person).unwrap().into_iter().fold(Directions::NONE, |all, one| all | one)
}

#[test]
fn an_opt_in_that_is_newer_than_the_one_on_record_follows_a_change_of_number() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = |n: u64| number(&list, 46_732_001_300 + n);
    // Of somebody who never opted out, and of somebody whose opt-out was lifted.
    for (n, first) in [(0, None), (2, Some(stop(phone(2), 90)))] {
        list.write(first.into_iter().chain([stop(phone(n + 1), 120), start(phone(n), 100)]).collect())
            .unwrap();
        assert_eq!(outcomes(&list, vec![start(phone(n), 150)]), [Outcome::Noted]);
        let record = &list.trail(None, limit(1)).unwrap().records[0];
        assert_eq!((record.outcome, record.requested), (Outcome::Noted, time(150_000)));
        assert_eq!(outcomes(&list, vec![start(phone(n), 150)]), [Outcome::Absent], "delivered again");
        list.write(vec![stop(phone(n), 300)]).unwrap();
        assert_eq!(gives_up(&list, phone(n), phone(n + 1), 200), Directions::NONE);
        assert!(is_blocked(&list, &phone(n).into()));
    }
}

#[test]
fn an_opt_out_that_is_repeated_without_a_date_follows_a_change_of_number() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let (old, new) = (number(&list, 46_732_001_310), number(&list, 46_732_001_311));
    let repeated = of_block(stop(old, 0), |block| block.requested = None);
    let lifted = of_unblock(start(old, 0), |unblock| unblock.requested = None);
    use Outcome::{Added, Already, Noted, Outdated, Removed, Updated};
    assert_eq!(outcomes(&list, vec![stop(old, 100), start(new, 400)]), [Added, Noted]);
    moment(&ledger);
    assert_eq!(outcomes(&list, vec![repeated]), [Already]);
    let record = &list.trail(None, limit(1)).unwrap().records[0];
    assert_eq!((record.outcome, record.requested), (Updated, record.at));
    let given_up = moment(&ledger);
    assert_eq!(outcomes(&list, vec![start(old, 500)]), [Outdated]);
    assert_eq!(outcomes(&list, vec![lifted]), [Removed]);
    list.link(Link { at: Some(given_up), ..moved(old, new, 0) }).unwrap();
    assert!(is_blocked(&list, &new.into()));
}

#[test]
fn what_several_opt_outs_came_to_follows_a_change_of_number() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = |n: u64| number(&list, 46_732_001_320 + n);
    let until = |phone, second, end: i64| {
        of_block(stop(phone, second), |block| block.expires = Some(time(end * 1000)))
    };
    // One does not end, although a later one would have.
    list.write(vec![stop(phone(0), 100), until(phone(0), 150, 160), start(phone(0), 300)]).unwrap();
    assert_eq!(gives_up(&list, phone(0), phone(1), 200), OUT);
    // Some of it was lifted before.
    let both = of_block(stop(phone(2), 100), |block| block.directions = Directions::BOTH);
    let outbound = of_unblock(start(phone(2), 150), |unblock| unblock.directions = OUT);
    list.write(vec![both, outbound, start(phone(2), 300)]).unwrap();
    assert_eq!(gives_up(&list, phone(2), phone(3), 200), Directions::INBOUND);
    // It withstood an opt-in, as nobody knows when it was made.
    list.write(vec![stop(phone(4), LATER), start(phone(4), 150), start(phone(4), 300)]).unwrap();
    let lifted = of_unblock(start(phone(4), 0), |unblock| unblock.requested = None);
    list.write(vec![lifted]).unwrap();
    assert_eq!(gives_up(&list, phone(4), phone(5), 200), OUT);
}

#[test]
fn an_expiry_set_by_others_does_not_shorten_an_opt_out() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = number(&list, 46_732_001_122);
    let until = |end: i64| {
        let Write::Block(block) = stop(phone, 200) else { unreachable!() };
        Write::from(Block { expires: Some(time(end)), ..block })
    };
    list.write(vec![until(4_000_000_000_000), until(3_000_000_000_000)]).unwrap();
    assert_eq!(end(&list, phone, HoldKind::OptOut), Some(time(4_000_000_000_000)));
    list.write(vec![stop(phone, 300), until(5_000_000_000_000)]).unwrap();
    assert_eq!(end(&list, phone, HoldKind::OptOut), None);
}

#[test]
fn of_two_requests_in_the_same_second_the_opt_out_wins() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let (one, other) = (number(&list, 46_732_001_122), number(&list, 46_732_001_123));
    list.write(vec![stop(one, 10), start(one, 10), start(other, 10), stop(other, 10)]).unwrap();
    list.write(vec![start(other, 10)]).unwrap();
    assert!(is_blocked(&list, &one.into()) && is_blocked(&list, &other.into()));
    // If both have a fraction of the second, it decides.
    let precise = |millisecond| {
        Write::from(Unblock {
            hold: Some(HoldKind::OptOut),
            requested: Some(time(millisecond)),
            ..Unblock::new(one, Directions::BOTH, actor("person"))
        })
    };
    let Write::Block(block) = stop(one, 0) else { unreachable!() };
    list.write(vec![Block { requested: Some(time(20_500)), ..block }.into(), precise(20_400)]).unwrap();
    assert!(is_blocked(&list, &one.into()));
    list.write(vec![precise(20_600)]).unwrap();
    assert!(!is_blocked(&list, &one.into()));
}

#[test]
fn an_id_replaces_an_earlier_one() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    list.write(vec![stop(Whom::User(user("US.old")), 100)]).unwrap();
    list.link(link(None, &["US.new", "US.old"])).unwrap();
    assert!(is_blocked(&list, &Whom::User(user("US.new"))));
    assert_eq!(list.count().unwrap(), 1);
    assert_eq!(outcomes(&list, vec![start(Whom::User(user("US.old")), 200)]), [Outcome::Removed]);
    assert!(!is_blocked(&list, &Whom::User(user("US.new"))));
}

#[test]
fn an_outdated_request_changes_nothing_but_is_recorded() {
    let dir = LedgerDir::new();
    let list = list(&dir.ledger());
    let phone = number(&list, 46_732_001_122);
    use Outcome::{Added, Already, Noted, Outdated, Removed};
    assert_eq!(outcomes(&list, vec![stop(phone, 540)]), [Added]);
    assert_eq!(outcomes(&list, vec![start(phone, 0), stop(phone, 540)]), [Outdated, Already]);
    assert!(is_blocked(&list, &phone.into()));
    let record = &list.trail(None, limit(1)).unwrap().records[0];
    assert_eq!((record.outcome, record.requested), (Outdated, time(0)));
    assert_eq!(outcomes(&list, vec![start(phone, 600), stop(phone, 599)]), [Removed, Outdated]);
    assert!(!is_blocked(&list, &phone.into()));
    // Also if there was nothing to lift when the newer one arrived.
    let other = number(&list, 46_732_001_123);
    assert_eq!(outcomes(&list, vec![start(other, 10), stop(other, 9)]), [Noted, Outdated]);
    assert_eq!(outcomes(&list, vec![stop(other, 11)]), [Outcome::Reactivated]);
    // For the business's own holds the latest write applies, whatever its request time.
    let operators = |requested| {
        let block = Block::new(phone, OUT, actor("crm"));
        Write::from(Block { requested: Some(time(requested)), ..block })
    };
    let lift = Write::from(Unblock::new(phone, Directions::BOTH, actor("crm")));
    assert_eq!(
        outcomes(&list, vec![operators(5), lift, operators(4)]),
        [Outcome::Reactivated, Removed, Outcome::Reactivated]
    );
}

/// An identity of the person.
#[derive(Clone, Copy, Debug)]
enum Alias {
    Number,
    OtherVariant,
    User,
    Parent,
    /// The number that the person gave up at [`LEFT_AT`].
    Left,
}

/// The person makes one request per second, starting at [`FIRST`]. The first ones are from before the change of number.
const LEFT_AT: i64 = FIRST + 4;
const FIRST: i64 = 1_700_000_000;

/// The person's current identities.
const ALIASES: [Alias; 4] = [Alias::Number, Alias::OtherVariant, Alias::User, Alias::Parent];

impl Alias {
    fn of(self, list: &List) -> Whom {
        match self {
            Alias::Number => number(list, 525_512_345_678).into(),
            Alias::OtherVariant => number(list, 5_215_512_345_678).into(),
            Alias::User => Whom::User(user("MX.1")),
            Alias::Parent => Whom::User(user("MX.ENT.1")),
            Alias::Left => left(list).into(),
        }
    }
}

fn left(list: &List) -> Subject {
    number(list, 16_505_551_234)
}

#[derive(Clone, Debug)]
enum Event {
    /// The person opts out, or in again, at this second.
    Request {
        stops: bool,
        second: i64,
        alias: Alias,
    },
    /// The new owner of the old number opts out or in, after that.
    Stranger {
        stops: bool,
        second: i64,
    },
    /// Two identities are linked, or the person gives up a number.
    Link(usize),
    Reopen,
}

/// Requests with different times, each of which arrives once or more, and in between everything that links the identities.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let requests = vec((any::<bool>(), any::<Index>(), 1..3_usize), 1..8).prop_map(|requests| {
        let all = requests.into_iter().enumerate().flat_map(|(n, (stops, alias, times))| {
            let second = FIRST + i64::try_from(n).unwrap();
            let left = (second < LEFT_AT).then_some(Alias::Left);
            // Until the change of number is known, the id refers to the old number, which may have a new owner.
            let sure = if second < LEFT_AT { &ALIASES[..] } else { &ALIASES[..2] };
            let names: Vec<Alias> = sure.iter().copied().chain(left).collect();
            let alias = *alias.get(&names);
            std::iter::repeat_n(Event::Request { stops, second, alias }, times)
        });
        all.collect::<Vec<_>>()
    });
    let strangers = vec(any::<bool>(), 0..3).prop_map(|requests| {
        let requests = (LEFT_AT + 1..).zip(requests);
        // An opt-out from before the person is seen elsewhere may be the person's own.
        let second = |(second, stops)| Event::Stranger { stops, second: second + if stops { 2 } else { 0 } };
        requests.map(second).collect::<Vec<_>>()
    });
    (requests, subsequence(vec![0, 1, 2], 2..=3), vec(3..6_usize, 0..3), strangers, any::<bool>())
        .prop_map(|(requests, links, more, strangers, reopens)| {
            let reopen = reopens.then_some(Event::Reopen);
            // The change of number, and late messages from before it, any number of times.
            let links = links.into_iter().chain([3]).chain(more).map(Event::Link);
            requests.into_iter().chain(links).chain(strangers).chain(reopen).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn link_of(list: &List, n: usize) -> Link {
    let number = Some(number(list, 5_215_512_345_678));
    match n {
        0 => at(LEFT_AT + 1, link(number, &["MX.1"])),
        1 => link(None, &["MX.1", "MX.ENT.1"]),
        2 => at(LEFT_AT + 2, link(number, &["MX.ENT.1"])),
        3 => Link { left: Some(left(list)), ..at(LEFT_AT, link(number, &[])) },
        4 => at(LEFT_AT - 1, link(Some(left(list)), &["MX.1"])),
        _ => at(LEFT_AT - 2, link(Some(left(list)), &["MX.ENT.1"])),
    }
}

fn lists(ledger: &Ledger) -> List {
    ledger.list(&tenant("acme"), sender("bot")).unwrap()
}

proptest! {
    #![proptest_config(cases(150))]

    /// Any two of the three links make all identities one person.
    #[test]
    fn the_newest_request_applies_to_every_identity_in_any_order_of_arrival(events in events()) {
        let dir = LedgerDir::new();
        let mut ledger = dir.ledger();
        let mut list = lists(&ledger);
        for event in &events {
            match event {
                Event::Request { stops: true, second, alias } => {
                    list.write(vec![stop(alias.of(&list), *second)]).unwrap();
                }
                Event::Request { stops: false, second, alias } => {
                    list.write(vec![start(alias.of(&list), *second)]).unwrap();
                }
                Event::Stranger { stops, second } => {
                    let wish = if *stops { stop } else { start };
                    list.write(vec![wish(left(&list), *second)]).unwrap();
                }
                Event::Link(n) => drop(list.link(link_of(&list, *n)).unwrap()),
                Event::Reopen => {
                    drop((list, ledger));
                    ledger = dir.ledger();
                    list = lists(&ledger);
                }
            }
        }
        let newest = events.iter().filter_map(|event| match event {
            Event::Request { stops, second, .. } => Some((*second, *stops)),
            _ => None,
        });
        let (_, is_out) = newest.max().unwrap();
        for alias in ALIASES {
            prop_assert_eq!(is_blocked(&list, &alias.of(&list)), is_out, "{:?}", alias);
        }
        let left = is_blocked(&list, &Alias::Left.of(&list));
        prop_assert_eq!(list.count().unwrap(), u64::from(is_out) + u64::from(left));
    }

    /// What follows a person who gives up a number is what they had asked for by then, as if its next owner had asked for nothing.
    #[test]
    fn requests_after_a_change_of_number_change_nothing_of_what_follows(
        known in (any::<bool>(), 0..8_i64),
        requests in vec(asked(), 1..9),
        split in 0..9_usize,
    ) {
        let dir = LedgerDir::new();
        let ledger = dir.ledger();
        let list = lists(&ledger);
        let phone = |n: u64| number(&list, 46_732_001_400 + n);
        // One number with all requests, and one with those of its first owner.
        let (all, own) = ((phone(0), phone(1)), (phone(2), phone(3)));
        let wish = if known.0 { stop } else { start };
        list.write(vec![wish(all.1, FIRST + known.1), wish(own.1, FIRST + known.1)]).unwrap();
        let split = split.min(requests.len());
        let (before, after) = requests.split_at(split);
        for asked in before {
            moment(&ledger);
            list.write(vec![asked.of(all.0), asked.of(own.0)]).unwrap();
        }
        let given_up = moment(&ledger);
        for asked in after {
            moment(&ledger);
            let own = asked.second.map(|_| asked.of(own.0));
            list.write(own.into_iter().chain([asked.of(all.0)]).collect()).unwrap();
        }
        ledger.expire_due(given_up).unwrap();
        for (left, reached) in [all, own] {
            list.link(Link { at: Some(given_up), ..moved(left, reached, 0) }).unwrap();
        }
        let held = |number: Subject| {
            let entry = list.find(&list.person_of(number).unwrap()).unwrap().remove(0);
            let hold = entry.holds.get(HoldKind::OptOut).unwrap();
            (!hold.directions.is_none()).then_some((hold.directions, hold.expires, hold.requested))
        };
        prop_assert_eq!(held(all.1), held(own.1));
    }
}

/// A request about a number.
#[derive(Clone, Debug)]
struct Asked {
    stops: bool,
    /// `None`: when it arrives.
    second: Option<i64>,
    /// For how many seconds an opt-out holds, if it has a date.
    lasts: Option<i64>,
}

impl Asked {
    fn of(&self, number: Subject) -> Write {
        let requested = self.second.map(|second| time((FIRST + second) * 1000));
        if self.stops {
            of_block(stop(number, 0), |block| {
                block.requested = requested;
                let end = self.second.zip(self.lasts).map(|(second, lasts)| second + lasts);
                block.expires = end.map(|end| time((FIRST + end) * 1000));
            })
        } else {
            of_unblock(start(number, 0), |unblock| unblock.requested = requested)
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let (second, lasts) =
        (proptest::option::weighted(0.7, 0..8_i64), proptest::option::weighted(0.3, 1..8_i64));
    (any::<bool>(), second, lasts).prop_map(|(stops, second, lasts)| Asked { stops, second, lasts })
}
