//! The `actors` table.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use portcullis_ledger::LedgerError;
use portcullis_ledger_model::Actor;

use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;

/// The most actors whose ids are remembered. A tenant has few.
const MOST: usize = 10_000;

/// The row ids of actors, which never change.
#[derive(Default)]
pub(crate) struct Actors(Mutex<HashMap<(i32, Actor), i32>>);

impl Actors {
    /// Returns the ids of these actors of a tenant, in their order. Inserts those that are new.
    pub(crate) async fn ids(
        &self,
        session: &Session,
        tenant: i32,
        actors: &[&Actor],
    ) -> Result<HashMap<Actor, i32>, Failure> {
        let mut ids = HashMap::new();
        for &actor in actors {
            if !ids.contains_key(actor) {
                let id = self.id(session, tenant, actor).await?;
                ids.insert(actor.clone(), id);
            }
        }
        Ok(ids)
    }

    async fn id(&self, session: &Session, tenant: i32, actor: &Actor) -> Result<i32, Failure> {
        let key = (tenant, actor.clone());
        if let Some(id) = self.0.lock().get(&key) {
            return Ok(*id);
        }
        let id = intern(session, tenant, actor).await?;
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, id);
        Ok(id)
    }
}

/// Returns the actor's id, inserting the actor if it is new.
async fn intern(session: &Session, tenant: i32, actor: &Actor) -> Result<i32, Failure> {
    const FIND: &str = "
        SELECT id FROM actors
        WHERE tenant = $1 AND name = $2 AND address IS NOT DISTINCT FROM $3 AND interface IS NOT DISTINCT FROM $4";
    const ADD: &str = "
        INSERT INTO actors (tenant, name, address, interface) SELECT id, $2, $3, $4 FROM tenants WHERE id = $1
        ON CONFLICT DO NOTHING";
    let address: Option<IpAddr> = actor.address();
    let (name, interface) = (actor.as_str(), actor.interface());
    for _ in 0..2 {
        let found = session.query_opt(FIND, &[&tenant, &name, &address, &interface]).await?;
        if let Some(row) = found {
            return Columns::of(&row).get();
        }
        session.execute(ADD, &[&tenant, &name, &address, &interface]).await?;
    }
    let found = session.query_opt(FIND, &[&tenant, &name, &address, &interface]).await?;
    let row = found.ok_or(LedgerError::TenantForgotten)?;
    Columns::of(&row).get()
}
