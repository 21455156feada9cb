//! Directions as the command line and the API spell them.

use clap::ValueEnum;
use serde::Serialize;

/// The way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    /// A person writes to the sender
    Inbound,
    /// The sender writes to a person
    Outbound,
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
    pub(super) fn as_slice(self) -> &'static [Direction] {
        match self {
            Directions::Inbound => &[Direction::Inbound],
            Directions::Outbound => &[Direction::Outbound],
            Directions::Both => &[Direction::Inbound, Direction::Outbound],
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

/// The list of names that the API takes.
impl Serialize for Directions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
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
