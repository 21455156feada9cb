//! Lifting holds, and what stands against it.

use jiff::Timestamp;
use portcullis_ledger::{Entry, Hold, HoldKind, Unblock, Whom, Write};
use portcullis_msisdn::Directions;

use super::person_entries::PersonEntries;
use crate::ops::refusal::RowError;
use crate::ops::target::Target;

/// What to lift, and under which conditions.
#[derive(Clone, Copy, Debug)]
pub struct Lift<'a> {
    /// The directions to unblock.
    pub directions: Directions,
    /// The kind of hold to lift; `None` lifts all.
    pub hold: Option<HoldKind>,
    /// The lift has no effect unless the person is blocked in all of these directions.
    pub covering: Directions,
    /// Refuses operators' blocks that were not made through this interface, with [`RowError::Foreign`].
    pub made_through: Option<&'a str>,
    /// Whether to refuse a lift after which the person would still be blocked in one of the directions `covering`: by their own
    /// opt-out ([`RowError::OptedOut`]), or by an operator's block on the tenant-wide list ([`RowError::TenantWide`]).
    pub or_stays_blocked: bool,
    /// When the person made the request, if known. `None`: now.
    pub requested: Option<Timestamp>,
}

impl Lift<'_> {
    /// Lifts these directions of all holds, unconditionally.
    pub fn of(directions: Directions) -> Self {
        Lift {
            directions,
            hold: None,
            covering: Directions::NONE,
            made_through: None,
            or_stays_blocked: false,
            requested: None,
        }
    }

    /// The write that applies this to a person.
    pub(super) fn write(&self, target: &Target, whom: impl Into<Whom>) -> Write {
        Write::Unblock(Unblock {
            covering: self.covering,
            hold: self.hold,
            requested: self.requested,
            ..Unblock::new(whom, self.directions, target.actor.clone())
        })
    }

    /// Returns why this must not be lifted for a person with these entries, if there is a reason.
    pub fn objection(&self, standing: &PersonEntries) -> Option<RowError> {
        let PersonEntries { own, wide } = standing;
        let is_foreign = |hold: &Hold| {
            !(hold.directions & self.directions).is_none()
                && self.made_through.is_some_and(|interface| hold.actor.interface() != Some(interface))
        };
        let mut operators = own.iter().filter_map(|entry| entry.holds.get(HoldKind::Operator));
        let blocked = all(own, |entry| entry.holds.coverage().blocked());
        if (self.covering & !blocked).is_none() && operators.any(is_foreign) {
            return Some(RowError::Foreign);
        }
        if !self.or_stays_blocked {
            return None;
        }
        let is_kept = |entries: &[Entry], kind| !(covered(entries, kind) & self.covering).is_none();
        let keeps_own = self.hold == Some(HoldKind::Operator) && is_kept(own, HoldKind::OptOut);
        if keeps_own || is_kept(wide, HoldKind::OptOut) {
            return Some(RowError::OptedOut);
        }
        is_kept(wide, HoldKind::Operator).then_some(RowError::TenantWide)
    }
}

fn covered(entries: &[Entry], kind: HoldKind) -> Directions {
    all(entries, |entry| entry.holds.coverage().of(kind))
}

fn all(entries: &[Entry], of: impl Fn(&Entry) -> Directions) -> Directions {
    entries.iter().map(of).fold(Directions::NONE, |all, of| all | of)
}
