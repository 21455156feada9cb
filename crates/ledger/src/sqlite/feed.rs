//! Reads for plugins: blocked subjects, and what changed.

use std::num::NonZeroUsize;

use portcullis_msisdn::{Directions, Subject};
use rusqlite::OptionalExtension as _;

use super::Sqlite;
use super::entries::{as_limit, directions, first_after, subject};
use super::lists::{position, unsigned};
use crate::changes::{Change, Changes, Seq};
use crate::error::LedgerError;
use crate::store::{self, ListRow};

impl store::Feed for Sqlite {
    fn directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.read(|connection| {
            let mut found = connection
                .prepare_cached("SELECT directions FROM entries WHERE list = ?1 AND subject = ?2")?;
            let mut look_up = |subject: &Subject| {
                let bits =
                    found.query_row((list.id, subject.get().cast_signed()), |row| row.get(0)).optional()?;
                bits.map_or(Ok(Directions::NONE), directions)
            };
            subjects.iter().map(&mut look_up).collect()
        })
    }

    fn members(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT subject, directions FROM entries
                     WHERE list = ?1 AND subject >= ?2 AND directions <> 0
                     ORDER BY subject LIMIT ?3",
                )?
                .query_and_then((list.id, first_after(after), as_limit(limit)), |row| {
                    Ok((subject(row.get(0)?)?, directions(row.get(1)?)?))
                })?
                .collect()
        })
    }

    fn changes_since(&self, list: ListRow, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError> {
        let since = i64::try_from(since.get()).unwrap_or(i64::MAX);
        self.read(|connection| {
            let sequence = position(connection, list.id)?.sequence;
            let mut changes = connection
                .prepare_cached(
                    "SELECT subject, directions, sequence FROM entries
                     WHERE list = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
                )?
                // One more than the limit, to find out whether there are more.
                .query_and_then((list.id, since, as_limit(limit).saturating_add(1)), |row| {
                    Ok(Change {
                        subject: subject(row.get(0)?)?,
                        directions: directions(row.get(1)?)?,
                        sequence: Seq::new(unsigned(row.get(2)?)?),
                    })
                })?
                .collect::<Result<Vec<Change>, LedgerError>>()?;
            let more = changes.len() > limit.get();
            changes.truncate(limit.get());
            Ok(Changes { changes, sequence, more })
        })
    }
}
