//! Reading rows of entries.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};

use super::Store;
use super::lists::{ListRow, unsigned};
use crate::actor::Actor;
use crate::changes::Seq;
use crate::entry::{Entry, Page, StatusFilter};
use crate::error::LedgerError;
use crate::keys::Seal;
use crate::source::Source;
use crate::text::{self, Place};

const WHAT: &str = "row of an entry";

/// What [`entry`] reads, from `entries`.
const COLUMNS: &str = "
    subject, directions, source, sequence,
    (SELECT name FROM actors WHERE id = actor),
    (SELECT name FROM actors WHERE id = lifted_by),
    created, updated, deactivated, expires, sealed";

pub(super) fn subject(value: i64) -> Result<Subject, LedgerError> {
    u64::try_from(value).ok().and_then(Subject::new).ok_or(LedgerError::damaged(WHAT))
}

pub(super) fn directions(value: i64) -> Result<Directions, LedgerError> {
    u8::try_from(value).ok().and_then(Directions::from_bits).ok_or(LedgerError::damaged(WHAT))
}

pub(super) fn time(millisecond: i64) -> Result<Timestamp, LedgerError> {
    Timestamp::from_millisecond(millisecond).map_err(|_| LedgerError::damaged(WHAT))
}

pub(super) fn as_limit(limit: NonZeroUsize) -> i64 {
    i64::try_from(limit.get()).unwrap_or(i64::MAX)
}

/// Where a page begins: the first subject after `after`.
pub(super) fn first_after(after: Option<Subject>) -> i64 {
    after.map_or(0, |subject| subject.get().cast_signed() + 1)
}

fn actor(name: Option<String>) -> Result<Option<Actor>, LedgerError> {
    name.map(|name| Actor::new(&name)).transpose().map_err(|_| LedgerError::damaged(WHAT))
}

fn entry(row: &Row<'_>, list: ListRow, seal: &Seal) -> Result<Entry, LedgerError> {
    let subject = subject(row.get(0)?)?;
    let created = time(row.get(6)?)?;
    let (reason, display) = text::open(
        seal,
        Place { list: list.id, subject },
        row.get_ref(10)?.as_blob_or_null().map_err(|_| LedgerError::damaged(WHAT))?,
    )
    .map_err(|error| LedgerError::unsealed(WHAT, error))?;
    Ok(Entry {
        subject,
        directions: directions(row.get(1)?)?,
        source: Source::from_code(row.get(2)?).ok_or(LedgerError::damaged(WHAT))?,
        actor: actor(row.get(4)?)?.ok_or(LedgerError::damaged(WHAT))?,
        lifted_by: actor(row.get(5)?)?,
        reason,
        display,
        created,
        updated: row.get::<_, Option<i64>>(7)?.map_or(Ok(created), time)?,
        deactivated: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
        expires: row.get::<_, Option<i64>>(9)?.map(time).transpose()?,
        sequence: Seq::new(unsigned(row.get(3)?)?),
    })
}

/// Looks entries of one list up.
pub(super) struct Lookup<'a> {
    statement: CachedStatement<'a>,
    list: ListRow,
    seal: &'a Seal,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        list: ListRow,
        seal: &'a Seal,
    ) -> Result<Self, LedgerError> {
        let statement = connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM entries WHERE list = ?1 AND subject = ?2"))?;
        Ok(Lookup { statement, list, seal })
    }

    pub(super) fn get(&mut self, subject: Subject) -> Result<Option<Entry>, LedgerError> {
        let mut rows = self.statement.query((self.list.id, subject.get().cast_signed()))?;
        rows.next()?.map(|row| entry(row, self.list, self.seal)).transpose()
    }
}

impl Store {
    pub(crate) fn get_many(
        &self,
        list: ListRow,
        seal: &Seal,
        subjects: &[Subject],
    ) -> Result<Vec<Option<Entry>>, LedgerError> {
        self.read(|connection| {
            let mut lookup = Lookup::new(connection, list, seal)?;
            subjects.iter().map(|&subject| lookup.get(subject)).collect()
        })
    }

    pub(crate) fn directions(
        &self,
        list: ListRow,
        subjects: &[Subject],
    ) -> Result<Vec<Directions>, LedgerError> {
        self.read(|connection| {
            let mut found = connection
                .prepare_cached("SELECT directions FROM entries WHERE list = ?1 AND subject = ?2")?;
            let mut look_up = |subject: &Subject| {
                let bits =
                    found.query_row((list.id, subject.get().cast_signed()), |row| row.get(0)).optional()?;
                bits.map_or(Ok(Directions::NONE), directions)
            };
            subjects.iter().map(&mut look_up).collect()
        })
    }

    pub(crate) fn page(
        &self,
        list: ListRow,
        seal: &Seal,
        after: Option<Subject>,
        limit: NonZeroUsize,
        filter: StatusFilter,
    ) -> Result<Page, LedgerError> {
        let condition = match filter {
            StatusFilter::Active => "AND directions <> 0",
            StatusFilter::Inactive => "AND directions = 0",
            StatusFilter::All => "",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM entries WHERE list = ?1 AND subject >= ?2 {condition}
             ORDER BY subject LIMIT ?3"
        );
        self.read(|connection| {
            let mut entries = connection
                .prepare_cached(&sql)?
                // One more, to know whether there are more.
                .query_and_then((list.id, first_after(after), as_limit(limit).saturating_add(1)), |row| {
                    entry(row, list, seal)
                })?
                .collect::<Result<Vec<Entry>, LedgerError>>()?;
            let more = entries.len() > limit.get();
            entries.truncate(limit.get());
            Ok(Page { entries, more })
        })
    }

    pub(crate) fn members(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT subject, directions FROM entries
                     WHERE list = ?1 AND subject >= ?2 AND directions <> 0
                     ORDER BY subject LIMIT ?3",
                )?
                .query_and_then((list.id, first_after(after), as_limit(limit)), |row| {
                    Ok((subject(row.get(0)?)?, directions(row.get(1)?)?))
                })?
                .collect()
        })
    }
}
