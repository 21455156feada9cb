//! Expiry of holds.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;

use jiff::Timestamp;
use portcullis_keys::{Scope, TenantId};
use portcullis_ledger_model::{Actor, Coverage, Finding, HoldKind, Outcome, Record, Seq};
use portcullis_msisdn::{Directions, Subject};
use rusqlite::{Connection, Row};

use super::Sqlite;
use super::actors::Actors;
use super::entries::{directions, kind, subject, time};
use super::forgotten;
use super::lists::{Position, position, set_position, unsigned};
use super::sums::{Changed, Sums};
use super::trail::Trail;
use crate::error::LedgerError;
use crate::store::{self, ExpiredIn, ListRow, MAX_EXPIRED_AT_ONCE, TenantRow};

const WHAT: &str = "list of lists";

/// The most lists that an error names.
const NAMED: usize = 10;

impl store::Expiry for Sqlite {
    fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError> {
        let (sums, endless) = (self.sums, self.damage.with_endless_holds());
        let expired = self.write(MAX_EXPIRED_AT_ONCE, move |connection| {
            let left_out = left_out(connection, &endless)?;
            let mut failures = Failures::new();
            let until = now.as_millisecond();
            let mut due = first(connection, until, MAX_EXPIRED_AT_ONCE, &left_out, &mut failures)?;
            // The order of the table.
            due.sort_unstable();
            let mut expired = Vec::new();
            for holds in due.chunk_by(|one, other| one.list == other.list) {
                match end(connection, holds, now, sums) {
                    Ok(ended) => expired.push(ended),
                    // The others are tried, to find all lists that fail. Nothing of it is kept.
                    Err(error) if is_of_list(connection, &error) => {
                        failures.insert(holds[0].list, error);
                    }
                    Err(error) => return Err(error),
                }
            }
            check(connection, &failures)?;
            Ok(expired)
        });
        self.note(expired)
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError> {
        let endless = self.damage.with_endless_holds();
        let next = self.read(|connection| {
            let left_out = left_out(connection, &endless)?;
            let mut failures = Failures::new();
            let next = first(connection, i64::MAX, 1, &left_out, &mut failures)?;
            check(connection, &failures)?;
            next.first().map(|next| time(next.expires)).transpose()
        });
        self.note(next)
    }
}

impl Sqlite {
    /// Remembers which lists failed: one of them must not keep the holds of all others from ending.
    fn note<T>(&self, done: Result<T, LedgerError>) -> Result<T, LedgerError> {
        if let Err(LedgerError::Damaged { source: Some(cause), .. }) = &done
            && let Some(Endless { lists, .. }) = cause.downcast_ref()
        {
            lists.iter().for_each(|list| self.damage.note_holds(*list));
        }
        done
    }
}

/// Why holds can't end, by the row of their list.
type Failures = BTreeMap<i64, LedgerError>;

/// Lists whose holds can't end.
#[derive(Debug, thiserror::Error)]
#[error(
    "holds don't end any more, because of what is stored of {said}: restore a backup; `portcullis verify` tells more"
)]
struct Endless {
    lists: Vec<i64>,
    said: String,
}

/// An error if anything failed.
fn check(connection: &Connection, failures: &Failures) -> Result<(), LedgerError> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut said: Vec<String> = failures
        .iter()
        .take(NAMED)
        .map(|(list, error)| {
            let why = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            match owner(connection, *list) {
                Ok((_, tenant, scope)) => Finding::of_list(&tenant, &scope, why).to_string(),
                Err(_) => format!("list {list}: {why}"),
            }
        })
        .collect();
    if failures.len() > NAMED {
        said.push(format!("{} more lists", failures.len() - NAMED));
    }
    let cause = Endless { lists: failures.keys().copied().collect(), said: said.join("; ") };
    Err(LedgerError::Damaged { what: "list", source: Some(cause.into()) })
}

/// Whether the error is that of one list, and others can go on in the same transaction.
fn is_of_list(connection: &Connection, error: &LedgerError) -> bool {
    let is_of_rows = matches!(error, LedgerError::Damaged { .. } | LedgerError::Storage(_));
    // After an error of the disk or of memory, SQLite has rolled back.
    is_of_rows && !connection.is_autocommit()
}

/// A hold that expires.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    list: i64,
    subject: i64,
    kind: i64,
    expires: i64,
}

/// The lists whose holds don't end: those that can't, and those of forgotten tenants.
fn left_out(connection: &Connection, endless: &BTreeSet<i64>) -> Result<BTreeSet<i64>, LedgerError> {
    Ok(forgotten::lists(connection)?.into_iter().chain(endless.iter().copied()).collect())
}

/// The holds that expire first, at `until` or before. Leaves out lists, and those whose rows can't be read, which it adds to the
/// failures.
fn first(
    connection: &Connection,
    until: i64,
    limit: usize,
    left_out: &BTreeSet<i64>,
    failures: &mut Failures,
) -> Result<Vec<Due>, LedgerError> {
    const BY_EXPIRY: [&str; 2] = [
        "SELECT list, subject, kind, expires FROM entries
         WHERE expires IS NOT NULL AND coalesce(own, directions) <> 0 AND expires <= ?1 ORDER BY expires",
        "SELECT list, subject, kind, expires FROM holds
         WHERE expires IS NOT NULL AND directions <> 0 AND expires <= ?1 ORDER BY expires",
    ];
    let mut found = Vec::new();
    for sql in BY_EXPIRY {
        let mut holds = connection.prepare_cached(sql)?;
        let mut rows = holds.query([until])?;
        let most = found.len() + limit;
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            let list: i64 = row.get(0)?;
            if left_out.contains(&list) || failures.contains_key(&list) {
                continue;
            }
            match due(list, row) {
                Ok(due) => found.push(due),
                Err(error) => {
                    failures.insert(list, error);
                }
            }
        }
    }
    found.retain(|due| !failures.contains_key(&due.list));
    found.sort_unstable_by_key(|due| due.expires);
    found.truncate(limit);
    Ok(found)
}

fn due(list: i64, row: &Row<'_>) -> Result<Due, LedgerError> {
    let due = Due { list, subject: row.get(1)?, kind: row.get(2)?, expires: row.get(3)? };
    // It would be taken for one that is long overdue.
    time(due.expires)?;
    Ok(due)
}

/// The row and name of a list's tenant, and the list's scope, as they are stored.
fn owner(connection: &Connection, list: i64) -> Result<(i64, TenantId, Scope), LedgerError> {
    let (row, tenant, scope): (i64, String, String) = connection
        .prepare_cached(
            "SELECT tenants.id, tenants.name, scope
             FROM lists JOIN tenants ON tenants.id = lists.tenant WHERE lists.id = ?1",
        )?
        .query_row([list], |row| row.try_into())?;
    let tenant = tenant.parse().map_err(|_| LedgerError::damaged(WHAT))?;
    Ok((row, tenant, Scope::from_stored(&scope).map_err(|_| LedgerError::damaged(WHAT))?))
}

/// Lifts these holds of one list. Texts are not changed, so this needs no tenant keys.
fn end(connection: &Connection, holds: &[Due], now: Timestamp, sums: Sums) -> Result<ExpiredIn, LedgerError> {
    let list = holds.first().map(|due| due.list).ok_or(LedgerError::Defect)?;
    let (row, tenant, scope) = owner(connection, list)?;
    let list = ListRow { id: list, tenant: TenantRow(row) };
    let mut work = Ending {
        connection,
        list,
        expiry: Actors::new(connection, list).id(&Actor::expiry())?,
        trail: Trail::new(connection, list)?,
        position: position(connection, list.id)?,
        sums,
        changed: Changed::default(),
        now,
    };
    let mut count = 0;
    for of_one in holds.chunk_by(|one, other| one.subject == other.subject) {
        work.end(subject(of_one[0].subject)?, of_one)?;
        count += 1;
    }
    set_position(connection, list.id, work.position)?;
    work.changed.store(connection, list.id)?;
    Ok(ExpiredIn { tenant, scope, count })
}

struct Ending<'a> {
    connection: &'a Connection,
    list: ListRow,
    /// The row id of [`Actor::expiry`].
    expiry: i64,
    trail: Trail<'a>,
    position: Position,
    sums: Sums,
    changed: Changed,
    now: Timestamp,
}

impl Ending<'_> {
    /// Lifts expired holds of one entry.
    fn end(&mut self, subject: Subject, due: &[Due]) -> Result<(), LedgerError> {
        let key = (self.list.id, subject.get().cast_signed());
        let sum = self.sums.of_subject(self.connection, key.0, key.1)?;
        let (first, previous, mut coverage) = self.entry(key)?;
        self.check_due(key, first, due)?;
        let was = coverage.blocked();
        self.position.census.sequence = self.position.census.sequence.next();
        let sequence = self.position.census.sequence;
        for (step, due) in (0..).zip(due) {
            let kind = kind(due.kind)?;
            let before = coverage;
            coverage = coverage.with(kind, Directions::NONE);
            let outcome = Outcome::of_lifting(before.blocked(), coverage.blocked());
            let record = Record {
                subject,
                sequence,
                step,
                previous,
                at: self.now,
                requested: self.now,
                actor: Actor::expiry(),
                hold: Some(kind),
                outcome,
                source: None,
                before,
                after: coverage,
                expires: None,
                reason: None,
                display: None,
                label: None,
            };
            self.trail.add(&record, None)?;
            if kind != first {
                self.connection
                    .prepare_cached(
                        "UPDATE holds SET directions = 0, lifted_by = ?4, requested = expires
                         WHERE list = ?1 AND subject = ?2 AND kind = ?3",
                    )?
                    .execute((key.0, key.1, kind.code(), self.expiry))?;
            }
        }
        let blocked = coverage.blocked();
        if blocked.is_none() && !was.is_none() {
            let active = self.position.census.active.checked_sub(1);
            self.position.census.active = active.ok_or(LedgerError::damaged("counter"))?;
        }
        let first_ends = due.iter().any(|due| due.kind == first.code());
        self.connection
            .prepare_cached(
                "UPDATE entries SET
                    ever = coalesce(ever, CASE directions WHEN 0 THEN 3 ELSE directions END),
                    directions = ?3, sequence = ?4, updated = ?5,
                    deactivated = CASE ?3 WHEN 0 THEN coalesce(deactivated, ?5) END,
                    own = CASE WHEN own IS NULL AND ?6 THEN NULL ELSE ?7 END,
                    lifted_by = CASE WHEN ?8 THEN ?9 ELSE lifted_by END,
                    requested = CASE WHEN ?8 THEN expires ELSE requested END
                 WHERE list = ?1 AND subject = ?2",
            )?
            .execute((
                key.0,
                key.1,
                blocked.bits(),
                sequence.get().cast_signed(),
                self.now.as_millisecond(),
                coverage.of(first) == blocked,
                coverage.of(first).bits(),
                first_ends,
                self.expiry,
            ))?;
        self.changed.add(subject, sum, self.sums.of_subject(self.connection, key.0, key.1)?);
        self.position.note_change(self.sums, subject, (was, previous), (blocked, sequence));
        Ok(())
    }

    /// Checks that the rows say that they are due, as the index does: a flipped bit in either must not lift a hold early.
    fn check_due(&self, key: (i64, i64), first: HoldKind, due: &[Due]) -> Result<(), LedgerError> {
        for due in due {
            let sql = match due.kind == first.code() {
                true => "SELECT expires FROM entries WHERE list = ?1 AND subject = ?2 AND kind = ?3",
                false => "SELECT expires FROM holds WHERE list = ?1 AND subject = ?2 AND kind = ?3",
            };
            let expires: Option<i64> =
                self.connection.prepare_cached(sql)?.query_row((key.0, key.1, due.kind), |row| row.get(0))?;
            if expires.is_none_or(|expires| expires > self.now.as_millisecond()) {
                return Err(LedgerError::damaged("index of expiries"));
            }
        }
        Ok(())
    }

    /// The kind of the entry's first hold, its sequence number, and its coverage.
    fn entry(&self, key: (i64, i64)) -> Result<(HoldKind, Seq, Coverage), LedgerError> {
        let (first, own, blocked, sequence): (i64, Option<i64>, i64, i64) = self
            .connection
            .prepare_cached(
                "SELECT kind, own, directions, sequence FROM entries WHERE list = ?1 AND subject = ?2",
            )?
            .query_row(key, |row| row.try_into())?;
        let first = kind(first)?;
        let mut coverage = Coverage::default().with(first, directions(own.unwrap_or(blocked))?);
        if own.is_some() {
            let mut more = self
                .connection
                .prepare_cached("SELECT kind, directions FROM holds WHERE list = ?1 AND subject = ?2")?;
            let mut rows = more.query(key)?;
            while let Some(row) = rows.next()? {
                coverage = coverage.with(kind(row.get(0)?)?, directions(row.get(1)?)?);
            }
        }
        Ok((first, Seq::new(unsigned(sequence)?), coverage))
    }
}
