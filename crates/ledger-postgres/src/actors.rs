//! The `actors` table.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_ledger::LedgerError;
use portcullis_ledger_model::Actor;

use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;

/// The most actors whose ids are remembered. A tenant has few.
const MOST: usize = 10_000;

/// The row ids of actors, which never change on one server.
#[derive(Default)]
pub(crate) struct Actors(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The run of the server that they are of. Another server may lack some of them.
    server: Option<Timestamp>,
    ids: HashMap<(i32, Actor), i32>,
}

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
        let (key, server) = ((tenant, actor.clone()), Some(session.server_started()));
        {
            let mut known = self.0.lock();
            if known.server != server {
                *known = Known { server, ids: HashMap::new() };
            }
            if let Some(id) = known.ids.get(&key) {
                return Ok(*id);
            }
        }
        let Interned { id, is_committed } = intern(session, tenant, actor).await?;
        let mut known = self.0.lock();
        // The transaction that inserted it may be rolled back.
        if is_committed && known.server == server {
            if known.ids.len() >= MOST {
                known.ids.clear();
            }
            known.ids.insert(key, id);
        }
        Ok(id)
    }
}

struct Interned {
    id: i32,
    /// Whether the row is there also if the present transaction is rolled back.
    is_committed: bool,
}

/// Returns the actor's id, inserting the actor if it is new.
async fn intern(session: &Session, tenant: i32, actor: &Actor) -> Result<Interned, Failure> {
    const FIND: &str = "
        SELECT id, (pg_current_xact_id_if_assigned()::text::bigint % 4294967296)::text IS DISTINCT FROM xmin::text
        FROM actors
        WHERE tenant = $1 AND name = $2 AND address IS NOT DISTINCT FROM $3 AND interface IS NOT DISTINCT FROM $4";
    const ADD: &str = "
        INSERT INTO actors (tenant, name, address, interface) SELECT id, $2, $3, $4 FROM tenants WHERE id = $1
        ON CONFLICT DO NOTHING";
    let address: Option<IpAddr> = actor.address();
    let (name, interface) = (actor.as_str(), actor.interface());
    let find = async || -> Result<Option<Interned>, Failure> {
        let found = session.query_opt(FIND, &[&tenant, &name, &address, &interface]).await?;
        let interned = found.as_ref().map(|row| {
            let mut columns = Columns::of(row);
            Ok(Interned { id: columns.get()?, is_committed: columns.get()? })
        });
        interned.transpose()
    };
    for _ in 0..2 {
        if let Some(found) = find().await? {
            return Ok(found);
        }
        session.execute(ADD, &[&tenant, &name, &address, &interface]).await?;
    }
    find().await?.ok_or(LedgerError::TenantForgotten.into())
}
