//! Making an entry inactive.

use portcullis_edge::ops::read::Shown;
use portcullis_edge::ops::write::{self, Lift, PersonEntries};
use portcullis_edge::ops::{Refusal, RowError, Target};
use portcullis_edge::vendor::fault::Fault;
use portcullis_ledger::{HoldKind, Outcome};
use portcullis_msisdn::Subject;

use super::COVERED;

/// Lifts the operator's hold, or all holds with `dialects.lift_opt_outs`. Fails if the person stays blocked.
fn operators_lift(target: &Target) -> Lift<'static> {
    let lifts_all = target.tenant.config.dialects.lift_opt_outs;
    Lift {
        hold: (!lifts_all).then_some(HoldKind::Operator),
        covering: COVERED,
        or_stays_blocked: true,
        ..Lift::of(COVERED)
    }
}

/// Checks that an entry can be made inactive, considering the person's entries under other spellings.
pub(super) fn check_lift(target: &Target, shown: &Shown) -> Result<(), Fault> {
    let person = shown.identity.as_ref().map(|identity| target.person(identity)).transpose()?.flatten();
    let standing = match person {
        Some(person) => PersonEntries::of(target, &person)?,
        None => PersonEntries { own: vec![shown.entry.clone()], wide: Vec::new() },
    };
    operators_lift(target).objection(&standing).map_or(Ok(()), |objection| Err(stays(objection)))
}

fn stays(objection: RowError) -> Fault {
    Fault::malformed("status", &format!("can not be INACTIVE: {objection}"))
}

/// Makes an entry inactive.
pub(super) fn lift(target: &Target, subject: Subject) -> Result<(), Fault> {
    match write::unblock_entry(target, subject, operators_lift(target)) {
        // The person has opted out in the meantime.
        Err(Refusal::Held) => Err(stays(RowError::OptedOut)),
        Ok(written) if written.outcome == Outcome::Lifted => Err(stays(RowError::OptedOut)),
        done => Ok(done.map(|_| ())?),
    }
}
