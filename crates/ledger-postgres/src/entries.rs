//! Reading the `entries` and `holds` tables.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use futures_util::future::{join3, join4};
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
use crate::head::{HEAD, Head, head};
use crate::session::Session;

/// SQL that selects entries in the order of [`entry`], up to the condition.
macro_rules! select_entries {
    ($condition:literal) => {
        concat!(
            "SELECT e.subject, e.directions, e.source, e.sequence, e.created, e.updated, e.deactivated, e.expires,
                e.sealed, e.kind, e.own, e.ever, e.since, e.requested,
                a.name, a.address, a.interface, b.name, b.address, b.interface
             FROM entries e LEFT JOIN actors a ON a.id = e.actor LEFT JOIN actors b ON b.id = e.lifted_by
             WHERE e.list = $1 AND EXISTS (SELECT FROM lists WHERE id = $1) AND ",
            $condition
        )
    };
}

const ENTRIES: &str = select_entries!("e.subject = ANY($2)");

const HOLDS: &str = "
    SELECT h.subject, h.kind, h.directions, h.source, h.since, h.expires, h.sealed, h.requested,
        a.name, a.address, a.interface, b.name, b.address, b.interface
    FROM holds h LEFT JOIN actors a ON a.id = h.actor LEFT JOIN actors b ON b.id = h.lifted_by
    WHERE h.list = $1 AND h.subject = ANY($2) AND EXISTS (SELECT FROM lists WHERE id = $1) ORDER BY h.subject, h.kind";

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
    assemble(list, seal, &entries, &holds)
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
    Ok((head?, assemble(list, seal, &entries?, &holds?)?))
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
    let entries = session.query(ENTRIES, &[&id, &wanted]).await?;
    let holds = session.query(HOLDS, &[&id, &wanted]).await?;
    assemble(list, seal, &entries, &holds)
}

fn assemble(
    list: ListRow,
    seal: &Seal,
    entries: &[Row],
    holds: &[Row],
) -> Result<HashMap<Subject, Entry>, Failure> {
    let mut further: HashMap<Subject, Vec<Hold>> = HashMap::new();
    for row in holds {
        let (subject, hold) = hold(row, list, seal)?;
        further.entry(subject).or_default().push(hold);
    }
    let entries = entries.iter().map(|row| {
        let entry = entry(row, list, seal, &mut further)?;
        Ok((entry.subject, entry))
    });
    entries.collect()
}

fn entry(
    row: &Row,
    list: ListRow,
    seal: &Seal,
    further: &mut HashMap<Subject, Vec<Hold>>,
) -> Result<Entry, Failure> {
    let mut columns = Columns::of(row);
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

fn hold(row: &Row, list: ListRow, seal: &Seal) -> Result<(Subject, Hold), Failure> {
    let mut columns = Columns::of(row);
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
