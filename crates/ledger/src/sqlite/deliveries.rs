//! The `deliveries` table. It has what was delivered; what is being delivered is in memory, as one process has the file open.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger_model::{ClaimId, Claims, DeliveryBook, DeliveryKey, MOST_DELIVERIES, Remembered};

use super::Sqlite;
use super::entries::time;
use crate::error::LedgerError;
use crate::store;

/// The most rows that are written in one transaction: others wait for it.
const PART: usize = 1000;

/// All deliveries. `None` until they are read from the table.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Option<DeliveryBook>>);

impl Sqlite {
    fn with_deliveries<T>(&self, work: impl FnOnce(&mut DeliveryBook) -> T) -> Result<T, LedgerError> {
        let mut book = self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
        let book = match &mut *book {
            Some(book) => book,
            unread => {
                // A ledger that was in a database may have more than are remembered here.
                const SQL: &str = "
                    SELECT key, until FROM (SELECT key, until FROM deliveries ORDER BY until DESC LIMIT ?1)
                    ORDER BY until";
                let stored = self.read(|connection| {
                    connection
                        .prepare(SQL)?
                        .query_and_then([MOST_DELIVERIES as i64 + 1], |row| {
                            Ok((DeliveryKey(row.get(0)?), time(row.get(1)?)?))
                        })?
                        .collect()
                })?;
                unread.insert(DeliveryBook::of(stored))
            }
        };
        Ok(work(book))
    }

    fn put_deliveries(&self, deliveries: &[Remembered]) -> Result<(), LedgerError> {
        deliveries.chunks(PART).try_for_each(|part| {
            let rows = part.to_vec();
            self.write(rows.len(), move |connection| {
                let mut put = connection
                    .prepare_cached("INSERT OR REPLACE INTO deliveries (key, until) VALUES (?1, ?2)")?;
                for (key, until) in &rows {
                    put.execute((key.0, until.as_millisecond()))?;
                }
                Ok(())
            })
        })
    }

    fn forget_deliveries(&self, before: Timestamp) -> Result<(), LedgerError> {
        const SQL: &str = "
            DELETE FROM deliveries WHERE key IN (
                SELECT key FROM deliveries WHERE until < ?1 ORDER BY until LIMIT ?2)";
        let delete = || {
            self.write(PART, move |connection| {
                Ok(connection.prepare_cached(SQL)?.execute((before.as_millisecond(), PART as i64))?)
            })
        };
        while delete()? >= PART {}
        Ok(())
    }
}

impl store::Deliveries for Sqlite {
    fn claim(&self, keys: &[DeliveryKey], lasting: Duration) -> Result<Claims, LedgerError> {
        self.with_deliveries(|book| book.claim(keys, lasting))
    }

    fn finish(&self, keys: &[DeliveryKey]) -> Result<(), LedgerError> {
        self.with_deliveries(|book| book.finish(keys))
    }

    fn release(&self, keys: &[DeliveryKey], id: ClaimId) -> Result<(), LedgerError> {
        self.with_deliveries(|book| book.release(keys, id))
    }

    fn is_done(&self, key: DeliveryKey) -> Result<bool, LedgerError> {
        self.with_deliveries(|book| book.is_done(key))
    }

    fn keep_deliveries(&self) -> Result<(), LedgerError> {
        let Some((unstored, oldest)) = self.with_deliveries(DeliveryBook::take_unstored)? else {
            return Ok(());
        };
        let stored = self.put_deliveries(&unstored).and_then(|()| self.forget_deliveries(oldest));
        if stored.is_err() {
            self.with_deliveries(|book| book.put_back(unstored))?;
        }
        stored
    }

    fn trim_deliveries(&self) -> Result<(), LedgerError> {
        self.with_deliveries(DeliveryBook::forget)?;
        self.keep_deliveries()?;
        self.trim_confirmations()
    }
}
