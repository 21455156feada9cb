//! Writing the `entries` and `holds` tables.

use jiff::Timestamp;
use portcullis_keys::Seal;
use portcullis_ledger_model::{
    Entry, Hold, Written,
    text::{self, Row, RowContext},
};
use rusqlite::{CachedStatement, Connection};

use super::actors::Actors;
use super::job::EntryWrites;
use super::lists::{Position, set_position};
use super::rows::Rows;
use super::sums::{Changed, ENTRY_SEALED, EntryColumns, HOLD_SEALED, HoldColumns, Sums, length};
use super::trail::Trail;
use crate::error::LedgerError;
use crate::store::ListRow;
use crate::store::batch::{Batch, write_entries};

/// Applies the writes of several calls to one list's entries, in the order of the calls, like a single call. Returns
/// all results in the same order.
pub(super) fn write_all(
    connection: &Connection,
    calls: &[&mut EntryWrites],
) -> Result<Vec<Written>, LedgerError> {
    let Some(first) = calls.first() else { return Ok(Vec::new()) };
    let writes = calls.iter().flat_map(|call| call.writes.iter().map(|write| (write, call.max_active)));
    let tables = Rows::new(connection, first.list.tenant, &first.keys, first.sums);
    write_entries(&tables, &first.keys, first.list, writes)
}

/// Stores what a batch changed.
pub(super) fn store(
    connection: &Connection,
    list: ListRow,
    seal: &Seal,
    sums: Sums,
    mut position: Position,
    batch: &Batch<u64>,
) -> Result<(), LedgerError> {
    Storing { connection, list, seal, sums }.entries(batch)?;
    for (slot, entry) in batch.to_store() {
        let after = (entry.directions, entry.sequence);
        position.note_change(sums, slot.subject, (slot.blocked, slot.previous), after);
    }
    position.census = batch.census();
    set_position(connection, list.id, position)?;
    let mut trail = Trail::new(connection, list)?;
    batch.records().iter().try_for_each(|record| trail.add(record, Some(seal)))
}

struct Storing<'a> {
    connection: &'a Connection,
    list: ListRow,
    seal: &'a Seal,
    sums: Sums,
}

impl Storing<'_> {
    fn entries(&self, batch: &Batch<u64>) -> Result<(), LedgerError> {
        let mut actors = Actors::new(self.connection, self.list);
        let mut changed = Changed::default();
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO entries (list, subject, directions, source, sequence, actor, created,
                updated, lifted_by, deactivated, expires, sealed, kind, own, ever, since, requested)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?;
        let mut update = self.connection.prepare_cached(
            "UPDATE entries SET directions = ?3, source = ?4, sequence = ?5, actor = ?6,
                created = ?7, updated = ?8, lifted_by = ?9, deactivated = ?10, expires = ?11,
                sealed = ?12, kind = ?13, own = ?14, ever = ?15, since = ?16, requested = ?17
             WHERE list = ?1 AND subject = ?2",
        )?;
        for (slot, entry) in batch.to_store() {
            let context = RowContext { list: self.list.id, subject: entry.subject, row: Row::Entry };
            let hold = &entry.holds.first;
            let sealed = text::seal(
                self.seal,
                context,
                hold.reason.as_ref(),
                entry.display.as_ref(),
                hold.label.as_ref(),
            )
            .map_err(LedgerError::Seal)?;
            let alone = entry.holds.more.is_empty() && hold.directions == entry.directions;
            let unless_created = |time: Timestamp| (time != entry.created).then(|| time.as_millisecond());
            let (actor, lifted_by) = (actors.id(&hold.actor)?, actors.maybe_id(hold.lifted_by.as_ref())?);
            let columns: EntryColumns = [
                Some(self.list.id),
                Some(entry.subject.get().cast_signed()),
                Some(entry.directions.bits().into()),
                Some(hold.source.code()),
                Some(entry.sequence.get().cast_signed()),
                Some(actor),
                Some(entry.created.as_millisecond()),
                unless_created(entry.updated),
                lifted_by,
                entry.deactivated.map(Timestamp::as_millisecond),
                hold.expires.map(Timestamp::as_millisecond),
                length(sealed.as_deref()),
                Some(hold.kind.code()),
                (!alone).then(|| hold.directions.bits().into()),
                // If NULL, an inactive entry would be read as one of an older schema.
                (entry.ever != entry.directions || entry.directions.is_none())
                    .then(|| entry.ever.bits().into()),
                unless_created(hold.since),
                (hold.requested != hold.since).then(|| hold.requested.as_millisecond()),
            ];
            let mut sum = self.sums.entry(&columns);
            let statement = if slot.is_stored { &mut update } else { &mut insert };
            bind(statement, &columns, ENTRY_SEALED, sealed)?;
            statement.raw_execute()?;
            for hold in &entry.holds.more {
                sum ^= self.store_further(&mut actors, entry, hold)?;
            }
            changed.add(slot.subject, slot.before, sum);
        }
        changed.store(self.connection, self.list.id)
    }

    /// Returns the hash of the row.
    fn store_further(&self, actors: &mut Actors<'_>, entry: &Entry, hold: &Hold) -> Result<u64, LedgerError> {
        let context = RowContext { list: self.list.id, subject: entry.subject, row: Row::Hold(hold.kind) };
        let sealed = text::seal(self.seal, context, hold.reason.as_ref(), None, hold.label.as_ref())
            .map_err(LedgerError::Seal)?;
        let (actor, lifted_by) = (actors.id(&hold.actor)?, actors.maybe_id(hold.lifted_by.as_ref())?);
        let columns: HoldColumns = [
            Some(self.list.id),
            Some(entry.subject.get().cast_signed()),
            Some(hold.kind.code()),
            Some(hold.directions.bits().into()),
            Some(hold.source.code()),
            Some(actor),
            Some(hold.since.as_millisecond()),
            lifted_by,
            hold.expires.map(Timestamp::as_millisecond),
            length(sealed.as_deref()),
            (hold.requested != hold.since).then(|| hold.requested.as_millisecond()),
        ];
        let mut put = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO holds (list, subject, kind, directions, source, actor, since,
                lifted_by, expires, sealed, requested)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        bind(&mut put, &columns, HOLD_SEALED, sealed)?;
        put.raw_execute()?;
        Ok(self.sums.hold(&columns))
    }
}

/// Binds the columns that a hash covers, and the texts instead of their length, which is at `place`.
fn bind(
    statement: &mut CachedStatement<'_>,
    columns: &[Option<i64>],
    place: usize,
    sealed: Option<Vec<u8>>,
) -> rusqlite::Result<()> {
    for (n, column) in columns.iter().enumerate().filter(|(n, _)| *n != place) {
        statement.raw_bind_parameter(n + 1, column)?;
    }
    statement.raw_bind_parameter(place + 1, sealed)
}
