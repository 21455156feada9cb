//! Blocking and unblocking people. All functions that write block until the change is on disk.

mod amendment;
mod lift;
mod named;
mod person_entries;
mod report;
mod row;
mod time;

use portcullis_engine::Identity;
use portcullis_ledger::{Block, Outcome, Seq, Write, Written};
use portcullis_msisdn::{Msisdn, Subject};

use super::refusal::{Refusal, RowError, RowProblem};
use super::target::Target;
use super::traced;
use row::Said;

pub use amendment::{Amendment, amend};
pub use lift::Lift;
pub use named::Named;
pub use person_entries::PersonEntries;
pub use report::{RowResult, WriteReport};
pub use row::BlockRow;
pub use time::requested_until;

/// The most rows in one call of [`block`] or [`unblock`].
pub const MAX_ROWS: usize = 10_000;

/// Options of [`block`] and [`unblock`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// Whether to skip invalid rows and write the others. If not, one invalid row refuses the whole request.
    pub skip_invalid: bool,
    /// Whether to validate the rows only, and write nothing.
    pub dry_run: bool,
    /// Additional conditions for blocks.
    pub terms: Terms,
}

/// Conditions that a block must meet in addition to valid fields. By default there are none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// The maximum number of active entries on the list. A block beyond it has the outcome [`Outcome::Full`].
    pub capacity: Option<u64>,
    /// Whether to refuse the sender's own number.
    pub no_own_number: bool,
    /// Whether to refuse people who have not written to the sender within 24 hours.
    pub within_24_hours: bool,
}

/// Blocks people. When this returns, the blocks are on disk and apply to the next check.
///
/// All rows are written in one transaction, which costs one flush of the disk and then microseconds per row.
///
/// # Errors
/// [`Refusal::TooManyNumbers`] for more than [`MAX_ROWS`] rows; [`Refusal::InvalidRows`] for invalid ones, unless they
/// are skipped; otherwise if the ledger fails, or the tenant was removed meanwhile. Nothing is written then.
pub fn block(target: &Target, rows: &[BlockRow<'_>], options: WriteOptions) -> Result<WriteReport, Refusal> {
    let now = target.list.now();
    let terms = options.terms;
    let own_number = target.sender_config().filter(|_| terms.no_own_number).and_then(|sender| sender.number);
    let read = |index: usize| {
        let row = &rows[index];
        let identity = row.whom.read(target)?;
        if row.directions.is_none() {
            return Err(RowError::NoDirections);
        }
        let is_own = |number: Msisdn| number.variants().any(|spelling| Some(spelling) == own_number);
        if identity.number().is_some_and(is_own) {
            return Err(RowError::OwnNumber);
        }
        let said = row.said(now)?;
        Ok((identity, (index, said)))
    };
    let judge = |identity: &Identity| {
        if !terms.within_24_hours {
            return Ok(None);
        }
        let wrote = match target.person(identity)? {
            Some(person) => target.wrote_lately(person.key())?,
            None => false,
        };
        Ok((!wrote).then_some(RowError::OutsideWindow))
    };
    let make = |identity: &Identity, (index, said): (usize, Said)| {
        let row: &BlockRow<'_> = &rows[index];
        Write::Block(Block {
            hold: row.hold,
            source: row.source,
            label: said.label,
            reason: said.reason,
            display: row.whom.display_form(identity),
            expires: said.expires,
            requested: said.requested,
            ..Block::new(target.whom(identity), row.directions, target.actor.clone())
        })
    };
    write(target, rows.len(), options, read, judge, make)
}

/// Lifts holds of people. When this returns, the change is on disk and applies to the next check.
///
/// # Errors
/// Those of [`block`].
pub fn unblock(
    target: &Target,
    people: &[Named<'_>],
    lift: Lift<'_>,
    options: WriteOptions,
) -> Result<WriteReport, Refusal> {
    let read = |index: usize| {
        let identity = people[index].read(target)?;
        if lift.directions.is_none() { Err(RowError::NoDirections) } else { Ok((identity, ())) }
    };
    let judge = |identity: &Identity| {
        if lift.made_through.is_none() && !lift.or_stays_blocked {
            return Ok(None);
        }
        let Some(person) = target.person(identity)? else { return Ok(None) };
        Ok(lift.objection(&PersonEntries::of(target, &person)?))
    };
    let make = |identity: &Identity, ()| lift.write(target, target.whom(identity));
    write(target, people.len(), options, read, judge, make)
}

/// Lifts holds of one entry.
///
/// # Errors
/// [`Refusal::EntryNotFound`] if the entry does not exist or blocks none of the directions; [`Refusal::Held`] if only
/// holds of another kind block; otherwise if the ledger fails, or the tenant was removed meanwhile.
pub fn unblock_entry(target: &Target, subject: Subject, lift: Lift<'_>) -> Result<Written, Refusal> {
    let _traced = traced::write(target, 1).entered();
    let written = target.list.blocking_write(vec![lift.write(target, subject)])?;
    match written.first().map(|written| (written, written.outcome)) {
        Some((_, Outcome::Held)) => Err(Refusal::Held),
        Some((written, outcome)) if outcome != Outcome::Absent => Ok(*written),
        _ => Err(Refusal::EntryNotFound),
    }
}

/// Parses each row with `read` and checks the person with `judge`, then writes what `make` creates from the valid rows.
fn write<P>(
    target: &Target,
    rows: usize,
    options: WriteOptions,
    mut read: impl FnMut(usize) -> Result<(Identity, P), RowError>,
    judge: impl Fn(&Identity) -> Result<Option<RowError>, Refusal>,
    make: impl Fn(&Identity, P) -> Write,
) -> Result<WriteReport, Refusal> {
    let _traced = traced::write(target, rows).entered();
    if rows > MAX_ROWS {
        return Err(Refusal::TooManyNumbers { given: rows, limit: MAX_ROWS });
    }
    let (mut good, mut invalid) = (Vec::with_capacity(rows), Vec::new());
    for index in 0..rows {
        let fault = match read(index) {
            Ok((identity, parsed)) => match judge(&identity)? {
                None => {
                    good.push((identity, parsed));
                    continue;
                }
                Some(fault) => fault,
            },
            Err(fault) => fault,
        };
        invalid.push(RowProblem { index, error: fault });
    }
    if !invalid.is_empty() && !options.skip_invalid {
        return Err(Refusal::InvalidRows(invalid));
    }
    let list = target.list.entries();
    if options.dry_run {
        let undone = |(identity, _)| RowResult { identity, outcome: None, subject: None };
        let results = good.into_iter().map(undone).collect();
        return Ok(WriteReport { results, invalid, sequence: list.sequence()? });
    }
    let (mut people, mut writes) = (Vec::with_capacity(good.len()), Vec::with_capacity(good.len()));
    for (identity, parsed) in good {
        writes.push(make(&identity, parsed));
        people.push(identity);
    }
    target.reading.end();
    let written = target.list.blocking_write_up_to(options.terms.capacity.unwrap_or(u64::MAX), writes)?;
    if written.is_empty() {
        return Ok(WriteReport { results: Vec::new(), invalid, sequence: list.sequence()? });
    }
    let sequence = written.iter().map(|written| written.sequence).max().unwrap_or(Seq::START);
    let results = people
        .into_iter()
        .zip(written)
        .map(|(identity, written)| RowResult {
            identity,
            outcome: Some(written.outcome),
            subject: written.subject,
        })
        .collect();
    Ok(WriteReport { results, invalid, sequence })
}
