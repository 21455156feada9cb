//! The `visits` table.

use jiff::Timestamp;
use portcullis_msisdn::Subject;
use rusqlite::OptionalExtension as _;

use super::Sqlite;
use super::entries::{subject, time};
use crate::error::LedgerError;
use crate::store::{self, ListRow};

/// The most visits that are stored or forgotten in one transaction.
const AT_ONCE: usize = 1000;

impl store::Visits for Sqlite {
    fn visits(&self, list: ListRow, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        let visits = self.read_of(list.tenant, |connection| {
            connection
                .prepare_cached(
                    "SELECT subject, at FROM visits WHERE list = ?1 AND at >= ?2 ORDER BY subject",
                )?
                .query_and_then((list.id, since.as_millisecond()), |row| {
                    Ok((subject(row.get(0)?)?, time(row.get(1)?)?))
                })?
                .collect()
        });
        Ok(visits?.unwrap_or_default())
    }

    fn visit(&self, list: ListRow, subject: Subject) -> Result<Option<Timestamp>, LedgerError> {
        let at = self.read_of(list.tenant, |connection| {
            let at = connection
                .prepare_cached("SELECT at FROM visits WHERE list = ?1 AND subject = ?2")?
                .query_row((list.id, subject.get().cast_signed()), |row| row.get(0))
                .optional()?;
            at.map(time).transpose()
        });
        Ok(at?.flatten())
    }

    fn keep_visits(
        &self,
        list: ListRow,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError> {
        for visits in visits.chunks(AT_ONCE) {
            let visits = visits.to_vec();
            self.write_for(list.tenant, visits.len(), move |connection| {
                let mut put = connection.prepare_cached(
                    "INSERT INTO visits (list, subject, at) SELECT id, ?2, ?3 FROM lists WHERE id = ?1
                     ON CONFLICT (list, subject) DO UPDATE SET at = max(at, excluded.at)",
                )?;
                for (subject, at) in &visits {
                    put.execute((list.id, subject.get().cast_signed(), at.as_millisecond()))?;
                }
                Ok(())
            })?;
        }
        let before = forget_before.as_millisecond();
        // There is no index by time. The writer does not look for them: others would wait.
        let old: Vec<i64> = self.read_long(|connection| {
            connection
                .prepare_cached("SELECT subject FROM visits WHERE list = ?1 AND at < ?2")?
                .query_and_then((list.id, before), |row| Ok(row.get(0)?))?
                .collect()
        })?;
        for old in old.chunks(AT_ONCE) {
            let old = old.to_vec();
            self.write_for(list.tenant, old.len(), move |connection| {
                let mut forget = connection
                    .prepare_cached("DELETE FROM visits WHERE list = ?1 AND subject = ?2 AND at < ?3")?;
                for subject in &old {
                    forget.execute((list.id, subject, before))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
