//! Expiry of holds.

use jiff::Timestamp;
use portcullis_keys::Scope;
use portcullis_ledger_model::{Actor, Coverage, HoldKind, Outcome, Record, Seq};
use portcullis_msisdn::{Directions, Subject};
use rusqlite::Connection;

use super::Sqlite;
use super::actors::Actors;
use super::entries::{directions, kind, subject, time};
use super::lists::{Position, position, set_position, unsigned};
use super::sums::{Changed, Sums};
use super::trail::Trail;
use crate::error::LedgerError;
use crate::store::{self, ExpiredIn, ListRow, MAX_EXPIRED_AT_ONCE, TenantRow};

const WHAT: &str = "list of lists";

impl store::Expiry for Sqlite {
    fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError> {
        let sums = self.sums;
        self.write(MAX_EXPIRED_AT_ONCE, move |connection| {
            let due = due(connection, now)?;
            due.chunk_by(|one, other| one.list == other.list)
                .map(|holds| end(connection, holds, now, sums))
                .collect()
        })
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError> {
        const FIRST: [&str; 2] = [
            "SELECT min(expires) FROM entries WHERE expires IS NOT NULL AND coalesce(own, directions) <> 0",
            "SELECT min(expires) FROM holds WHERE expires IS NOT NULL AND directions <> 0",
        ];
        self.read(|connection| {
            let mut next: Option<i64> = None;
            for sql in FIRST {
                let first: Option<i64> = connection.prepare_cached(sql)?.query_row((), |row| row.get(0))?;
                next = [next, first].into_iter().flatten().min();
            }
            next.map(time).transpose()
        })
    }
}

/// An expired hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    list: i64,
    subject: i64,
    kind: i64,
}

/// The holds that are longest overdue, in the order of the table.
fn due(connection: &Connection, now: Timestamp) -> Result<Vec<Due>, LedgerError> {
    const SQL: &str = "
        SELECT list, subject, kind, expires FROM (
            SELECT list, subject, kind, expires FROM entries
            WHERE expires IS NOT NULL AND coalesce(own, directions) <> 0 AND expires <= ?1
            ORDER BY expires LIMIT ?2)
        UNION ALL
        SELECT list, subject, kind, expires FROM (
            SELECT list, subject, kind, expires FROM holds
            WHERE expires IS NOT NULL AND directions <> 0 AND expires <= ?1
            ORDER BY expires LIMIT ?2)
        ORDER BY expires LIMIT ?2";
    let limit = i64::try_from(MAX_EXPIRED_AT_ONCE).unwrap_or(i64::MAX);
    let mut due = connection
        .prepare_cached(SQL)?
        .query_map((now.as_millisecond(), limit), |row| {
            Ok(Due { list: row.get(0)?, subject: row.get(1)?, kind: row.get(2)? })
        })?
        .collect::<rusqlite::Result<Vec<Due>>>()?;
    due.sort_unstable();
    Ok(due)
}

/// Lifts these holds of one list. Texts are not changed, so this needs no tenant keys.
fn end(connection: &Connection, holds: &[Due], now: Timestamp, sums: Sums) -> Result<ExpiredIn, LedgerError> {
    let list = holds.first().map(|due| due.list).ok_or(LedgerError::Defect)?;
    let (tenant_id, tenant, scope): (i64, String, String) = connection
        .prepare_cached(
            "SELECT tenants.id, tenants.name, scope
             FROM lists JOIN tenants ON tenants.id = lists.tenant WHERE lists.id = ?1",
        )?
        .query_row([list], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let list = ListRow { id: list, tenant: TenantRow(tenant_id) };
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
    Ok(ExpiredIn {
        tenant: tenant.parse().map_err(|_| LedgerError::damaged(WHAT))?,
        scope: Scope::from_stored(&scope).map_err(|_| LedgerError::damaged(WHAT))?,
        count,
    })
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
            let outcome = match (coverage.blocked().is_none(), coverage.blocked() == before.blocked()) {
                (_, true) => Outcome::Lifted,
                (true, false) => Outcome::Removed,
                (false, false) => Outcome::Narrowed,
            };
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
