//! The `records` table: the audit trail.

use std::num::NonZeroUsize;

use portcullis_keys::Seal;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ListRow};
use portcullis_ledger_model::text::{Row as RowOf, RowContext};
use portcullis_ledger_model::trail::{History, Page, take_last};
use portcullis_ledger_model::{Coverage, Outcome, Record, Seq, Trail};
use portcullis_msisdn::Subject;
use tokio_postgres::Row;

use crate::Postgres;
use crate::columns::{Columns, bits, number, row_id};
use crate::failure::Failure;
use crate::session::Session;

const WHAT: &str = "row of the trail";

/// SQL that selects records in the order of [`record`].
macro_rules! select_records {
    ($rest:literal) => {
        concat!(
            "SELECT r.subject, r.sequence, r.step, r.previous, r.at, r.hold, r.outcome, r.source, r.before, r.after, r.expires,
                r.sealed, r.requested, a.name, a.address, a.interface
             FROM records r LEFT JOIN actors a ON a.id = r.actor
             WHERE r.list = $1 AND EXISTS (SELECT FROM lists WHERE id = $1) AND ",
            $rest
        )
    };
}

fn record(row: &Row, list: ListRow, seal: &Seal) -> Result<Record, Failure> {
    let damaged = || LedgerError::damaged(WHAT);
    let mut columns = Columns::of(row);
    let subject = columns.subject()?;
    let sequence = columns.sequence()?;
    let step = u32::try_from(columns.get::<i32>()?).map_err(|_| damaged())?;
    let previous = columns.sequence()?;
    let at = columns.time()?;
    let hold = columns.maybe_kind()?;
    let outcome = Outcome::from_code(columns.get::<i16>()?.into()).ok_or_else(damaged)?;
    let source = columns.maybe_source()?;
    let before = Coverage::from_code(columns.get::<i16>()?.into()).ok_or_else(damaged)?;
    let after = Coverage::from_code(columns.get::<i16>()?.into()).ok_or_else(damaged)?;
    let expires = columns.maybe_time()?;
    let context = RowContext { list: list.id, subject, row: RowOf::Record { sequence, step } };
    let texts = columns.texts(seal, context)?;
    let requested = columns.maybe_time()?.unwrap_or(at);
    Ok(Record {
        subject,
        sequence,
        step,
        previous,
        at,
        requested,
        actor: columns.actor()?,
        hold,
        outcome,
        source,
        before,
        after,
        expires,
        reason: texts.reason,
        display: texts.display,
        label: texts.label,
    })
}

/// The records that share a sequence number, the latest first.
pub(crate) async fn steps(
    session: &Session,
    list: ListRow,
    seal: &Seal,
    sequence: Seq,
) -> Result<Vec<Record>, Failure> {
    const SQL: &str = select_records!("r.sequence = $2 ORDER BY r.step DESC");
    let rows = session.query(SQL, &[&row_id(list.id)?, &number(sequence)]).await?;
    rows.iter().map(|row| record(row, list, seal)).collect()
}

impl store::Records for Postgres {
    fn trail(
        &self,
        list: ListRow,
        seal: &Seal,
        before: Seq,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError> {
        const SQL: &str = select_records!("r.sequence < $2 ORDER BY r.sequence DESC, r.step DESC LIMIT $3");
        // One more than the limit, to find out whether there are more.
        let most = i64::try_from(limit.get()).unwrap_or(i64::MAX).saturating_add(1);
        self.read_long(async |session| {
            let rows = session.query(SQL, &[&row_id(list.id)?, &number(before), &most]).await?;
            let records = rows.iter().map(|row| record(row, list, seal));
            let records = records.collect::<Result<Vec<Record>, Failure>>()?;
            match Page::of(records, limit) {
                Page::Is(trail) => Ok(trail),
                Page::AllOf(number) => {
                    Ok(Trail { records: steps(session, list, seal, number).await?, older: Some(number) })
                }
            }
        })
    }

    fn records_after(
        &self,
        list: ListRow,
        seal: &Seal,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Record>, LedgerError> {
        const SQL: &str = select_records!("r.sequence > $2 ORDER BY r.sequence, r.step LIMIT $3");
        let most = i64::try_from(limit.get()).unwrap_or(i64::MAX);
        self.read_long(async |session| {
            let rows = session.query(SQL, &[&row_id(list.id)?, &number(after), &most]).await?;
            let records = rows.iter().map(|row| record(row, list, seal));
            let mut records = records.collect::<Result<Vec<Record>, Failure>>()?;
            if let Some(last) = take_last(&mut records, limit) {
                records.extend(steps(session, list, seal, last).await?.into_iter().rev());
            }
            Ok(records)
        })
    }

    fn history(
        &self,
        list: ListRow,
        seal: &Seal,
        subject: Subject,
        before: Option<Seq>,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError> {
        const NEWEST: &str = "
            SELECT sequence FROM entries
            WHERE list = $1 AND subject = $2 AND EXISTS (SELECT FROM lists WHERE id = $1)";
        self.read_long(async |session| {
            let newest = session.query_opt(NEWEST, &[&row_id(list.id)?, &bits(subject)]).await?;
            let newest = newest.as_ref().map(|row| Columns::of(row).sequence()).transpose()?;
            let mut history = History::new(subject, newest, before, limit);
            while let Some(number) = history.wants() {
                history.add(steps(session, list, seal, number).await?);
            }
            Ok(history.finish())
        })
    }
}
