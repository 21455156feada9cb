//! Several writes to one list, applied to its entries before these are stored.

use jiff::Timestamp;
use portcullis_keys::TenantKeys;
use portcullis_msisdn::{Directions, Person, Subject};

use crate::apply::{Step, apply};
use crate::changes::{Census, Seq};
use crate::entry::Entry;
use crate::hold::Coverage;
use crate::inconsistent::Inconsistent;
use crate::people::People;
use crate::record::Record;
use crate::rows::ListRow;
use crate::tables::{Loaded, Tables};
use crate::time::whole_milliseconds;
use crate::write::{Outcome, Write, Written};

/// Applies writes to one list's entries in order, and stores what changed. Each write has its own maximum number of active
/// entries.
///
/// # Errors
/// Those of the tables; [`Inconsistent`] if the list's counter does not fit its entries.
pub fn write_entries<'a, T: Tables>(
    tables: &T,
    keys: &TenantKeys,
    list: ListRow,
    writes: impl Iterator<Item = (&'a Write, u64)>,
) -> Result<Vec<Written>, T::Error> {
    let pending = People::new(tables, keys).resolve(writes)?;
    let subjects = Pending::subjects(&pending);
    let Loaded { position, census, entries } = tables.load(list, &subjects)?;
    let mut batch = Batch::new(census, subjects.into_iter().zip(entries));
    let written = batch.apply(&pending, tables.now())?;
    if batch.changes_anything() {
        tables.store(list, position, &batch)?;
    }
    Ok(written)
}

/// A write to be applied.
#[derive(Debug)]
pub struct Pending<'a> {
    /// The write.
    pub write: &'a Write,
    /// The maximum number of active entries.
    pub max_active: u64,
    /// The person it is about; `None` if the user id is new and the write does not register it.
    pub person: Option<Person>,
    /// Whether it is the requested write itself, and not its consequence for a person who has changed numbers since.
    pub is_reported: bool,
}

impl Pending<'_> {
    /// The subjects of all entries that these writes may read or change, in order.
    pub fn subjects(pending: &[Pending<'_>]) -> Vec<Subject> {
        let people = pending.iter().filter_map(|pending| pending.person.as_ref());
        let mut subjects: Vec<Subject> = people.flat_map(|person| person.iter().copied()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }
}

/// Entries of one list that are written together. They are kept in the order of the table, regardless of the order of the
/// writes, because neighbours share database pages.
///
/// `B` is what the store has to know of an entry's rows when they are replaced.
#[derive(Debug)]
pub struct Batch<B> {
    census: Census,
    /// In the order of the subjects.
    slots: Vec<Slot<B>>,
    records: Vec<Record>,
}

/// An entry before and after the writes.
#[derive(Debug)]
pub struct Slot<B> {
    /// The entry's subject.
    pub subject: Subject,
    /// The entry as it is now.
    pub entry: Option<Entry>,
    /// Whether it was stored before.
    pub is_stored: bool,
    /// Whether it has a new sequence number, and is to be stored.
    pub is_changed: bool,
    /// The sequence number before the writes.
    pub previous: Seq,
    /// The directions that were blocked before the writes.
    pub blocked: Directions,
    /// What the store has to know of its rows.
    pub before: B,
}

impl<B> Batch<B> {
    /// Creates a batch of what is stored of a list. The entries are in the order of their subjects.
    pub fn new(census: Census, entries: impl IntoIterator<Item = (Subject, (Option<Entry>, B))>) -> Self {
        let slots = entries.into_iter().map(|(subject, (entry, before))| Slot {
            subject,
            is_stored: entry.is_some(),
            is_changed: false,
            previous: entry.as_ref().map_or(Seq::START, |entry| entry.sequence),
            blocked: entry.as_ref().map_or(Directions::NONE, |entry| entry.directions),
            before,
            entry,
        });
        Batch { census, slots: slots.collect(), records: Vec::new() }
    }

    /// Applies the writes in order. Returns the result of each that is reported.
    ///
    /// # Errors
    /// [`Inconsistent`] if the counter of active entries does not fit the entries.
    pub fn apply(&mut self, writes: &[Pending<'_>], now: Timestamp) -> Result<Vec<Written>, Inconsistent> {
        let mut active = self.census.active;
        let mut recorded = Vec::with_capacity(writes.len());
        let mut done = Vec::with_capacity(writes.len());
        for Pending { write, max_active, person, .. } in writes {
            let Some(person) = person else {
                done.push(Done::NOBODY);
                continue;
            };
            let places = person.iter().map(|&subject| self.index_of(subject));
            let places = places.collect::<Result<Vec<usize>, Inconsistent>>()?;
            let mut entries: Vec<Option<Entry>> =
                places.iter().map(|&place| self.slots[place].entry.take()).collect();
            let applied = apply(write, person, &mut entries, active >= *max_active, now);
            for (&place, entry) in places.iter().zip(entries) {
                self.slots[place].entry = entry;
            }
            for Step { place, outcome, before, after } in applied.steps {
                let index = places[place];
                self.slots[index].is_changed = true;
                match (before.blocked().is_none(), after.blocked().is_none()) {
                    (true, false) => active += 1,
                    (false, true) => active = active.checked_sub(1).ok_or(Inconsistent::Stored("counter"))?,
                    _ => {}
                }
                recorded.push(Recorded { write, index, outcome, before, after });
            }
            done.push(Done {
                outcome: applied.outcome,
                home: Some(places[applied.home]),
                before: applied.before,
                after: applied.after,
            });
        }
        self.number()?;
        self.record(recorded, now);
        let reported = writes.iter().zip(done).filter(|(write, _)| write.is_reported);
        Ok(reported.map(|(_, done)| self.written(done)).collect())
    }

    fn index_of(&self, subject: Subject) -> Result<usize, Inconsistent> {
        self.slots.binary_search_by_key(&subject, |slot| slot.subject).map_err(|_| Inconsistent::NotRead)
    }

    /// Assigns sequence numbers to the changed entries, in the order of the table.
    fn number(&mut self) -> Result<(), Inconsistent> {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_changed) {
            let Some(entry) = &mut slot.entry else { continue };
            let Census { sequence, active } = &mut self.census;
            *sequence = sequence.next();
            entry.sequence = *sequence;
            let now_active = *active + u64::from(!entry.directions.is_none());
            *active = now_active
                .checked_sub(u64::from(!slot.blocked.is_none()))
                .ok_or(Inconsistent::Stored("counter"))?;
        }
        Ok(())
    }

    /// Makes the records of the changes, in the order of the trail.
    fn record(&mut self, mut recorded: Vec<Recorded<'_>>, now: Timestamp) {
        // A stable sort keeps the changes of an entry in order.
        recorded.sort_by_key(|done| done.index);
        self.records.reserve(recorded.len());
        for steps in recorded.chunk_by(|one, other| one.index == other.index) {
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
                self.records.push(record);
            }
        }
    }

    fn written(&self, Done { outcome, home, before, after }: Done) -> Written {
        let slot = home.map(|home| &self.slots[home]);
        let own = slot.filter(|slot| slot.is_changed).and_then(|slot| slot.entry.as_ref());
        Written {
            outcome,
            subject: slot.map(|slot| slot.subject),
            before,
            after,
            sequence: own.map_or(self.census.sequence, |entry| entry.sequence),
        }
    }

    /// The list's sequence number and number of active entries, after the writes.
    pub fn census(&self) -> Census {
        self.census
    }

    /// Whether there is anything to store.
    pub fn changes_anything(&self) -> bool {
        self.slots.iter().any(|slot| slot.is_changed)
    }

    /// The entries to store, in the order of their subjects.
    pub fn to_store(&self) -> impl Iterator<Item = (&Slot<B>, &Entry)> {
        let to_store = self.slots.iter().filter(|slot| slot.is_changed);
        to_store.filter_map(|slot| Some((slot, slot.entry.as_ref()?)))
    }

    /// The records to add to the trail, in its order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
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

/// A change to add to the audit trail.
struct Recorded<'a> {
    write: &'a Write,
    /// The index of its slot.
    index: usize,
    outcome: Outcome,
    before: Coverage,
    after: Coverage,
}
