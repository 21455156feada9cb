//! A list saved, and loaded into the next generation: exactly, or not at all.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_host::{Direction, Directions, EntrySource as _, FilledFrom, Generation, Keyspace, Verdict};
use support::record::Record;
use support::states::{State, States};
use support::{exact, recipe, subject};

/// Entries of all three kinds.
fn record() -> Record {
    let record = Record::default();
    for n in 0..20_000_u64 {
        let directions = [Directions::BOTH, Directions::INBOUND, Directions::OUTBOUND];
        record.set(subject(n * 54_975_581_389), directions[n as usize % 3]);
    }
    record
}

fn saved(record: &Record) -> (Generation, States) {
    let list = Generation::filled(recipe(exact(), "{}"), record, None).expect("it is filled");
    let states = States::default();
    list.save(&states).expect("it is saved").expect("it can be");
    (list, states)
}

fn fill(record: &Record, states: &States) -> (Generation, FilledFrom) {
    let empty = Generation::empty(recipe(exact(), "{}")).expect("it starts");
    let (list, from) = empty.fill(record, Some(states)).expect("it is filled");
    list.prove(record).expect("it holds what the record holds");
    (list, from)
}

#[test]
fn a_state_and_the_changes_since_make_the_list() {
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
fn a_state_that_is_not_of_this_plugin_is_left_alone() {
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
        assert!(matches!(fill(&record, &states).1, FilledFrom::Record));
        assert!(states.kept().is_some(), "another plugin may have use for it");
    }
}

#[test]
fn a_state_that_is_damaged_or_of_another_list_is_discarded_and_the_record_used() {
    let record = record();
    let (_, states) = saved(&record);
    let good = states.kept().clone().expect("it is kept");
    let other = Record::of((0..20_000).map(|n| subject(n * 54_975_581_389 + 1)));
    let of_another = saved(&other).1.kept().clone().expect("it is kept");
    let changes: [(&str, Box<dyn Fn(&mut State)>); 7] = [
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
        assert!(matches!(from, FilledFrom::RecordInstead(_)), "{what}: {from:?}");
        assert!(states.kept().is_none(), "{what}");
        assert_eq!(list.count(), Ok(20_000));
    }
}

#[test]
fn a_list_is_saved_while_it_is_written_to_and_checked() {
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
            list.save(&states).expect("it is saved");
            assert!(matches!(fill(&record, &states).1, FilledFrom::State { .. }));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
