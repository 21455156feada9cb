//! Verification of a generation while it changes.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_host::{Directions, Generation};
use support::record::Record;
use support::{exact, recipe, subject};

#[test]
fn a_list_that_grows_during_verification_is_not_reported_as_miscounted() {
    let record = Record::of((0..1000).map(subject));
    let list = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in (1000..).take_while(|_| !stop.load(Ordering::Relaxed)) {
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
