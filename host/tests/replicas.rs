//! Several instances behind one list.

mod support;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_host::{CallError, Direction, Directions, Generation, Plugin, Recipe, Verdict};
use support::record::Record;
use support::{entry, evil, exact, recipe, subject};

fn with_replicas(plugin: Plugin, options: &str, replicas: usize) -> Recipe {
    Recipe { replicas: NonZeroUsize::new(replicas).expect("at least one"), ..recipe(plugin, options) }
}

#[test]
fn a_write_is_in_all_of_them_when_it_returns() {
    let list = Generation::empty(with_replicas(exact(), "{}", 3)).expect("it starts");
    let stop = AtomicBool::new(false);
    // Threads that keep the instances busy, so that each of them gets to answer.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let verdict = list.check(subject(0), Direction::Inbound).expect("it answers");
                    assert_eq!(verdict, Verdict::Allow);
                }
            });
        }
        for value in 1..200 {
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
    assert_eq!(list.count(), Ok(199));
}

#[test]
fn one_that_is_lost_leaves_the_others_and_gives_its_memory_back() {
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
fn retiring_gives_all_memory_back() {
    let record = Record::of((0..1000).map(subject));
    let list = Generation::filled(with_replicas(exact(), "{}", 2), &record, None).expect("it is filled");
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Block));
    list.retire();
    assert_eq!((list.left(), list.recipe().account.used()), (0, 0));
    assert_eq!(list.check(subject(1), Direction::Inbound), Err(CallError::OutOfService));
}
