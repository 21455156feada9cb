//! Directions, as spelled on the command line and in the API.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use portcullis_api::Direction;

/// Parses a single direction. The help of the option lists both.
pub(super) fn direction_parser() -> impl TypedValueParser<Value = Direction> {
    PossibleValuesParser::new([
        PossibleValue::new(Direction::Inbound.as_str()).help("A person writes to the business"),
        PossibleValue::new(Direction::Outbound.as_str()).help("The business writes to a person"),
    ])
    .try_map(|name| name.parse::<Direction>())
}

/// The directions that an entry covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Directions {
    /// Messages from people to the business
    Inbound,
    /// Messages from the business to people
    Outbound,
    /// Both directions
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

    /// Converts a list of directions. Returns `None` if it is empty.
    pub(super) fn of(directions: &[Direction]) -> Option<Self> {
        match (directions.contains(&Direction::Inbound), directions.contains(&Direction::Outbound)) {
            (true, true) => Some(Directions::Both),
            (true, false) => Some(Directions::Inbound),
            (false, true) => Some(Directions::Outbound),
            (false, false) => None,
        }
    }

    /// Parses names of directions in any order: `both`, `inbound`, `outbound`. Returns `None` if there
    /// are none, or another name is among them.
    pub(super) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut all = None;
        for name in names {
            let one = <Directions as ValueEnum>::from_str(name, true).ok()?;
            all = Some(if all.is_none_or(|all| all == one) { one } else { Directions::Both });
        }
        all
    }

    /// The name that [`from_names`](Self::from_names) parses.
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
