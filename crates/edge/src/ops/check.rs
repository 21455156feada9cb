//! Whether messages may pass.
//!
//! [`one`] and [`many`] answer on the thread that asks, within microseconds, unless the disk is needed or a plugin misbehaves: then they
//! go on on a thread that may block. On such a thread, [`blocking_one`] and [`blocking_many`] do the same.

use std::time::Instant;

use portcullis_engine::{Checked, CheckedMany, Identity, NeedsDisk};
use portcullis_msisdn::{Direction, Subject};

use super::blocking;
use super::refusal::{Refusal, RowProblem};
use super::target::Target;
use crate::metrics::Counted;

/// The most numbers in one check.
pub const MAX_NUMBERS: usize = 10_000;
/// The most numbers that are checked on a thread that must not be held up: some ten microseconds.
const MAX_AT_ONCE: usize = 256;
/// The same, where numbers are read by a region's numbering plan, which takes fifty times as long.
const MAX_READ_AT_ONCE: usize = 8;

/// Checks somebody.
///
/// # Errors
///
/// If the ledger is needed and fails.
#[inline]
pub async fn one(target: &Target, identity: Identity, direction: Direction) -> Result<Checked, Refusal> {
    if let Ok(checked) = try_one(target, &identity, direction) {
        return Ok(checked);
    }
    let target = target.clone();
    blocking(move || blocking_one(&target, &identity, direction)).await
}

/// Checks some numbers, as clients write them. One that can't be read refuses all.
///
/// # Errors
///
/// If there are more than [`MAX_NUMBERS`], or some can't be read, or the ledger is needed and fails.
pub async fn many(target: &Target, numbers: &[&str], direction: Direction) -> Result<CheckedMany, Refusal> {
    let most = if target.tenant.reader.default_region.is_some() { MAX_READ_AT_ONCE } else { MAX_AT_ONCE };
    if numbers.len() > most {
        let (target, numbers) = (target.clone(), numbers.iter().map(|&text| text.to_owned()));
        let numbers: Vec<String> = numbers.collect();
        return blocking(move || blocking_many(&target, &numbers, direction)).await;
    }
    let start = Instant::now();
    let identities = read(target, numbers)?;
    if !notes_visits(target, direction)
        && let Ok(checked) = target.list.try_check_many(&identities, direction)
    {
        return Ok(counted_many(target, start, checked));
    }
    let target = target.clone();
    blocking(move || check_many(&target, start, &identities, direction)).await
}

/// Checks somebody. Blocks, if the disk is needed.
///
/// # Errors
///
/// As [`one`].
pub fn blocking_one(target: &Target, identity: &Identity, direction: Direction) -> Result<Checked, Refusal> {
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

/// Checks some numbers, as clients write them. Blocks, if the disk is needed.
///
/// # Errors
///
/// As [`many`].
pub fn blocking_many(
    target: &Target,
    numbers: &[impl AsRef<str>],
    direction: Direction,
) -> Result<CheckedMany, Refusal> {
    let start = Instant::now();
    let identities = read(target, numbers)?;
    check_many(target, start, &identities, direction)
}

#[inline]
fn try_one(target: &Target, identity: &Identity, direction: Direction) -> Result<Checked, NeedsDisk> {
    let start = Instant::now();
    if notes_visits(target, direction) {
        return Err(NeedsDisk);
    }
    let checked = target.list.try_check(identity, direction)?;
    Ok(counted(target, start, checked))
}

fn check_many(
    target: &Target,
    start: Instant,
    identities: &[Identity],
    direction: Direction,
) -> Result<CheckedMany, Refusal> {
    if notes_visits(target, direction) {
        for identity in identities {
            if let Some(person) = target.person(identity)? {
                note_visit(target, person.key())?;
            }
        }
    }
    let checked = target.list.blocking_check_many(identities, direction)?;
    Ok(counted_many(target, start, checked))
}

fn read(target: &Target, numbers: &[impl AsRef<str>]) -> Result<Vec<Identity>, Refusal> {
    if numbers.len() > MAX_NUMBERS {
        return Err(Refusal::TooManyNumbers { given: numbers.len(), limit: MAX_NUMBERS });
    }
    let mut identities = Vec::with_capacity(numbers.len());
    let mut invalid = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        match target.read(number.as_ref()) {
            Ok(identity) => identities.push(identity),
            Err(error) => invalid.push(RowProblem { index, error: error.into() }),
        }
    }
    if invalid.is_empty() { Ok(identities) } else { Err(Refusal::InvalidRows(invalid)) }
}

fn note_visit(target: &Target, visitor: Subject) -> Result<(), Refusal> {
    if let Some(sender) = &target.sender {
        sender.visits.note(&target.list, visitor)?;
    }
    Ok(())
}

/// Whether inbound checks tell who wrote.
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

fn counted_many(target: &Target, start: Instant, checked: CheckedMany) -> CheckedMany {
    let all = checked.blocked.len() as u64;
    let blocked = checked.blocked.iter().filter(|blocked| **blocked).count() as u64;
    target.tenant.metrics.checked(start, checked.answered_by, Counted { allowed: all - blocked, blocked });
    checked
}
