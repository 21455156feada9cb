//! A list is saved and loaded into another generation: exactly, or not at all.

mod support;

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_host::{
    Census, Change, Direction, Directions, Entry, EntrySource, FillError, FilledFrom, Generation, Keyspace,
    Recipe, SourceError, StateHeader, StateParts, StateStore, StateWriter, Subject, Verdict,
};
use proptest::prelude::*;
use support::record::Record;
use support::states::{State, States};
use support::{exact, recipe, subject};

/// A record with entries of all three kinds.
fn record() -> Record {
    let record = Record::default();
    let kinds = [Directions::BOTH, Directions::INBOUND, Directions::OUTBOUND];
    for (n, &directions) in (0..20_000).zip(kinds.iter().cycle()) {
        record.set(subject(n * 54_975_581_389), directions);
    }
    record
}

fn saved(record: &Record) -> (Generation, States) {
    let list = Generation::filled(recipe(exact(), "{}"), record, None).expect("it is filled");
    let states = States::default();
    list.save(&states, record.len()).expect("it is saved").expect("it can be");
    (list, states)
}

fn fill(record: &Record, states: &States) -> (Generation, FilledFrom) {
    let empty = Generation::empty(recipe(exact(), "{}")).expect("it starts");
    let (list, from) = empty.fill(record, Some(states)).expect("it is filled");
    list.prove(record).expect("it holds what the record holds");
    (list, from)
}

#[test]
fn a_state_and_later_changes_restore_the_list() {
    let record = record();
    let (_, states) = saved(&record);
    let at = record.census().expect("it is there").sequence;
    record.set(subject(54_975_581_389), Directions::NONE);
    record.set(subject(7), Directions::OUTBOUND);
    let (list, from) = fill(&record, &states);
    assert!(matches!(from, FilledFrom::State { sequence } if sequence == at), "{from:?}");
    assert_eq!(list.check(subject(54_975_581_389), Direction::Inbound), Ok(Verdict::Allow));
    assert_eq!(list.check(subject(7), Direction::Outbound), Ok(Verdict::Block));
    assert_eq!(list.count(), Ok(20_000));
}

#[test]
fn an_empty_list_can_be_saved_too() {
    let record = Record::default();
    let (_, states) = saved(&record);
    record.set(subject(1), Directions::BOTH);
    let (list, from) = fill(&record, &states);
    assert!(matches!(from, FilledFrom::State { .. }));
    assert_eq!(list.count(), Ok(1));
}

#[test]
fn a_state_of_another_plugin_is_left_alone() {
    let record = record();
    let (_, states) = saved(&record);
    let changes: [fn(&mut State); 3] = [
        |state| state.header.format.name = "another".to_owned(),
        |state| state.header.format.version += 1,
        |state| state.header.keyspace = Keyspace::Clear,
    ];
    for change in changes {
        let mut other = states.kept().clone().expect("it is kept");
        change(&mut other);
        let states = States::default();
        *states.kept() = Some(other);
        assert!(matches!(fill(&record, &states).1, FilledFrom::Source));
        assert!(states.kept().is_some(), "another plugin may be able to use it");
    }
}

#[test]
fn a_damaged_or_foreign_state_is_discarded_and_the_list_filled_from_the_record() {
    let record = record();
    let (_, states) = saved(&record);
    let good = states.kept().clone().expect("it is kept");
    let other = Record::of((0..20_000).map(|n| subject(n * 54_975_581_389 + 1)));
    let of_another = saved(&other).1.kept().clone().expect("it is kept");
    type Change = Box<dyn Fn(&mut State)>;
    let changes: [(&str, Change); 7] = [
        ("ahead", Box::new(|state| state.header.sequence += 1)),
        ("cut off", Box::new(|state| drop(state.parts.pop()))),
        ("longer", Box::new(|state| state.parts.push(vec![0; 100]))),
        ("repeated", Box::new(|state| state.parts.push(state.parts[0].clone()))),
        ("flipped", Box::new(|state| state.parts[0][40] ^= 4)),
        ("empty", Box::new(|state| state.parts.clear())),
        ("another's", Box::new(move |state| state.parts = of_another.parts.clone())),
    ];
    for (what, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        *states.kept() = Some(bad);
        let (list, from) = fill(&record, &states);
        assert!(matches!(from, FilledFrom::Fallback(_)), "{what}: {from:?}");
        assert!(states.kept().is_none(), "{what}");
        assert_eq!(list.count(), Ok(20_000));
    }
}

#[test]
fn a_list_can_be_saved_during_writes_and_checks() {
    let record = record();
    let (list, states) = saved(&record);
    let (list, stop) = (&list, &AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let directions = if n.is_multiple_of(3) { Directions::NONE } else { Directions::INBOUND };
                record.set(subject(n * 7_919 % 20_000 * 54_975_581_389 + n % 2), directions);
                list.catch_up(&record).expect("it follows");
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = list.check(subject(1), Direction::Inbound).expect("it answers");
            }
        });
        for _ in 0..30 {
            list.save(&states, record.len()).expect("it is saved");
            assert!(matches!(fill(&record, &states).1, FilledFrom::State { .. }));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn all_replicas_are_filled_from_one_state() {
    let record = record();
    let (_, states) = saved(&record);
    record.set(subject(7), Directions::OUTBOUND);
    let two = Recipe { replicas: NonZeroUsize::new(2).expect("two"), ..recipe(exact(), "{}") };
    let (list, from) =
        Generation::empty(two).expect("it starts").fill(&record, Some(&states)).expect("it is filled");
    assert!(matches!(from, FilledFrom::State { .. }), "{from:?}");
    assert_eq!(list.left(), 2);
    list.prove(&record).expect("it asks each of them");
}

/// A record on which one method fails.
struct Fails<'a>(&'a Record, &'static str);

impl Fails<'_> {
    fn unless(&self, call: &str) -> Result<(), SourceError> {
        if self.1 == call { Err("the disk does not answer".into()) } else { Ok(()) }
    }
}

impl EntrySource for Fails<'_> {
    fn census(&self) -> Result<Census, SourceError> {
        self.unless("census")?;
        self.0.census()
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.unless("members")?;
        self.0.members(after, limit)
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        self.unless("directions")?;
        self.0.directions(subjects)
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        self.unless("changes")?;
        self.0.changes_since(sequence, limit)
    }
}

#[test]
fn a_state_is_kept_if_the_record_cannot_be_read() {
    let record = record();
    let (_, states) = saved(&record);
    for call in ["census", "changes", "members", "directions"] {
        let empty = Generation::empty(recipe(exact(), "{}")).expect("it starts");
        let error = empty.fill(&Fails(&record, call), Some(&states)).map(|(_, from)| from);
        assert!(matches!(error, Err(FillError::Source(_))), "{call}: {error:?}");
        assert!(states.kept().is_some(), "{call}");
    }
}

/// One write: the entry's number and its new directions. Most entries are written more than once.
type Set = (u64, Directions);

fn changes() -> impl Strategy<Value = Vec<Set>> {
    let directions = prop::sample::select(vec![
        Directions::NONE,
        Directions::INBOUND,
        Directions::OUTBOUND,
        Directions::BOTH,
    ]);
    prop::collection::vec((0..24_u64, directions), 0..40)
}

/// A state store that writes to the list before each part is saved.
struct WritesMeanwhile<'a> {
    states: States,
    record: &'a Record,
    list: &'a Generation,
    writes: Mutex<std::vec::IntoIter<Vec<Set>>>,
}

struct MeanwhileWriter<'a> {
    store: &'a WritesMeanwhile<'a>,
    into: Box<dyn StateWriter + 'a>,
}

impl StateStore for WritesMeanwhile<'_> {
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError> {
        Ok(Box::new(MeanwhileWriter { store: self, into: self.states.write(header)? }))
    }

    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError> {
        self.states.read()
    }

    fn discard(&self) -> Result<(), SourceError> {
        self.states.discard()
    }
}

impl StateWriter for MeanwhileWriter<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let WritesMeanwhile { record, list, writes, .. } = self.store;
        let writes = writes.lock().expect("no thread panics with the lock held").next().unwrap_or_default();
        apply(record, &writes);
        list.catch_up(*record)?;
        self.into.part(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        self.into.finish()
    }
}

fn apply(record: &Record, changes: &[Set]) {
    for &(n, directions) in changes {
        record.set(subject(n * 46_912_496_118_442), directions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Writes happen before the save, between its three parts, and after it.
    #[test]
    fn a_state_saved_during_writes_restores_the_list_with_the_later_changes(
        before in changes(), meanwhile in prop::collection::vec(changes(), 3), after in changes(),
    ) {
        let record = Record::default();
        apply(&record, &before);
        let list = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
        let writes = Mutex::new(meanwhile.into_iter());
        let states = WritesMeanwhile { states: States::default(), record: &record, list: &list, writes };
        list.save(&states, record.len()).expect("it is saved");
        apply(&record, &after);
        let (loaded, from) = fill(&record, &states.states);
        prop_assert!(matches!(from, FilledFrom::State { .. }), "{from:?}");
        list.catch_up(&record).expect("it catches up");
        let held = record.members(None, 100).expect("it is there");
        prop_assert_eq!(&loaded.list(None, 100).expect("a page is answered").entries, &held);
        prop_assert_eq!(&list.list(None, 100).expect("a page is answered").entries, &held);
    }
}
