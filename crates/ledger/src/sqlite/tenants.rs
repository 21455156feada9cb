//! The `tenants`, `secrets` and `settings` tables.

use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::writer::log_state;
use crate::error::LedgerError;
use crate::keys::{Seal, TenantKeys, TenantSecret};
use crate::name::TenantId;
use crate::store::{self, TenantRow};

const SETTINGS_CONTEXT: &[u8] = b"tenant settings";

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

fn add(connection: &Connection, tenant: &TenantId, secret: &[u8]) -> Result<Wrapped, LedgerError> {
    connection.prepare_cached("INSERT INTO tenants (name) VALUES (?1)")?.execute([tenant.as_str()])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO secrets (tenant, wrapped) VALUES (?1, ?2)")?
        .execute((id, secret))?;
    Ok(Wrapped { id, secret: secret.to_vec() })
}

fn unwrap(master: &Seal, tenant: &TenantId, wrapped: &[u8]) -> Result<TenantKeys, LedgerError> {
    let secret = TenantSecret::unwrap(master, tenant, wrapped)
        .map_err(|error| LedgerError::unsealed("secret of a tenant", error))?;
    Ok(TenantKeys::new(secret))
}

impl store::Tenants for Sqlite {
    fn ensure_tenant(&self, tenant: &TenantId) -> Result<(TenantRow, TenantKeys), LedgerError> {
        let found = match self.read(|connection| find(connection, tenant))? {
            Some(found) => found,
            None => {
                let fresh = TenantSecret::random()
                    .and_then(|secret| secret.wrap(&self.master, tenant))
                    .map_err(LedgerError::Seal)?;
                let tenant = tenant.clone();
                self.write(1, move |connection| match find(connection, &tenant)? {
                    Some(found) => Ok(found),
                    None => add(connection, &tenant, &fresh),
                })?
            }
        };
        Ok((TenantRow(found.id), unwrap(&self.master, tenant, &found.secret)?))
    }

    fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        let name = tenant.clone();
        let known = self.write(1, move |connection| {
            let Some(Wrapped { id, .. }) = find(connection, &name)? else { return Ok(false) };
            for sql in [
                "DELETE FROM secrets WHERE tenant = ?1",
                "DELETE FROM settings WHERE tenant = ?1",
                "DELETE FROM identities WHERE tenant = ?1",
                "DELETE FROM moves WHERE tenant = ?1",
                "DELETE FROM visits WHERE list IN (SELECT id FROM lists WHERE tenant = ?1)",
                "DELETE FROM holds WHERE list IN (SELECT id FROM lists WHERE tenant = ?1)",
                "DELETE FROM records WHERE list IN (SELECT id FROM lists WHERE tenant = ?1)",
                "DELETE FROM entries WHERE list IN (SELECT id FROM lists WHERE tenant = ?1)",
                "DELETE FROM lists WHERE tenant = ?1",
                "DELETE FROM actors WHERE tenant = ?1",
                "DELETE FROM tenants WHERE id = ?1",
            ] {
                connection.execute(sql, [id])?;
            }
            Ok(true)
        })?;
        // Even if the tenant is unknown: an earlier call may have failed at this point.
        self.maintain(|connection| {
            if log_state(connection, "TRUNCATE")?.busy {
                return Err(LedgerError::LogInUse);
            }
            Ok(())
        })?;
        Ok(known)
    }

    fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError> {
        let (TenantRow(id), keys) = self.ensure_tenant(tenant)?;
        let sealed = keys.settings_seal().seal(SETTINGS_CONTEXT, settings).map_err(LedgerError::Seal)?;
        self.write(1, move |connection| {
            let put = connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO settings (tenant, sealed)
                     SELECT id, ?2 FROM tenants WHERE id = ?1",
                )?
                .execute((id, &sealed))?;
            if put == 0 { Err(LedgerError::TenantForgotten) } else { Ok(()) }
        })
    }

    fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError> {
        const WHAT: &str = "settings of a tenant";
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, wrapped, sealed
                     FROM settings
                     JOIN tenants ON tenants.id = settings.tenant
                     JOIN secrets ON secrets.tenant = settings.tenant
                     ORDER BY name",
                )?
                .query_and_then((), |row| {
                    let (name, wrapped, sealed): (String, Vec<u8>, Vec<u8>) = row.try_into()?;
                    let tenant: TenantId = name.parse().map_err(|_| LedgerError::damaged(WHAT))?;
                    let settings = unwrap(&self.master, &tenant, &wrapped)?
                        .settings_seal()
                        .open(SETTINGS_CONTEXT, &sealed)
                        .map_err(|error| LedgerError::unsealed(WHAT, error))?;
                    Ok((tenant, settings))
                })?
                .collect()
        })
    }

    fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        let tenant = tenant.clone();
        self.write(1, move |connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM settings WHERE tenant = (SELECT id FROM tenants WHERE name = ?1)",
                )?
                .execute([tenant.as_str()])?;
            Ok(removed > 0)
        })
    }
}
