//! Reads for plugins: blocked subjects, and what changed.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::pin;

use futures_util::StreamExt as _;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ListRow};
use portcullis_ledger_model::{Change, Changes, ListId, Mark, Seq, Span};
use portcullis_msisdn::{Directions, Subject};
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::Type;

use crate::Postgres;
use crate::columns::{Columns, bits, first_after, number, row_id};
use crate::failure::Failure;
use crate::session::Session;

async fn look_up(session: &Session, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, Failure> {
    const SQL: &str = "
        SELECT subject, directions FROM entries
        WHERE list = $1 AND subject = ANY($2) AND EXISTS (SELECT FROM lists WHERE id = $1)";
    let wanted: Vec<i64> = subjects.iter().copied().map(bits).collect();
    let rows = session.query(SQL, &[&row_id(list.id)?, &wanted]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row);
        found.insert(columns.subject()?, columns.directions()?);
    }
    Ok(subjects.iter().map(|subject| found.get(subject).copied().unwrap_or(Directions::NONE)).collect())
}

async fn members(
    session: &Session,
    list: ListRow,
    after: Option<Subject>,
    limit: NonZeroUsize,
) -> Result<Vec<(Subject, Directions)>, Failure> {
    // A copy has no parameters. These are numbers.
    let sql = format!(
        "COPY (
            SELECT subject, directions FROM entries
            WHERE list = {list} AND subject >= {first} AND directions <> 0
                AND EXISTS (SELECT FROM lists WHERE id = {list})
            ORDER BY subject LIMIT {limit}
        ) TO STDOUT (FORMAT binary)",
        list = row_id(list.id)?,
        first = first_after(after),
    );
    let copied = session.client().copy_out(&sql).await?;
    let mut rows = pin!(BinaryCopyOutStream::new(copied, &[Type::INT8, Type::INT2]));
    let mut members = Vec::new();
    while let Some(row) = rows.next().await {
        let row = row?;
        members
            .push((crate::columns::subject(row.try_get(0)?)?, crate::columns::directions(row.try_get(1)?)?));
    }
    Ok(members)
}

async fn sample(
    session: &Session,
    list: ListRow,
    after: Option<Subject>,
    limit: NonZeroUsize,
) -> Result<Vec<(Subject, Directions)>, Failure> {
    const SQL: &str = "
        SELECT subject, directions FROM entries
        WHERE list = $1 AND subject >= $2 AND directions <> 0 AND EXISTS (SELECT FROM lists WHERE id = $1)
        ORDER BY subject LIMIT $3";
    let (list, first) = (row_id(list.id)?, first_after(after));
    let most = i64::try_from(limit.get()).unwrap_or(i64::MAX);
    let rows = session.query(SQL, &[&list, &first, &most]).await?;
    let members = rows.iter().map(|row| {
        let mut columns = Columns::of(row);
        Ok((columns.subject()?, columns.directions()?))
    });
    members.collect()
}

/// Where a list is, and some of its entries that changed.
struct Changed {
    since: Seq,
    sequence: Seq,
    mark: Mark,
    /// In the order of their latest changes.
    changes: Vec<Change>,
}

/// The entries of lists that changed after a sequence number each, at most so many of each, found by the trail: an index of entries by sequence
/// number would cost each write more. Leaves out lists that don't exist.
async fn changed(
    session: &Session,
    lists: &[(ListRow, Seq)],
    most: usize,
) -> Result<HashMap<ListId, Changed>, Failure> {
    // An entry that has changed again is left out here, and found by its later record. One statement sees one moment, so that the list's
    // sequence number and mark are those that the changes lead to.
    //
    // OFFSET 0 has each entry looked up by its key. Without it, the planner, which does not know how few records there are after a
    // number, may join all of a long list's records and entries to return a few.
    const SQL: &str = "
        SELECT l.id, s.since, l.sequence, l.mark, c.subject, c.directions, c.sequence
        FROM unnest($1::integer[], $2::bigint[]) s (list, since) JOIN lists l ON l.id = s.list LEFT JOIN LATERAL (
            SELECT r.subject, e.directions, r.sequence
            FROM records r CROSS JOIN LATERAL (
                SELECT directions FROM entries
                WHERE list = s.list AND subject = r.subject AND sequence = r.sequence OFFSET 0
            ) e
            WHERE r.list = s.list AND r.sequence > s.since AND r.step = 0 ORDER BY r.sequence LIMIT $3
        ) c ON true";
    let ids: Vec<i32> = lists.iter().map(|(list, _)| row_id(list.id)).collect::<Result<_, _>>()?;
    let since: Vec<i64> = lists.iter().map(|(_, since)| number(*since)).collect();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = session.query(SQL, &[&ids, &since, &most]).await?;
    let mut found: HashMap<ListId, Changed> = HashMap::with_capacity(lists.len());
    for row in &rows {
        let mut columns = Columns::of(row);
        let list = ListId(columns.get::<i32>()?.into());
        let (since, sequence, mark) = (columns.sequence()?, columns.sequence()?, columns.mark()?);
        let changed = found.entry(list).or_insert(Changed { since, sequence, mark, changes: Vec::new() });
        // Without changes, there is one row, without one.
        if let Some(subject) = columns.get::<Option<i64>>()? {
            changed.changes.push(Change {
                subject: crate::columns::subject(subject)?,
                directions: columns.directions()?,
                sequence: columns.sequence()?,
            });
        }
    }
    for changed in found.values_mut() {
        changed.changes.sort_unstable_by_key(|change| change.sequence);
    }
    Ok(found)
}

async fn changes(
    session: &Session,
    list: ListRow,
    since: Seq,
    limit: NonZeroUsize,
) -> Result<Changes, Failure> {
    let found = changed(session, &[(list, since)], limit.get().saturating_add(1)).await?;
    let Changed { sequence, mark, mut changes, .. } =
        found.into_values().next().ok_or(LedgerError::TenantForgotten)?;
    let more = changes.len() > limit.get();
    changes.truncate(limit.get());
    // The latest change is always that of an entry.
    let reached = changes.last().map_or(since, |last| last.sequence);
    if !more && reached < sequence {
        return Err(LedgerError::damaged("list").into());
    }
    Ok(Changes { changes, sequence, more, mark: Some(mark).filter(|_| !more) })
}

/// Like [`changes`], for several lists. Leaves out those without changes.
pub(crate) async fn spans(
    session: &Session,
    lists: &[(ListRow, Seq)],
    limit: NonZeroUsize,
) -> Result<Vec<(ListId, Span)>, Failure> {
    let found = changed(session, lists, limit.get()).await?;
    let spans = found.into_iter().filter_map(|(list, changed)| {
        let Changed { since, sequence, mark, changes } = changed;
        let reached = changes.last()?.sequence;
        // Of one that was cut off, the mark is not that of where it ends.
        let mark = Some(mark).filter(|_| reached == sequence);
        Some((list, Span { since, since_mark: None, changes, sequence: reached, mark }))
    });
    Ok(spans.collect())
}

impl store::Feed for Postgres {
    fn directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.read(async |session| look_up(session, list, subjects).await)
    }

    fn members(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.read_long(async |session| members(session, list, after, limit).await)
    }

    fn sample_directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.directions(list, subjects)
    }

    fn sample(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.read(async |session| sample(session, list, after, limit).await)
    }

    /// The database's own checksums find damage.
    fn check_changes(&self, list: ListRow, since: Seq) -> Result<(), LedgerError> {
        const SQL: &str = "SELECT sequence FROM states WHERE list = $1 AND node = $2";
        let id = row_id(list.id)?;
        let saved = self.read(async |session| {
            let row = session.query_opt(SQL, &[&id, &self.node]).await?;
            row.as_ref().map(|row| Columns::of(row).sequence()).transpose()
        })?;
        if saved == Some(since) { Ok(()) } else { Err(LedgerError::damaged("saved state")) }
    }

    fn is_damaged(&self, _list: ListRow) -> bool {
        false
    }

    fn changes_since(&self, list: ListRow, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError> {
        self.read(async |session| changes(session, list, since, limit).await)
    }
}
