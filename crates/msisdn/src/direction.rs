//! Which way a message goes, and which ways an entry covers.

use core::error::Error;
use core::fmt;
use core::ops::{BitAnd, BitOr, Not};
use core::str::FromStr;

/// Which way a message goes, seen from the business (the sender).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Direction {
    /// A person writes to the sender.
    Inbound,
    /// The sender writes to a person.
    Outbound,
}

impl Direction {
    /// `inbound` or `outbound`, as the APIs and the command line spell it.
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

/// Reads what [`Direction::as_str`] gives, in exactly that spelling.
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

/// The text names no direction. It is not repeated, as a number may have got into its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDirection;

impl fmt::Display for UnknownDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a direction: write `inbound` or `outbound`")
    }
}

impl Error for UnknownDirection {}

/// The directions that an entry covers: none, one or both.
///
/// "None" is what a lifted entry has; a member of a blacklist covers at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Directions(u8);

impl Directions {
    /// No direction: not blocked.
    pub const NONE: Directions = Directions(0);
    /// Messages from the person to the sender.
    pub const INBOUND: Directions = Directions(1);
    /// Messages from the sender to the person.
    pub const OUTBOUND: Directions = Directions(2);
    /// Both ways.
    pub const BOTH: Directions = Directions(3);

    /// From the two low bits: 1 is inbound, 2 is outbound. `None` where another bit is set.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= 3 { Some(Directions(bits)) } else { None }
    }

    /// The two bits: 1 is inbound, 2 is outbound.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether messages in `direction` are covered.
    pub const fn covers(self, direction: Direction) -> bool {
        self.0 & Self::only(direction).0 != 0
    }

    /// Just this one direction.
    pub const fn only(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => Directions::INBOUND,
            Direction::Outbound => Directions::OUTBOUND,
        }
    }

    /// Whether no direction is covered.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The covered directions, inbound first.
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
    fn a_direction_is_read_as_it_is_written() {
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
