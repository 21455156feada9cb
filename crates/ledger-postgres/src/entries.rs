//! Reading the `entries` and `holds` tables.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use futures_util::future::{join3, join4, try_join};
use portcullis_keys::{Seal, TenantKeys};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ListRow};
use portcullis_ledger_model::text::{Row as RowOf, RowContext};
use portcullis_ledger_model::{Committed, Entry, Filter, Hold, Holds, Page, Paging, StatusFilter, Write};
use portcullis_msisdn::Subject;
use tokio_postgres::Row;

use crate::Postgres;
use crate::columns::{Columns, bits, first_after, row_id};
use crate::failure::Failure;
use crate::head::{HEAD, HEADS, Head, head, heads};
use crate::session::Session;

/// The columns of an entry, in the order of [`entry`].
macro_rules! entry_columns {
    () => {
        "e.subject, e.directions, e.source, e.sequence, e.created, e.updated, e.deactivated, e.expires, e.sealed, e.kind, e.own,
            e.ever, e.since, e.requested, a.name, a.address, a.interface, b.name, b.address, b.interface"
    };
}

/// The columns of a further hold, in the order of [`hold`].
macro_rules! hold_columns {
    () => {
        "h.subject, h.kind, h.directions, h.source, h.since, h.expires, h.sealed, h.requested, a.name, a.address, a.interface,
            b.name, b.address, b.interface"
    };
}

/// SQL that selects entries of a list, up to the condition.
macro_rules! select_entries {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries e LEFT JOIN actors a ON a.id = e.actor LEFT JOIN actors b ON b.id = e.lifted_by
             WHERE e.list = $1 AND EXISTS (SELECT FROM lists WHERE id = $1) AND ",
            $condition
        )
    };
}

const ENTRIES: &str = select_entries!("e.subject = ANY($2)");

/// Entries of several lists, with their lists.
const ENTRIES_OF_LISTS: &str = concat!(
    "SELECT e.list, ",
    entry_columns!(),
    " FROM unnest($1::integer[], $2::bigint[]) w (list, subject)
      JOIN entries e ON e.list = w.list AND e.subject = w.subject
      LEFT JOIN actors a ON a.id = e.actor LEFT JOIN actors b ON b.id = e.lifted_by"
);

const HOLDS: &str = concat!(
    "SELECT ",
    hold_columns!(),
    " FROM holds h LEFT JOIN actors a ON a.id = h.actor LEFT JOIN actors b ON b.id = h.lifted_by
      WHERE h.list = $1 AND h.subject = ANY($2) AND EXISTS (SELECT FROM lists WHERE id = $1) ORDER BY h.subject, h.kind"
);

/// Further holds of several lists, with their lists.
const HOLDS_OF_LISTS: &str = concat!(
    "SELECT h.list, ",
    hold_columns!(),
    " FROM unnest($1::integer[], $2::bigint[]) w (list, subject)
      JOIN holds h ON h.list = w.list AND h.subject = w.subject
      LEFT JOIN actors a ON a.id = h.actor LEFT JOIN actors b ON b.id = h.lifted_by
      ORDER BY h.list, h.subject, h.kind"
);

/// Reads entries at one moment. Those that don't exist are left out.
pub(crate) async fn read(
    session: &Session,
    list: ListRow,
    seal: &Seal,
    subjects: &[Subject],
) -> Result<HashMap<Subject, Entry>, Failure> {
    let id = row_id(list.id)?;
    let wanted: Vec<i64> = subjects.iter().copied().map(bits).collect();
    session.prepare(&[ENTRIES, HOLDS]).await?;
    // All four are sent at once, in this order.
    let (begun, entries, holds, ended) = join4(
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        session.query(ENTRIES, &[&id, &wanted]),
        session.query(HOLDS, &[&id, &wanted]),
        session.batch("COMMIT"),
    )
    .await;
    begun?;
    let (entries, holds) = (entries?, holds?);
    ended?;
    assemble(list, seal, columns_of(&entries), columns_of(&holds))
}

/// Reads a list's head, and then entries, which are of that state of the list as long as the head's mark stays the same. Otherwise
/// they may be of different moments.
pub(crate) async fn read_with_head(
    session: &Session,
    list: ListRow,
    seal: &Seal,
    subjects: &[Subject],
) -> Result<(Head, HashMap<Subject, Entry>), Failure> {
    let id = row_id(list.id)?;
    let wanted: Vec<i64> = subjects.iter().copied().map(bits).collect();
    session.prepare(&[HEAD, ENTRIES, HOLDS]).await?;
    // All three are sent at once, in this order.
    let (head, entries, holds) = join3(
        head(session, list),
        session.query(ENTRIES, &[&id, &wanted]),
        session.query(HOLDS, &[&id, &wanted]),
    )
    .await;
    let (head, entries, holds) = (head?, entries?, holds?);
    Ok((head, assemble(list, seal, columns_of(&entries), columns_of(&holds))?))
}

/// Part of a list that is wanted.
pub(crate) struct Part {
    pub(crate) list: ListRow,
    pub(crate) keys: TenantKeys,
    pub(crate) subjects: Vec<Subject>,
}

/// A list's head, and entries of it.
pub(crate) type Found = (Head, HashMap<Subject, Entry>);

/// Like [`read_with_head`], for several lists, by one statement for each table.
pub(crate) async fn read_with_heads(
    session: &Session,
    parts: &[&Part],
) -> Result<Vec<Result<Found, Failure>>, Failure> {
    if let [part] = parts {
        let found = read_with_head(session, part.list, part.keys.text_seal(), &part.subjects).await?;
        return Ok(vec![Ok(found)]);
    }
    let lists: Vec<ListRow> = parts.iter().map(|part| part.list).collect();
    let (mut ids, mut wanted) = (Vec::new(), Vec::new());
    for part in parts {
        let id = row_id(part.list.id)?;
        ids.extend(part.subjects.iter().map(|_| id));
        wanted.extend(part.subjects.iter().copied().map(bits));
    }
    session.prepare(&[HEADS, ENTRIES_OF_LISTS, HOLDS_OF_LISTS]).await?;
    // All three are sent at once, in this order.
    let (heads, entries, holds) = join3(
        heads(session, &lists),
        session.query(ENTRIES_OF_LISTS, &[&ids, &wanted]),
        session.query(HOLDS_OF_LISTS, &[&ids, &wanted]),
    )
    .await;
    let (heads, entries, holds) = (heads?, entries?, holds?);
    let (mut entries, mut holds) = (by_list(&entries)?, by_list(&holds)?);
    let of_list = |part: &&Part| {
        let list = part.list;
        let head = heads.get(&list.id).copied().ok_or(LedgerError::TenantForgotten)?;
        let (entries, holds) = (entries.remove(&list.id), holds.remove(&list.id));
        let (entries, holds) = (entries.unwrap_or_default(), holds.unwrap_or_default());
        Ok((head, assemble(list, part.keys.text_seal(), entries, holds)?))
    };
    Ok(parts.iter().map(of_list).collect())
}

/// Rows by their first column, which is their list. The others are left to read.
fn by_list(rows: &[Row]) -> Result<HashMap<i64, Vec<Columns<'_>>>, Failure> {
    let mut lists: HashMap<i64, Vec<Columns<'_>>> = HashMap::new();
    for row in rows {
        let mut columns = Columns::of(row);
        lists.entry(columns.get::<i32>()?.into()).or_default().push(columns);
    }
    Ok(lists)
}

/// Like [`read`], in a transaction that is already open.
pub(crate) async fn read_here(
    session: &Session,
    list: ListRow,
    seal: &Seal,
    subjects: &[Subject],
) -> Result<HashMap<Subject, Entry>, Failure> {
    let id = row_id(list.id)?;
    let wanted: Vec<i64> = subjects.iter().copied().map(bits).collect();
    session.prepare(&[ENTRIES, HOLDS]).await?;
    // Both are sent at once.
    let (entries, holds) =
        try_join(session.query(ENTRIES, &[&id, &wanted]), session.query(HOLDS, &[&id, &wanted])).await?;
    assemble(list, seal, columns_of(&entries), columns_of(&holds))
}

fn columns_of(rows: &[Row]) -> impl Iterator<Item = Columns<'_>> {
    rows.iter().map(Columns::of)
}

fn assemble<'r>(
    list: ListRow,
    seal: &Seal,
    entries: impl IntoIterator<Item = Columns<'r>>,
    holds: impl IntoIterator<Item = Columns<'r>>,
) -> Result<HashMap<Subject, Entry>, Failure> {
    let mut further: HashMap<Subject, Vec<Hold>> = HashMap::new();
    for columns in holds {
        let (subject, hold) = hold(columns, list, seal)?;
        further.entry(subject).or_default().push(hold);
    }
    let entries = entries.into_iter().map(|columns| {
        let entry = entry(columns, list, seal, &mut further)?;
        Ok((entry.subject, entry))
    });
    entries.collect()
}

fn entry(
    mut columns: Columns<'_>,
    list: ListRow,
    seal: &Seal,
    further: &mut HashMap<Subject, Vec<Hold>>,
) -> Result<Entry, Failure> {
    let subject = columns.subject()?;
    let directions = columns.directions()?;
    let source = columns.source()?;
    let sequence = columns.sequence()?;
    let created = columns.time()?;
    let updated = columns.maybe_time()?.unwrap_or(created);
    let deactivated = columns.maybe_time()?;
    let expires = columns.maybe_time()?;
    let texts = columns.texts(seal, RowContext { list: list.id, subject, row: RowOf::Entry })?;
    let kind = columns.kind()?;
    let own = columns.maybe_directions()?;
    let ever = columns.directions()?;
    let since = columns.maybe_time()?.unwrap_or(created);
    let requested = columns.maybe_time()?.unwrap_or(since);
    let first = Hold {
        kind,
        directions: own.unwrap_or(directions),
        source,
        label: texts.label,
        actor: columns.actor()?,
        lifted_by: columns.maybe_actor()?,
        reason: texts.reason,
        since,
        requested,
        expires,
    };
    let more = further.remove(&subject).unwrap_or_default();
    Ok(Entry {
        subject,
        directions,
        ever,
        holds: Holds { first, more },
        display: texts.display,
        created,
        updated,
        deactivated,
        sequence,
    })
}

fn hold(mut columns: Columns<'_>, list: ListRow, seal: &Seal) -> Result<(Subject, Hold), Failure> {
    let subject = columns.subject()?;
    let kind = columns.kind()?;
    let directions = columns.directions()?;
    let source = columns.source()?;
    let since = columns.time()?;
    let expires = columns.maybe_time()?;
    let texts = columns.texts(seal, RowContext { list: list.id, subject, row: RowOf::Hold(kind) })?;
    let requested = columns.maybe_time()?.unwrap_or(since);
    let hold = Hold {
        kind,
        directions,
        source,
        label: texts.label,
        actor: columns.actor()?,
        lifted_by: columns.maybe_actor()?,
        reason: texts.reason,
        since,
        requested,
        expires,
    };
    Ok((subject, hold))
}

/// The subjects of one page, and whether there are more after it, in the direction of reading.
async fn walk(
    session: &Session,
    list: ListRow,
    from: Paging,
    limit: NonZeroUsize,
    filter: Filter,
) -> Result<Page<Subject>, Failure> {
    // The bits of directions: 1 is inbound, 2 is outbound. With none, any direction will do.
    macro_rules! page {
        ($bound:literal, $order:literal) => {
            concat!(
                "SELECT subject FROM entries
                 WHERE list = $1 AND EXISTS (SELECT FROM lists WHERE id = $1) AND subject ",
                $bound,
                " $2
                   AND CASE $3::smallint
                       WHEN 0 THEN directions <> 0 AND directions & $4 = $4
                       WHEN 1 THEN NOT (directions <> 0 AND directions & $4 = $4) AND ever & $4 = $4
                       ELSE ever & $4 = $4 END
                 ORDER BY subject ",
                $order,
                " LIMIT $5 OFFSET $6"
            )
        };
    }
    let status: i16 = match filter.status {
        StatusFilter::Active => 0,
        StatusFilter::Inactive => 1,
        StatusFilter::All => 2,
    };
    let covering = i16::from(filter.covering.bits());
    let (sql, edge, skip) = match from {
        Paging::Start => (page!(">=", "ASC"), 0, 0),
        Paging::After(subject) => (page!(">=", "ASC"), first_after(Some(subject)), 0),
        Paging::Before(subject) => (page!("<", "DESC"), bits(subject), 0),
        Paging::Skip(count) => (page!(">=", "ASC"), 0, i64::try_from(count).unwrap_or(i64::MAX)),
    };
    // One more than the limit, to find out whether there are more.
    let most = i64::try_from(limit.get()).unwrap_or(i64::MAX).saturating_add(1);
    let rows = session.query(sql, &[&row_id(list.id)?, &edge, &status, &covering, &most, &skip]).await?;
    let mut subjects =
        rows.iter().map(|row| Columns::of(row).subject()).collect::<Result<Vec<Subject>, Failure>>()?;
    let more = subjects.len() > limit.get();
    subjects.truncate(limit.get());
    if let Paging::Before(_) = from {
        subjects.reverse();
    }
    Ok(Page { entries: subjects, more })
}

impl store::Entries for Postgres {
    fn write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Committed, LedgerError> {
        self.join(list, keys, writes, max_active)
    }

    fn get_many(
        &self,
        list: ListRow,
        seal: &Seal,
        subjects: &[Subject],
    ) -> Result<Vec<Option<Entry>>, LedgerError> {
        self.read(async |session| {
            let found = read(session, list, seal, subjects).await?;
            Ok(subjects.iter().map(|subject| found.get(subject).cloned()).collect())
        })
    }

    fn page(
        &self,
        list: ListRow,
        seal: &Seal,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page, LedgerError> {
        self.read_long(async |session| {
            // In one snapshot, so that an entry that changes meanwhile is neither missing nor of the wrong status.
            session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let page = walk(session, list, from, limit, filter).await?;
            let mut found = read_here(session, list, seal, &page.entries).await?;
            session.batch("COMMIT").await?;
            let entries = page.entries.iter().filter_map(|subject| found.remove(subject)).collect();
            Ok(Page { entries, more: page.more })
        })
    }

    fn subjects(
        &self,
        list: ListRow,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page<Subject>, LedgerError> {
        self.read_long(async |session| walk(session, list, from, limit, filter).await)
    }
}
