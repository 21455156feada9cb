//! Blocking and unblocking people. All functions that write block until the change is on disk.

use jiff::Timestamp;
use portcullis_engine::{Identity, ListKind};

use portcullis_ledger::{
    Block, DisplayForm, Entry, Hold, HoldKind, Label, Outcome, Reason, Seq, Source, Unblock, Write, Written,
};
use portcullis_msisdn::{Directions, Msisdn, Person, Subject};

use super::refusal::{Refusal, RowError, RowProblem};
use super::target::Target;
use crate::identity::IdentityError;
use portcullis_api::requested::{self, NotThen};

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

/// Whom a row names, as a client writes it.
#[derive(Clone, Copy)]
pub enum Named<'a> {
    /// A number; or `user:` and a user id.
    Text(&'a str),
    /// A user id by itself.
    UserId(&'a str),
}

impl<'a> From<&'a str> for Named<'a> {
    fn from(text: &'a str) -> Self {
        Named::Text(text)
    }
}

impl Named<'_> {
    /// Reads whom it means, as the target's clients write that.
    ///
    /// # Errors
    ///
    /// If it is neither a number nor a user id.
    pub fn read(self, target: &Target) -> Result<Identity, IdentityError> {
        match self {
            Named::Text(text) => target.read(text),
            Named::UserId(id) => Ok(Identity::User(id.parse()?)),
        }
    }

    /// The text that was read as a number, where a client may want to see that again: not if it is just the digits.
    fn display_form(self, identity: &Identity) -> Option<DisplayForm> {
        match self {
            Named::Text(text) => display_form(text, identity),
            Named::UserId(_) => None,
        }
    }
}

/// A person to block, with fields as the client wrote them.
#[derive(Clone, Copy)]
pub struct BlockRow<'a> {
    /// Whom to block.
    pub whom: Named<'a>,
    /// The hold to set.
    pub hold: HoldKind,
    /// The directions to block; at least one.
    pub directions: Directions,
    /// How the block came about.
    pub source: Source,
    /// The client's own name for the source, at most 64 characters. Empty counts as none.
    pub label: Option<&'a str>,
    /// The reason, at most 500 characters. Empty counts as none.
    pub reason: Option<&'a str>,
    /// When the block expires: an RFC 3339 time in the future. `None`: never.
    pub expires: Option<&'a str>,
    /// When the person made the request: an RFC 3339 time in the past. `None`: now.
    pub requested: Option<&'a str>,
}

impl<'a> BlockRow<'a> {
    /// Creates an operator's block through an API, without texts, expiry or request time.
    pub fn of(whom: impl Into<Named<'a>>, directions: Directions) -> Self {
        BlockRow {
            whom: whom.into(),
            hold: HoldKind::Operator,
            directions,
            source: Source::Api,
            label: None,
            reason: None,
            expires: None,
            requested: None,
        }
    }
}

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
    fn write(&self, target: &Target, whom: impl Into<portcullis_ledger::Whom>) -> Write {
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

/// A person's entries that apply to a list. Usually there is at most one per list, but old spellings of a number may have more.
pub struct PersonEntries {
    /// The entries on the list itself.
    pub own: Vec<Entry>,
    /// The entries on the tenant-wide list, for a sender's list; otherwise empty.
    pub wide: Vec<Entry>,
}

impl PersonEntries {
    /// Reads the entries from the ledger.
    ///
    /// # Errors
    /// If the ledger fails, or the tenant was removed meanwhile.
    pub fn of(target: &Target, person: &Person) -> Result<Self, Refusal> {
        let wide = match target.list.kind() {
            ListKind::Sender => target.tenant.wide.entries().find(person)?,
            ListKind::Tenant => Vec::new(),
        };
        Ok(PersonEntries { own: target.list.entries().find(person)?, wide })
    }
}

fn covered(entries: &[Entry], kind: HoldKind) -> Directions {
    all(entries, |entry| entry.holds.coverage().of(kind))
}

fn all(entries: &[Entry], of: impl Fn(&Entry) -> Directions) -> Directions {
    entries.iter().map(of).fold(Directions::NONE, |all, of| all | of)
}

/// The result of [`block`] or [`unblock`].
pub struct WriteReport {
    /// The results of the valid rows, in order.
    pub results: Vec<RowResult>,
    /// The rows that were skipped.
    pub invalid: Vec<RowProblem>,
    /// The list's sequence number after the write.
    pub sequence: Seq,
}

/// The result of a valid row.
pub struct RowResult {
    /// The number or user id in the row.
    pub identity: Identity,
    /// What happened to the entry; `None` in a dry run.
    pub outcome: Option<Outcome>,
    /// The subject of the person's entry; `None` in a dry run, and for a user id that was never used.
    pub subject: Option<Subject>,
}

impl RowResult {
    /// Returns why the row had no effect although it is valid: the list is full, or the person's own opt-out still blocks.
    pub fn failure(&self) -> Option<RowError> {
        match self.outcome? {
            Outcome::Full => Some(RowError::Full),
            // Two kinds of holds block. The operator's was lifted or absent, so the person's own is left.
            Outcome::Held | Outcome::Lifted => Some(RowError::OptedOut),
            _ => None,
        }
    }
}

impl WriteReport {
    /// The valid rows that had no effect. Their indices count [`results`](Self::results), not the rows of the request.
    pub fn failures(&self) -> Vec<RowProblem> {
        let failure = |(index, row): (usize, &RowResult)| Some(RowProblem { index, error: row.failure()? });
        self.results.iter().enumerate().filter_map(failure).collect()
    }
}

/// Blocks people. When this returns, the blocks are on disk and apply to the next check.
///
/// All rows are written in one transaction, which costs one flush of the disk and then microseconds per row.
///
/// # Errors
/// [`Refusal::TooManyNumbers`] for more than [`MAX_ROWS`] rows; [`Refusal::InvalidRows`] for invalid ones, unless they
/// are skipped; otherwise if the ledger fails, or the tenant was removed meanwhile. Nothing is written then.
pub fn block(target: &Target, rows: &[BlockRow<'_>], options: WriteOptions) -> Result<WriteReport, Refusal> {
    let now = Timestamp::now();
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
        let reason = row.reason.filter(|reason| !reason.is_empty()).map(Reason::new).transpose();
        let label = row.label.filter(|label| !label.is_empty()).map(Label::new).transpose();
        let expires = row.expires.map(|end| end_after(end, now)).transpose()?;
        let requested = row.requested.map(|time| requested_until(time, now)).transpose()?;
        let said = Said {
            reason: reason.map_err(RowError::Reason)?,
            label: label.map_err(RowError::Label)?,
            expires,
            requested,
        };
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

/// The parsed texts and times of a row.
struct Said {
    reason: Option<Reason>,
    label: Option<Label>,
    expires: Option<Timestamp>,
    requested: Option<Timestamp>,
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
    let written = target.list.blocking_write(vec![lift.write(target, subject)])?;
    match written.first().map(|written| (written, written.outcome)) {
        Some((_, Outcome::Held)) => Err(Refusal::Held),
        Some((written, outcome)) if outcome != Outcome::Absent => Ok(*written),
        _ => Err(Refusal::EntryNotFound),
    }
}

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

/// Parses each row with `read` and checks the person with `judge`, then writes what `make` creates from the valid rows.
fn write<P>(
    target: &Target,
    rows: usize,
    options: WriteOptions,
    mut read: impl FnMut(usize) -> Result<(Identity, P), RowError>,
    judge: impl Fn(&Identity) -> Result<Option<RowError>, Refusal>,
    make: impl Fn(&Identity, P) -> Write,
) -> Result<WriteReport, Refusal> {
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

/// The number as it was written, to be shown again. `None` if that was only the digits, with or without a plus.
fn display_form(text: &str, identity: &Identity) -> Option<DisplayForm> {
    let number = identity.number()?;
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

/// Parses the time of a person's request, in RFC 3339. A time up to a minute after `now` counts as `now`, because clocks differ.
///
/// # Errors
/// [`RowError::RequestedNotATime`], [`RowError::RequestedInTheFuture`] or, before 1990, [`RowError::RequestedBeforeMessages`].
pub fn requested_until(text: &str, now: Timestamp) -> Result<Timestamp, RowError> {
    let time: Timestamp = text.parse().map_err(|_| RowError::RequestedNotATime)?;
    match requested::check(time, now) {
        Ok(()) => Ok(time.min(now)),
        Err(NotThen::Future) => Err(RowError::RequestedInTheFuture),
        Err(NotThen::BeforeMessages) => Err(RowError::RequestedBeforeMessages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_digits_is_kept_as_written() {
        let number = Identity::Number(Msisdn::parse("46732001122").unwrap());
        for text in ["46732001122", "+46732001122"] {
            assert_eq!(display_form(text, &number), None);
        }
        for text in ["0732001122", "0046732001122", "+46 73-200 11 22", " 46732001122"] {
            assert_eq!(display_form(text, &number).unwrap().as_str(), text.trim());
        }
        assert_eq!(display_form("user:x", &Identity::User("x".parse().unwrap())), None);
    }

    #[test]
    fn a_request_is_from_before_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let is = |text: &str| requested_until(text, now).map(|time| time.to_string());
        assert_eq!(is("2025-12-31T23:00:00Z"), Ok("2025-12-31T23:00:00Z".to_owned()));
        assert_eq!(is("2026-01-01T00:00:30Z"), Ok("2026-01-01T00:00:00Z".to_owned()));
        assert_eq!(is("2026-01-01T00:02:00Z"), Err(RowError::RequestedInTheFuture));
        assert_eq!(is("1990-01-01T00:00:00Z"), Ok("1990-01-01T00:00:00Z".to_owned()));
        assert_eq!(is("1980-01-01T00:00:00Z"), Err(RowError::RequestedBeforeMessages));
        for text in ["", "yesterday", "2025-12-31", "1767225600"] {
            assert_eq!(is(text), Err(RowError::RequestedNotATime), "{text}");
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
