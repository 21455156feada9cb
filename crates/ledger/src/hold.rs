//! One reason for which a number is blocked: an entry may have several, each lifted by itself.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use portcullis_msisdn::Directions;

use crate::actor::Actor;
use crate::source::Source;
use crate::text::{Label, Reason};

/// Whose will a hold is. An entry has at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldKind {
    /// The business blocks the number.
    Operator,
    /// The person asked not to be written to.
    OptOut,
    /// The person wants no marketing. It is on record, and blocks nothing by itself: that some message is marketing, only
    /// whoever routes it can know.
    Marketing,
}

impl HoldKind {
    /// All of them.
    pub const ALL: [HoldKind; 3] = [HoldKind::Operator, HoldKind::OptOut, HoldKind::Marketing];

    /// `operator`, `opt-out` or `marketing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            HoldKind::Operator => "operator",
            HoldKind::OptOut => "opt-out",
            HoldKind::Marketing => "marketing",
        }
    }

    /// Whether it is the person's own wish, and so counts by the time at which they asked.
    pub const fn is_wish(self) -> bool {
        !matches!(self, HoldKind::Operator)
    }

    /// Whether what it covers is blocked.
    pub const fn blocks(self) -> bool {
        !matches!(self, HoldKind::Marketing)
    }

    /// What stands for it on disk: never renumber.
    pub(crate) const fn code(self) -> i64 {
        match self {
            HoldKind::Operator => 0,
            HoldKind::OptOut => 1,
            HoldKind::Marketing => 2,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
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

    /// Reads what [`as_str`](HoldKind::as_str) writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, UnknownHold> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownHold)
    }
}

/// A text that names no [`HoldKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hold is one of operator, opt-out, marketing")]
pub struct UnknownHold;

/// One reason for which a number is, or was, blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Whose will it is.
    pub kind: HoldKind,
    /// The directions that it covers; none where it is lifted.
    pub directions: Directions,
    /// How the newest block came about.
    pub source: Source,
    /// What the client calls the source.
    pub label: Option<Label>,
    /// Who made the newest block.
    pub actor: Actor,
    /// Who took directions away since the newest block: the last one who did.
    pub lifted_by: Option<Actor>,
    /// Why, in the words of whoever blocked.
    pub reason: Option<Reason>,
    /// When it was made, or made again after it was lifted.
    pub since: Timestamp,
    /// When what set it, confirmed it or lifted it last was asked for: the time of the person's message, of the record that
    /// was imported, or else of the write.
    ///
    /// A person's wish (any hold but the operator's) counts by this time and not by its arrival: an older one changes
    /// nothing. Vendors tell the times of messages in whole seconds, so two in one second are told apart only where both have
    /// a fraction; of those that can't be, the one to be left alone counts.
    pub requested: Timestamp,
    /// When it ends, or ended, by itself.
    pub expires: Option<Timestamp>,
}

/// The holds of an entry: at least one, and at most one of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holds {
    /// The one that was made first, whose row is the entry's own.
    pub(crate) first: Hold,
    /// In the order of their kinds.
    pub(crate) more: Vec<Hold>,
}

impl Holds {
    /// All of them: the one that was made first, then the others in the order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Hold> {
        std::iter::once(&self.first).chain(&self.more)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Hold> {
        std::iter::once(&mut self.first).chain(&mut self.more)
    }

    /// The one of a kind, lifted or not.
    pub fn get(&self, kind: HoldKind) -> Option<&Hold> {
        self.iter().find(|hold| hold.kind == kind)
    }

    /// The one that speaks for the entry where there is room for one: of those in force the person's own, then the
    /// operator's; else the one that was made first.
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

    /// What they cover.
    pub fn coverage(&self) -> Coverage {
        let add = |all: Coverage, hold: &Hold| all.with(hold.kind, hold.directions);
        self.iter().fold(Coverage::default(), add)
    }
}

/// What an entry's holds cover: the state before or after a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coverage(u8);

impl Coverage {
    /// What the hold of this kind covers.
    pub const fn of(self, kind: HoldKind) -> Directions {
        match Directions::from_bits(self.0 >> Self::shift(kind) & 3) {
            Some(directions) => directions,
            None => Directions::NONE,
        }
    }

    /// What is blocked.
    pub fn blocked(self) -> Directions {
        let blocking = HoldKind::ALL.into_iter().filter(|kind| kind.blocks());
        blocking.fold(Directions::NONE, |all, kind| all | self.of(kind))
    }

    pub(crate) fn with(self, kind: HoldKind, directions: Directions) -> Self {
        let shift = Self::shift(kind);
        Coverage(self.0 & !(3 << shift) | directions.bits() << shift)
    }

    pub(crate) const fn code(self) -> i64 {
        self.0 as i64
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
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
    fn a_kind_is_known_by_its_name_and_by_its_code() {
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
