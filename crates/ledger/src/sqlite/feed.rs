//! The feed: entries in the order of their last changes.

use std::num::NonZeroUsize;

use super::Store;
use super::entries::{as_limit, directions, subject};
use super::lists::{ListRow, position, unsigned};
use crate::changes::{Change, Changes, Seq};
use crate::error::LedgerError;

impl Store {
    pub(crate) fn changes_since(
        &self,
        list: ListRow,
        since: Seq,
        limit: NonZeroUsize,
    ) -> Result<Changes, LedgerError> {
        let since = i64::try_from(since.get()).unwrap_or(i64::MAX);
        self.read(|connection| {
            let sequence = position(connection, list.id)?.sequence;
            let mut changes = connection
                .prepare_cached(
                    "SELECT subject, directions, sequence FROM entries
                     WHERE list = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
                )?
                // One more, to know whether there are more.
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
