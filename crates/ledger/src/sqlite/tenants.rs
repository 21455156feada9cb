//! The `tenants`, `secrets` and `settings` tables.

use portcullis_keys::{Fingerprint, MasterSeal, TenantId, TenantKeys};
use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::forgotten;
use super::schema::opens;
use super::sums::{Sums, change_catalogue};
use super::writer::log_state;
use crate::error::LedgerError;
use crate::store::{self, TenantRow, sealed};

const SETTINGS: &str = "settings of a tenant";

/// A tenant's row id and its encrypted secret.
struct Wrapped {
    id: i64,
    secret: Vec<u8>,
}

fn find(connection: &Connection, tenant: &TenantId) -> Result<Option<Wrapped>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT id, wrapped FROM tenants JOIN secrets ON secrets.tenant = tenants.id
             WHERE name = ?1",
        )?
        .query_row([tenant.as_str()], |row| Ok(Wrapped { id: row.get(0)?, secret: row.get(1)? }))
        .optional()?)
}

fn add(
    connection: &Connection,
    tenant: &TenantId,
    master: &MasterSeal,
    sums: Sums,
) -> Result<Wrapped, LedgerError> {
    // The master key may have been exchanged since the caller looked.
    if !opens(connection, master)? {
        return Err(LedgerError::AnotherMasterKey);
    }
    let secret = sealed::new_secret(master, tenant)?;
    connection.prepare_cached("INSERT INTO tenants (name) VALUES (?1)")?.execute([tenant.as_str()])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO secrets (tenant, wrapped) VALUES (?1, ?2)")?
        .execute((id, &secret))?;
    change_catalogue(connection, sums.tenant(id, tenant.as_str()) ^ sums.secret(id, &secret))?;
    Ok(Wrapped { id, secret })
}

/// Returns the tenant's row id. A new one is added, with a new secret. Call it in a transaction.
pub(super) fn ensure(
    connection: &Connection,
    tenant: &TenantId,
    master: &MasterSeal,
    sums: Sums,
) -> Result<i64, LedgerError> {
    match find(connection, tenant)? {
        Some(found) => Ok(found.id),
        None => Ok(add(connection, tenant, master, sums)?.id),
    }
}

/// The hash of a tenant's settings, as they are stored; 0 if there are none.
fn settings_sum(connection: &Connection, tenant: i64, sums: Sums) -> Result<u64, LedgerError> {
    let sum = connection
        .prepare_cached("SELECT sealed FROM settings WHERE tenant = ?1")?
        .query_row([tenant], |row| Ok(sums.settings(tenant, row.get_ref(0)?.as_blob()?)))
        .optional()?;
    Ok(sum.unwrap_or_default())
}

impl Sqlite {
    /// Moves the log into the file, so that nothing that was deleted or replaced is left in it.
    pub(super) fn empty_log(&self) -> Result<(), LedgerError> {
        self.maintain(|connection| {
            if log_state(connection, "TRUNCATE")?.busy {
                return Err(LedgerError::LogInUse);
            }
            // So that the log is not empty: after a crash, an empty one would be taken for a lost one.
            connection.execute("UPDATE ledger SET is_open = 1", ())?;
            Ok(())
        })
    }
}

impl store::Tenants for Sqlite {
    fn find_master_key(&self) -> Result<(), LedgerError> {
        self.find_key()
    }

    fn rotate_master_key(&self, to: Fingerprint) -> Result<(), LedgerError> {
        self.rotate_to(to)
    }

    fn ensure_tenant(&self, tenant: &TenantId) -> Result<(TenantRow, TenantKeys), LedgerError> {
        let found = match self.read(|connection| find(connection, tenant))? {
            Some(found) => found,
            None => {
                let (tenant, master, sums) = (tenant.clone(), self.master.clone(), self.sums);
                self.write(1, move |connection| match find(connection, &tenant)? {
                    Some(found) => Ok(found),
                    None => add(connection, &tenant, &master, sums),
                })?
            }
        };
        Ok((TenantRow(found.id), sealed::open_secret(&self.master, tenant, &found.secret)?))
    }

    fn tenants(&self) -> Result<Vec<TenantId>, LedgerError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT name FROM tenants WHERE name NOT GLOB 'forgotten *' ORDER BY name")?
                .query_and_then((), |row| {
                    let name: String = row.get(0)?;
                    name.parse().map_err(|_| LedgerError::damaged("list of tenants"))
                })?
                .collect()
        })
    }

    fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        let (name, sums) = (tenant.clone(), self.sums);
        let known = self.write(1, move |connection| {
            let Some(Wrapped { id, secret }) = find(connection, &name)? else { return Ok(false) };
            let left = forgotten::name_of(id);
            let gone = sums.tenant(id, name.as_str()) ^ sums.secret(id, &secret);
            let gone = gone ^ settings_sum(connection, id, sums)?;
            change_catalogue(connection, gone ^ sums.tenant(id, &left))?;
            connection.execute("DELETE FROM secrets WHERE tenant = ?1", [id])?;
            connection.execute("DELETE FROM settings WHERE tenant = ?1", [id])?;
            connection.execute("UPDATE tenants SET name = ?2 WHERE id = ?1", (id, left))?;
            Ok(true)
        })?;
        // Even if the tenant is unknown: an earlier call may have failed at this point.
        let emptied = self.empty_log();
        self.writer.delete_forgotten()?;
        emptied.map(|()| known)
    }

    fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError> {
        let (TenantRow(id), keys) = self.ensure_tenant(tenant)?;
        let sealed = sealed::seal_settings(&keys, settings)?;
        let sums = self.sums;
        self.write(1, move |connection| {
            let before = settings_sum(connection, id, sums)?;
            let put = connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO settings (tenant, sealed)
                     SELECT tenant, ?2 FROM secrets WHERE tenant = ?1",
                )?
                .execute((id, &sealed))?;
            if put == 0 {
                return Err(LedgerError::TenantForgotten);
            }
            change_catalogue(connection, before ^ sums.settings(id, &sealed))
        })
    }

    fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, wrapped, sealed
                     FROM settings
                     LEFT JOIN tenants ON tenants.id = settings.tenant
                     LEFT JOIN secrets ON secrets.tenant = settings.tenant
                     ORDER BY name",
                )?
                .query_and_then((), |row| {
                    // Without a tenant they are nobody's, and must not be left out: the tenant would be gone.
                    let (Some(name), Some(wrapped), sealed): (Option<String>, Option<Vec<u8>>, Vec<u8>) =
                        row.try_into()?
                    else {
                        return Err(LedgerError::damaged(SETTINGS));
                    };
                    let tenant: TenantId = name.parse().map_err(|_| LedgerError::damaged(SETTINGS))?;
                    let keys = sealed::open_secret(&self.master, &tenant, &wrapped)?;
                    let settings = sealed::open_settings(&keys, &sealed)?;
                    Ok((tenant, settings))
                })?
                .collect()
        })
    }

    fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        let (tenant, sums) = (tenant.clone(), self.sums);
        self.write(1, move |connection| {
            let Some(Wrapped { id, .. }) = find(connection, &tenant)? else { return Ok(false) };
            change_catalogue(connection, settings_sum(connection, id, sums)?)?;
            let removed =
                connection.prepare_cached("DELETE FROM settings WHERE tenant = ?1")?.execute([id])?;
            Ok(removed > 0)
        })
    }
}
