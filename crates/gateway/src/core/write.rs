//! Blocking and unblocking.

use jiff::Timestamp;
use portcullis_ledger::{DisplayForm, Outcome, Reason, Seq, Source, Write, Written};
use portcullis_msisdn::{Directions, Msisdn, Subject};

use super::refusal::{Refusal, RowError, RowProblem};
use super::target::Target;
use crate::gateway::Gateway;

/// The most rows that are written at once.
pub(crate) const MAX_ROWS: usize = 10_000;

/// What is to be written, besides the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Whether rows that can't be taken are left out, and the rest written. Otherwise one of them refuses all.
    pub(crate) skip_invalid: bool,
    /// Whether nothing is to be written at all.
    pub(crate) dry_run: bool,
}

/// One number to be blocked, as a client writes it.
#[derive(Clone, Copy)]
pub(crate) struct BlockRow<'a> {
    pub(crate) number: &'a str,
    pub(crate) directions: Directions,
    pub(crate) source: Source,
    pub(crate) reason: Option<&'a str>,
    /// In RFC 3339.
    pub(crate) expires: Option<&'a str>,
}

/// What became of the rows.
pub(crate) struct Done {
    /// The rows that were written, or would be, in order. The outcome is missing in a dry run.
    pub(crate) results: Vec<(Msisdn, Option<Outcome>)>,
    /// The rows that were left out.
    pub(crate) invalid: Vec<RowProblem>,
    /// The list's sequence number afterwards.
    pub(crate) sequence: Seq,
}

/// Blocks numbers. When this returns, they are on disk, and the next check sees them.
pub(crate) fn block(
    gateway: &Gateway,
    target: &Target,
    rows: &[BlockRow<'_>],
    manner: Manner,
) -> Result<Done, Refusal> {
    let now = Timestamp::now();
    let mut ends = false;
    let done = write(target, rows.len(), manner, |index| {
        let row = &rows[index];
        let number = target.read(row.number).map_err(RowError::Number)?;
        if row.directions.is_none() {
            return Err(RowError::NoDirections);
        }
        let reason = row.reason.filter(|reason| !reason.is_empty()).map(Reason::new).transpose();
        let expires = row.expires.map(|end| end_after(end, now)).transpose()?;
        ends |= expires.is_some();
        Ok((
            number,
            Write::Block {
                subject: target.subject(number),
                directions: row.directions,
                source: row.source,
                actor: target.actor.clone(),
                reason: reason.map_err(RowError::Reason)?,
                display: display_form(row.number, number),
                expires,
            },
        ))
    })?;
    if ends {
        gateway.expiry.notify_one();
    }
    Ok(done)
}

/// Takes `directions` away from numbers. When this returns, that is on disk, and the next check sees it.
pub(crate) fn unblock(
    target: &Target,
    numbers: &[&str],
    directions: Directions,
    manner: Manner,
) -> Result<Done, Refusal> {
    write(target, numbers.len(), manner, |index| {
        let number = target.read(numbers[index]).map_err(RowError::Number)?;
        if directions.is_none() {
            return Err(RowError::NoDirections);
        }
        let actor = target.actor.clone();
        Ok((number, Write::Unblock { subject: target.subject(number), directions, actor }))
    })
}

/// Takes `directions` away from one entry, which must be there and cover one of them.
pub(crate) fn unblock_entry(
    target: &Target,
    subject: Subject,
    directions: Directions,
) -> Result<Written, Refusal> {
    let actor = target.actor.clone();
    let written = target.gate.list().write(vec![Write::Unblock { subject, directions, actor }])?;
    target.gate.catch_up();
    match written.first() {
        Some(written) if written.outcome != Outcome::Absent => Ok(*written),
        _ => Err(Refusal::EntryNotFound),
    }
}

fn write(
    target: &Target,
    rows: usize,
    manner: Manner,
    mut row: impl FnMut(usize) -> Result<(Msisdn, Write), RowError>,
) -> Result<Done, Refusal> {
    if rows > MAX_ROWS {
        return Err(Refusal::TooManyNumbers { given: rows, limit: MAX_ROWS });
    }
    let (mut numbers, mut writes, mut invalid) =
        (Vec::with_capacity(rows), Vec::with_capacity(rows), Vec::new());
    for index in 0..rows {
        match row(index) {
            Ok((number, write)) => {
                numbers.push(number);
                writes.push(write);
            }
            Err(error) => invalid.push(RowProblem { index, error }),
        }
    }
    if !invalid.is_empty() && !manner.skip_invalid {
        return Err(Refusal::InvalidRows(invalid));
    }
    let list = target.gate.list();
    if manner.dry_run || writes.is_empty() {
        let results = numbers.into_iter().map(|number| (number, None)).collect();
        return Ok(Done { results, invalid, sequence: list.sequence()? });
    }
    let written = list.write(writes)?;
    target.gate.catch_up();
    let sequence = written.iter().map(|written| written.sequence).max().unwrap_or(Seq::START);
    let outcomes = written.into_iter().map(|written| Some(written.outcome));
    Ok(Done { results: numbers.into_iter().zip(outcomes).collect(), invalid, sequence })
}

/// The text that was read as `number`, where a client may want to see that again: not if it is just the digits.
fn display_form(text: &str, number: Msisdn) -> Option<DisplayForm> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits == number.digits().to_string() {
        return None;
    }
    DisplayForm::new(text.trim()).ok()
}

fn end_after(text: &str, now: Timestamp) -> Result<Timestamp, RowError> {
    let end: Timestamp = text.parse().map_err(|_| RowError::NotATime)?;
    if end > now { Ok(end) } else { Err(RowError::InThePast) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_digits_is_kept_as_written() {
        let number = Msisdn::parse("46732001122").unwrap();
        for text in ["46732001122", "+46732001122"] {
            assert_eq!(display_form(text, number), None);
        }
        for text in ["0732001122", "0046732001122", "+46 73-200 11 22", " 46732001122"] {
            assert_eq!(display_form(text, number).unwrap().as_str(), text.trim());
        }
    }

    #[test]
    fn an_end_must_be_a_time_that_comes() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(end_after("2026-01-01T01:00:01+01:00", now).is_ok());
        assert_eq!(end_after("2026-01-01T00:00:00Z", now), Err(RowError::InThePast));
        for text in ["", "tomorrow", "2026-01-02", "2026-01-02T00:00:00", "1767225600"] {
            assert_eq!(end_after(text, now), Err(RowError::NotATime), "{text}");
        }
    }
}
