//! The `moves` table: changes of number, and when.

use jiff::Timestamp;
use portcullis_msisdn::Subject;
use rusqlite::{Connection, OptionalExtension as _};

use super::entries::{subject, time};
use super::sums::{Sums, change_people, columns};
use crate::error::LedgerError;

/// The changes of number in one tenant.
pub(super) struct Moves<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tenant: i64,
    pub(super) sums: Sums,
}

impl Moves<'_> {
    pub(super) fn from(&self, left: Subject) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT to_subject, at FROM moves WHERE tenant = ?1 AND from_subject = ?2 ORDER BY at",
            )?
            .query_and_then((self.tenant, left.get().cast_signed()), |row| {
                Ok((subject(row.get(0)?)?, time(row.get(1)?)?))
            })?
            .collect()
    }

    pub(super) fn put(&self, left: Subject, reached: Subject, at: Timestamp) -> Result<(), LedgerError> {
        let key = (self.tenant, left.get().cast_signed(), reached.get().cast_signed());
        let before = self.sum_of(key)?;
        self.connection
            .prepare_cached(
                "INSERT INTO moves (tenant, from_subject, to_subject, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
            )?
            .execute((key.0, key.1, key.2, at.as_millisecond()))?;
        change_people(self.connection, self.tenant, before ^ self.sum_of(key)?)
    }

    /// The hash of a move, as it is stored; 0 if there is none.
    fn sum_of(&self, key: (i64, i64, i64)) -> Result<u64, LedgerError> {
        let sum = self
            .connection
            .prepare_cached(
                "SELECT tenant, from_subject, to_subject, at FROM moves
                 WHERE tenant = ?1 AND from_subject = ?2 AND to_subject = ?3",
            )?
            .query_row(key, |row| Ok(self.sums.moved(&columns(row, 0)?)))
            .optional()?;
        Ok(sum.unwrap_or_default())
    }
}
