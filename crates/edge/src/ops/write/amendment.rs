//! Changing what is recorded of a hold.

use portcullis_ledger::{Block, Entry, HoldKind, Reason, Source, Write};
use portcullis_msisdn::Directions;

use super::lift::Lift;
use crate::ops::refusal::Refusal;
use crate::ops::target::Target;

/// A change of what is recorded about an entry's hold.
pub struct Amendment {
    /// The kind of the hold. Its source, label, expiry and request time stay as they are.
    pub hold: HoldKind,
    /// The directions to block.
    pub directions: Directions,
    /// The new reason; `None` keeps the old one.
    pub reason: Option<Reason>,
    /// Whether to lift these directions again in the same write, so that the hold ends up not in force.
    pub lifted: bool,
}

/// Rewrites a hold of an entry, by blocking its subject again. When this returns, the change is on disk.
///
/// # Errors
/// If the ledger fails, or the tenant was removed meanwhile. [`Refusal::Ledger`] with
/// [`NoDirections`](portcullis_ledger::LedgerError::NoDirections) if the amendment has no directions.
pub fn amend(target: &Target, entry: &Entry, amendment: Amendment) -> Result<(), Refusal> {
    let Amendment { hold: kind, directions, reason, lifted } = amendment;
    let there = entry.holds.get(kind);
    let in_force = there.filter(|hold| !hold.directions.is_none());
    // A new reason does not make it a new request.
    let requested = if lifted { there } else { in_force }.map(|hold| hold.requested);
    let mut writes = vec![Write::Block(Block {
        hold: kind,
        source: there.map_or(Source::Api, |hold| hold.source),
        label: there.and_then(|hold| hold.label.clone()),
        reason: reason.or_else(|| there.and_then(|hold| hold.reason.clone())),
        display: entry.display.clone(),
        expires: in_force.and_then(|hold| hold.expires),
        requested,
        ..Block::new(entry.subject, directions, target.actor.clone())
    })];
    if lifted {
        writes
            .push(Lift { hold: Some(kind), requested, ..Lift::of(directions) }.write(target, entry.subject));
    }
    target.list.blocking_write(writes)?;
    Ok(())
}
