//! The `deliveries` table. It has what was delivered; what is being delivered is in memory, as one process has the file open.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis_ledger_model::{ClaimId, Claims, DeliveryBook, DeliveryKey};

use super::Sqlite;
use super::entries::time;
use crate::error::LedgerError;
use crate::store;

/// All deliveries. `None` until they are read from the table.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Option<DeliveryBook>>);

impl Sqlite {
    fn with_deliveries<T>(&self, work: impl FnOnce(&mut DeliveryBook) -> T) -> Result<T, LedgerError> {
        let mut book = self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
        let book = match &mut *book {
            Some(book) => book,
            unread => {
                let stored = self.read(|connection| {
                    connection
                        .prepare("SELECT key, until FROM deliveries ORDER BY until")?
                        .query_and_then((), |row| Ok((DeliveryKey(row.get(0)?), time(row.get(1)?)?)))?
                        .collect()
                })?;
                unread.insert(DeliveryBook::of(stored))
            }
        };
        Ok(work(book))
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
        let rows = unstored.clone();
        let stored = self.write(rows.len() + 1, move |connection| {
            let mut put = connection
                .prepare_cached("INSERT OR REPLACE INTO deliveries (key, until) VALUES (?1, ?2)")?;
            for (key, until) in &rows {
                put.execute((key.0, until.as_millisecond()))?;
            }
            let mut forget = connection.prepare_cached("DELETE FROM deliveries WHERE until < ?1")?;
            forget.execute([oldest.as_millisecond()])?;
            Ok(())
        });
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
