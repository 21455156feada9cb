//! Plugins that are slow, and checks that may not wait for them.

mod support;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use portcullis_host::{
    Blacklist, CallError, Direction, Directions, Generation, Limits, Plugin, Recipe, TryCheckError, Verdict,
};
use support::record::Record;
use support::{MIB, account, engine, entry, exact, recipe, subject};

const IN: Direction = Direction::Inbound;

fn evil(check: Duration) -> Plugin {
    let limits = Limits { check, ..Limits::default() };
    Plugin::load(engine(), portcullis_plugin_bundle::EVIL.component, limits).expect("it loads")
}

#[test]
fn a_fast_plugin_is_never_slow() {
    let list = Generation::empty(recipe(exact(), "{}")).expect("it starts");
    list.block(&[entry(1, Directions::BOTH)]).expect("it is taken");
    for value in 0..100_000 {
        let expected = if value == 1 { Verdict::Block } else { Verdict::Allow };
        assert_eq!(list.try_check(subject(value), IN), Ok(expected));
    }
    assert!(!list.is_slow());
}

#[test]
fn a_slow_plugin_is_not_called_on_threads_that_may_not_wait() {
    let list = Generation::empty(recipe(evil(Duration::from_secs(2)), r#"{"mode":"slow-check"}"#))
        .expect("it starts");
    // The first calls show that it is slow.
    let tried = (0..1000).map(|value| list.try_check(subject(value), IN));
    let answered = tried.take_while(|tried| *tried != Err(TryCheckError::Busy)).count();
    assert!((1..=100).contains(&answered), "{answered}");
    assert!(list.is_slow());
    assert_eq!(list.try_check_many(&[subject(1)], IN), Err(TryCheckError::Busy));
    // It is asked on threads that may wait.
    assert_eq!(list.check(subject(1), IN), Ok(Verdict::Allow));
    assert_eq!(list.check_many_within(Duration::ZERO, &[subject(1)], IN), Ok(vec![Verdict::Allow]));
}

#[test]
fn a_plugin_that_is_slow_on_one_list_is_not_tried_on_each_of_the_others() {
    let slow = recipe(evil(Duration::from_secs(2)), r#"{"mode":"slow-check"}"#);
    let slow = Recipe { account: account(512 * MIB), ..slow };
    let lists: Vec<_> = (0..64).map(|_| Generation::empty(slow.clone()).expect("it starts")).collect();
    let tried = (0..4).flat_map(|_| &lists).map(|list| list.try_check(subject(1), IN));
    // The first ones show that it is slow.
    let calls = tried.filter(|tried| *tried != Err(TryCheckError::Busy)).count();
    assert!((1..=16).contains(&calls), "{calls}");
    assert!(lists.iter().all(Generation::is_slow));
}

#[test]
fn a_next_generation_is_as_slow_as_the_one_before_and_filling_it_says_nothing() {
    let record = Record::default();
    let slow = recipe(evil(Duration::from_secs(2)), r#"{"mode":"slow-check"}"#);
    let next = Generation::filled(slow.clone(), &record, None).expect("it is proven");
    assert!(!next.is_slow(), "nobody waited for it");
    let list = Blacklist::new(Generation::empty(slow).expect("it starts"));
    while list.try_check(subject(1), IN) != Err(TryCheckError::Busy) {}
    list.replace(Arc::new(next), &record).expect("it follows");
    assert_eq!(list.try_check(subject(1), IN), Err(TryCheckError::Busy));
    // Another plugin is another matter.
    list.replace(Arc::new(support::empty(exact())), &record).expect("it follows");
    assert_eq!(list.try_check(subject(1), IN), Ok(Verdict::Allow));
}

#[test]
fn a_check_that_may_not_wait_does_not_wait_for_a_call_that_is_under_way() {
    let list = Generation::empty(recipe(evil(Duration::from_secs(2)), r#"{"mode":"spin-in-count"}"#))
        .expect("it starts");
    let (ended, end) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| ended.send(list.count()).expect("the test waits"));
        // Until the other thread has the instance.
        while list.try_check(subject(2), IN) == Ok(Verdict::Allow) {}
        assert_eq!(list.try_check(subject(2), IN), Err(TryCheckError::Busy));
        let millisecond = Duration::from_millis(1);
        assert_eq!(list.check_many_within(millisecond, &[subject(2)], IN), Err(TryCheckError::Busy));
        assert!(end.try_recv().is_err(), "it still counts");
    });
}

#[test]
fn an_instruction_that_can_t_be_interrupted_is_noticed() {
    let plugin = evil(Duration::from_millis(2));
    let mut recipe = recipe(plugin, r#"{"mode":"fill-memory"}"#);
    recipe.account = account(512 * MIB);
    let list = Generation::empty(recipe).expect("it starts");
    let fault = (0..10).find_map(|value| list.check(subject(value), IN).err());
    assert!(matches!(fault, Some(CallError::TimedOut { call: "check", .. })), "{fault:?}");
}

#[test]
fn a_plugin_that_begins_to_lie_is_found() {
    let record = Record::default();
    for value in 0..1000 {
        record.set(subject(value), Directions::BOTH);
    }
    let recipe = recipe(evil(Duration::from_secs(2)), r#"{"mode":"lie-later"}"#);
    let list = Generation::filled(recipe, &record, None).expect("it is proven");
    list.spot_check(&record, 8).expect("it is honest so far");
    for value in 0..20_000 {
        list.check(subject(value), IN).expect("it answers");
    }
    let error = list.spot_check(&record, 8).expect_err("it lies");
    assert_eq!(error.kind(), "forgotten", "{error}");
}

#[test]
fn an_honest_plugin_passes_every_spot_check_while_its_list_changes() {
    let record = Record::default();
    let list = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is proven");
    list.spot_check(&record, 8).expect("an empty list");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for value in 0..2000 {
                record.set(
                    subject(value % 50),
                    if value % 3 == 0 { Directions::NONE } else { Directions::BOTH },
                );
                list.catch_up(&record).expect("it follows");
            }
        });
        while !writer.is_finished() {
            list.spot_check(&record, 8).expect("it is honest");
        }
    });
}
