//! Reads for plugins: blocked subjects, and what changed.

use std::num::NonZeroUsize;

use portcullis_ledger_model::{Change, Changes, Seq};
use portcullis_msisdn::{Directions, Subject};
use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::entries::{as_limit, directions, first_after, subject};
use super::lists::{Position, position, unsigned};
use super::sums::part_of;
use crate::error::{Altered, LedgerError};
use crate::store::{self, ListRow};

fn look_up(
    connection: &Connection,
    list: ListRow,
    subjects: &[Subject],
) -> Result<Vec<Directions>, LedgerError> {
    let mut found =
        connection.prepare_cached("SELECT directions FROM entries WHERE list = ?1 AND subject = ?2")?;
    let look_up = |subject: &Subject| {
        let bits = found.query_row((list.id, subject.get().cast_signed()), |row| row.get(0)).optional()?;
        bits.map_or(Ok(Directions::NONE), directions)
    };
    subjects.iter().map(look_up).collect()
}

fn nothing(subjects: &[Subject]) -> Vec<Directions> {
    vec![Directions::NONE; subjects.len()]
}

impl store::Feed for Sqlite {
    fn directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.damage.refuse_list(list)?;
        let found = self.read_of(list.tenant, |connection| {
            for subject in subjects {
                let part = part_of(subject.get().cast_signed());
                if !self.damage.is_checked(list, part) {
                    let last = self.sums.read(connection, list.id, part, |_| Ok(true))?;
                    self.damage.note_checked(list, part, last);
                }
            }
            look_up(connection, list, subjects)
        });
        Ok(self.damage.note_list(list, found)?.unwrap_or_else(|| nothing(subjects)))
    }

    fn sample_directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        let found = self.read_of(list.tenant, |connection| look_up(connection, list, subjects));
        Ok(found?.unwrap_or_else(|| nothing(subjects)))
    }

    fn members(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        let first = first_after(after);
        let read = self.read_of(list.tenant, |connection| {
            let mut members = Vec::new();
            let last = self.sums.read(connection, list.id, part_of(first), |columns| {
                let [_, Some(found), Some(blocked), ..] = *columns else {
                    return Err(LedgerError::damaged("row of an entry"));
                };
                // In a part, others precede the first one.
                if found >= first && blocked != 0 {
                    members.push((subject(found)?, directions(blocked)?));
                }
                Ok(members.len() >= limit.get())
            })?;
            self.damage.note_checked(list, part_of(first), last);
            members.truncate(limit.get());
            Ok(members)
        });
        Ok(self.damage.note_list(list, read)?.unwrap_or_default())
    }

    fn sample(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        let found = self.read_of(list.tenant, |connection| {
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
        });
        Ok(found?.unwrap_or_default())
    }

    fn check_changes(&self, list: ListRow, since: Seq) -> Result<(), LedgerError> {
        let since = i64::try_from(since.get()).unwrap_or(i64::MAX);
        self.read(|connection| {
            let Position { saved, changed, .. } = position(connection, list.id)?;
            let is_whole =
                saved == Some(since) && self.sums.of_changes(connection, list.id, since)? == changed;
            if is_whole { Ok(()) } else { Err(LedgerError::altered("list", Altered::Changes)) }
        })
    }

    fn is_damaged(&self, list: ListRow) -> bool {
        self.damage.is_list(list)
    }

    fn changes_since(&self, list: ListRow, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError> {
        let since = i64::try_from(since.get()).unwrap_or(i64::MAX);
        self.read(|connection| {
            let sequence = position(connection, list.id)?.census.sequence;
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
            // The latest change is always that of an entry.
            let last = changes.last().map(|last| last.sequence);
            let is_behind = sequence.get().cast_signed() > since && last.is_none_or(|last| last < sequence);
            let more = changes.len() > limit.get();
            if is_behind && !more {
                return Err(LedgerError::altered("list", Altered::Changes));
            }
            changes.truncate(limit.get());
            Ok(Changes { changes, sequence, more, mark: None })
        })
    }
}
