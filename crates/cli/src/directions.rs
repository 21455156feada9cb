//! Directions as the command line and the API spell them.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use portcullis_api::Direction;

/// Reads the way a message goes; for options, whose help lists both.
pub(super) fn direction_parser() -> impl TypedValueParser<Value = Direction> {
    PossibleValuesParser::new([
        PossibleValue::new(Direction::Inbound.as_str()).help("A person writes to the sender"),
        PossibleValue::new(Direction::Outbound.as_str()).help("The sender writes to a person"),
    ])
    .try_map(|name| name.parse::<Direction>())
}

/// The ways that an entry covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Directions {
    /// What people write to the sender
    Inbound,
    /// What the sender writes to people
    Outbound,
    /// Both ways
    Both,
}

impl Directions {
    pub(super) fn list(self) -> Vec<Direction> {
        match self {
            Directions::Inbound => vec![Direction::Inbound],
            Directions::Outbound => vec![Direction::Outbound],
            Directions::Both => vec![Direction::Inbound, Direction::Outbound],
        }
    }

    /// These directions; `None` where there are none.
    pub(super) fn of(directions: &[Direction]) -> Option<Self> {
        match (directions.contains(&Direction::Inbound), directions.contains(&Direction::Outbound)) {
            (true, true) => Some(Directions::Both),
            (true, false) => Some(Directions::Inbound),
            (false, true) => Some(Directions::Outbound),
            (false, false) => None,
        }
    }

    /// From the names of directions, in any order: `both`, or `inbound` and `outbound`. `None`
    /// where another name stands there, or none at all.
    pub(super) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut all = None;
        for name in names {
            let one = <Directions as ValueEnum>::from_str(name, true).ok()?;
            all = Some(if all.is_none_or(|all| all == one) { one } else { Directions::Both });
        }
        all
    }

    /// As [`from_names`](Self::from_names) reads it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Directions::Inbound => "inbound",
            Directions::Outbound => "outbound",
            Directions::Both => "both",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_add_up() {
        for (names, expected) in [
            (&["inbound"][..], Some(Directions::Inbound)),
            (&["Outbound"], Some(Directions::Outbound)),
            (&["outbound", "inbound"], Some(Directions::Both)),
            (&["inbound", "inbound"], Some(Directions::Inbound)),
            (&["both"], Some(Directions::Both)),
            (&["both", "inbound"], Some(Directions::Both)),
            (&[], None),
            (&["inbound", "sideways"], None),
        ] {
            assert_eq!(Directions::from_names(names.iter().copied()), expected, "{names:?}");
        }
        for directions in [Directions::Inbound, Directions::Outbound, Directions::Both] {
            assert_eq!(Directions::from_names([directions.name()]), Some(directions));
        }
    }
}
