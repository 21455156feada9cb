//! The `tenants`, `secrets` and `settings` tables.

use portcullis_keys::{Fingerprint, TenantId, TenantKeys};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, TenantRow, sealed};

use crate::Postgres;
use crate::columns::{Columns, row_id, unsigned};
use crate::failure::Failure;
use crate::ids::{DRAWS, draw};
use crate::pool::LONG;
use crate::session::Session;

/// A tenant's row id and its encrypted secret.
struct Wrapped {
    id: i32,
    secret: Vec<u8>,
}

async fn find(session: &Session, tenant: &TenantId) -> Result<Option<Wrapped>, Failure> {
    const SQL: &str = "
        SELECT id, wrapped FROM tenants JOIN secrets ON secrets.tenant = tenants.id WHERE name = $1";
    let row = session.query_opt(SQL, &[&tenant.as_str()]).await?;
    let wrapped = row.as_ref().map(|row| {
        let mut columns = Columns::of(row);
        Ok(Wrapped { id: columns.get()?, secret: columns.get()? })
    });
    wrapped.transpose()
}

impl store::Tenants for Postgres {
    fn ensure_tenant(&self, tenant: &TenantId) -> Result<(TenantRow, TenantKeys), LedgerError> {
        // If another node adds the tenant at the same time, its row is the one that stands. The id may be another tenant's. Nothing is added
        // if the master key was exchanged meanwhile.
        const ADD: &str = "
            WITH t AS (
                INSERT INTO tenants (id, name) SELECT $3::integer, $1::text FROM ledger WHERE sealed = $4
                ON CONFLICT DO NOTHING RETURNING id
            )
            INSERT INTO secrets (tenant, wrapped) SELECT id, $2::bytea FROM t";
        let found = match self.read(async |session| find(session, tenant).await)? {
            Some(found) => found,
            None => self.under_key(|check| {
                let fresh = sealed::new_secret(&self.master, tenant)?;
                self.write_once(async |session| {
                    for _ in 0..DRAWS {
                        session.execute(ADD, &[&tenant.as_str(), &fresh, &draw()?, &check]).await?;
                        if let Some(found) = find(session, tenant).await? {
                            return Ok(Some(found));
                        }
                    }
                    Ok(None)
                })
            })?,
        };
        Ok((TenantRow(found.id.into()), sealed::open_secret(&self.master, tenant, &found.secret)?))
    }

    fn find_master_key(&self) -> Result<(), LedgerError> {
        self.find_key()
    }

    fn rotate_master_key(&self, to: Fingerprint) -> Result<(), LedgerError> {
        self.rotate_to(to)
    }

    fn tenants(&self) -> Result<Vec<TenantId>, LedgerError> {
        const SQL: &str = "SELECT name FROM tenants WHERE name NOT LIKE 'forgotten %' ORDER BY name";
        self.read(async |session| {
            let rows = session.query(SQL, &[]).await?;
            let names = rows.iter().map(|row| {
                let name: &str = Columns::of(row).get()?;
                name.parse().map_err(|_| LedgerError::damaged("list of tenants").into())
            });
            names.collect()
        })
    }

    fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        const LOCK: &str = "SELECT id FROM tenants WHERE name = $1 FOR UPDATE";
        const LISTS: &str = "SELECT id FROM lists WHERE tenant = $1 ORDER BY id FOR UPDATE";
        // See `forgotten`. The names of tenants have no spaces.
        const FORGET: [&str; 5] = [
            "DELETE FROM secrets WHERE tenant = $1",
            "DELETE FROM settings WHERE tenant = $1",
            "DELETE FROM states WHERE list IN (SELECT id FROM lists WHERE tenant = $1)",
            "UPDATE lists SET id = -id WHERE tenant = $1",
            "UPDATE tenants SET name = 'forgotten ' || id, people = people + 1 WHERE id = $1",
        ];
        // Only rows of the tenant and its lists: what may be long is deleted below.
        let known = self.write_within(LONG, async |session| {
            session.batch("BEGIN").await?;
            let Some(row) = session.query_opt(LOCK, &[&tenant.as_str()]).await? else {
                session.batch("COMMIT").await?;
                return Ok(false);
            };
            let id: i32 = Columns::of(&row).get()?;
            session.query(LISTS, &[&id]).await?;
            for sql in FORGET {
                session.execute(sql, &[&id]).await?;
            }
            session.batch("UPDATE ledger SET settings = settings + 1; COMMIT").await?;
            session.check_replicated()?;
            Ok(true)
        })?;
        // The tenant is forgotten, also if this fails: then the next opening goes on, or the next call.
        let _ = self.delete_forgotten();
        Ok(known)
    }

    fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError> {
        const SQL: &str = "
            WITH v AS (UPDATE ledger SET settings = settings + 1)
            INSERT INTO settings (tenant, sealed)
            SELECT id, $2 FROM tenants WHERE id = $1 AND name NOT LIKE 'forgotten %' FOR KEY SHARE
            ON CONFLICT (tenant) DO UPDATE SET sealed = excluded.sealed";
        let (TenantRow(id), keys) = self.ensure_tenant(tenant)?;
        let sealed = sealed::seal_settings(&keys, settings)?;
        let id = row_id(id)?;
        self.write_once(async |session| match session.execute(SQL, &[&id, &sealed]).await? {
            0 => Err(LedgerError::TenantForgotten.into()),
            _ => Ok(()),
        })
    }

    fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError> {
        const SQL: &str = "
            SELECT name, wrapped, sealed FROM settings
            JOIN tenants ON tenants.id = settings.tenant JOIN secrets ON secrets.tenant = settings.tenant
            ORDER BY name";
        self.read(async |session| {
            let rows = session.query(SQL, &[]).await?;
            let settings = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let (name, wrapped, sealed): (&str, &[u8], &[u8]) =
                    (columns.get()?, columns.get()?, columns.get()?);
                let tenant: TenantId =
                    name.parse().map_err(|_| LedgerError::damaged("settings of a tenant"))?;
                let keys = sealed::open_secret(&self.master, &tenant, wrapped)?;
                Ok((tenant, sealed::open_settings(&keys, sealed)?))
            });
            settings.collect()
        })
    }

    fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        const SQL: &str = "WITH v AS (UPDATE ledger SET settings = settings + 1)
             DELETE FROM settings USING tenants WHERE tenants.id = settings.tenant AND tenants.name = $1";
        self.write_once(async |session| Ok(session.execute(SQL, &[&tenant.as_str()]).await? > 0))
    }

    fn replace_settings(
        &self,
        tenant: &TenantId,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Result<(), LedgerError> {
        const LOOK: &str = "
            SELECT sealed FROM tenants LEFT JOIN settings ON settings.tenant = tenants.id
            WHERE id = $1 AND name NOT LIKE 'forgotten %'";
        // The row is compared as it is encrypted. If another node changes it first, nothing is changed, and nothing is counted.
        const ADD: &str = "
            WITH changed AS (
                INSERT INTO settings (tenant, sealed)
                SELECT id, $2 FROM tenants WHERE id = $1 AND name NOT LIKE 'forgotten %' FOR KEY SHARE
                ON CONFLICT DO NOTHING RETURNING tenant)
            UPDATE ledger SET settings = settings + 1 FROM changed";
        const CHANGE: &str = "
            WITH changed AS (UPDATE settings SET sealed = $3 WHERE tenant = $1 AND sealed = $2 RETURNING tenant)
            UPDATE ledger SET settings = settings + 1 FROM changed";
        const REMOVE: &str = "
            WITH changed AS (DELETE FROM settings WHERE tenant = $1 AND sealed = $2 RETURNING tenant)
            UPDATE ledger SET settings = settings + 1 FROM changed";
        let (TenantRow(id), keys) = match before {
            None => self.ensure_tenant(tenant)?,
            Some(_) => {
                let found = self.read(async |session| find(session, tenant).await)?;
                let Wrapped { id, secret } = found.ok_or(LedgerError::TenantForgotten)?;
                (TenantRow(id.into()), sealed::open_secret(&self.master, tenant, &secret)?)
            }
        };
        let id = row_id(id)?;
        let after = after.map(|settings| sealed::seal_settings(&keys, settings)).transpose()?;
        let is_replaced = self.write_once(async |session| {
            let row = session.query_opt(LOOK, &[&id]).await?.ok_or(LedgerError::TenantForgotten)?;
            let sealed: Option<&[u8]> = Columns::of(&row).get()?;
            let found = sealed.map(|sealed| sealed::open_settings(&keys, sealed)).transpose()?;
            if found.as_deref() != before {
                return Ok(false);
            }
            let changed = match (sealed, &after) {
                (None, None) => return Ok(true),
                (None, Some(after)) => session.execute(ADD, &[&id, after]).await?,
                (Some(before), Some(after)) => session.execute(CHANGE, &[&id, &before, after]).await?,
                (Some(before), None) => session.execute(REMOVE, &[&id, &before]).await?,
            };
            Ok(changed > 0)
        })?;
        if is_replaced { Ok(()) } else { Err(LedgerError::SettingsChanged) }
    }

    fn settings_version(&self) -> Result<u64, LedgerError> {
        self.read(async |session| {
            let row =
                session.query_opt("SELECT settings FROM ledger", &[]).await?.ok_or(LedgerError::Defect)?;
            unsigned(Columns::of(&row).get()?)
        })
    }
}
