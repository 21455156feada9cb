//! Memory is bounded, and a ceiling holds all the same.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_meters::{DEFAULT_BYTES, MAX_DECLARED, Meters, NodeId, Position, Scope, TooManyMeters};
use proptest::prelude::*;
use support::{message, meter, time};

#[test]
fn a_ceiling_is_not_exceeded_by_messages_at_the_same_time() {
    let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
    let declared = meters.declare(&[meter(Scope::Tenant, 60), meter(Scope::Subject, 60)], time(0)).unwrap();
    let passed = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let mut counts = [0; 2];
                    let reservation = meters.reserve(&declared, &message(1), time(0), &mut counts);
                    if counts[0] < 500 {
                        passed.fetch_add(1, Ordering::Relaxed);
                    } else {
                        meters.release(&reservation);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 500);
    let mut counts = [0; 2];
    meters.peek(&declared, &message(1), time(0), &mut counts);
    assert_eq!(counts, [500, 500]);
}

#[test]
fn of_a_message_without_room_the_count_is_unknown() {
    let limit = 100_000;
    let meters = Meters::new(NodeId(1), limit);
    let declared = meters.declare(&[meter(Scope::Subject, 60), meter(Scope::Tenant, 60)], time(0)).unwrap();
    let send = |person, at| {
        let mut counts = [0; 2];
        let reservation = meters.reserve(&declared, &message(person), time(at), &mut counts);
        assert!(meters.usage().bytes <= limit, "{:?}", meters.usage());
        (counts, reservation)
    };
    for person in 0..10_000 {
        send(person, 0);
    }
    let usage = meters.usage();
    assert_eq!(usage.counters as u64 + usage.uncounted, 10_001);
    assert!(usage.counters > 500, "{usage:?}");
    let (counts, reservation) = send(0, 0);
    assert_eq!(counts, [1, 10_000], "a counter that is there stays exact");
    assert!(!reservation.unknown().is_any(0..2));
    let (_, reservation) = send(20_000, 0);
    assert!(reservation.unknown().is_any(0..1) && !reservation.unknown().is_any(1..2));
    assert!(meters.peek(&declared, &message(20_001), time(0), &mut [0; 2]).is_any(0..1));
    assert!(!meters.peek(&declared, &message(0), time(0), &mut [0; 2]).is_any(0..2));
    meters.release(&reservation);
    assert_eq!(send(0, 0).0, [2, 10_001], "what was not counted is not taken off");
    // All of that has expired, and there is room again.
    for count in 0..2 {
        let (counts, reservation) = send(20_002, 100_000);
        assert_eq!((counts[0], reservation.unknown().is_any(0..2)), (count, false));
    }
}

#[test]
fn what_was_saved_of_full_counters_is_all_restored() {
    let limit = 200_000;
    let meters = Meters::new(NodeId(1), limit);
    let declared = meters.declare(&[meter(Scope::Subject, 60)], time(0)).unwrap();
    let is_counted = |&person: &u64| {
        !meters.reserve(&declared, &message(person), time(0), &mut [0]).unknown().is_any(0..1)
    };
    let counted: Vec<u64> = (0..10_000).filter(is_counted).collect();
    assert!(counted.len() < 10_000);
    let saved = meters.changes_since(Position::START, time(0)).bytes;
    let again = Meters::restore([&saved[..]], NodeId(1), limit, time(0)).unwrap();
    let declared = again.declare(&[meter(Scope::Subject, 60)], time(0)).unwrap();
    for person in counted {
        let mut counts = [0];
        let unknown = again.peek(&declared, &message(person), time(0), &mut counts);
        assert_eq!((counts, unknown.is_any(0..1)), ([1], false), "{person}");
    }
}

#[test]
fn the_room_of_counters_that_have_expired_is_used_again() {
    let limit = 300_000;
    let meters = Meters::new(NodeId(1), limit);
    let declared = meters.declare(&[meter(Scope::Subject, 60)], time(0)).unwrap();
    let send =
        |person, at| meters.reserve(&declared, &message(person), time(at), &mut [0]).unknown().is_any(0..1);
    // As many as fit, of which every other one is sent to again before it expires.
    let fit = (0..10_000).take_while(|&person| !send(person, 0)).count() as u64;
    assert!(fit > 1_000, "{fit}");
    for person in (0..fit).step_by(2) {
        assert!(!send(person, 40_000));
    }
    let found = (0..fit).filter(|person| !send(100_000 + person, 70_000)).count() as u64;
    assert!(found > fit / 3, "{found} of {fit}");
    assert!(meters.usage().bytes <= limit, "{:?}", meters.usage());
}

#[test]
fn idle_counters_give_their_memory_back() {
    let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
    let declared = meters.declare(&[meter(Scope::Subject, 60)], time(0)).unwrap();
    for person in 0..100_000 {
        meters.reserve(&declared, &message(person), time(0), &mut [0]);
    }
    let before = meters.usage();
    assert_eq!(before.counters, 100_000);
    let mut position = Position::START;
    for _ in 0..64 {
        position = meters.changes_since(position, time(100_000)).next;
    }
    let after = meters.usage();
    assert_eq!(after.counters, 0);
    assert!(after.bytes < before.bytes / 10, "{before:?} {after:?}");
}

#[test]
fn messages_that_are_stopped_at_once_leave_nothing() {
    let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
    let declared = meters.declare(&[meter(Scope::Subject, 60), meter(Scope::Tenant, 60)], time(0)).unwrap();
    let mut position = Position::START;
    for person in 0..10_000 {
        let reservation = meters.reserve(&declared, &message(person), time(0), &mut [0; 2]);
        if person % 1_000 == 0 {
            position = meters.changes_since(position, time(0)).next;
        }
        meters.release(&reservation);
    }
    // Others were told of those that were on their way then, and have to be told that these did not go.
    assert_eq!(meters.usage().counters, 11);
    assert_eq!(meters.changes_since(position, time(0)).counters, 2);
}

#[test]
fn a_meter_that_was_forgotten_leaves_nothing_to_another() {
    let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
    let mut position = Position::START;
    for window in 1..=5_000 {
        let at = u64::from(window) * 1_000_000;
        let declared = meters.declare(&[meter(Scope::Subject, window)], time(at)).unwrap();
        let mut counts = [7];
        meters.reserve(&declared, &message(1), time(at), &mut counts);
        assert_eq!(counts, [0], "a window of {window} s");
        drop(declared);
        for _ in 0..3 {
            position = meters.changes_since(position, time(at)).next;
        }
    }
}

#[test]
fn too_many_meters_are_refused() {
    let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
    let all: Vec<_> = (1..=200).map(|window| meter(Scope::Tenant, window)).collect();
    assert_eq!(meters.declare(&all, time(0)).err(), Some(TooManyMeters::Declared { declared: 200 }));
    let refused = (1..=u32::from(u16::MAX)).find_map(|window| {
        meters.declare(&[meter(Scope::Tenant, window)], time(0)).err().map(|error| (window, error))
    });
    assert_eq!(refused, Some((2049, TooManyMeters::Lately)));
    assert!(meters.declare(&all[..MAX_DECLARED], time(0)).is_ok(), "those that are known are declared alike");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever happens to memory, nobody is counted less than they were sent.
    #[test]
    fn a_full_table_never_counts_too_few(
        steps in prop::collection::vec((0..3_000_u64, 0..3_000_u64, any::<bool>()), 1..3_000),
        limit in 0..150_000_usize,
    ) {
        let meters = Meters::new(NodeId(1), limit);
        let asked = meter(Scope::Subject, 100);
        let declared = meters.declare(&[asked], time(0)).unwrap();
        let mut sent: Vec<Vec<u64>> = vec![Vec::new(); 3_000];
        let mut now = 0;
        for (person, wait, is_tick) in steps {
            now += wait / 10;
            if is_tick {
                meters.changes_since(Position::START, time(now));
            }
            let sent = &mut sent[usize::try_from(person).unwrap()];
            let mut counts = [0];
            let reservation = meters.reserve(&declared, &message(person), time(now), &mut counts);
            prop_assert!(meters.usage().bytes <= limit);
            // The failure policy answers where it is unknown, and the message is not counted.
            if reservation.unknown().is_any(0..1) {
                continue;
            }
            let least = sent.iter().filter(|&&at| now < at + 100_000).count();
            prop_assert!(counts[0] as usize >= least, "{} of {least}", counts[0]);
            sent.push(now);
        }
    }
}
