//! Writing the `entries` and `holds` tables.

use jiff::Timestamp;
use portcullis_keys::{Seal, TenantKeys};
use portcullis_msisdn::{Directions, Person, Subject};
use rusqlite::{CachedStatement, Connection};

use super::actors::Actors;
use super::entries::Lookup;
use super::identities::People;
use super::job::EntryWrites;
use super::lists::{Position, position, set_position};
use super::sums::{Changed, ENTRY_SEALED, EntryColumns, HOLD_SEALED, HoldColumns, Sums, length};
use super::trail::Trail;
use crate::apply::{Step, apply};
use crate::changes::{Census, Seq};
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::hold::{Coverage, Hold};
use crate::record::Record;
use crate::store::ListRow;
use crate::text::{self, Row, RowContext};
use crate::time::{now, whole_milliseconds};
use crate::write::{Outcome, Write, Written};

/// Applies the writes of several calls to one list's entries, in the order of the calls, like a single call. Returns
/// all results in the same order.
pub(super) fn write_all(
    connection: &Connection,
    calls: &[&mut EntryWrites],
) -> Result<Vec<Written>, LedgerError> {
    let Some(first) = calls.first() else { return Ok(Vec::new()) };
    let writes = calls.iter().flat_map(|call| call.writes.iter().map(|write| (write, call.max_active)));
    write_entries(connection, first.list, &first.keys, first.sums, writes)
}

/// Applies writes to one list's entries in order. Each has its own maximum number of active entries.
pub(super) fn write_entries<'a>(
    connection: &'a Connection,
    list: ListRow,
    keys: &'a TenantKeys,
    sums: Sums,
    writes: impl Iterator<Item = (&'a Write, u64)>,
) -> Result<Vec<Written>, LedgerError> {
    let people = People::new(connection, list.tenant, keys, sums);
    let mut pending = Vec::new();
    for (write, max_active) in writes {
        let person = people.meant_by(write)?;
        let too = person.as_ref().map_or(Ok(Vec::new()), |person| people.meant_too(write, person))?;
        pending.push(Pending { write, max_active, person, is_reported: true });
        pending.extend(too.into_iter().map(|person| Pending {
            write,
            max_active,
            person: Some(person),
            is_reported: false,
        }));
    }
    let written = Batch::load(connection, list, keys.text_seal(), sums, &pending)?.run(&pending, now())?;
    let reported = pending.iter().zip(written).filter(|(pending, _)| pending.is_reported);
    Ok(reported.map(|(_, written)| written).collect())
}

/// A write to be applied.
struct Pending<'a> {
    write: &'a Write,
    /// The maximum number of active entries.
    max_active: u64,
    /// The person it is about; `None` if the user id is new and the write does not register it.
    person: Option<Person>,
    /// Whether it is the requested write itself, and not its consequence for a person who has changed numbers since.
    is_reported: bool,
}

/// The entries to write. They are loaded and stored in the order of the table, regardless of the order of the writes,
/// because neighbours share database pages.
struct Batch<'a> {
    connection: &'a Connection,
    list: ListRow,
    seal: &'a Seal,
    sums: Sums,
    /// In the order of the subjects.
    slots: Vec<Slot>,
}

struct Slot {
    subject: Subject,
    stored: bool,
    was_active: bool,
    /// Whether to store it, with a new sequence number.
    changed: bool,
    /// Whether to store it with its current sequence number.
    touched: bool,
    /// The sequence number before the writes.
    previous: Seq,
    /// The directions before the writes.
    blocked: Directions,
    /// The sum of its rows before the writes.
    sum: u64,
    entry: Option<Entry>,
}

impl<'a> Batch<'a> {
    fn load(
        connection: &'a Connection,
        list: ListRow,
        seal: &'a Seal,
        sums: Sums,
        writes: &[Pending<'_>],
    ) -> Result<Self, LedgerError> {
        let people = writes.iter().filter_map(|pending| pending.person.as_ref());
        let mut subjects: Vec<Subject> = people.flat_map(|person| person.iter().copied()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut lookup = Lookup::new(connection, list, seal)?;
        let slots = subjects
            .into_iter()
            .map(|subject| {
                let (entry, sum) = lookup.get_with_sum(subject, sums)?.unzip();
                Ok(Slot {
                    subject,
                    stored: entry.is_some(),
                    was_active: entry.as_ref().is_some_and(|entry| !entry.directions.is_none()),
                    blocked: entry.as_ref().map_or(Directions::NONE, |entry| entry.directions),
                    sum: sum.unwrap_or_default(),
                    changed: false,
                    touched: false,
                    previous: entry.as_ref().map_or(Seq::START, |entry| entry.sequence),
                    entry,
                })
            })
            .collect::<Result<_, LedgerError>>()?;
        Ok(Batch { connection, list, seal, sums, slots })
    }

    fn index_of(&self, subject: Subject) -> Result<usize, LedgerError> {
        self.slots.binary_search_by_key(&subject, |slot| slot.subject).map_err(|_| LedgerError::Defect)
    }

    /// Applies the writes in order, then stores the changes.
    fn run(mut self, writes: &[Pending<'_>], now: Timestamp) -> Result<Vec<Written>, LedgerError> {
        let position = position(self.connection, self.list.id)?;
        let mut active = position.census.active;
        let mut recorded = Vec::with_capacity(writes.len());
        let mut done = Vec::with_capacity(writes.len());
        for Pending { write, max_active, person, .. } in writes {
            let Some(person) = person else {
                done.push(Done::NOBODY);
                continue;
            };
            let places = person.iter().map(|&subject| self.index_of(subject));
            let places = places.collect::<Result<Vec<usize>, LedgerError>>()?;
            let mut entries: Vec<Option<Entry>> =
                places.iter().map(|&place| self.slots[place].entry.take()).collect();
            let applied = apply(write, person, &mut entries, active >= *max_active, now);
            for (&place, entry) in places.iter().zip(entries) {
                self.slots[place].entry = entry;
            }
            for Step { place, outcome, before, after } in applied.steps {
                let index = places[place];
                let is_recorded = outcome.is_recorded();
                self.slots[index].changed |= is_recorded;
                self.slots[index].touched |= !is_recorded;
                match (before.blocked().is_none(), after.blocked().is_none()) {
                    (true, false) => active += 1,
                    (false, true) => active = active.checked_sub(1).ok_or(LedgerError::damaged("counter"))?,
                    _ => {}
                }
                if is_recorded {
                    recorded.push(Recorded { write, index, outcome, before, after });
                }
            }
            done.push(Done {
                outcome: applied.outcome,
                home: Some(places[applied.home]),
                before: applied.before,
                after: applied.after,
            });
        }
        let newest = self.store(position)?;
        self.record(&recorded, now)?;
        Ok(done
            .into_iter()
            .map(|Done { outcome, home, before, after }| {
                let slot = home.map(|home| &self.slots[home]);
                let own = slot.filter(|slot| slot.changed).and_then(|slot| slot.entry.as_ref());
                Written {
                    outcome,
                    subject: slot.map(|slot| slot.subject),
                    before,
                    after,
                    sequence: own.map_or(newest, |entry| entry.sequence),
                }
            })
            .collect())
    }

    /// Appends the changes to the audit trail, in the order of the trail.
    fn record(&self, recorded: &[Recorded<'_>], now: Timestamp) -> Result<(), LedgerError> {
        let mut changes: Vec<&Recorded<'_>> = recorded.iter().collect();
        // A stable sort keeps the changes of an entry in order.
        changes.sort_by_key(|done| done.index);
        let mut trail = Trail::new(self.connection, self.list)?;
        for steps in changes.chunk_by(|one, other| one.index == other.index) {
            for (step, done) in (0..).zip(steps) {
                let slot = &self.slots[done.index];
                let Some(entry) = &slot.entry else { continue };
                let mut record = Record {
                    subject: slot.subject,
                    sequence: entry.sequence,
                    step,
                    previous: slot.previous,
                    at: now,
                    requested: done.write.requested().map_or(now, whole_milliseconds),
                    actor: done.write.actor().clone(),
                    hold: done.write.hold(),
                    outcome: done.outcome,
                    source: None,
                    before: done.before,
                    after: done.after,
                    expires: None,
                    reason: None,
                    display: None,
                    label: None,
                };
                if let Write::Block(block) = done.write {
                    record.source = Some(block.source);
                    record.expires = block.expires.map(whole_milliseconds);
                    record.reason.clone_from(&block.reason);
                    record.display.clone_from(&block.display);
                    record.label.clone_from(&block.label);
                }
                trail.add(&record, Some(self.seal))?;
            }
        }
        Ok(())
    }

    /// Assigns sequence numbers to the changed entries, in the order of the table, and stores them. Returns the list's
    /// sequence number.
    fn store(&mut self, mut position: Position) -> Result<Seq, LedgerError> {
        let before = position.census.sequence;
        for slot in self.slots.iter_mut().filter(|slot| slot.changed) {
            let Some(entry) = &mut slot.entry else { continue };
            let Census { sequence, active } = &mut position.census;
            *sequence = sequence.next();
            entry.sequence = *sequence;
            let now_active = *active + u64::from(!entry.directions.is_none());
            *active =
                now_active.checked_sub(u64::from(slot.was_active)).ok_or(LedgerError::damaged("counter"))?;
            let after = (entry.directions, entry.sequence);
            position.note_change(self.sums, slot.subject, (slot.blocked, slot.previous), after);
        }
        if self.slots.iter().any(|slot| slot.changed || slot.touched) {
            self.store_entries()?;
        }
        if position.census.sequence != before {
            set_position(self.connection, self.list.id, position)?;
        }
        Ok(position.census.sequence)
    }

    fn store_entries(&self) -> Result<(), LedgerError> {
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
        for slot in self.slots.iter().filter(|slot| slot.changed || slot.touched) {
            let Some(entry) = &slot.entry else { continue };
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
            let statement = if slot.stored { &mut update } else { &mut insert };
            bind(statement, &columns, ENTRY_SEALED, sealed)?;
            statement.raw_execute()?;
            for hold in &entry.holds.more {
                sum ^= self.store_further(&mut actors, entry, hold)?;
            }
            changed.add(slot.subject, slot.sum, sum);
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

/// The result of a write.
struct Done {
    outcome: Outcome,
    /// The slot of the entry that represents the person.
    home: Option<usize>,
    before: Directions,
    after: Directions,
}

impl Done {
    /// The result for a user id that was never used.
    const NOBODY: Done =
        Done { outcome: Outcome::Absent, home: None, before: Directions::NONE, after: Directions::NONE };
}

/// A change to append to the audit trail.
struct Recorded<'a> {
    write: &'a Write,
    /// The index of its slot.
    index: usize,
    outcome: Outcome,
    before: Coverage,
    after: Coverage,
}
