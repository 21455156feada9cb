//! Checking whether messages may pass.

use std::time::Instant;

use portcullis_engine::{Checked, CheckedMany, Identity};
use portcullis_msisdn::{Direction, Subject};

use super::refusal::{Refusal, RowProblem};
use super::target::Target;
use crate::identity::IdentityError;
use crate::metrics::Counted;

/// The most numbers in one call of [`many`].
pub const MAX_NUMBERS: usize = 10_000;

/// Checks one number without blocking. Takes microseconds, and at most [`Limits::check`] if a plugin misbehaves.
///
/// Returns `None` if the check needs the disk: the list is unloaded, a user id must be looked up, the ledger has to
/// answer for a failed plugin, or the check is recorded as a visit. Call [`one_with_ledger`] then.
///
/// # Errors
/// If `number` can't be read.
///
/// [`Limits::check`]: portcullis_host::Limits::check
#[inline]
pub fn one(target: &Target, number: &str, direction: Direction) -> Result<Option<Checked>, IdentityError> {
    Ok(identity(target, &target.read(number)?, direction))
}

/// Like [`one`], for a number or user id that is already parsed.
#[inline]
pub fn identity(target: &Target, identity: &Identity, direction: Direction) -> Option<Checked> {
    let start = Instant::now();
    if notes_visits(target, direction) {
        return None;
    }
    let checked = target.list.try_check(identity, direction).ok()?;
    Some(counted(target, start, checked))
}

/// Like [`one`], but may block to load the list or to read the ledger.
///
/// # Errors
/// [`Refusal::InvalidRows`] if `number` can't be read; otherwise if the ledger fails, or the tenant was removed meanwhile.
pub fn one_with_ledger(target: &Target, number: &str, direction: Direction) -> Result<Checked, Refusal> {
    let identity = target.read(number).map_err(|error| invalid(vec![(0, error)]))?;
    identity_with_ledger(target, &identity, direction)
}

/// Like [`identity`], but may block to load the list or to read the ledger. If the tenant has `within_24_hours`, an
/// inbound check is recorded as a visit to the sender.
///
/// # Errors
/// If the ledger fails, or the tenant was removed meanwhile.
pub fn identity_with_ledger(
    target: &Target,
    identity: &Identity,
    direction: Direction,
) -> Result<Checked, Refusal> {
    let start = Instant::now();
    let checked = if notes_visits(target, direction) {
        let person = target.ensure_person(identity)?;
        note_visit(target, person.key())?;
        target.list.blocking_check_person(&person, direction)?
    } else {
        target.list.blocking_check(identity, direction)?
    };
    Ok(counted(target, start, checked))
}

fn note_visit(target: &Target, visitor: Subject) -> Result<(), Refusal> {
    if let Some(sender) = &target.sender {
        sender.visits.note(target.list.ledger(), visitor)?;
    }
    Ok(())
}

/// Whether the check is recorded as a visit: inbound checks are, if the tenant has `within_24_hours`.
#[inline]
fn notes_visits(target: &Target, direction: Direction) -> bool {
    target.tenant.config.dialects.within_24_hours
        && direction == Direction::Inbound
        && target.sender.is_some()
}

#[inline]
fn counted(target: &Target, start: Instant, checked: Checked) -> Checked {
    let blocked = u64::from(checked.blocked_by.is_some());
    target.tenant.metrics.checked(start, checked.answered_by, Counted { allowed: 1 - blocked, blocked });
    checked
}

/// The most numbers that [`few`] checks. They take about 10 µs.
const MAX_AT_ONCE: usize = 256;
/// The same with a default region: reading a number by its numbering plan takes fifty times as long.
const MAX_READ_AT_ONCE: usize = 8;

/// Checks a few numbers without blocking. Takes about 10 µs unless a plugin misbehaves.
///
/// Returns `None` if the numbers are too many for that (8 with a default region, otherwise 256), if one can't be read,
/// if a plugin failed, or if the check needs the disk as in [`one`]. Call [`many`] then.
pub fn few(target: &Target, numbers: &[&str], direction: Direction) -> Option<CheckedMany> {
    let most = if target.tenant.reader.default_region.is_some() { MAX_READ_AT_ONCE } else { MAX_AT_ONCE };
    if numbers.len() > most || notes_visits(target, direction) {
        return None;
    }
    let start = Instant::now();
    let identities: Vec<Identity> =
        numbers.iter().map(|number| target.read(number)).collect::<Result<_, _>>().ok()?;
    let checked = target.list.try_check_many(&identities, direction).ok()?;
    Some(counted_many(target, start, checked))
}

/// Checks up to [`MAX_NUMBERS`] numbers. May block to load the list or to read the ledger.
///
/// # Errors
/// [`Refusal::TooManyNumbers`], or [`Refusal::InvalidRows`] with every number that can't be read; otherwise if the
/// ledger fails, or the tenant was removed meanwhile.
pub fn many(target: &Target, numbers: &[&str], direction: Direction) -> Result<CheckedMany, Refusal> {
    if numbers.len() > MAX_NUMBERS {
        return Err(Refusal::TooManyNumbers { given: numbers.len(), limit: MAX_NUMBERS });
    }
    let start = Instant::now();
    let mut identities = Vec::with_capacity(numbers.len());
    let mut bad = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        match target.read(number) {
            Ok(identity) => identities.push(identity),
            Err(error) => bad.push((index, error)),
        }
    }
    if !bad.is_empty() {
        return Err(invalid(bad));
    }
    if notes_visits(target, direction) {
        for identity in &identities {
            if let Some(person) = target.person(identity)? {
                note_visit(target, person.key())?;
            }
        }
    }
    let checked = target.list.blocking_check_many(&identities, direction)?;
    Ok(counted_many(target, start, checked))
}

fn counted_many(target: &Target, start: Instant, checked: CheckedMany) -> CheckedMany {
    let all = checked.blocked.len() as u64;
    let blocked = checked.blocked.iter().filter(|blocked| **blocked).count() as u64;
    target.tenant.metrics.checked(start, checked.answered_by, Counted { allowed: all - blocked, blocked });
    checked
}

fn invalid(numbers: Vec<(usize, IdentityError)>) -> Refusal {
    let problem = |(index, error): (usize, IdentityError)| RowProblem { index, error: error.into() };
    Refusal::InvalidRows(numbers.into_iter().map(problem).collect())
}
