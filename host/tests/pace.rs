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

/// The niceness of the threads at low priority, as the system says.
#[cfg(target_os = "linux")]
fn niceness_of_quiet_threads() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").expect("it is Linux");
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    let nice = |stat: String| {
        let (name, rest) = stat.rsplit_once(')')?;
        // The name is cut short by the system, and the niceness is the 19th field, of which two come before.
        name.contains("(portcullis-quie").then(|| rest.split_whitespace().nth(16)?.parse().ok()).flatten()
    };
    stats.filter_map(nice).collect()
}

/// Nobody knows that the plugin is slow when the write begins.
#[cfg(target_os = "linux")]
#[test]
fn a_long_write_to_a_plugin_that_proves_slow_goes_on_with_low_priority() {
    let slow = recipe(evil(Duration::from_secs(2)), r#"{"mode":"slow-block"}"#);
    let list = Generation::empty(slow.clone()).expect("it starts");
    let other = Generation::empty(slow).expect("it starts");
    let record = Record::of((0..400).map(subject));
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        let write = scope.spawn(|| list.catch_up(&record).map(drop).expect("it follows"));
        while !list.is_slow() {
            assert!(!write.is_finished(), "it is known to be slow before the end");
            std::thread::yield_now();
        }
        assert!(list.sequence() < 100, "and near the beginning");
        let mut is_low = false;
        while !write.is_finished() {
            is_low |= niceness_of_quiet_threads().contains(&19);
        }
        assert!(is_low, "after {:?}", start.elapsed());
    });
    // The plugin's other lists know.
    assert!(other.is_slow());
    assert_eq!(list.check(subject(399), IN), Ok(Verdict::Block));
}

#[test]
fn writes_to_a_fast_plugin_don_t_make_it_slow() {
    let list = Generation::empty(recipe(exact(), "{}")).expect("it starts");
    let record = Record::of((0..50_000).map(subject));
    list.catch_up(&record).expect("it follows");
    for value in 50_000..60_000 {
        record.set(subject(value), Directions::BOTH);
        if value % 10 == 0 {
            list.catch_up(&record).expect("it follows");
        }
    }
    assert!(!list.is_slow());
}
