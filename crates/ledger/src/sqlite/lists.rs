//! The `lists` table.

use std::collections::{BTreeSet, HashMap};

use portcullis_keys::{Scope, TenantId};
use portcullis_ledger_model::{Census, ListId, Seq};
use portcullis_msisdn::{Directions, Subject};
use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::sums::{Sums, change_catalogue};
use super::tenants;
use crate::error::LedgerError;
use crate::store::{self, ListRow, TenantRow};

/// Converts a value that is never negative.
pub(super) fn unsigned(value: i64) -> Result<u64, LedgerError> {
    u64::try_from(value).map_err(|_| LedgerError::damaged("counter"))
}

/// Where a list is.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) census: Census,
    /// The sequence number of the saved state that may be loaded.
    pub(super) saved: Option<i64>,
    /// The sum of the entries that changed since.
    pub(super) changed: u64,
}

impl Position {
    /// Call it for each entry whose sequence number changes, with its directions and number before and after.
    pub(super) fn note_change(
        &mut self,
        sums: Sums,
        subject: Subject,
        before: (Directions, Seq),
        after: (Directions, Seq),
    ) {
        let Some(saved) = self.saved else { return };
        for (directions, sequence) in [before, after] {
            if sequence.get().cast_signed() > saved {
                self.changed ^= sums.change(subject, directions, sequence);
            }
        }
    }
}

pub(super) fn position(connection: &Connection, list: i64) -> Result<Position, LedgerError> {
    let (sequence, active, saved, changed): (i64, i64, Option<i64>, i64) = connection
        .prepare_cached(
            "SELECT sequence, active, saved, changed
             FROM lists JOIN secrets ON secrets.tenant = lists.tenant WHERE id = ?1",
        )?
        .query_row([list], |row| row.try_into())
        .optional()?
        .ok_or(LedgerError::TenantForgotten)?;
    let census = Census { sequence: Seq::new(unsigned(sequence)?), active: unsigned(active)? };
    Ok(Position { census, saved, changed: changed.cast_unsigned() })
}

pub(super) fn set_position(
    connection: &Connection,
    list: i64,
    position: Position,
) -> Result<(), LedgerError> {
    let mut set = connection
        .prepare_cached("UPDATE lists SET sequence = ?2, active = ?3, changed = ?4 WHERE id = ?1")?;
    let Position { census: Census { sequence, active }, changed, .. } = position;
    set.execute((list, sequence.get().cast_signed(), active.cast_signed(), changed.cast_signed()))?;
    Ok(())
}

fn find(connection: &Connection, tenant: i64, scope: &str) -> Result<Option<i64>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT id FROM lists JOIN secrets ON secrets.tenant = lists.tenant
             WHERE lists.tenant = ?1 AND scope = ?2",
        )?
        .query_row((tenant, scope), |row| row.get(0))
        .optional()?)
}

/// The lists of a tenant.
pub(super) fn lists_of(
    connection: &Connection,
    tenant: TenantRow,
) -> Result<Vec<(ListRow, Scope)>, LedgerError> {
    connection
        .prepare_cached("SELECT id, scope FROM lists WHERE tenant = ?1")?
        .query_and_then([tenant.0], |row| {
            let scope: String = row.get(1)?;
            let scope = Scope::from_stored(&scope).map_err(|_| LedgerError::damaged("list of lists"))?;
            Ok((ListRow { id: row.get(0)?, tenant }, scope))
        })?
        .collect()
}

/// Returns the list, added if there is none. Call it in a transaction.
fn ensure(connection: &Connection, tenant: i64, scope: &str, sums: Sums) -> Result<i64, LedgerError> {
    if let Some(id) = find(connection, tenant, scope)? {
        return Ok(id);
    }
    let made = connection
        .prepare_cached("INSERT INTO lists (tenant, scope) SELECT tenant, ?2 FROM secrets WHERE tenant = ?1")?
        .execute((tenant, scope))?;
    if made == 0 {
        return Err(LedgerError::TenantForgotten);
    }
    let id = connection.last_insert_rowid();
    change_catalogue(connection, sums.list(id, tenant, scope))?;
    Ok(id)
}

impl store::Lists for Sqlite {
    fn ensure_lists(&self, wanted: &[(TenantId, Vec<Scope>)]) -> Result<(), LedgerError> {
        let mut lacking = Vec::new();
        for (tenant, scopes) in wanted {
            let known: BTreeSet<Scope> = self.lists(tenant)?.into_iter().collect();
            if !scopes.iter().all(|scope| known.contains(scope)) {
                lacking.push((tenant.clone(), scopes.clone()));
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let (master, sums) = (self.master.clone(), self.sums);
        self.write(1, move |connection| {
            for (tenant, scopes) in &lacking {
                let id = tenants::ensure(connection, tenant, &master, sums)?;
                for scope in scopes {
                    ensure(connection, id, scope.as_stored(), sums)?;
                }
            }
            Ok(())
        })
    }

    fn open_list(&self, tenant: TenantRow, scope: &Scope) -> Result<ListRow, LedgerError> {
        let scope = scope.as_stored().to_owned();
        let sums = self.sums;
        let id = match self.read(|connection| find(connection, tenant.0, &scope))? {
            Some(id) => id,
            None => self.write(1, move |connection| ensure(connection, tenant.0, &scope, sums))?,
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

    fn missing_lists(&self, tenant: TenantRow, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError> {
        self.read(|connection| {
            let mut find = connection.prepare_cached(
                "SELECT 1 FROM lists JOIN secrets ON secrets.tenant = lists.tenant
                 WHERE lists.tenant = ?1 AND id = ?2",
            )?;
            let mut missing = Vec::new();
            for list in lists {
                if !find.exists((tenant.0, list.0))? {
                    missing.push(*list);
                }
            }
            Ok(missing)
        })
    }

    fn census(&self, list: ListRow) -> Result<Census, LedgerError> {
        self.read(|connection| Ok(position(connection, list.id)?.census))
    }

    fn counts(&self) -> Result<HashMap<ListId, u64>, LedgerError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id, active FROM lists JOIN secrets ON secrets.tenant = lists.tenant")?
                .query_and_then([], |row| Ok((ListId(row.get(0)?), unsigned(row.get(1)?)?)))?
                .collect()
        })
    }

    fn kept_state(&self, list: ListRow) -> Result<Option<[u8; 16]>, LedgerError> {
        let state = self.read_of(list.tenant, |connection| {
            Ok(connection
                .prepare_cached("SELECT state FROM lists WHERE id = ?1")?
                .query_row([list.id], |row| row.get(0))
                .optional()?
                .flatten())
        });
        Ok(state?.flatten())
    }

    fn keep_state(&self, list: ListRow, id: [u8; 16], sequence: Seq) -> Result<(), LedgerError> {
        let (sums, saved) = (self.sums, sequence.get().cast_signed());
        self.write_for(list.tenant, 1, move |connection| {
            // Usually few changed while the state was written.
            let changed = sums.of_changes(connection, list.id, saved)?.cast_signed();
            let kept = connection
                .prepare_cached("UPDATE lists SET state = ?2, saved = ?3, changed = ?4 WHERE id = ?1")?
                .execute((list.id, id, saved, changed))?;
            if kept == 0 { Err(LedgerError::TenantForgotten) } else { Ok(()) }
        })
    }

    fn event_cursor(&self, list: ListRow) -> Result<Option<Seq>, LedgerError> {
        let cursor = self.read_of(list.tenant, |connection| {
            let cursor: Option<i64> = connection
                .prepare_cached("SELECT told FROM lists WHERE id = ?1")?
                .query_map([list.id], |row| row.get(0))?
                .next()
                .transpose()?
                .flatten();
            cursor.map(|cursor| unsigned(cursor).map(Seq::new)).transpose()
        });
        Ok(cursor?.flatten())
    }

    fn set_event_cursor(&self, list: ListRow, cursor: Seq) -> Result<(), LedgerError> {
        self.write_for(list.tenant, 1, move |connection| {
            connection
                .prepare_cached("UPDATE lists SET told = ?2 WHERE id = ?1")?
                .execute((list.id, cursor.get().cast_signed()))?;
            Ok(())
        })
    }
}
