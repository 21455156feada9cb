//! The `visits` table.

use jiff::Timestamp;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ListRow};
use portcullis_msisdn::Subject;

use crate::Postgres;
use crate::columns::{Columns, bits, row_id};

impl store::Visits for Postgres {
    fn visits(&self, list: ListRow, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        const SQL: &str = "SELECT subject, at FROM visits WHERE list = $1 AND at >= $2
                AND EXISTS (SELECT FROM lists WHERE id = $1) ORDER BY subject";
        self.read(async |session| {
            let rows = session.query(SQL, &[&row_id(list.id)?, &since]).await?;
            let visits = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                Ok((columns.subject()?, columns.time()?))
            });
            visits.collect()
        })
    }

    fn visit(&self, list: ListRow, subject: Subject) -> Result<Option<Timestamp>, LedgerError> {
        const SQL: &str = "SELECT at FROM visits WHERE list = $1 AND subject = $2 AND EXISTS (SELECT FROM lists WHERE id = $1)";
        self.read(async |session| {
            let row = session.query_opt(SQL, &[&row_id(list.id)?, &bits(subject)]).await?;
            row.as_ref().map(|row| Columns::of(row).time()).transpose()
        })
    }

    fn keep_visits(
        &self,
        list: ListRow,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError> {
        // Another node may have seen somebody later.
        const PUT: &str = "
            INSERT INTO visits (list, subject, at)
            SELECT lists.id, u.subject, max(u.at) FROM lists, unnest($2::bigint[], $3::timestamptz[]) u (subject, at)
            WHERE lists.id = $1 GROUP BY lists.id, u.subject ORDER BY u.subject
            ON CONFLICT (list, subject) DO UPDATE SET at = greatest(visits.at, excluded.at)";
        const FORGET: &str = "DELETE FROM visits WHERE list = $1 AND at < $2";
        let id = row_id(list.id)?;
        let (subjects, times): (Vec<i64>, Vec<Timestamp>) =
            visits.iter().map(|(subject, at)| (bits(*subject), *at)).unzip();
        self.write_once(async |session| {
            if !subjects.is_empty() {
                session.execute(PUT, &[&id, &subjects, &times]).await?;
            }
            session.execute(FORGET, &[&id, &forget_before]).await?;
            Ok(())
        })
    }
}
