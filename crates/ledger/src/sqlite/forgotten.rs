//! Tenants that were forgotten, and the deletion of their rows.
//!
//! To forget a tenant is to delete its secret and its settings, and to give its row a name that no tenant can have. From that commit on
//! it is gone: nobody finds its name, and what is read or written with an older handle asks for the secret first. Its other rows are
//! garbage, which the writer deletes a few at a time, in turn with the writes of others. After a crash, the next opening goes on.

use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::sums::{Sums, change_catalogue};
use crate::error::LedgerError;
use crate::store::TenantRow;

/// About how many rows are deleted in one transaction, which then takes some milliseconds.
pub(super) const AT_ONCE: usize = 500;

/// The tables of a list's rows, with a column that each is ordered by.
const OF_LIST: [(&str, &str); 5] = [
    ("visits", "subject"),
    ("holds", "subject"),
    ("records", "sequence"),
    ("entries", "subject"),
    ("sums", "part"),
];
/// The tables of a tenant's rows, except lists, which come first.
const OF_TENANT: [(&str, &str); 3] = [("identities", "digest"), ("moves", "from_subject"), ("actors", "id")];

/// The name of a tenant's row from when the tenant is forgotten. The names of tenants have no spaces.
pub(super) fn name_of(tenant: i64) -> String {
    format!("forgotten {tenant}")
}

/// Whether a row of this name is left of a forgotten tenant.
pub(super) fn is_left(name: &str, tenant: i64) -> bool {
    name == name_of(tenant)
}

/// Whether the tenant of a handle was not forgotten.
pub(super) fn is_known(connection: &Connection, tenant: TenantRow) -> Result<bool, LedgerError> {
    Ok(connection.prepare_cached("SELECT 1 FROM secrets WHERE tenant = ?1")?.exists([tenant.0])?)
}

/// The lists that are left of forgotten tenants.
pub(super) fn lists(connection: &Connection) -> Result<Vec<i64>, LedgerError> {
    connection
        .prepare_cached(
            "SELECT lists.id FROM tenants JOIN lists ON lists.tenant = tenants.id
             WHERE tenants.name GLOB 'forgotten *'",
        )?
        .query_and_then((), |row| Ok(row.get(0)?))?
        .collect()
}

impl Sqlite {
    /// Like [`read`](Self::read), for a tenant's rows; `None` if the tenant was forgotten.
    pub(super) fn read_of<T>(
        &self,
        tenant: TenantRow,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        self.read(|connection| if_known(connection, tenant, read))
    }

    /// Like [`read_long`](Self::read_long), for a tenant's rows; `None` if the tenant was forgotten.
    pub(super) fn read_long_of<T>(
        &self,
        tenant: TenantRow,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        self.read_long(|connection| if_known(connection, tenant, read))
    }
}

fn if_known<T>(
    connection: &Connection,
    tenant: TenantRow,
    read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
) -> Result<Option<T>, LedgerError> {
    is_known(connection, tenant)?.then(|| read(connection)).transpose()
}

/// Deletes some of what is left of forgotten tenants. Returns whether there may be more.
pub(super) fn delete_some(connection: &Connection, sums: Sums) -> Result<bool, LedgerError> {
    let left: Option<(i64, String)> = connection
        .prepare_cached(
            "SELECT id, name FROM tenants
             WHERE name GLOB 'forgotten *' AND name = 'forgotten ' || id
                AND NOT EXISTS (SELECT 1 FROM secrets WHERE tenant = tenants.id)
             LIMIT 1",
        )?
        .query_row((), |row| row.try_into())
        .optional()?;
    let Some((tenant, name)) = left else { return Ok(false) };
    let mut room = AT_ONCE;
    loop {
        let list: Option<(i64, String)> = connection
            .prepare_cached("SELECT id, scope FROM lists WHERE tenant = ?1 LIMIT 1")?
            .query_row([tenant], |row| row.try_into())
            .optional()?;
        let Some((list, scope)) = list else { break };
        for (table, key) in OF_LIST {
            room = delete(connection, table, "list", key, list, room)?;
        }
        if room == 0 {
            return Ok(true);
        }
        connection.prepare_cached("DELETE FROM lists WHERE id = ?1")?.execute([list])?;
        change_catalogue(connection, sums.list(list, tenant, &scope))?;
        room -= 1;
    }
    for (table, key) in OF_TENANT {
        room = delete(connection, table, "tenant", key, tenant, room)?;
    }
    if room > 0 {
        connection.prepare_cached("DELETE FROM tenants WHERE id = ?1")?.execute([tenant])?;
        change_catalogue(connection, sums.tenant(tenant, &name))?;
    }
    Ok(true)
}

/// Deletes rows of an owner, in the order of a key, if there is room for that. Returns how much room is left: none if there may be more
/// rows. Those with the same key are deleted together.
fn delete(
    connection: &Connection,
    table: &str,
    owner: &str,
    key: &str,
    id: i64,
    room: usize,
) -> Result<usize, LedgerError> {
    let sql = format!(
        "DELETE FROM {table} WHERE {owner} = ?1 AND {key} <= (
            SELECT max({key}) FROM (SELECT {key} FROM {table} WHERE {owner} = ?1 ORDER BY {key} LIMIT ?2))"
    );
    let most = i64::try_from(room).unwrap_or(i64::MAX);
    let deleted = connection.prepare_cached(&sql)?.execute((id, most))?;
    Ok(room.saturating_sub(deleted))
}
