//! The `actors` table.

use portcullis_ledger_model::Actor;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::LedgerError;
use crate::store::ListRow;

/// Caches the row ids of a tenant's actors. A tenant has few, and most calls use one.
pub(super) struct Actors<'a> {
    connection: &'a Connection,
    list: ListRow,
    known: Vec<(Actor, i64)>,
}

impl<'a> Actors<'a> {
    pub(super) fn new(connection: &'a Connection, list: ListRow) -> Self {
        Actors { connection, list, known: Vec::new() }
    }

    /// Returns the actor's id, inserting the actor if it is new.
    pub(super) fn id(&mut self, actor: &Actor) -> Result<i64, LedgerError> {
        if let Some((_, id)) = self.known.iter().find(|(known, _)| known == actor) {
            return Ok(*id);
        }
        let id = intern(self.connection, self.list.tenant.0, actor)?;
        self.known.push((actor.clone(), id));
        Ok(id)
    }

    pub(super) fn maybe_id(&mut self, actor: Option<&Actor>) -> Result<Option<i64>, LedgerError> {
        actor.map(|actor| self.id(actor)).transpose()
    }
}

fn intern(connection: &Connection, tenant: i64, actor: &Actor) -> Result<i64, LedgerError> {
    let (address, interface) = actor.stored_parts();
    let row = (tenant, actor.as_str(), address.as_str(), interface);
    let found = connection
        .prepare_cached(
            "SELECT id FROM actors WHERE tenant = ?1 AND name = ?2 AND address = ?3 AND interface = ?4",
        )?
        .query_row(row, |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO actors (tenant, name, address, interface) VALUES (?1, ?2, ?3, ?4)")?
        .execute(row)?;
    Ok(connection.last_insert_rowid())
}
