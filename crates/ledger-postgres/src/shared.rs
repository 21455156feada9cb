//! Following what all nodes write.

use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{ChangedList, FeedPosition, ListId, Shared};
use tokio_postgres::Row;

use crate::Postgres;
use crate::columns::Columns;
use crate::failure::Failure;

/// The lists that changed since a snapshot. A commit was either visible to that snapshot, or it is one of these: it began after the
/// snapshot, or was running when the snapshot was taken. What other transactions do meanwhile makes no difference.
const SINCE: &str = "
    SELECT pg_current_snapshot()::text, array_agg(list), array_agg(sequence) FROM (
        SELECT list, max(sequence) AS sequence FROM (
            SELECT list, sequence FROM commits WHERE xact >= pg_snapshot_xmax($1::text::pg_snapshot)
            UNION ALL
            SELECT c.list, c.sequence FROM pg_snapshot_xip($1::text::pg_snapshot) x JOIN commits c ON c.xact = x
        ) y GROUP BY list
    ) z";

/// All lists.
const ALL: &str = "SELECT pg_current_snapshot()::text, array_agg(id), array_agg(sequence) FROM lists";

fn changed(row: &Row) -> Result<(String, Vec<ChangedList>), Failure> {
    let mut columns = Columns::of(row);
    let snapshot: String = columns.get()?;
    let lists: Vec<i32> = columns.get::<Option<Vec<i32>>>()?.unwrap_or_default();
    let sequences: Vec<i64> = columns.get::<Option<Vec<i64>>>()?.unwrap_or_default();
    let changed = lists.into_iter().zip(sequences).map(|(list, sequence)| {
        let sequence = portcullis_ledger_model::Seq::new(crate::columns::unsigned(sequence)?);
        Ok(ChangedList { list: ListId(list.into()), sequence })
    });
    Ok((snapshot, changed.collect::<Result<_, Failure>>()?))
}

impl Shared for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    fn changed_lists(&self, position: &mut FeedPosition) -> Result<Vec<ChangedList>, LedgerError> {
        let (snapshot, lists) = self.read(async |session| {
            let row = match &position.0 {
                Some(since) => session.query_opt(SINCE, &[since]).await?,
                None => session.query_opt(ALL, &[]).await?,
            };
            changed(&row.ok_or(LedgerError::Defect)?)
        })?;
        position.0 = Some(snapshot);
        Ok(lists)
    }
}
