//! Writing rows of entries.

use jiff::Timestamp;
use portcullis_msisdn::Subject;
use rusqlite::{Connection, OptionalExtension as _};

use super::Store;
use super::entries::Lookup;
use super::lists::{ListRow, position, set_position};
use crate::actor::Actor;
use crate::changes::Seq;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::keys::{Seal, TenantKeys};
use crate::text::{self, Place};
use crate::time::now;
use crate::write::{Write, Written};

impl Store {
    pub(crate) fn write_entries(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
    ) -> Result<Vec<Written>, LedgerError> {
        let keys = keys.clone();
        self.write(writes.len(), move |connection| {
            Batch::load(connection, list, keys.text_seal(), &writes)?.run(&writes, now())
        })
    }
}

/// The entries that one call writes, loaded and stored in the order of the table, whatever the
/// order of the writes: neighbours are on one page.
struct Batch<'a> {
    connection: &'a Connection,
    list: ListRow,
    seal: &'a Seal,
    /// In the order of the subjects.
    slots: Vec<Slot>,
}

struct Slot {
    subject: Subject,
    stored: bool,
    was_active: bool,
    changed: bool,
    entry: Option<Entry>,
}

impl<'a> Batch<'a> {
    fn load(
        connection: &'a Connection,
        list: ListRow,
        seal: &'a Seal,
        writes: &[Write],
    ) -> Result<Self, LedgerError> {
        let mut subjects: Vec<Subject> = writes.iter().map(Write::subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut lookup = Lookup::new(connection, list, seal)?;
        let slots = subjects
            .into_iter()
            .map(|subject| {
                let entry = lookup.get(subject)?;
                Ok(Slot {
                    subject,
                    stored: entry.is_some(),
                    was_active: entry.as_ref().is_some_and(|entry| !entry.directions.is_none()),
                    changed: false,
                    entry,
                })
            })
            .collect::<Result<_, LedgerError>>()?;
        Ok(Batch { connection, list, seal, slots })
    }

    /// Applies the writes in their order, then stores what they changed.
    fn run(mut self, writes: &[Write], now: Timestamp) -> Result<Vec<Written>, LedgerError> {
        let mut done = Vec::with_capacity(writes.len());
        for write in writes {
            let index = self
                .slots
                .binary_search_by_key(&write.subject(), |slot| slot.subject)
                .map_err(|_| LedgerError::Defect)?;
            let slot = &mut self.slots[index];
            let before = slot.directions();
            let outcome = write.apply(&mut slot.entry, now);
            slot.changed |= outcome.changed();
            done.push((index, outcome, before, slot.directions()));
        }
        let newest = self.store()?;
        Ok(done
            .into_iter()
            .map(|(index, outcome, before, after)| {
                let slot = &self.slots[index];
                let own = slot.entry.as_ref().filter(|_| slot.changed).map(|entry| entry.sequence);
                Written { outcome, before, after, sequence: own.unwrap_or(newest) }
            })
            .collect())
    }

    /// Numbers the changed entries, in the order of the table as well, and stores them. Returns the
    /// list's sequence number.
    fn store(&mut self) -> Result<Seq, LedgerError> {
        let mut position = position(self.connection, self.list.id)?;
        let before = position.sequence;
        for slot in self.slots.iter_mut().filter(|slot| slot.changed) {
            let Some(entry) = &mut slot.entry else { continue };
            position.sequence = position.sequence.next();
            entry.sequence = position.sequence;
            let active = position.active + u64::from(!entry.directions.is_none());
            position.active =
                active.checked_sub(u64::from(slot.was_active)).ok_or(LedgerError::damaged("counter"))?;
        }
        if position.sequence != before {
            self.store_entries()?;
            set_position(self.connection, self.list.id, position)?;
        }
        Ok(position.sequence)
    }

    fn store_entries(&self) -> Result<(), LedgerError> {
        let mut actors = Actors { connection: self.connection, list: self.list, known: Vec::new() };
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO entries (list, subject, directions, source, sequence, actor, created,
                updated, lifted_by, deactivated, expires, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        let mut update = self.connection.prepare_cached(
            "UPDATE entries SET directions = ?3, source = ?4, sequence = ?5, actor = ?6,
                created = ?7, updated = ?8, lifted_by = ?9, deactivated = ?10, expires = ?11,
                sealed = ?12
             WHERE list = ?1 AND subject = ?2",
        )?;
        for slot in self.slots.iter().filter(|slot| slot.changed) {
            let Some(entry) = &slot.entry else { continue };
            let place = Place { list: self.list.id, subject: entry.subject };
            let sealed = text::seal(self.seal, place, entry.reason.as_ref(), entry.display.as_ref())
                .map_err(LedgerError::Seal)?;
            let updated = (entry.updated != entry.created).then_some(entry.updated);
            let row = (
                self.list.id,
                entry.subject.get().cast_signed(),
                entry.directions.bits(),
                entry.source.code(),
                entry.sequence.get().cast_signed(),
                actors.id(&entry.actor)?,
                entry.created.as_millisecond(),
                updated.map(Timestamp::as_millisecond),
                entry.lifted_by.as_ref().map(|actor| actors.id(actor)).transpose()?,
                entry.deactivated.map(Timestamp::as_millisecond),
                entry.expires.map(Timestamp::as_millisecond),
                sealed,
            );
            if slot.stored {
                update.execute(row)?
            } else {
                insert.execute(row)?
            };
        }
        Ok(())
    }
}

impl Slot {
    fn directions(&self) -> portcullis_msisdn::Directions {
        self.entry.as_ref().map(|entry| entry.directions).unwrap_or_default()
    }
}

/// The ids of actors' names: a tenant has few, and most calls one.
struct Actors<'a> {
    connection: &'a Connection,
    list: ListRow,
    known: Vec<(Actor, i64)>,
}

impl Actors<'_> {
    fn id(&mut self, actor: &Actor) -> Result<i64, LedgerError> {
        if let Some((_, id)) = self.known.iter().find(|(known, _)| known == actor) {
            return Ok(*id);
        }
        let id = intern(self.connection, self.list.tenant, actor)?;
        self.known.push((actor.clone(), id));
        Ok(id)
    }
}

/// The id of an actor's name, given out now where it is new.
pub(super) fn intern(connection: &Connection, tenant: i64, actor: &Actor) -> Result<i64, LedgerError> {
    let found = connection
        .prepare_cached("SELECT id FROM actors WHERE tenant = ?1 AND name = ?2")?
        .query_row((tenant, actor.as_str()), |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO actors (tenant, name) VALUES (?1, ?2)")?
        .execute((tenant, actor.as_str()))?;
    Ok(connection.last_insert_rowid())
}
