//! Operations on a list, and random sequences of them.

use std::fmt;

use portcullis_host::{Direction, Directions, Keyspace};
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy as _};
use proptest::prop_oneof;

use super::least::least;

/// An operation. Subjects are as the plugin sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Block(Vec<(u64, Directions)>),
    Unblock(Vec<(u64, Directions)>),
    Check(u64, Direction),
    CheckMany(Vec<u64>, Direction),
    /// All pages, of so many entries.
    List(usize),
    Count,
    /// Saves the list and goes on with a new instance that loads it, if the plugin can.
    SaveAndLoad,
}

fn show_entries(f: &mut fmt::Formatter<'_>, call: &str, entries: &[(u64, Directions)]) -> fmt::Result {
    write!(f, "{call}(")?;
    for (n, (subject, directions)) in entries.iter().enumerate() {
        let both = directions.covers(Direction::Inbound) && directions.covers(Direction::Outbound);
        let way = match (both, directions.covers(Direction::Inbound)) {
            (true, _) => "both ways",
            (false, true) => "inbound",
            (false, false) => "outbound",
        };
        write!(f, "{}{subject} {way}", if n == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Block(entries) => show_entries(f, "block", entries),
            Operation::Unblock(entries) => show_entries(f, "unblock", entries),
            Operation::Check(subject, direction) => write!(f, "check({subject}, {direction})"),
            Operation::CheckMany(subjects, direction) => write!(f, "check-many({subjects:?}, {direction})"),
            Operation::List(limit) => write!(f, "list in pages of {limit}"),
            Operation::Count => f.write_str("count()"),
            Operation::SaveAndLoad => f.write_str("save, and load into a new instance"),
        }
    }
}

impl Operation {
    /// The same with the fewest parts, and one at least, with which it `fails`.
    pub(super) fn shortest(self, mut fails: impl FnMut(Self) -> bool) -> Self {
        match self {
            Operation::Block(entries) => Operation::Block(least(entries, |some| {
                !some.is_empty() && fails(Operation::Block(some.to_vec()))
            })),
            Operation::Unblock(entries) => Operation::Unblock(least(entries, |some| {
                !some.is_empty() && fails(Operation::Unblock(some.to_vec()))
            })),
            Operation::CheckMany(subjects, direction) => Operation::CheckMany(
                least(subjects, |some| {
                    !some.is_empty() && fails(Operation::CheckMany(some.to_vec(), direction))
                }),
                direction,
            ),
            other => other,
        }
    }
}

/// People that meet again, and their neighbours, for a plugin that is off by one.
const PEOPLE: usize = 8;

/// Sequences of operations on a few people.
pub(super) fn sequences(keyspace: Keyspace) -> BoxedStrategy<Vec<Operation>> {
    let anybody = match keyspace {
        Keyspace::Hashed => (0_u64..1 << 50).boxed(),
        // Numbers, and people without one.
        Keyspace::Clear => prop_oneof![
            8 => 10_000_000_u64..1_000_000_000_000_000,
            1 => 1_000_000_000_000_000_u64..1 << 50,
        ]
        .boxed(),
    };
    (vec(anybody, PEOPLE), vec(operation(), 1..24))
        .prop_map(|(people, operations)| {
            let person = |place: u64| {
                let (place, next) = (usize::try_from(place / 2).unwrap_or(0), place % 2);
                people.get(place).map_or(0, |person| (person + next).min((1 << 50) - 1))
            };
            operations.into_iter().map(|operation| operation.about(person)).collect()
        })
        .boxed()
}

impl Operation {
    /// The same about other people.
    fn about(self, person: impl Fn(u64) -> u64) -> Self {
        let entries = |entries: Vec<(u64, Directions)>| {
            entries.into_iter().map(|(place, directions)| (person(place), directions)).collect()
        };
        match self {
            Operation::Block(given) => Operation::Block(entries(given)),
            Operation::Unblock(given) => Operation::Unblock(entries(given)),
            Operation::Check(place, direction) => Operation::Check(person(place), direction),
            Operation::CheckMany(places, direction) => {
                Operation::CheckMany(places.into_iter().map(person).collect(), direction)
            }
            other => other,
        }
    }
}

/// An operation on people by their places.
fn operation() -> BoxedStrategy<Operation> {
    let person = 0..2 * PEOPLE as u64;
    let direction = prop_oneof![Just(Direction::Inbound), Just(Direction::Outbound)];
    let directions =
        prop_oneof![Just(Directions::BOTH), Just(Directions::INBOUND), Just(Directions::OUTBOUND)];
    let entries = vec((person.clone(), directions), 1..5);
    prop_oneof![
        6 => entries.clone().prop_map(Operation::Block),
        3 => entries.prop_map(Operation::Unblock),
        6 => (person.clone(), direction.clone()).prop_map(|(person, way)| Operation::Check(person, way)),
        3 => (vec(person, 1..20), direction).prop_map(|(people, way)| Operation::CheckMany(people, way)),
        2 => (1_usize..6).prop_map(Operation::List),
        2 => Just(Operation::Count),
        1 => Just(Operation::SaveAndLoad),
    ]
    .boxed()
}
