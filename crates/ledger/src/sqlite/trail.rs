//! The `records` table: the audit trail.

use std::num::NonZeroUsize;

use portcullis_keys::Seal;
use portcullis_ledger_model::{
    self as model, Coverage, Outcome, Record, Seq,
    text::{self, RowContext},
    trail::{History, Page, take_last},
};
use portcullis_msisdn::Subject;
use rusqlite::{CachedStatement, Connection, Row, params};

use super::Sqlite;
use super::actors::Actors;
use super::entries::{actor, actor_of, as_limit, kind, source, subject, texts, time};
use super::lists::unsigned;
use crate::error::LedgerError;
use crate::store::{self, ListRow};

const WHAT: &str = "row of the trail";

/// The columns of `records` that [`record`] reads.
const COLUMNS: &str = concat!(
    "subject, sequence, step, previous, at, ",
    actor_of!("actor"),
    ", hold, outcome, source, before, after, expires, sealed, requested"
);

/// Appends to a list's audit trail.
pub(super) struct Trail<'a> {
    list: ListRow,
    actors: Actors<'a>,
    insert: CachedStatement<'a>,
}

impl<'a> Trail<'a> {
    pub(super) fn new(connection: &'a Connection, list: ListRow) -> Result<Self, LedgerError> {
        let insert = connection.prepare_cached(
            "INSERT INTO records (list, sequence, step, subject, previous, at, actor, hold, outcome, source,
                before, after, expires, sealed, requested)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?;
        Ok(Trail { list, actors: Actors::new(connection, list), insert })
    }

    /// Appends a record. Its texts are encrypted with `seal`, or omitted without it.
    pub(super) fn add(&mut self, record: &Record, seal: Option<&Seal>) -> Result<(), LedgerError> {
        let texts = (record.reason.as_ref(), record.display.as_ref(), record.label.as_ref());
        let sealed = match seal {
            Some(seal) => text::seal(seal, self.context(record), texts.0, texts.1, texts.2),
            None => Ok(None),
        };
        self.insert.execute(params![
            self.list.id,
            record.sequence.get().cast_signed(),
            record.step,
            record.subject.get().cast_signed(),
            record.previous.get().cast_signed(),
            record.at.as_millisecond(),
            self.actors.id(&record.actor)?,
            record.hold.map(|hold| hold.code()),
            record.outcome.code(),
            record.source.map(|source| source.code()),
            record.before.code(),
            record.after.code(),
            record.expires.map(|expires| expires.as_millisecond()),
            sealed.map_err(LedgerError::Seal)?,
            (record.requested != record.at).then(|| record.requested.as_millisecond()),
        ])?;
        Ok(())
    }

    fn context(&self, record: &Record) -> RowContext {
        context(self.list, record.subject, record.sequence, record.step)
    }
}

fn context(list: ListRow, subject: Subject, sequence: Seq, step: u32) -> RowContext {
    RowContext { list: list.id, subject, row: text::Row::Record { sequence, step } }
}

fn record(row: &Row<'_>, list: ListRow, seal: &Seal) -> Result<Record, LedgerError> {
    let coverage = |code| Coverage::from_code(code).ok_or(LedgerError::damaged(WHAT));
    let subject = subject(row.get(0)?)?;
    let (sequence, step) = (Seq::new(unsigned(row.get(1)?)?), row.get(2)?);
    let texts = texts(row, 12, seal, context(list, subject, sequence, step))?;
    let at = time(row.get(4)?)?;
    Ok(Record {
        subject,
        sequence,
        step,
        previous: Seq::new(unsigned(row.get(3)?)?),
        at,
        requested: row.get::<_, Option<i64>>(13)?.map_or(Ok(at), time)?,
        actor: actor(&row.get::<_, String>(5)?)?,
        hold: row.get::<_, Option<i64>>(6)?.map(kind).transpose()?,
        outcome: Outcome::from_code(row.get(7)?).ok_or(LedgerError::damaged(WHAT))?,
        source: row.get::<_, Option<i64>>(8)?.map(source).transpose()?,
        before: coverage(row.get(9)?)?,
        after: coverage(row.get(10)?)?,
        expires: row.get::<_, Option<i64>>(11)?.map(time).transpose()?,
        reason: texts.reason,
        display: texts.display,
        label: texts.label,
    })
}

fn no_records() -> model::Trail {
    model::Trail { records: Vec::new(), older: None }
}

impl store::Records for Sqlite {
    fn trail(
        &self,
        list: ListRow,
        seal: &Seal,
        before: Seq,
        limit: NonZeroUsize,
    ) -> Result<model::Trail, LedgerError> {
        let before = i64::try_from(before.get()).unwrap_or(i64::MAX);
        let page = self.read_long_of(list.tenant, |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM records WHERE list = ?1 AND sequence < ?2
                 ORDER BY sequence DESC, step DESC LIMIT ?3"
            );
            let records = connection
                .prepare_cached(&sql)?
                // One more than the limit, to find out whether there are more.
                .query_and_then((list.id, before, as_limit(limit).saturating_add(1)), |row| {
                    record(row, list, seal)
                })?
                .collect::<Result<Vec<Record>, LedgerError>>()?;
            match Page::of(records, limit) {
                Page::Is(trail) => Ok(trail),
                Page::AllOf(number) => {
                    Ok(model::Trail { records: steps(connection, list, seal, number)?, older: Some(number) })
                }
            }
        });
        Ok(page?.unwrap_or_else(no_records))
    }

    fn records_after(
        &self,
        list: ListRow,
        seal: &Seal,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Record>, LedgerError> {
        let after = i64::try_from(after.get()).unwrap_or(i64::MAX);
        let records = self.read_long_of(list.tenant, |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM records WHERE list = ?1 AND sequence > ?2
                 ORDER BY sequence, step LIMIT ?3"
            );
            let mut records = connection
                .prepare_cached(&sql)?
                .query_and_then((list.id, after, as_limit(limit)), |row| record(row, list, seal))?
                .collect::<Result<Vec<Record>, LedgerError>>()?;
            if let Some(last) = take_last(&mut records, limit) {
                records.extend(steps(connection, list, seal, last)?.into_iter().rev());
            }
            Ok(records)
        });
        Ok(records?.unwrap_or_default())
    }

    fn history(
        &self,
        list: ListRow,
        seal: &Seal,
        subject: Subject,
        before: Option<Seq>,
        limit: NonZeroUsize,
    ) -> Result<model::Trail, LedgerError> {
        let page = self.read_long_of(list.tenant, |connection| {
            let newest: Option<i64> = connection
                .prepare_cached("SELECT sequence FROM entries WHERE list = ?1 AND subject = ?2")?
                .query_map((list.id, subject.get().cast_signed()), |row| row.get(0))?
                .next()
                .transpose()?;
            let newest = newest.map(|newest| unsigned(newest).map(Seq::new)).transpose()?;
            let mut history = History::new(subject, newest, before, limit);
            while let Some(number) = history.wants() {
                history.add(steps(connection, list, seal, number)?);
            }
            Ok(history.finish())
        });
        Ok(page?.unwrap_or_else(no_records))
    }
}

/// The records that share a sequence number, the latest first.
pub(super) fn steps(
    connection: &Connection,
    list: ListRow,
    seal: &Seal,
    sequence: Seq,
) -> Result<Vec<Record>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM records WHERE list = ?1 AND sequence = ?2 ORDER BY step DESC");
    connection
        .prepare_cached(&sql)?
        .query_and_then((list.id, sequence.get().cast_signed()), |row| record(row, list, seal))?
        .collect()
}
