//! The `lists` table.

use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use crate::changes::{Census, Seq};
use crate::error::LedgerError;
use crate::name::TenantId;
use crate::scope::Scope;
use crate::store::{self, ListRow, TenantRow};

/// Converts a value that is never negative.
pub(super) fn unsigned(value: i64) -> Result<u64, LedgerError> {
    u64::try_from(value).map_err(|_| LedgerError::damaged("counter"))
}

pub(super) fn position(connection: &Connection, list: i64) -> Result<Census, LedgerError> {
    let (sequence, active) = connection
        .prepare_cached("SELECT sequence, active FROM lists WHERE id = ?1")?
        .query_row([list], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or(LedgerError::TenantForgotten)?;
    Ok(Census { sequence: Seq::new(unsigned(sequence)?), active: unsigned(active)? })
}

pub(super) fn set_position(connection: &Connection, list: i64, position: Census) -> Result<(), LedgerError> {
    connection.prepare_cached("UPDATE lists SET sequence = ?2, active = ?3 WHERE id = ?1")?.execute((
        list,
        position.sequence.get().cast_signed(),
        position.active.cast_signed(),
    ))?;
    Ok(())
}

fn find(connection: &Connection, tenant: i64, scope: &str) -> Result<Option<i64>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT id FROM lists WHERE tenant = ?1 AND scope = ?2")?
        .query_row((tenant, scope), |row| row.get(0))
        .optional()?)
}

impl store::Lists for Sqlite {
    fn open_list(&self, tenant: TenantRow, scope: &Scope) -> Result<ListRow, LedgerError> {
        let scope = scope.as_stored().to_owned();
        let id = match self.read(|connection| find(connection, tenant.0, &scope))? {
            Some(id) => id,
            None => self.write(1, move |connection| {
                if let Some(id) = find(connection, tenant.0, &scope)? {
                    return Ok(id);
                }
                let made = connection
                    .prepare_cached(
                        "INSERT INTO lists (tenant, scope)
                         SELECT id, ?2 FROM tenants WHERE id = ?1",
                    )?
                    .execute((tenant.0, &scope))?;
                if made == 0 {
                    return Err(LedgerError::TenantForgotten);
                }
                Ok(connection.last_insert_rowid())
            })?,
        };
        Ok(ListRow { id, tenant })
    }

    fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT scope FROM lists JOIN tenants ON tenants.id = lists.tenant
                     WHERE tenants.name = ?1 ORDER BY scope",
                )?
                .query_and_then([tenant.as_str()], |row| {
                    let scope: String = row.get(0)?;
                    Scope::from_stored(&scope).map_err(|error| LedgerError::Damaged {
                        what: "list of lists",
                        source: Some(error.into()),
                    })
                })?
                .collect()
        })
    }

    fn census(&self, list: ListRow) -> Result<Census, LedgerError> {
        self.read(|connection| position(connection, list.id))
    }

    fn kept_state(&self, list: ListRow) -> Result<Option<[u8; 16]>, LedgerError> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT state FROM lists WHERE id = ?1")?
                .query_row([list.id], |row| row.get(0))
                .optional()?
                .flatten())
        })
    }

    fn keep_state(&self, list: ListRow, id: [u8; 16]) -> Result<(), LedgerError> {
        self.write(1, move |connection| {
            let kept = connection
                .prepare_cached("UPDATE lists SET state = ?2 WHERE id = ?1")?
                .execute((list.id, id))?;
            if kept == 0 { Err(LedgerError::TenantForgotten) } else { Ok(()) }
        })
    }

    fn event_cursor(&self, list: ListRow) -> Result<Option<Seq>, LedgerError> {
        self.read(|connection| {
            let cursor: Option<i64> = connection
                .prepare_cached("SELECT told FROM lists WHERE id = ?1")?
                .query_map([list.id], |row| row.get(0))?
                .next()
                .transpose()?
                .flatten();
            cursor.map(|cursor| unsigned(cursor).map(Seq::new)).transpose()
        })
    }

    fn set_event_cursor(&self, list: ListRow, cursor: Seq) -> Result<(), LedgerError> {
        self.write(1, move |connection| {
            connection
                .prepare_cached("UPDATE lists SET told = ?2 WHERE id = ?1")?
                .execute((list.id, cursor.get().cast_signed()))?;
            Ok(())
        })
    }
}
