//! One person under several spellings and ids, whose wishes arrive in any order.

use jiff::Timestamp;
use portcullis_ledger::{
    Block, HoldKind, Ledger, List, Outcome, Scope, Source, Tie, Unblock, UserId, Whom, Write,
};
use portcullis_msisdn::{Directions, Msisdn, Subject};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::fixture::{actor, limit, list, sender, tenant, time};
use crate::place::Place;

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

fn tie(number: Option<Subject>, users: &[&str]) -> Tie {
    Tie {
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

/// Whether somebody is blocked, as a check finds out.
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
fn a_person_has_one_entry_whichever_spelling_is_written() {
    let place = Place::new();
    let list = list(&place.ledger());
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
fn a_block_holds_for_a_number_and_its_ids_in_both_directions() {
    let place = Place::new();
    let ledger = place.ledger();
    let list = list(&ledger);
    let wide = ledger.list(&tenant("acme"), Scope::Tenant).unwrap();
    let phone = number(&list, 46_732_001_122);
    let (id, parent) = (Whom::User(user("US.1")), Whom::User(user("US.ENT.1")));
    // The business blocks the id before it knows the number, in two lists.
    list.write(vec![Block::new(id.clone(), OUT, actor("crm")).into()]).unwrap();
    wide.write(vec![Block::new(parent.clone(), OUT, actor("crm")).into()]).unwrap();
    assert!(is_blocked(&list, &id) && !is_blocked(&list, &phone.into()) && !is_blocked(&wide, &phone.into()));
    let tied = list.tie(tie(Some(phone), &["US.1", "US.ENT.1"])).unwrap();
    assert_eq!(tied.changed, [Scope::Tenant, sender("bot")]);
    assert_eq!(list.tie(tie(Some(phone), &["US.1"])).unwrap().changed, [], "that is known");
    for list in [&list, &wide] {
        assert!(is_blocked(list, &id) && is_blocked(list, &parent) && is_blocked(list, &phone.into()));
        assert_eq!(list.members(None, limit(9)).unwrap(), [(phone, OUT)], "the entry is the number's");
    }
    // Lifted of the number, it is lifted of the ids; and blocked of an id, it is blocked of the number.
    list.write(vec![Unblock::new(phone, Directions::BOTH, actor("crm")).into()]).unwrap();
    assert!(!is_blocked(&list, &id) && !is_blocked(&list, &phone.into()));
    list.write(vec![Block::new(parent, OUT, actor("crm")).into()]).unwrap();
    assert!(is_blocked(&list, &id) && is_blocked(&list, &phone.into()));
}

#[test]
fn a_person_with_another_number_takes_all_holds_along() {
    let place = Place::new();
    let list = list(&place.ledger());
    let (old, new) = (number(&list, 16_505_551_234), number(&list, 12_025_550_173));
    list.tie(tie(Some(old), &["US.1"])).unwrap();
    list.write(vec![stop(old, 100), Block::new(old, Directions::BOTH, actor("crm")).into()]).unwrap();
    let moved = Tie { left: Some(old), ..tie(Some(new), &["US.2"]) };
    assert_eq!(list.tie(moved).unwrap().changed.len(), 1);
    let entry = &list.find(&list.person_of(new).unwrap()).unwrap()[0];
    let kinds: Vec<_> = entry.holds.iter().map(|hold| hold.kind).collect();
    assert_eq!(kinds, [HoldKind::OptOut, HoldKind::Operator]);
    assert_eq!(entry.holds.get(HoldKind::OptOut).unwrap().requested, time(100_000));
    for id in ["US.1", "US.2"] {
        assert_eq!(list.person_of_user(&user(id)).unwrap().unwrap().first(), new, "{id}");
    }
    assert!(is_blocked(&list, &old.into()), "nobody said that it is somebody else's");
}

fn moved(left: Subject, number: Subject, second: i64) -> Tie {
    Tie { left: Some(left), at: Some(time(second * 1000)), ..tie(Some(number), &[]) }
}

fn at(second: i64, tie: Tie) -> Tie {
    Tie { at: Some(time(second * 1000)), ..tie }
}

/// A time after what the tests write now.
const LATER: i64 = 3_000_000_000;

/// When the hold of a number ends.
fn end(list: &List, number: Subject, kind: HoldKind) -> Option<Timestamp> {
    let entry = list.find(&list.person_of(number).unwrap()).unwrap().remove(0);
    let hold = entry.holds.get(kind).unwrap();
    assert!(!hold.directions.is_none());
    hold.expires
}

#[test]
fn of_a_hold_that_ends_and_one_that_does_not_the_latter_counts_for_both_names() {
    let place = Place::new();
    let list = list(&place.ledger());
    let soon = time(4_000_000_000_000);
    let for_ever = |whom: Whom| Write::from(Block::new(whom, OUT, actor("crm")));
    let for_a_time =
        |whom: Whom| Write::from(Block { expires: Some(soon), ..Block::new(whom, OUT, actor("crm")) });
    let phones: Vec<Subject> = (1..=6).map(|n| number(&list, 46_732_001_120 + n)).collect();
    let users = ["SE.1", "SE.2", "SE.3"].map(|id| Whom::User(user(id)));
    // Whichever of the two was blocked for ever.
    list.write(vec![for_ever(phones[0].into()), for_a_time(users[0].clone())]).unwrap();
    list.write(vec![for_a_time(phones[1].into()), for_ever(users[1].clone())]).unwrap();
    list.tie(tie(Some(phones[0]), &["SE.1"])).unwrap();
    list.tie(tie(Some(phones[1]), &["SE.2"])).unwrap();
    // A person's wish, of which the older one has no end.
    let Write::Block(stop_for_a_time) = stop(users[2].clone(), 200) else { unreachable!() };
    let stop_for_a_time = Block { expires: Some(soon), ..stop_for_a_time };
    list.write(vec![stop(phones[2], 100), stop_for_a_time.into()]).unwrap();
    list.tie(tie(Some(phones[2]), &["SE.3"])).unwrap();
    // A number that is left for one that is blocked already.
    list.write(vec![for_a_time(phones[3].into()), for_ever(phones[4].into())]).unwrap();
    list.tie(moved(phones[3], phones[4], 300)).unwrap();
    for (phone, kind) in [
        (phones[0], HoldKind::Operator),
        (phones[1], HoldKind::Operator),
        (phones[2], HoldKind::OptOut),
        (phones[4], HoldKind::Operator),
    ] {
        assert_eq!(end(&list, phone, kind), None);
    }
    assert_eq!(end(&list, phones[3], HoldKind::Operator), Some(soon), "the number that was left");
    // Of two ends, the later.
    let later = Block { expires: Some(time(5_000_000_000_000)), ..Block::new(phones[5], OUT, actor("crm")) };
    list.write(vec![later.into()]).unwrap();
    list.tie(moved(phones[3], phones[5], 301)).unwrap();
    assert_eq!(end(&list, phones[5], HoldKind::Operator), Some(time(5_000_000_000_000)));
}

#[test]
fn a_wish_that_ended_by_itself_lifts_no_other() {
    let place = Place::new();
    let ledger = place.ledger();
    let list = list(&ledger);
    let phone = number(&list, 46_732_001_122);
    let Write::Block(brief) = stop(Whom::User(user("SE.1")), 200) else { unreachable!() };
    list.write(vec![stop(phone, 100), Block { expires: Some(time(1)), ..brief }.into()]).unwrap();
    ledger.expire_due(time(2)).unwrap();
    assert!(!is_blocked(&list, &Whom::User(user("SE.1"))));
    list.tie(tie(Some(phone), &["SE.1"])).unwrap();
    assert!(is_blocked(&list, &phone.into()));
}

#[test]
fn a_hold_that_is_carried_keeps_its_author_and_its_history() {
    let place = Place::new();
    let list = list(&place.ledger());
    let phone = number(&list, 46_732_001_122);
    list.write(vec![Block::new(Whom::User(user("SE.1")), OUT, actor("kaleyra")).into()]).unwrap();
    list.tie(tie(Some(phone), &["SE.1"])).unwrap();
    let person = list.person_of(phone).unwrap();
    let entry = &list.find(&person).unwrap()[0];
    assert_eq!(entry.holds.get(HoldKind::Operator).unwrap().actor, actor("kaleyra"));
    let history = list.history(&person, None, limit(9)).unwrap().records;
    let outcomes: Vec<Outcome> = history.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    assert_eq!(outcomes.last(), Some(&Outcome::Added));
}

#[test]
fn a_late_message_takes_nobody_back_to_a_number_that_they_left() {
    let place = Place::new();
    let list = list(&place.ledger());
    let (old, new) = (number(&list, 16_505_551_234), number(&list, 12_025_550_173));
    let home = |id: &str| list.person_of_user(&user(id)).unwrap().unwrap().first();
    let message = at(100, tie(Some(old), &["US.1"]));
    list.tie(message.clone()).unwrap();
    list.tie(Tie { users: vec![user("US.1")], ..moved(old, new, 200) }).unwrap();
    assert_eq!(home("US.1"), new);
    list.tie(message.clone()).unwrap();
    list.tie(Tie { at: None, ..message }).unwrap();
    list.tie(at(200, tie(Some(old), &["US.1"]))).unwrap();
    assert_eq!(home("US.1"), new);
    // Nor is one who is heard of for the first time by a message from before.
    list.tie(at(150, tie(Some(old), &["US.2"]))).unwrap();
    assert_eq!(home("US.2"), new);
    // Who has the number since is somebody else.
    list.tie(at(300, tie(Some(old), &["US.3"]))).unwrap();
    assert_eq!(home("US.3"), old);
    // And whoever writes from yet another number has that one.
    let other = number(&list, 12_025_550_174);
    list.tie(at(400, tie(Some(other), &["US.1"]))).unwrap();
    assert_eq!(home("US.1"), other);
}

#[test]
fn a_move_counts_once_and_takes_along_what_comes_late() {
    let place = Place::new();
    let list = list(&place.ledger());
    let phones: Vec<Subject> = (0..4).map(|n| number(&list, 46_732_001_120 + n)).collect();
    let block = |phone: Subject| Write::from(Block::new(phone, OUT, actor("crm")));
    list.write(vec![block(phones[0])]).unwrap();
    // The later move is heard of first.
    list.tie(moved(phones[1], phones[2], LATER + 300)).unwrap();
    list.tie(moved(phones[0], phones[1], LATER + 200)).unwrap();
    assert!(is_blocked(&list, &phones[1].into()) && is_blocked(&list, &phones[2].into()));
    // Lifted since, it stays lifted, however often the message comes.
    list.write(vec![Unblock::new(phones[2], Directions::BOTH, actor("crm")).into()]).unwrap();
    for again in
        [moved(phones[0], phones[1], LATER + 200), Tie { at: None, ..moved(phones[0], phones[1], LATER) }]
    {
        assert_eq!(list.tie(again).unwrap().changed, []);
    }
    assert!(!is_blocked(&list, &phones[2].into()));
    // A wish from before the move is that of who moved; one from after it, that of who has the number now.
    list.write(vec![stop(phones[0], LATER + 100)]).unwrap();
    assert!(is_blocked(&list, &phones[1].into()) && is_blocked(&list, &phones[2].into()));
    list.write(vec![stop(phones[1], LATER + 250), start(phones[0], LATER + 199), stop(phones[3], 301)])
        .unwrap();
    assert!(is_blocked(&list, &phones[2].into()));
    list.write(vec![start(phones[2], LATER + 400)]).unwrap();
    list.write(vec![stop(phones[0], LATER + 500)]).unwrap();
    assert!(!is_blocked(&list, &phones[2].into()));
    // There and back again.
    list.tie(moved(phones[2], phones[1], LATER + 600)).unwrap();
    list.tie(at(LATER + 350, tie(Some(phones[1]), &["SE.9"]))).unwrap();
    list.tie(at(LATER + 250, tie(Some(phones[1]), &["SE.8"]))).unwrap();
    for id in ["SE.8", "SE.9"] {
        assert_eq!(list.person_of_user(&user(id)).unwrap().unwrap().first(), phones[1], "{id}");
    }
}

#[test]
fn what_a_number_s_next_owner_wants_is_not_the_mover_s() {
    let place = Place::new();
    let list = list(&place.ledger());
    let phone = |n: u64| number(&list, 46_732_001_000 + n);
    // However the move and the wishes of both arrive.
    let orders: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (person, order) in (0..).step_by(10).zip(orders) {
        let (stopped, taken) = (phone(person), phone(person + 1));
        for event in order {
            match event {
                0 => drop(list.write(vec![stop(stopped, 100)]).unwrap()),
                1 => drop(list.write(vec![start(stopped, 300)]).unwrap()),
                _ => drop(list.tie(moved(stopped, taken, 200)).unwrap()),
            }
        }
        assert!(is_blocked(&list, &taken.into()), "an opt-out from before the move, in the order {order:?}");
        assert!(!is_blocked(&list, &stopped.into()), "{order:?}");
        let (left, reached) = (phone(person + 2), phone(person + 3));
        for event in order {
            match event {
                0 => drop(list.write(vec![stop(left, 300)]).unwrap()),
                1 => drop(list.write(vec![start(left, 100)]).unwrap()),
                _ => drop(list.tie(moved(left, reached, 200)).unwrap()),
            }
        }
        assert!(
            !is_blocked(&list, &reached.into()),
            "an opt-out from after the move, in the order {order:?}"
        );
        assert!(is_blocked(&list, &left.into()), "{order:?}");
    }
}

#[test]
fn an_end_that_somebody_else_sets_does_not_shorten_an_opt_out() {
    let place = Place::new();
    let list = list(&place.ledger());
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
fn of_two_wishes_in_one_second_the_one_to_be_left_alone_counts() {
    let place = Place::new();
    let list = list(&place.ledger());
    let (one, other) = (number(&list, 46_732_001_122), number(&list, 46_732_001_123));
    list.write(vec![stop(one, 10), start(one, 10), start(other, 10), stop(other, 10)]).unwrap();
    list.write(vec![start(other, 10)]).unwrap();
    assert!(is_blocked(&list, &one.into()) && is_blocked(&list, &other.into()));
    // Where both say more than the second, that tells.
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
fn an_id_takes_the_place_of_an_earlier_one() {
    let place = Place::new();
    let list = list(&place.ledger());
    list.write(vec![stop(Whom::User(user("US.old")), 100)]).unwrap();
    list.tie(tie(None, &["US.new", "US.old"])).unwrap();
    assert!(is_blocked(&list, &Whom::User(user("US.new"))));
    assert_eq!(list.count().unwrap(), 1);
    assert_eq!(outcomes(&list, vec![start(Whom::User(user("US.old")), 200)]), [Outcome::Removed]);
    assert!(!is_blocked(&list, &Whom::User(user("US.new"))));
}

#[test]
fn an_older_wish_changes_nothing_and_is_on_record() {
    let place = Place::new();
    let list = list(&place.ledger());
    let phone = number(&list, 46_732_001_122);
    use Outcome::{Added, Already, Noted, Outdated, Removed};
    assert_eq!(outcomes(&list, vec![stop(phone, 540)]), [Added]);
    assert_eq!(outcomes(&list, vec![start(phone, 0), stop(phone, 540)]), [Outdated, Already]);
    assert!(is_blocked(&list, &phone.into()));
    let record = &list.trail(None, limit(1)).unwrap().records[0];
    assert_eq!((record.outcome, record.requested), (Outdated, time(0)));
    assert_eq!(outcomes(&list, vec![start(phone, 600), stop(phone, 599)]), [Removed, Outdated]);
    assert!(!is_blocked(&list, &phone.into()));
    // Also where there was nothing to lift when the newer one came.
    let other = number(&list, 46_732_001_123);
    assert_eq!(outcomes(&list, vec![start(other, 10), stop(other, 9)]), [Noted, Outdated]);
    assert_eq!(outcomes(&list, vec![stop(other, 11)]), [Outcome::Reactivated]);
    // A business's will is what it says last, whatever the time that it names.
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

/// What a person is called.
#[derive(Clone, Copy, Debug)]
enum Alias {
    Number,
    OtherSpelling,
    User,
    Parent,
    /// The number that the person left at [`LEFT_AT`].
    Left,
}

/// Of the wishes of one person, which come one each second from [`FIRST`] on, the first ones are from before they moved.
const LEFT_AT: i64 = FIRST + 4;
const FIRST: i64 = 1_700_000_000;

/// The names that the person has now.
const ALIASES: [Alias; 4] = [Alias::Number, Alias::OtherSpelling, Alias::User, Alias::Parent];

impl Alias {
    fn of(self, list: &List) -> Whom {
        match self {
            Alias::Number => number(list, 525_512_345_678).into(),
            Alias::OtherSpelling => number(list, 5_215_512_345_678).into(),
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
    /// Asks to be left alone, or not to be any more, at this second.
    Wish {
        stops: bool,
        second: i64,
        alias: Alias,
    },
    /// Whoever has the number that the person left asks, after that.
    Stranger {
        stops: bool,
        second: i64,
    },
    /// Two names are seen together, or the person is seen to leave a number.
    Tie(usize),
    Reopen,
}

/// Wishes of different times, each of which arrives once or more; and all that ties the names together, somewhere between.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let wishes = vec((any::<bool>(), any::<Index>(), 1..3_usize), 1..8).prop_map(|wishes| {
        let all = wishes.into_iter().enumerate().flat_map(|(n, (stops, alias, times))| {
            let second = FIRST + i64::try_from(n).unwrap();
            let left = (second < LEFT_AT).then_some(Alias::Left);
            // Until it is known that the person moved, their id stands for the number that somebody else may have.
            let sure = if second < LEFT_AT { &ALIASES[..] } else { &ALIASES[..2] };
            let names: Vec<Alias> = sure.iter().copied().chain(left).collect();
            let alias = *alias.get(&names);
            std::iter::repeat_n(Event::Wish { stops, second, alias }, times)
        });
        all.collect::<Vec<_>>()
    });
    let strangers = vec(any::<bool>(), 0..3).prop_map(|wishes| {
        let wishes = (LEFT_AT + 1..).zip(wishes);
        // A stop from before the person is seen elsewhere may be theirs.
        let second = |(second, stops)| Event::Stranger { stops, second: second + if stops { 2 } else { 0 } };
        wishes.map(second).collect::<Vec<_>>()
    });
    (wishes, subsequence(vec![0, 1, 2], 2..=3), vec(3..6_usize, 0..3), strangers, any::<bool>())
        .prop_map(|(wishes, ties, more, strangers, reopens)| {
            let reopen = reopens.then_some(Event::Reopen);
            // The move, and what comes of messages of before it, any number of times.
            let ties = ties.into_iter().chain([3]).chain(more).map(Event::Tie);
            wishes.into_iter().chain(ties).chain(strangers).chain(reopen).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn tie_of(list: &List, n: usize) -> Tie {
    let number = Some(number(list, 5_215_512_345_678));
    match n {
        0 => at(LEFT_AT + 1, tie(number, &["MX.1"])),
        1 => tie(None, &["MX.1", "MX.ENT.1"]),
        2 => at(LEFT_AT + 2, tie(number, &["MX.ENT.1"])),
        3 => Tie { left: Some(left(list)), ..at(LEFT_AT, tie(number, &[])) },
        4 => at(LEFT_AT - 1, tie(Some(left(list)), &["MX.1"])),
        _ => at(LEFT_AT - 2, tie(Some(left(list)), &["MX.ENT.1"])),
    }
}

fn lists(ledger: &Ledger) -> List {
    ledger.list(&tenant("acme"), sender("bot")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any two of the three ties make all names one person.
    #[test]
    fn in_whichever_order_wishes_arrive_the_newest_counts_for_every_name(events in events()) {
        let place = Place::new();
        let mut ledger = place.ledger();
        let mut list = lists(&ledger);
        for event in &events {
            match event {
                Event::Wish { stops: true, second, alias } => {
                    list.write(vec![stop(alias.of(&list), *second)]).unwrap();
                }
                Event::Wish { stops: false, second, alias } => {
                    list.write(vec![start(alias.of(&list), *second)]).unwrap();
                }
                Event::Stranger { stops, second } => {
                    let wish = if *stops { stop } else { start };
                    list.write(vec![wish(left(&list), *second)]).unwrap();
                }
                Event::Tie(n) => drop(list.tie(tie_of(&list, *n)).unwrap()),
                Event::Reopen => {
                    drop((list, ledger));
                    ledger = place.ledger();
                    list = lists(&ledger);
                }
            }
        }
        let newest = events.iter().filter_map(|event| match event {
            Event::Wish { stops, second, .. } => Some((*second, *stops)),
            _ => None,
        });
        let (_, is_out) = newest.max().unwrap();
        for alias in ALIASES {
            prop_assert_eq!(is_blocked(&list, &alias.of(&list)), is_out, "{:?}", alias);
        }
        let left = is_blocked(&list, &Alias::Left.of(&list));
        prop_assert_eq!(list.count().unwrap(), u64::from(is_out) + u64::from(left));
    }
}
