//! Holds: the reasons why a person is blocked.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use portcullis_msisdn::Directions;

use crate::actor::Actor;
use crate::source::Source;
use crate::text::{Label, Reason};

/// On whose behalf a hold blocks. An entry has at most one hold of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldKind {
    /// The business blocks the person.
    Operator,
    /// The person opted out of messages.
    OptOut,
    /// The person opted out of marketing. This is recorded but blocks nothing by itself: only the caller knows whether
    /// a message is marketing.
    Marketing,
}

impl HoldKind {
    /// All kinds.
    pub const ALL: [HoldKind; 3] = [HoldKind::Operator, HoldKind::OptOut, HoldKind::Marketing];

    /// `operator`, `opt-out` or `marketing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            HoldKind::Operator => "operator",
            HoldKind::OptOut => "opt-out",
            HoldKind::Marketing => "marketing",
        }
    }

    /// Whether the hold is the person's own request. Requests are ordered by when they were made, not by when they
    /// arrive.
    pub const fn is_wish(self) -> bool {
        !matches!(self, HoldKind::Operator)
    }

    /// Whether the hold's directions are blocked.
    pub const fn blocks(self) -> bool {
        !matches!(self, HoldKind::Marketing)
    }

    /// The code stored on disk. Never renumber.
    pub const fn code(self) -> i64 {
        match self {
            HoldKind::Operator => 0,
            HoldKind::OptOut => 1,
            HoldKind::Marketing => 2,
        }
    }

    /// The kind with this code.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HoldKind {
    type Err = UnknownHold;

    /// Parses exactly what [`as_str`](HoldKind::as_str) returns.
    fn from_str(text: &str) -> Result<Self, UnknownHold> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownHold)
    }
}

/// The text is not a [`HoldKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hold: write operator, opt-out or marketing")]
pub struct UnknownHold;

/// One reason why a person is, or was, blocked. Each hold is lifted independently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// On whose behalf the hold blocks.
    pub kind: HoldKind,
    /// The directions it covers; none if it was lifted.
    pub directions: Directions,
    /// The origin of the latest block.
    pub source: Source,
    /// The client's own name for the source.
    pub label: Option<Label>,
    /// The author of the latest block.
    pub actor: Actor,
    /// The last actor that removed directions since the latest block.
    pub lifted_by: Option<Actor>,
    /// The reason, in the author's words.
    pub reason: Option<Reason>,
    /// When the hold was set, or set again after it was lifted.
    pub since: Timestamp,
    /// When the latest change (setting, confirming or lifting the hold) was requested: the time of the person's
    /// message, of the imported record, or else of the write.
    ///
    /// A person's own request (any hold except the operator's) takes effect by this time, not by its arrival: an older
    /// request changes nothing. Vendors report message times in whole seconds, so two requests in the same second are
    /// ordered only if both have a fraction; otherwise the opt-out wins.
    pub requested: Timestamp,
    /// When the hold expires, or expired.
    pub expires: Option<Timestamp>,
}

/// The holds of an entry: at least one, and at most one of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holds {
    /// The hold that was set first. It is stored in the entry's own row.
    pub first: Hold,
    /// The others, in the order of their kinds.
    pub more: Vec<Hold>,
}

impl Holds {
    /// Iterates over the hold that was set first, then the others in the order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Hold> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// The holds, for changing. Don't change their kinds.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Hold> {
        std::iter::once(&mut self.first).chain(&mut self.more)
    }

    /// The hold of this kind, in force or lifted.
    pub fn get(&self, kind: HoldKind) -> Option<&Hold> {
        self.iter().find(|hold| hold.kind == kind)
    }

    /// The hold to show if only one can be: of those in force the person's own before the operator's; if none is, the
    /// one that was set first.
    pub fn lead(&self) -> &Hold {
        let rank = |hold: &Hold| match (hold.directions.is_none(), hold.kind) {
            (false, HoldKind::OptOut) => 0,
            (false, HoldKind::Operator) => 1,
            (false, HoldKind::Marketing) => 2,
            (true, _) => 3,
        };
        let better = |best, hold| if rank(hold) < rank(best) { hold } else { best };
        self.more.iter().fold(&self.first, better)
    }

    /// The directions that the holds cover, by kind.
    pub fn coverage(&self) -> Coverage {
        let add = |all: Coverage, hold: &Hold| all.with(hold.kind, hold.directions);
        self.iter().fold(Coverage::default(), add)
    }
}

/// The directions that an entry's holds cover, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coverage(u8);

impl Coverage {
    /// The directions that the hold of this kind covers.
    pub const fn of(self, kind: HoldKind) -> Directions {
        match Directions::from_bits(self.0 >> Self::shift(kind) & 3) {
            Some(directions) => directions,
            None => Directions::NONE,
        }
    }

    /// The directions that are blocked.
    pub fn blocked(self) -> Directions {
        let blocking = HoldKind::ALL.into_iter().filter(|kind| kind.blocks());
        blocking.fold(Directions::NONE, |all, kind| all | self.of(kind))
    }

    /// The same, but for what the hold of this kind covers.
    #[must_use]
    pub fn with(self, kind: HoldKind, directions: Directions) -> Self {
        let shift = Self::shift(kind);
        Coverage(self.0 & !(3 << shift) | directions.bits() << shift)
    }

    /// The code stored on disk. Never renumber.
    pub const fn code(self) -> i64 {
        self.0 as i64
    }

    /// The coverage with this code.
    pub fn from_code(code: i64) -> Option<Self> {
        u8::try_from(code).ok().filter(|code| code >> (2 * HoldKind::ALL.len()) == 0).map(Coverage)
    }

    const fn shift(kind: HoldKind) -> u8 {
        match kind {
            HoldKind::Operator => 0,
            HoldKind::OptOut => 2,
            HoldKind::Marketing => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_round_trips_through_its_name_and_code() {
        for kind in HoldKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(HoldKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!("Operator".parse::<HoldKind>(), Err(UnknownHold));
        assert_eq!(HoldKind::from_code(3), None);
    }

    #[test]
    fn coverage_keeps_holds_apart() {
        let both = Coverage::default()
            .with(HoldKind::Operator, Directions::INBOUND)
            .with(HoldKind::OptOut, Directions::OUTBOUND)
            .with(HoldKind::Marketing, Directions::BOTH);
        assert_eq!(both.of(HoldKind::Operator), Directions::INBOUND);
        assert_eq!(both.of(HoldKind::OptOut), Directions::OUTBOUND);
        assert_eq!(both.blocked(), Directions::BOTH);
        let lifted = both.with(HoldKind::Operator, Directions::NONE);
        assert_eq!(lifted.blocked(), Directions::OUTBOUND, "marketing blocks nothing");
        assert_eq!(Coverage::from_code(both.code()), Some(both));
        assert_eq!(Coverage::from_code(64), None);
        assert_eq!(Coverage::from_code(-1), None);
    }
}
