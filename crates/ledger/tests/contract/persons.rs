//! One person under several spellings and ids, whose wishes arrive in any order.

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
    Tie { number, users: users.iter().map(|id| user(id)).collect(), left: None, actor: actor("person") }
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
}

const ALIASES: [Alias; 4] = [Alias::Number, Alias::OtherSpelling, Alias::User, Alias::Parent];

impl Alias {
    fn of(self, list: &List) -> Whom {
        match self {
            Alias::Number => number(list, 525_512_345_678).into(),
            Alias::OtherSpelling => number(list, 5_215_512_345_678).into(),
            Alias::User => Whom::User(user("MX.1")),
            Alias::Parent => Whom::User(user("MX.ENT.1")),
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// Asks to be left alone, or not to be any more, at this second.
    Wish {
        stops: bool,
        second: i64,
        alias: Alias,
    },
    /// Two names are seen together.
    Tie(usize),
    Reopen,
}

/// Wishes of different times, each of which arrives once or more; and all that ties the names together, somewhere between.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let wishes = vec((any::<bool>(), any::<Index>(), 1..3_usize), 1..8).prop_map(|wishes| {
        let all = wishes.into_iter().enumerate().flat_map(|(n, (stops, alias, times))| {
            let alias = *alias.get(&ALIASES);
            let second = 1_700_000_000 + i64::try_from(n).unwrap();
            std::iter::repeat_n(Event::Wish { stops, second, alias }, times)
        });
        all.collect::<Vec<_>>()
    });
    (wishes, subsequence(vec![0, 1, 2], 2..=3), any::<bool>())
        .prop_map(|(wishes, ties, reopens)| {
            let reopen = reopens.then_some(Event::Reopen);
            wishes.into_iter().chain(ties.into_iter().map(Event::Tie)).chain(reopen).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn tie_of(list: &List, n: usize) -> Tie {
    let number = Some(number(list, 5_215_512_345_678));
    match n {
        0 => tie(number, &["MX.1"]),
        1 => tie(None, &["MX.1", "MX.ENT.1"]),
        _ => tie(number, &["MX.ENT.1"]),
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
        prop_assert_eq!(list.count().unwrap(), u64::from(is_out));
    }
}
