//! The `confirmations` table.

use std::time::Duration;

use portcullis_ledger_model::{LONGEST_REDELIVERY, time};
use portcullis_msisdn::Subject;
use rusqlite::Connection;

use super::Sqlite;
use crate::error::LedgerError;
use crate::store::{self, ListRow};

/// The most confirmations that are forgotten in one transaction.
const AT_ONCE: usize = 1000;

/// This time from now, as it is stored.
fn after(within: Duration) -> i64 {
    let now = time::now();
    now.checked_add(within).unwrap_or(now).as_millisecond()
}

impl Sqlite {
    /// Changes a confirmation, if there is one: otherwise this costs no flush of the disk. Returns whether a row was changed.
    fn change_confirmation(
        &self,
        list: ListRow,
        to: Subject,
        change: impl Fn(&Connection, (i64, i64)) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<bool, LedgerError> {
        let row = (list.id, to.get().cast_signed());
        let is_there = self.read_of(list.tenant, |connection| {
            Ok(connection
                .prepare_cached("SELECT 1 FROM confirmations WHERE list = ?1 AND subject = ?2")?
                .exists(row)?)
        })?;
        if is_there != Some(true) {
            return Ok(false);
        }
        self.write_for(list.tenant, 1, move |connection| Ok(change(connection, row)? > 0))
    }

    /// Deletes those that ended so long ago that nothing renews them.
    pub(super) fn trim_confirmations(&self) -> Result<(), LedgerError> {
        let before = (time::now() - LONGEST_REDELIVERY).as_millisecond();
        // As there is no index by time, the writer does not look for them: others would wait.
        let past: Vec<(i64, i64)> = self.read_long(|connection| {
            connection
                .prepare_cached("SELECT list, subject FROM confirmations WHERE until < ?1")?
                .query_and_then([before], |row| Ok(row.try_into()?))?
                .collect()
        })?;
        for past in past.chunks(AT_ONCE) {
            let past = past.to_vec();
            self.write(past.len(), move |connection| {
                let mut forget = connection.prepare_cached(
                    "DELETE FROM confirmations WHERE list = ?1 AND subject = ?2 AND until < ?3",
                )?;
                for (list, subject) in &past {
                    forget.execute((list, subject, before))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl store::Confirmations for Sqlite {
    fn allow_confirmation(&self, list: ListRow, to: Subject, within: Duration) -> Result<(), LedgerError> {
        let (subject, until) = (to.get().cast_signed(), after(within));
        self.write_for(list.tenant, 1, move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO confirmations (list, subject, until) SELECT id, ?2, ?3 FROM lists WHERE id = ?1
                     ON CONFLICT (list, subject) DO UPDATE SET until = excluded.until",
                )?
                .execute((list.id, subject, until))?;
            Ok(())
        })
    }

    fn renew_confirmation(&self, list: ListRow, to: Subject, within: Duration) -> Result<(), LedgerError> {
        let until = after(within);
        let renew = move |connection: &Connection, (list, subject)| {
            connection
                .prepare_cached("UPDATE confirmations SET until = ?3 WHERE list = ?1 AND subject = ?2")?
                .execute((list, subject, until))
        };
        self.change_confirmation(list, to, renew).map(drop)
    }

    fn take_confirmation(&self, list: ListRow, to: Subject) -> Result<bool, LedgerError> {
        let take = |connection: &Connection, (list, subject)| {
            let now = time::now().as_millisecond();
            connection
                .prepare_cached("DELETE FROM confirmations WHERE list = ?1 AND subject = ?2 AND until > ?3")?
                .execute((list, subject, now))
        };
        self.change_confirmation(list, to, take)
    }

    fn withdraw_confirmation(&self, list: ListRow, to: Subject) -> Result<(), LedgerError> {
        let withdraw = |connection: &Connection, row: (i64, i64)| {
            connection
                .prepare_cached("DELETE FROM confirmations WHERE list = ?1 AND subject = ?2")?
                .execute(row)
        };
        self.change_confirmation(list, to, withdraw).map(drop)
    }
}
