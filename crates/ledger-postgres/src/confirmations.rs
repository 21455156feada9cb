//! The `confirmations` table.

use std::time::Duration;

use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ListRow};
use portcullis_msisdn::Subject;

use crate::Postgres;
use crate::columns::{bits, row_id};

impl store::Confirmations for Postgres {
    fn allow_confirmation(&self, list: ListRow, to: Subject, within: Duration) -> Result<(), LedgerError> {
        const SQL: &str = "
            INSERT INTO confirmations (list, subject, until)
            SELECT id, $2, clock_timestamp() + make_interval(secs => $3) FROM lists WHERE id = $1
            ON CONFLICT (list, subject) DO UPDATE SET until = excluded.until";
        let (list, seconds) = (row_id(list.id)?, within.as_secs_f64());
        self.write_once(async |session| match session.execute(SQL, &[&list, &bits(to), &seconds]).await? {
            0 => Err(LedgerError::TenantForgotten.into()),
            _ => Ok(()),
        })
    }

    fn renew_confirmation(&self, list: ListRow, to: Subject, within: Duration) -> Result<(), LedgerError> {
        const SQL: &str = "
            UPDATE confirmations SET until = clock_timestamp() + make_interval(secs => $3)
            WHERE list = $1 AND subject = $2";
        let (list, seconds) = (row_id(list.id)?, within.as_secs_f64());
        self.write_once(async |session| session.execute(SQL, &[&list, &bits(to), &seconds]).await).map(drop)
    }

    fn take_confirmation(&self, list: ListRow, to: Subject) -> Result<bool, LedgerError> {
        // Of two that delete a row, the second waits for the first, and then finds nothing.
        const SQL: &str = "
            DELETE FROM confirmations WHERE list = $1 AND subject = $2 AND until > clock_timestamp()";
        let list = row_id(list.id)?;
        self.write_once(async |session| Ok(session.execute(SQL, &[&list, &bits(to)]).await? > 0))
    }

    fn withdraw_confirmation(&self, list: ListRow, to: Subject) -> Result<(), LedgerError> {
        const SQL: &str = "DELETE FROM confirmations WHERE list = $1 AND subject = $2";
        let list = row_id(list.id)?;
        self.write_once(async |session| session.execute(SQL, &[&list, &bits(to)]).await).map(drop)
    }
}
