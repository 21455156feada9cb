//! Whether messages may pass.
//!
//! [`one`] and [`many`] answer on the thread that asks, within microseconds, unless the disk is needed or a plugin is slow: then they go
//! on on a thread that may block, in turn with the tenant's other checks. On such a thread, [`blocking_one`] does the same.

use std::time::Instant;

use portcullis_admission::Work;
use portcullis_engine::{AnsweredBy, Checked, CheckedMany, Identity, NeedsDisk};
use portcullis_ledger::Position;
use portcullis_msisdn::{Direction, Subject};

use super::refusal::{Refusal, RowProblem};
use super::target::Target;
use crate::metrics::Counted;

/// The most numbers in one check.
pub const MAX_NUMBERS: usize = 10_000;
/// The most numbers that are read and checked on a thread that must not be held up: some ten microseconds.
const MAX_AT_ONCE: usize = 256;
/// The most numbers that are read with the priority of others' checks: two milliseconds. More are a batch: see [`Work::Batch`].
const MAX_READ_AS_LOOKUP: usize = 400;
/// The same as [`MAX_AT_ONCE`], where numbers are read by a region's numbering plan, which takes fifty times as long.
const MAX_READ_AT_ONCE: usize = 8;

/// Checks somebody, with everything that was written up to these positions. If the plugins don't have it within 200 ms, or don't answer, the
/// ledger does.
///
/// # Errors
///
/// If the ledger is needed and fails, or has lost what was written, or if neither the plugin nor the ledger can answer in time.
#[inline]
pub async fn one(
    target: &Target,
    identity: Identity,
    direction: Direction,
    since: &[Position],
) -> Result<Checked, Refusal> {
    let (start, checked) = one_uncounted(target, identity, direction, since).await?;
    Ok(counted(target, start, checked))
}

/// As [`one`], for a caller that counts what the client is told. Returns when it began, too.
#[inline]
pub(super) async fn one_uncounted(
    target: &Target,
    identity: Identity,
    direction: Direction,
    since: &[Position],
) -> Result<(Instant, Checked), Refusal> {
    let is_reached = since.is_empty() || target.list.reach(since).await;
    if is_reached && let Ok(answered) = try_one(target, &identity, direction, since) {
        return Ok(answered);
    }
    let start = Instant::now();
    if notes_visits(target, direction) {
        let visitor = identity.clone();
        let note = move |target: Target| note_visit(&target, target.ensure_person(&visitor)?.key());
        target.blocking(Work::Write, note).await?;
    }
    let answered = match is_reached {
        true => Some(target.list.check(identity.clone(), direction).await?),
        false => None,
    };
    let checked = match answered.filter(|checked| !is_blind(checked.answered_by, since)) {
        Some(checked) => checked,
        None => {
            let checked = target.list.check_recorded(vec![identity], direction, since).await?;
            checked.into_iter().next().ok_or(Refusal::Defect)?
        }
    };
    Ok((start, checked))
}

/// Checks several people, as [`one`] does. The caller counts what the client is told, of a check that began at the time that is returned.
///
/// # Errors
///
/// As [`one`].
pub async fn many(
    target: &Target,
    identities: Vec<Identity>,
    direction: Direction,
    since: &[Position],
) -> Result<(Instant, CheckedMany), Refusal> {
    let is_reached = since.is_empty() || target.list.reach(since).await;
    let start = Instant::now();
    let identities = match notes_visits(target, direction) {
        false => identities,
        true => {
            let note = move |target: Target| {
                for identity in &identities {
                    if let Some(person) = target.person(identity)? {
                        note_visit(&target, person.key())?;
                    }
                }
                Ok::<_, Refusal>(identities)
            };
            target.blocking(Work::Write, note).await?
        }
    };
    let again = (is_reached && !since.is_empty()).then(|| identities.clone());
    let checked = match (is_reached, identities.len() > MAX_AT_ONCE) {
        (false, _) => many_recorded(target, identities, direction, since).await?,
        (true, false) => target.list.check_many(identities, direction).await?,
        (true, true) => {
            // Half a millisecond: not on the thread of other requests, if the plugin is fast.
            let check = move |target: Target| {
                let checked = target.list.try_check_many(&identities, direction);
                Ok::<_, Refusal>((checked, identities))
            };
            match target.blocking(Work::Lookup, check).await? {
                (Ok(checked), _) => checked,
                (Err(NeedsDisk), identities) => target.list.check_many(identities, direction).await?,
            }
        }
    };
    let checked = match again.filter(|_| is_blind(checked.answered_by, since)) {
        Some(identities) => many_recorded(target, identities, direction, since).await?,
        None => checked,
    };
    Ok((start, checked))
}

async fn many_recorded(
    target: &Target,
    identities: Vec<Identity>,
    direction: Direction,
    since: &[Position],
) -> Result<CheckedMany, Refusal> {
    let checked = target.list.check_recorded(identities, direction, since).await?;
    let answered_by = checked.first().map_or(AnsweredBy::Ledger, |checked| checked.answered_by);
    Ok(CheckedMany { blocked: checked.iter().map(Checked::is_blocked).collect(), answered_by })
}

/// Whether the failure policy answered, which knows nothing of what was written up to these positions.
#[inline]
fn is_blind(by: AnsweredBy, since: &[Position]) -> bool {
    by == AnsweredBy::Policy && !since.is_empty()
}

/// Checks somebody. Blocks, if the disk is needed or the plugin is busy.
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

/// Reads numbers as clients write them: on this thread if they are few, else on one that may block, of low priority if they are
/// many. One that can't be read refuses all.
///
/// # Errors
///
/// If there are more than [`MAX_NUMBERS`], or some can't be read.
pub async fn read_at_once(target: &Target, numbers: &[&str]) -> Result<Vec<Identity>, Refusal> {
    let most = if target.tenant.reader.default_region.is_some() { MAX_READ_AT_ONCE } else { MAX_AT_ONCE };
    if numbers.len() <= most {
        return read(target, numbers);
    }
    let numbers: Vec<String> = numbers.iter().map(|&text| text.to_owned()).collect();
    let kind = if numbers.len() > MAX_READ_AS_LOOKUP { Work::Batch } else { Work::Lookup };
    target.blocking(kind, move |target| read(&target, &numbers)).await
}

/// Reads numbers as clients write them. One that can't be read refuses all. Takes some 5 µs for each number of a tenant with a default
/// region, and a tenth of that otherwise.
///
/// # Errors
///
/// As [`read_at_once`].
pub fn read(target: &Target, numbers: &[impl AsRef<str>]) -> Result<Vec<Identity>, Refusal> {
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

#[inline]
fn try_one(
    target: &Target,
    identity: &Identity,
    direction: Direction,
    since: &[Position],
) -> Result<(Instant, Checked), NeedsDisk> {
    let start = Instant::now();
    if notes_visits(target, direction) {
        return Err(NeedsDisk);
    }
    let checked = target.list.try_check(identity, direction)?;
    if is_blind(checked.answered_by, since) {
        return Err(NeedsDisk);
    }
    Ok((start, checked))
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
    target.tenant.metrics.checked(start, checked.answered_by, verdict_of(&checked));
    checked
}

/// What the lists say of one number.
#[inline]
pub(super) fn verdict_of(checked: &Checked) -> Counted {
    let blocked = u64::from(checked.is_blocked());
    Counted { allowed: 1 - blocked, blocked, ..Counted::default() }
}

/// What the lists say of several numbers.
pub(super) fn verdicts_of_many(checked: &CheckedMany) -> Counted {
    let all = checked.blocked.len() as u64;
    let blocked = checked.blocked.iter().filter(|blocked| **blocked).count() as u64;
    Counted { allowed: all - blocked, blocked, ..Counted::default() }
}
