//! Counts on disk.

mod support;

use std::fs;
use std::path::Path;

use portcullis_keys::Seal;
use portcullis_meters::{DEFAULT_BYTES, Journal, JournalError, Meters, NodeId, Scope, Time};
use support::{message, meter, time};

fn seal() -> Seal {
    Seal::new(&[7; 32])
}

fn restore(path: &Path, now: Time) -> (Meters, Journal, u64) {
    let (journal, saved) = Journal::open(path, &seal()).unwrap();
    let changes = saved.changes.iter().map(Vec::as_slice);
    (Meters::restore(changes, NodeId(9), DEFAULT_BYTES, now).unwrap(), journal, saved.lost_bytes)
}

fn send(meters: &Meters, person: u64, at: u64) -> u32 {
    let declared = meters.declare(&[meter(Scope::Subject, 86_400)], time(at)).unwrap();
    let mut counts = [0];
    meters.reserve(&declared, &message(person), time(at), &mut counts);
    counts[0]
}

fn count(meters: &Meters, person: u64, at: u64) -> u32 {
    let declared = meters.declare(&[meter(Scope::Subject, 86_400)], time(at)).unwrap();
    let mut counts = [0];
    meters.peek(&declared, &message(person), time(at), &mut counts);
    counts[0]
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meters/acme");
    for restart in 0..3 {
        let (meters, mut journal, lost) = restore(&path, time(0));
        assert_eq!(lost, 0);
        for round in 0..4 {
            assert_eq!(send(&meters, 1, 0), restart * 4 + round);
            journal.save(&meters, &seal(), time(0)).unwrap();
        }
        journal.sync().unwrap();
        send(&meters, 2, 0);
    }
    assert_eq!(count(&restore(&path, time(0)).0, 2, 0), 0, "what was not saved is lost");
}

#[test]
fn a_file_that_is_torn_anywhere_keeps_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme");
    let (meters, mut journal, _) = restore(&path, time(0));
    let mut whole = Vec::new();
    for _ in 0..5 {
        send(&meters, 1, 0);
        journal.save(&meters, &seal(), time(0)).unwrap();
        whole.push(fs::metadata(&path).unwrap().len());
    }
    let bytes = fs::read(&path).unwrap();
    for length in 24..bytes.len() {
        let torn = dir.path().join("torn");
        fs::write(&torn, &bytes[..length]).unwrap();
        let (meters, mut journal, lost) = restore(&torn, time(0));
        let kept = whole.iter().filter(|&&end| end <= length as u64).count();
        assert_eq!(count(&meters, 1, 0) as usize, kept, "{length} bytes");
        assert_eq!(lost, length as u64 - whole[..kept].last().copied().unwrap_or(24));
        journal.save(&meters, &seal(), time(0)).unwrap();
        assert_eq!(count(&restore(&torn, time(0)).0, 1, 0) as usize, kept);
    }
    let mut changed = bytes.clone();
    changed[whole[2] as usize + 30] ^= 1;
    fs::write(&path, changed).unwrap();
    assert_eq!(count(&restore(&path, time(0)).0, 1, 0), 3);
}

#[test]
fn a_file_of_another_key_or_kind_is_not_taken_for_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme");
    let (meters, mut journal, _) = restore(&path, time(0));
    send(&meters, 1, 0);
    journal.save(&meters, &seal(), time(0)).unwrap();
    let (_, saved) = Journal::open(&path, &Seal::new(&[8; 32])).unwrap();
    assert!(saved.changes.is_empty() && saved.lost_bytes > 0);
    for other in ["", "PCMETER\x02 and more than sixteen bytes", "a text"] {
        fs::write(&path, other).unwrap();
        assert!(matches!(Journal::open(&path, &seal()), Err(JournalError::Foreign { .. })), "{other:?}");
    }
}

#[test]
fn a_file_is_written_anew_before_it_grows_long() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme");
    let (meters, mut journal, _) = restore(&path, time(0));
    let mut longest = 0;
    for round in 0..400 {
        for person in 0..1_000 {
            send(&meters, person, 0);
        }
        journal.save(&meters, &seal(), time(0)).unwrap();
        longest = longest.max(fs::metadata(&path).unwrap().len());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished remains after {round}");
    }
    assert!((1 << 20..(1 << 20) + 100_000).contains(&longest), "{longest}");
    assert_eq!(count(&restore(&path, time(0)).0, 999, 0), 400);
}

#[test]
fn counts_go_on_if_the_clock_was_set_back_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme");
    let day = 86_400_000;
    let (meters, mut journal, _) = restore(&path, time(10 * day));
    send(&meters, 1, 10 * day);
    journal.save(&meters, &seal(), time(10 * day)).unwrap();
    let (meters, mut journal, _) = restore(&path, time(0));
    assert_eq!(count(&meters, 1, 0), 1);
    send(&meters, 1, day / 2);
    journal.save(&meters, &seal(), time(day / 2)).unwrap();
    assert_eq!(count(&meters, 1, day / 2), 2);
    assert_eq!(count(&meters, 1, day + day / 4), 1, "they expire in their time");
    // It was set right again: what passed meanwhile, passed.
    let (meters, ..) = restore(&path, time(10 * day + day / 2));
    assert_eq!(count(&meters, 1, 10 * day + day / 2), 2);
    assert_eq!(count(&meters, 1, 12 * day), 0);
}
