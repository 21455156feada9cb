//! The direction of a message, and the directions that an entry covers.

use core::error::Error;
use core::fmt;
use core::ops::{BitAnd, BitOr, Not};
use core::str::FromStr;

/// The direction of a message, from the point of view of the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Direction {
    /// A person writes to the business.
    Inbound,
    /// The business writes to a person.
    Outbound,
}

impl Direction {
    /// `inbound` or `outbound`: the name in the APIs and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses exactly what [`Direction::as_str`] returns.
impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(name: &str) -> Result<Self, UnknownDirection> {
        match name {
            "inbound" => Ok(Direction::Inbound),
            "outbound" => Ok(Direction::Outbound),
            _ => Err(UnknownDirection),
        }
    }
}

/// The text is not a direction. The error does not repeat it, because it might contain a phone number by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDirection;

impl fmt::Display for UnknownDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a direction: write `inbound` or `outbound`")
    }
}

impl Error for UnknownDirection {}

/// A set of directions: none, one or both.
///
/// A member of a blacklist has at least one; a lifted entry has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Directions(u8);

impl Directions {
    /// No direction: not blocked.
    pub const NONE: Directions = Directions(0);
    /// Messages from the person to the business.
    pub const INBOUND: Directions = Directions(1);
    /// Messages from the business to the person.
    pub const OUTBOUND: Directions = Directions(2);
    /// Both directions.
    pub const BOTH: Directions = Directions(3);

    /// Creates a set from two bits: 1 is inbound, 2 is outbound. Returns `None` if another bit is set.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= 3 { Some(Directions(bits)) } else { None }
    }

    /// The set as two bits: 1 is inbound, 2 is outbound.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the set contains `direction`.
    pub const fn covers(self, direction: Direction) -> bool {
        self.0 & Self::only(direction).0 != 0
    }

    /// A set with a single direction.
    pub const fn only(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => Directions::INBOUND,
            Direction::Outbound => Directions::OUTBOUND,
        }
    }

    /// Whether the set is empty.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the directions, inbound first.
    pub fn iter(self) -> impl Iterator<Item = Direction> {
        [Direction::Inbound, Direction::Outbound].into_iter().filter(move |&direction| self.covers(direction))
    }
}

impl From<Direction> for Directions {
    fn from(direction: Direction) -> Self {
        Directions::only(direction)
    }
}

impl FromIterator<Direction> for Directions {
    fn from_iter<I: IntoIterator<Item = Direction>>(directions: I) -> Self {
        directions.into_iter().fold(Directions::NONE, |all, one| all | Directions::only(one))
    }
}

impl BitOr for Directions {
    type Output = Directions;
    fn bitor(self, other: Directions) -> Directions {
        Directions(self.0 | other.0)
    }
}

impl BitAnd for Directions {
    type Output = Directions;
    fn bitand(self, other: Directions) -> Directions {
        Directions(self.0 & other.0)
    }
}

impl Not for Directions {
    type Output = Directions;
    fn not(self) -> Directions {
        Directions(!self.0 & Directions::BOTH.0)
    }
}

impl fmt::Debug for Directions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Directions::NONE => "none",
            Directions::INBOUND => "inbound",
            Directions::OUTBOUND => "outbound",
            _ => "both",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_round_trips_through_its_name() {
        for direction in Directions::BOTH.iter() {
            assert_eq!(direction.as_str().parse(), Ok(direction));
        }
        for other in ["", "both", "Inbound", " outbound"] {
            assert_eq!(other.parse::<Direction>(), Err(UnknownDirection));
        }
    }

    #[test]
    fn directions_are_a_set_of_two() {
        assert_eq!(Directions::INBOUND | Directions::OUTBOUND, Directions::BOTH);
        assert_eq!(!Directions::INBOUND, Directions::OUTBOUND);
        assert_eq!(!Directions::BOTH, Directions::NONE);
        assert!(Directions::OUTBOUND.covers(Direction::Outbound));
        assert!(!Directions::OUTBOUND.covers(Direction::Inbound));
        assert_eq!(Directions::from_bits(4), None);
        assert_eq!(Directions::BOTH.iter().collect::<Directions>(), Directions::BOTH);
    }
}
