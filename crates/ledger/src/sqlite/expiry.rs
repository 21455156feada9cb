//! Entries whose time is over.

use jiff::Timestamp;
use rusqlite::Connection;

use super::Store;
use super::entries::time;
use super::lists::{ListRow, position, set_position};
use super::write::intern;
use crate::actor::Actor;
use crate::error::LedgerError;
use crate::ledger::{EXPIRED_AT_ONCE, ExpiredIn};
use crate::scope::Scope;

const WHAT: &str = "list of lists";

impl Store {
    pub(crate) fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError> {
        self.write(EXPIRED_AT_ONCE, move |connection| {
            let due = due(connection, now)?;
            due.chunk_by(|(one, _), (other, _)| one == other)
                .map(|entries| deactivate(connection, entries, now))
                .collect()
        })
    }

    pub(crate) fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.read(|connection| {
            let next: Option<i64> = connection
                .prepare_cached(
                    "SELECT min(expires) FROM entries
                     WHERE expires IS NOT NULL AND directions <> 0",
                )?
                .query_row((), |row| row.get(0))?;
            next.map(time).transpose()
        })
    }
}

/// Lists and subjects of those that are due longest, in the order of the table.
fn due(connection: &Connection, now: Timestamp) -> Result<Vec<(i64, i64)>, LedgerError> {
    let limit = i64::try_from(EXPIRED_AT_ONCE).unwrap_or(i64::MAX);
    let mut due = connection
        .prepare_cached(
            "SELECT list, subject FROM entries
             WHERE expires IS NOT NULL AND directions <> 0 AND expires <= ?1
             ORDER BY expires LIMIT ?2",
        )?
        .query_map((now.as_millisecond(), limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    due.sort_unstable();
    Ok(due)
}

/// Deactivates these entries of one list. Their texts stay as they are, so this needs no tenant's
/// keys.
fn deactivate(
    connection: &Connection,
    entries: &[(i64, i64)],
    now: Timestamp,
) -> Result<ExpiredIn, LedgerError> {
    let list = entries.first().map(|&(list, _)| list).ok_or(LedgerError::Defect)?;
    let (tenant_id, tenant, scope): (i64, String, String) = connection
        .prepare_cached(
            "SELECT tenants.id, tenants.name, scope
             FROM lists JOIN tenants ON tenants.id = lists.tenant WHERE lists.id = ?1",
        )?
        .query_row([list], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let list = ListRow { id: list, tenant: tenant_id };
    let actor = intern(connection, list.tenant, &Actor::expiry())?;
    let mut position = position(connection, list.id)?;
    let mut update = connection.prepare_cached(
        "UPDATE entries SET directions = 0, sequence = ?3, lifted_by = ?4, updated = ?5,
            deactivated = ?5
         WHERE list = ?1 AND subject = ?2",
    )?;
    for &(_, subject) in entries {
        position.sequence = position.sequence.next();
        position.active = position.active.checked_sub(1).ok_or(LedgerError::damaged("counter"))?;
        let sequence = position.sequence.get().cast_signed();
        update.execute((list.id, subject, sequence, actor, now.as_millisecond()))?;
    }
    set_position(connection, list.id, position)?;
    Ok(ExpiredIn {
        tenant: tenant.parse().map_err(|_| LedgerError::damaged(WHAT))?,
        scope: Scope::from_stored(&scope).map_err(|_| LedgerError::damaged(WHAT))?,
        count: entries.len(),
    })
}
