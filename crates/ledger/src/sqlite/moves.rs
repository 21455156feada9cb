//! The `moves` table: changes of number, and when.

use jiff::Timestamp;
use portcullis_msisdn::{Permutation, Person, Subject};
use rusqlite::{Connection, OptionalExtension as _};

use super::entries::{subject, time};
use super::sums::{Sums, change_people, columns};
use crate::error::LedgerError;
use crate::time::is_older;

/// The changes of number in one tenant.
pub(super) struct Moves<'a> {
    connection: &'a Connection,
    tenant: i64,
    permutation: &'a Permutation,
    sums: Sums,
}

impl<'a> Moves<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        tenant: i64,
        permutation: &'a Permutation,
        sums: Sums,
    ) -> Self {
        Moves { connection, tenant, permutation, sums }
    }

    /// The numbers that `left` was given up for, and when.
    fn from(&self, left: &Person) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        let mut select = self.connection.prepare_cached(
            "SELECT to_subject, at FROM moves WHERE tenant = ?1 AND from_subject = ?2 ORDER BY at",
        )?;
        let mut found = Vec::new();
        for from in left.iter() {
            let rows = select.query_and_then((self.tenant, from.get().cast_signed()), |row| {
                Ok::<_, LedgerError>((subject(row.get(0)?)?, time(row.get(1)?)?))
            })?;
            for row in rows {
                found.push(row?);
            }
        }
        Ok(found)
    }

    /// Whether this change of number is known to have happened at `at` or later; at any time, if `at` is `None`.
    pub(super) fn is_known(
        &self,
        left: Subject,
        reached: Subject,
        at: Option<Timestamp>,
    ) -> Result<bool, LedgerError> {
        let reached = self.permutation.person_of(reached);
        let moves = self.from(&self.permutation.person_of(left))?;
        Ok(moves.iter().any(|(to, when)| reached.contains(to) && at.is_none_or(|at| !is_older(*when, at))))
    }

    /// Records a change of number.
    pub(super) fn remember(&self, left: Subject, reached: Subject, at: Timestamp) -> Result<(), LedgerError> {
        let key = self.permutation.person_of(left).key();
        let key = (self.tenant, key.get().cast_signed(), reached.get().cast_signed());
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

    /// The persons that the owner of this number at `at` may have become, ordered by when they last got their number.
    pub(super) fn since(&self, person: &Person, at: Timestamp) -> Result<Vec<Person>, LedgerError> {
        let mut reached: Vec<(Person, Timestamp)> = Vec::new();
        let mut open = vec![(*person, at)];
        while let Some((left, at)) = open.pop() {
            for (to, when) in self.from(&left)? {
                let before = reached.iter().position(|(known, _)| known.contains(&to));
                let is_new = before.is_none_or(|before| reached[before].1 < when);
                if !is_new || is_older(when, at) {
                    continue;
                }
                if let Some(before) = before {
                    reached.remove(before);
                }
                let next = self.permutation.person_of(to);
                open.push((next, when));
                reached.push((next, when));
            }
        }
        reached.sort_by_key(|(_, when)| *when);
        Ok(reached.into_iter().map(|(person, _)| person).collect())
    }
}
