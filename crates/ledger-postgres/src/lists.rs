//! The `lists` and `states` tables.

use std::collections::HashMap;

use portcullis_keys::{Scope, TenantId};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ListRow, TenantRow, sealed};
use portcullis_ledger_model::{Census, ListId, Seq};

use crate::Postgres;
use crate::columns::{Columns, number, row_id, unsigned};
use crate::failure::Failure;
use crate::head::head;
use crate::ids::{DRAWS, draw};
use crate::session::Session;

async fn find(session: &Session, tenant: i32, scope: &str) -> Result<Option<i32>, Failure> {
    const SQL: &str = "SELECT id FROM lists WHERE tenant = $1 AND scope = $2 AND id > 0";
    let row = session.query_opt(SQL, &[&tenant, &scope]).await?;
    row.as_ref().map(|row| Columns::of(row).get()).transpose()
}

impl store::Lists for Postgres {
    fn ensure_lists(&self, wanted: &[(TenantId, Vec<Scope>)]) -> Result<(), LedgerError> {
        // What collides with an id is left out, and added when it is opened. So is all if the master key was exchanged meanwhile.
        const TENANTS: &str = "
            WITH t AS (
                INSERT INTO tenants (id, name)
                SELECT id, name FROM unnest($1::integer[], $2::text[]) u (id, name) CROSS JOIN ledger
                WHERE ledger.sealed = $4 AND NOT EXISTS (SELECT FROM tenants t WHERE t.name = u.name)
                ON CONFLICT DO NOTHING RETURNING id, name
            )
            INSERT INTO secrets (tenant, wrapped)
            SELECT t.id, u.wrapped FROM t JOIN unnest($2::text[], $3::bytea[]) u (name, wrapped) ON u.name = t.name";
        const LISTS: &str = "
            INSERT INTO lists (id, tenant, scope)
            SELECT u.id, t.id, u.scope
            FROM unnest($1::integer[], $2::text[], $3::text[]) u (id, name, scope) JOIN tenants t ON t.name = u.name
            WHERE NOT EXISTS (SELECT FROM lists l WHERE l.tenant = t.id AND l.scope = u.scope)
                AND NOT EXISTS (SELECT FROM lists l WHERE l.id = -u.id)
            FOR KEY SHARE OF t
            ON CONFLICT DO NOTHING";
        let (mut names, mut ids, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut lists, mut owners, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
        let check = self.master.check();
        for (tenant, of_tenant) in wanted {
            names.push(tenant.as_str());
            ids.push(draw()?);
            secrets.push(sealed::new_secret(&self.master, tenant)?);
            for scope in of_tenant {
                lists.push(draw()?);
                owners.push(tenant.as_str());
                scopes.push(scope.as_stored());
            }
        }
        self.write_long(async |session| {
            session.execute(TENANTS, &[&ids, &names, &secrets, &check]).await?;
            session.execute(LISTS, &[&lists, &owners, &scopes]).await?;
            Ok(())
        })
    }

    fn open_list(&self, tenant: TenantRow, scope: &Scope) -> Result<ListRow, LedgerError> {
        const ADD: &str = "
            INSERT INTO lists (id, tenant, scope)
            SELECT $3, id, $2 FROM tenants WHERE id = $1 AND name NOT LIKE 'forgotten %'
                AND NOT EXISTS (SELECT FROM lists WHERE id = -$3::integer) FOR KEY SHARE
            ON CONFLICT DO NOTHING";
        let (id, scope) = (row_id(tenant.0)?, scope.as_stored());
        let list = match self.read(async |session| find(session, id, scope).await)? {
            Some(list) => list,
            // Without a row, the tenant was forgotten, or the id is another list's, or was.
            None => self.write_once(async |session| {
                for _ in 0..DRAWS {
                    session.execute(ADD, &[&id, &scope, &draw()?]).await?;
                    if let Some(list) = find(session, id, scope).await? {
                        return Ok(list);
                    }
                }
                Err(LedgerError::TenantForgotten.into())
            })?,
        };
        Ok(ListRow { id: list.into(), tenant })
    }

    fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError> {
        const SQL: &str = "
            SELECT scope FROM lists JOIN tenants ON tenants.id = lists.tenant WHERE tenants.name = $1 ORDER BY scope";
        self.read(async |session| {
            let rows = session.query(SQL, &[&tenant.as_str()]).await?;
            let scopes = rows.iter().map(|row| {
                let scope: &str = Columns::of(row).get()?;
                Scope::from_stored(scope).map_err(|_| LedgerError::damaged("list of lists").into())
            });
            scopes.collect()
        })
    }

    fn missing_lists(&self, tenant: TenantRow, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError> {
        const SQL: &str = "
            SELECT u.id FROM unnest($2::integer[]) u (id)
            WHERE NOT EXISTS (SELECT FROM lists l WHERE l.id = u.id AND l.tenant = $1)";
        let tenant = row_id(tenant.0)?;
        let ids = lists.iter().map(|list| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        self.read(async |session| {
            let rows = session.query(SQL, &[&tenant, &ids]).await?;
            rows.iter().map(|row| Ok(ListId(Columns::of(row).get::<i32>()?.into()))).collect()
        })
    }

    fn gone(&self, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError> {
        const SQL: &str = "
            SELECT u.id FROM unnest($1::integer[]) u (id) WHERE NOT EXISTS (SELECT FROM lists l WHERE l.id = u.id)";
        let ids = lists.iter().map(|list| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        self.read(async |session| {
            let rows = session.query(SQL, &[&ids]).await?;
            rows.iter().map(|row| Ok(ListId(Columns::of(row).get::<i32>()?.into()))).collect()
        })
    }

    fn census(&self, list: ListRow) -> Result<Census, LedgerError> {
        self.read(async |session| Ok(head(session, list).await?.census))
    }

    fn counts(&self) -> Result<HashMap<ListId, u64>, LedgerError> {
        self.read(async |session| {
            let rows = session.query("SELECT id, active FROM lists WHERE id > 0", &[]).await?;
            let counts = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let id: i32 = columns.get()?;
                Ok((ListId(id.into()), unsigned(columns.get()?)?))
            });
            counts.collect()
        })
    }

    fn kept_state(&self, list: ListRow) -> Result<Option<[u8; 16]>, LedgerError> {
        const SQL: &str = "SELECT id FROM states WHERE list = $1 AND node = $2";
        let id = row_id(list.id)?;
        self.read(async |session| {
            let row = session.query_opt(SQL, &[&id, &self.node]).await?;
            let state = row.as_ref().map(|row| {
                let bytes: &[u8] = Columns::of(row).get()?;
                bytes.try_into().map_err(|_| LedgerError::damaged("id of a saved state").into())
            });
            state.transpose()
        })
    }

    fn keep_state(&self, list: ListRow, state: [u8; 16], sequence: Seq) -> Result<(), LedgerError> {
        const SQL: &str = "
            INSERT INTO states (list, node, id, sequence) SELECT id, $2, $3, $4 FROM lists WHERE id = $1
            ON CONFLICT (list, node) DO UPDATE SET id = excluded.id, sequence = excluded.sequence";
        let id = row_id(list.id)?;
        self.write_once(async |session| {
            match session.execute(SQL, &[&id, &self.node, &state.as_slice(), &number(sequence)]).await? {
                0 => Err(LedgerError::TenantForgotten.into()),
                _ => Ok(()),
            }
        })
    }

    fn event_cursor(&self, list: ListRow) -> Result<Option<Seq>, LedgerError> {
        const SQL: &str = "SELECT told FROM lists WHERE id = $1";
        let id = row_id(list.id)?;
        self.read(async |session| {
            let Some(row) = session.query_opt(SQL, &[&id]).await? else { return Ok(None) };
            let told: Option<i64> = Columns::of(&row).get()?;
            told.map(|told| unsigned(told).map(Seq::new)).transpose()
        })
    }

    fn set_event_cursor(&self, list: ListRow, cursor: Seq) -> Result<(), LedgerError> {
        // It never goes back: another node may have delivered more.
        const SQL: &str = "UPDATE lists SET told = $2 WHERE id = $1 AND (told IS NULL OR told < $2)";
        let id = row_id(list.id)?;
        self.write_once(async |session| session.execute(SQL, &[&id, &number(cursor)]).await).map(drop)
    }
}
