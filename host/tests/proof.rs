//! Verification of a generation while it changes.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_host::{Direction, Directions, Generation};
use support::record::Record;
use support::{evil, exact, recipe, subject};

#[test]
fn a_list_that_grows_during_verification_is_not_reported_as_miscounted() {
    let record = Record::of((0..1000).map(subject));
    let list = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in (1000..100_000).take_while(|_| !stop.load(Ordering::Relaxed)) {
                record.set(subject(value), Directions::BOTH);
                list.catch_up(&record).expect("it catches up");
            }
        });
        let proofs: Vec<_> = (0..100).map(|_| list.prove(&record)).collect();
        stop.store(true, Ordering::Relaxed);
        for proof in proofs {
            proof.expect("it holds what the record holds");
        }
    });
}

/// What a check was answered before a write says nothing about the plugin after it.
#[test]
fn answers_from_before_a_write_are_not_held_against_the_plugin() {
    let record = Record::of((0..100).map(subject));
    let list = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
    for round in 0..200 {
        let changing = subject(round % 100);
        for value in 0..100 {
            list.check(subject(value), Direction::Outbound).expect("it answers");
        }
        let directions = if round < 100 { Directions::NONE } else { Directions::BOTH };
        record.set(changing, directions);
        // The plugin does not have it yet, and then it has.
        list.spot_check(&record, 8).expect("it is honest");
        list.check_many(&[changing, subject(1 << 40)], Direction::Inbound).expect("it answers");
        list.catch_up(&record).expect("it follows");
        list.spot_check(&record, 8).expect("it is honest");
    }
}

#[test]
fn checks_and_writes_at_the_same_time_never_look_like_lies() {
    let record = Record::of((0..100).map(subject));
    let list = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                let directions = if value % 3 == 0 { Directions::NONE } else { Directions::INBOUND };
                record.set(subject(value % 100), directions);
                list.catch_up(&record).expect("it follows");
            }
        });
        scope.spawn(|| {
            let pair = |value| [subject(value % 100), subject(value % 7)];
            for value in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                list.check(subject(value % 100), Direction::Inbound).expect("it answers");
                list.check_many(&pair(value), Direction::Outbound).expect("it answers");
            }
        });
        let proofs: Vec<_> = (0..300).map(|_| list.spot_check(&record, 8)).collect();
        stop.store(true, Ordering::Relaxed);
        for proof in proofs {
            proof.expect("it is honest");
        }
    });
}

/// A list with little traffic has each answer verified.
#[test]
fn a_single_wrong_answer_to_a_check_is_found() {
    let record = Record::of((0..300).map(subject));
    let options = r#"{"mode":"lie-to-regulars"}"#;
    let list = Generation::filled(recipe(evil(), options), &record, None).expect("it is proven");
    let mut found = None;
    for _ in 0..200 {
        list.check(subject(7), Direction::Inbound).expect("it answers");
        found = list.spot_check(&record, 1).err();
        if found.is_some() {
            break;
        }
    }
    assert!(found.is_some_and(|error| error.kind() == "forgotten"));
}
