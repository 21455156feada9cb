//! Several instances behind one list.

mod support;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_host::{
    CallError, Census, Change, Direction, Directions, Entry, EntrySource, Generation, Limits, Plugin, Recipe,
    SourceError, Subject, Verdict,
};
use support::record::Record;
use support::{entry, evil, exact, recipe, subject};

fn with_replicas(plugin: Plugin, options: &str, replicas: usize) -> Recipe {
    Recipe { replicas: NonZeroUsize::new(replicas).expect("at least one"), ..recipe(plugin, options) }
}

#[test]
fn a_write_is_in_all_replicas_when_it_returns() {
    let list = Generation::empty(with_replicas(exact(), "{}", 3)).expect("it starts");
    let stop = AtomicBool::new(false);
    // Keeps the instances busy, so that all of them answer checks.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let verdict = list.check(subject(0), Direction::Inbound).expect("it answers");
                    assert_eq!(verdict, Verdict::Allow);
                }
            });
        }
        for value in 1..40 {
            list.block(&[entry(value, Directions::BOTH)]).expect("it is taken");
            for _ in 0..4 {
                assert_eq!(list.check(subject(value), Direction::Inbound), Ok(Verdict::Block));
            }
            list.unblock(&[entry(value, Directions::INBOUND)]).expect("it is lifted");
            for _ in 0..4 {
                assert_eq!(list.check(subject(value), Direction::Inbound), Ok(Verdict::Allow));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(list.count(), Ok(39));
}

#[test]
fn a_lost_replica_leaves_the_others_and_releases_its_memory() {
    let recipe = with_replicas(evil(), r#"{"mode":"panic"}"#, 3);
    let account = std::sync::Arc::clone(&recipe.account);
    let list = Generation::empty(recipe).expect("it starts");
    let whole = account.used();
    assert_eq!(list.memory_bytes(), whole);
    for left in [2, 1, 0] {
        assert!(matches!(list.check(subject(1), Direction::Inbound), Err(CallError::Trapped { .. })));
        assert_eq!((list.left(), list.is_whole()), (left, false));
        assert_eq!(account.used(), whole / 3 * left as u64);
        if left > 0 {
            assert!(list.block(&[entry(left as u64, Directions::BOTH)]).is_ok(), "the others take writes");
        }
    }
    assert_eq!(list.check(subject(1), Direction::Inbound), Err(CallError::OutOfService));
    assert_eq!(list.block(&[entry(9, Directions::BOTH)]), Err(CallError::OutOfService));
}

#[test]
fn retiring_releases_all_memory() {
    let record = Record::of((0..1000).map(subject));
    let list = Generation::filled(with_replicas(exact(), "{}", 2), &record, None).expect("it is filled");
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Block));
    list.retire();
    assert_eq!((list.left(), list.recipe().account.used()), (0, 0));
    assert_eq!(list.check(subject(1), Direction::Inbound), Err(CallError::OutOfService));
}

#[test]
fn catching_up_reaches_every_replica() {
    let record = Record::of((0..1000).map(subject));
    let list = Generation::filled(with_replicas(exact(), "{}", 3), &record, None).expect("it is filled");
    for value in 900..1100 {
        record.set(subject(value), if value % 2 == 0 { Directions::INBOUND } else { Directions::NONE });
    }
    let sequence = list.catch_up(&record).expect("it catches up");
    assert_eq!((sequence, list.left()), (1200, 3));
    list.prove(&record).expect("it asks each of them");
}

/// A record without a change feed, for a list that was written to directly.
struct Still(Record);

impl EntrySource for Still {
    fn census(&self) -> Result<Census, SourceError> {
        Ok(Census { sequence: 0, ..self.0.census()? })
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.0.members(after, limit)
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        self.0.directions(subjects)
    }

    fn changes_since(&self, _: u64, _: usize) -> Result<Vec<Change>, SourceError> {
        Ok(Vec::new())
    }
}

#[test]
fn all_replicas_apply_concurrent_writes_in_the_same_order() {
    let list = Generation::empty(with_replicas(exact(), "{}", 3)).expect("it starts");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let list = &list;
            scope.spawn(move || {
                for value in 0..5_000 {
                    let entries = [entry(value, Directions::BOTH)];
                    let written = if thread % 2 == 0 { list.block(&entries) } else { list.unblock(&entries) };
                    written.expect("it is taken");
                }
            });
        }
    });
    let is_held = |&subject: &Subject| list.check(subject, Direction::Inbound) == Ok(Verdict::Block);
    let held = Still(Record::of((0..5_000).map(subject).filter(is_held)));
    list.prove(&held).expect("they hold the same");
}

/// A record that is slow to answer.
struct Slow<'a>(&'a Record);

impl EntrySource for Slow<'_> {
    fn census(&self) -> Result<Census, SourceError> {
        self.0.census()
    }

    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        self.0.members(after, limit)
    }

    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        self.0.directions(subjects)
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        let changes = self.0.changes_since(sequence, limit);
        std::thread::yield_now();
        changes
    }
}

#[test]
fn a_slow_catch_up_does_not_undo_a_faster_one() {
    let record = Record::default();
    let list = Generation::filled(with_replicas(exact(), "{}", 2), &record, None).expect("it is filled");
    std::thread::scope(|scope| {
        for value in 0..4 {
            let (record, list) = (&record, &list);
            scope.spawn(move || {
                for turn in 0..2000 {
                    let (directions, verdict) = match turn % 2 {
                        0 => (Directions::BOTH, Verdict::Block),
                        _ => (Directions::NONE, Verdict::Allow),
                    };
                    record.set(subject(value), directions);
                    list.catch_up(&Slow(record)).expect("it catches up");
                    assert_eq!(list.check(subject(value), Direction::Inbound), Ok(verdict), "turn {turn}");
                }
            });
        }
    });
}

#[test]
fn a_check_waiting_for_a_replica_that_is_then_lost_goes_to_another() {
    let limits = Limits { call: Duration::from_millis(50), ..Limits::default() };
    let evil = Plugin::load(support::engine(), portcullis_plugin_bundle::EVIL.component, limits);
    let recipe = with_replicas(evil.expect("it loads"), r#"{"mode":"spin-in-count"}"#, 2);
    let list = Generation::empty(recipe).expect("it starts");
    let many: Vec<Subject> = (0..8_000_000).map(subject).collect();
    let lost = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // One replica is busy for long, the other one forever.
        scope.spawn(|| list.check_many(&many, Direction::Inbound).expect("it answers"));
        scope.spawn(|| {
            assert!(matches!(list.count(), Err(CallError::TimedOut { .. })));
            lost.store(true, Ordering::Relaxed);
        });
        for _ in 0..4 {
            scope.spawn(|| {
                while !lost.load(Ordering::Relaxed) {
                    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Allow));
                }
            });
        }
    });
    assert_eq!(list.left(), 1);
}
