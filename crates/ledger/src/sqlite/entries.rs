//! Reading the `entries` table.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use portcullis_keys::{Seal, TenantKeys};
use portcullis_ledger_model::{
    Actor, Committed, Entry, Filter, Hold, HoldKind, Holds, Page, Paging, Seq, Source, StatusFilter, Write,
    text::{self, RowContext, Texts},
};
use portcullis_msisdn::{Directions, Subject};
use rusqlite::{CachedStatement, Connection, Row};

use super::Sqlite;
use super::lists::unsigned;
use super::sums::{HOLD, Sums, columns, length};
use crate::error::LedgerError;
use crate::store::{self, ListRow};

const WHAT: &str = "row of an entry";

/// SQL for the name, address and interface of the actor whose id is in `$id`, as [`Actor::from_stored`] parses them.
macro_rules! actor_of {
    ($id:literal) => {
        concat!(
            "(SELECT name || char(31) || address || char(31) || interface FROM actors WHERE id = ",
            $id,
            ")"
        )
    };
}
pub(super) use actor_of;

/// The columns of `entries` that [`entry`] and [`sum`] read.
const COLUMNS: &str = concat!(
    "subject, directions, source, sequence, ",
    actor_of!("actor"),
    ", ",
    actor_of!("lifted_by"),
    ", created, updated, deactivated, expires, sealed, kind, own, ever, since, requested, actor, lifted_by"
);

/// SQL for the directions that were ever blocked.
pub(super) const EVER: &str = "coalesce(ever, CASE directions WHEN 0 THEN 3 ELSE directions END)";

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

/// The first possible subject after `after`.
pub(super) fn first_after(after: Option<Subject>) -> i64 {
    after.map_or(0, |subject| subject.get().cast_signed() + 1)
}

pub(super) fn actor(stored: &str) -> Result<Actor, LedgerError> {
    Actor::from_stored(stored).ok_or(LedgerError::damaged(WHAT))
}

fn maybe_actor(stored: Option<String>) -> Result<Option<Actor>, LedgerError> {
    stored.map(|stored| actor(&stored)).transpose()
}

fn maybe_time(millisecond: Option<i64>) -> Result<Option<Timestamp>, LedgerError> {
    millisecond.map(time).transpose()
}

pub(super) fn kind(code: i64) -> Result<HoldKind, LedgerError> {
    HoldKind::from_code(code).ok_or(LedgerError::damaged(WHAT))
}

pub(super) fn source(code: i64) -> Result<Source, LedgerError> {
    Source::from_code(code).ok_or(LedgerError::damaged(WHAT))
}

pub(super) fn texts(
    row: &Row<'_>,
    column: usize,
    seal: &Seal,
    context: RowContext,
) -> Result<Texts, LedgerError> {
    let sealed = row.get_ref(column)?.as_blob_or_null().map_err(|_| LedgerError::damaged(WHAT))?;
    text::open(seal, context, sealed).map_err(|error| LedgerError::unsealed(WHAT, error))
}

fn entry(connection: &Connection, row: &Row<'_>, list: ListRow, seal: &Seal) -> Result<Entry, LedgerError> {
    let subject = subject(row.get(0)?)?;
    let created = time(row.get(6)?)?;
    let blocked = directions(row.get(1)?)?;
    let own: Option<i64> = row.get(12)?;
    let texts = texts(row, 10, seal, RowContext { list: list.id, subject, row: text::Row::Entry })?;
    let since = maybe_time(row.get(14)?)?.unwrap_or(created);
    let first = Hold {
        kind: kind(row.get(11)?)?,
        directions: own.map_or(Ok(blocked), directions)?,
        source: source(row.get(2)?)?,
        label: texts.label,
        actor: actor(&row.get::<_, String>(4)?)?,
        lifted_by: maybe_actor(row.get(5)?)?,
        reason: texts.reason,
        since,
        requested: maybe_time(row.get(15)?)?.unwrap_or(since),
        expires: maybe_time(row.get(9)?)?,
    };
    let more = match own {
        Some(_) => further_holds(connection, list, subject, seal)?,
        None => Vec::new(),
    };
    let as_it_is = if blocked.is_none() { Directions::BOTH } else { blocked };
    Ok(Entry {
        subject,
        directions: blocked,
        ever: row.get::<_, Option<i64>>(13)?.map_or(Ok(as_it_is), directions)?,
        holds: Holds { first, more },
        display: texts.display,
        created,
        updated: maybe_time(row.get(7)?)?.unwrap_or(created),
        deactivated: maybe_time(row.get(8)?)?,
        sequence: Seq::new(unsigned(row.get(3)?)?),
    })
}

/// The sum of an entry's rows, as they are stored.
fn sum(
    connection: &Connection,
    row: &Row<'_>,
    list: ListRow,
    subject: Subject,
    sums: Sums,
) -> Result<u64, LedgerError> {
    let [directions, source, sequence] = columns(row, 1)?;
    let [created, updated, deactivated, expires] = columns(row, 6)?;
    let sealed = row.get_ref(10)?.as_blob_or_null().map_err(|_| LedgerError::damaged(WHAT))?;
    let [kind, own, ever, since, requested, actor, lifted_by] = columns(row, 11)?;
    let (list, subject) = (list.id, subject.get().cast_signed());
    let mut sum = sums.entry(&[
        Some(list),
        Some(subject),
        directions,
        source,
        sequence,
        actor,
        created,
        updated,
        lifted_by,
        deactivated,
        expires,
        length(sealed),
        kind,
        own,
        ever,
        since,
        requested,
    ]);
    if own.is_some() {
        let sql = format!("SELECT {HOLD} FROM holds WHERE list = ?1 AND subject = ?2");
        for hold in connection.prepare_cached(&sql)?.query_map((list, subject), |row| columns(row, 0))? {
            sum ^= sums.hold(&hold?);
        }
    }
    Ok(sum)
}

fn further_holds(
    connection: &Connection,
    list: ListRow,
    subject: Subject,
    seal: &Seal,
) -> Result<Vec<Hold>, LedgerError> {
    const SQL: &str = concat!(
        "SELECT kind, directions, source, ",
        actor_of!("actor"),
        ", ",
        actor_of!("lifted_by"),
        ", since, expires, sealed, requested FROM holds WHERE list = ?1 AND subject = ?2 ORDER BY kind"
    );
    connection
        .prepare_cached(SQL)?
        .query_and_then((list.id, subject.get().cast_signed()), |row| {
            let kind = kind(row.get(0)?)?;
            let texts =
                texts(row, 7, seal, RowContext { list: list.id, subject, row: text::Row::Hold(kind) })?;
            let since = time(row.get(5)?)?;
            Ok(Hold {
                kind,
                directions: directions(row.get(1)?)?,
                source: source(row.get(2)?)?,
                label: texts.label,
                actor: actor(&row.get::<_, String>(3)?)?,
                lifted_by: maybe_actor(row.get(4)?)?,
                reason: texts.reason,
                since,
                requested: maybe_time(row.get(8)?)?.unwrap_or(since),
                expires: maybe_time(row.get(6)?)?,
            })
        })?
        .collect()
}

/// Looks up entries of one list.
pub(super) struct Lookup<'a> {
    connection: &'a Connection,
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
        Ok(Lookup { connection, statement, list, seal })
    }

    pub(super) fn get(&mut self, subject: Subject) -> Result<Option<Entry>, LedgerError> {
        let mut rows = self.statement.query((self.list.id, subject.get().cast_signed()))?;
        rows.next()?.map(|row| entry(self.connection, row, self.list, self.seal)).transpose()
    }

    /// The entry, and the sum of its rows.
    pub(super) fn get_with_sum(
        &mut self,
        subject: Subject,
        sums: Sums,
    ) -> Result<Option<(Entry, u64)>, LedgerError> {
        let mut rows = self.statement.query((self.list.id, subject.get().cast_signed()))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let sum = sum(self.connection, row, self.list, subject, sums)?;
        Ok(Some((entry(self.connection, row, self.list, self.seal)?, sum)))
    }
}

/// Reads one page of `columns` from `entries`, mapped by `read`.
fn walk<T>(
    connection: &Connection,
    list: ListRow,
    columns: &str,
    from: Paging,
    limit: NonZeroUsize,
    filter: Filter,
    read: impl FnMut(&Row<'_>) -> Result<T, LedgerError>,
) -> Result<Page<T>, LedgerError> {
    // The bits of directions: 1 is inbound, 2 is outbound.
    let active = match filter.covering.bits() {
        0 => "directions <> 0".to_owned(),
        bits => format!("directions & {bits} = {bits}"),
    };
    let ever = match filter.covering.bits() {
        0 => String::new(),
        bits => format!("AND {EVER} & {bits} = {bits}"),
    };
    let condition = match filter.status {
        StatusFilter::Active => active,
        StatusFilter::Inactive => format!("NOT ({active}) {ever}"),
        StatusFilter::All => format!("TRUE {ever}"),
    };
    let (bound, order, edge, skip) = match from {
        Paging::Start => (">=", "ASC", 0, 0),
        Paging::After(subject) => (">=", "ASC", first_after(Some(subject)), 0),
        Paging::Before(subject) => ("<", "DESC", subject.get().cast_signed(), 0),
        Paging::Skip(count) => (">=", "ASC", 0, i64::try_from(count).unwrap_or(i64::MAX)),
    };
    let sql = format!(
        "SELECT {columns} FROM entries WHERE list = ?1 AND subject {bound} ?2 AND {condition}
         ORDER BY subject {order} LIMIT ?3 OFFSET ?4"
    );
    let mut entries = connection
        .prepare_cached(&sql)?
        // One more than the limit, to find out whether there are more.
        .query_and_then((list.id, edge, as_limit(limit).saturating_add(1), skip), read)?
        .collect::<Result<Vec<T>, LedgerError>>()?;
    let more = entries.len() > limit.get();
    entries.truncate(limit.get());
    if let Paging::Before(_) = from {
        entries.reverse();
    }
    Ok(Page { entries, more })
}

fn no_page<T>() -> Page<T> {
    Page { entries: Vec::new(), more: false }
}

impl store::Entries for Sqlite {
    fn write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Committed, LedgerError> {
        let written = self.write_entries(list, keys.clone(), writes, max_active)?;
        Ok(Committed { written, span: None })
    }

    fn get_many(
        &self,
        list: ListRow,
        seal: &Seal,
        subjects: &[Subject],
    ) -> Result<Vec<Option<Entry>>, LedgerError> {
        let found = self.read_of(list.tenant, |connection| {
            let mut lookup = Lookup::new(connection, list, seal)?;
            subjects.iter().map(|&subject| lookup.get(subject)).collect()
        });
        Ok(found?.unwrap_or_else(|| vec![None; subjects.len()]))
    }

    fn page(
        &self,
        list: ListRow,
        seal: &Seal,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page, LedgerError> {
        let page = self.read_long_of(list.tenant, |connection| {
            walk(connection, list, COLUMNS, from, limit, filter, |row| entry(connection, row, list, seal))
        });
        Ok(page?.unwrap_or_else(no_page))
    }

    fn subjects(
        &self,
        list: ListRow,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page<Subject>, LedgerError> {
        let page = self.read_long_of(list.tenant, |connection| {
            walk(connection, list, "subject", from, limit, filter, |row| subject(row.get(0)?))
        });
        Ok(page?.unwrap_or_else(no_page))
    }
}
