//! Counts the instructions of a check under valgrind. The counts don't depend on the load of the machine, so they show
//! whether a change made the path longer.
//!
//! Each benchmark does the same work for 1,024 numbers, of which `cargo xtask bench` takes the mean, because the count
//! depends on a number's position in the set.
#![forbid(unsafe_code)]
#![allow(missing_docs, unused_qualifications, reason = "gungraun's macros generate such code")]

use std::hint::black_box;
use std::time::Duration;

use gungraun::Callgrind;
use gungraun::prelude::*;
use portcullis_benches::{SplitMix, holding, members, native as native_set, recipe_within};
use portcullis_hashed_set::DirectedSet;
use portcullis_host::{Direction, Generation, Limits, Msisdn, Permutation, PermutationKey, Subject, Verdict};

const SIZE: usize = 64_000;
const ASKED: usize = 1024;

fn hits() -> Vec<Subject> {
    // From the whole list, in random order.
    members(SIZE).into_iter().step_by(SIZE / ASKED).take(ASKED).collect()
}

fn misses() -> Vec<Subject> {
    let mut random = SplitMix::new(2);
    (0..ASKED).map(|_| random.subject()).collect()
}

fn in_set(asked: Vec<Subject>) -> (DirectedSet, Vec<Subject>) {
    in_set_of(SIZE, asked)
}

fn in_set_of(size: usize, asked: Vec<Subject>) -> (DirectedSet, Vec<Subject>) {
    let set = native_set(&members(size));
    // Warms the caches with what every check needs.
    let mut others = SplitMix::new(3);
    for _ in 0..1 << 17 {
        black_box(set.contains(others.subject(), Direction::Inbound));
    }
    (set, asked)
}

/// Valgrind slows everything down by a factor of fifty, so the limits are raised.
fn in_host(asked: Vec<Subject>) -> (Generation, Vec<Subject>) {
    let timeout = Duration::from_secs(600);
    let limits =
        Limits { check: timeout, call: timeout, configure: timeout, load: timeout, ..Limits::default() };
    let list = holding(recipe_within(limits), &members(SIZE));
    // The first call does one-time work.
    assert_eq!(list.check(members(SIZE)[0], Direction::Inbound), Ok(Verdict::Block), "a member is blocked");
    (list, asked)
}

// The benchmarks return their input, so that dropping it is not counted.

#[library_benchmark]
#[bench::hit(in_set(hits()))]
#[bench::miss(in_set(misses()))]
#[bench::miss_of_many(in_set_of(10_000_000, misses()))]
fn one_natively((set, asked): (DirectedSet, Vec<Subject>)) -> (DirectedSet, Vec<Subject>) {
    for &subject in &asked {
        black_box(set.contains(black_box(subject), Direction::Inbound));
    }
    (set, asked)
}

#[library_benchmark]
#[bench::batch(in_set(misses()))]
fn many_natively((set, asked): (DirectedSet, Vec<Subject>)) -> (DirectedSet, Vec<Subject>) {
    black_box(set.contains_many(black_box(&asked), Direction::Inbound));
    (set, asked)
}

#[library_benchmark]
#[bench::hit(in_host(hits()))]
#[bench::miss(in_host(misses()))]
fn one_through_the_host((list, asked): (Generation, Vec<Subject>)) -> (Generation, Vec<Subject>) {
    for &subject in &asked {
        let _ = black_box(list.check(black_box(subject), Direction::Inbound));
    }
    (list, asked)
}

#[library_benchmark]
#[bench::batch(in_host(misses()))]
fn many_through_the_host((list, asked): (Generation, Vec<Subject>)) -> (Generation, Vec<Subject>) {
    let _ = black_box(list.check_many(black_box(&asked), Direction::Inbound));
    (list, asked)
}

fn texts() -> Vec<String> {
    (0..ASKED).map(|nth| format!("+46732{:06}", nth * 977)).collect()
}

fn numbers() -> (Permutation, Vec<Msisdn>) {
    let numbers = texts().iter().map(|text| Msisdn::parse(text).expect("a valid number")).collect();
    (Permutation::new(PermutationKey::from_bytes([7; 16])), numbers)
}

#[library_benchmark]
#[bench::parse(texts())]
fn parse(texts: Vec<String>) -> Vec<String> {
    for text in &texts {
        let _ = black_box(Msisdn::parse(black_box(text)));
    }
    texts
}

#[library_benchmark]
#[bench::permute(numbers())]
fn permute((hidden, numbers): (Permutation, Vec<Msisdn>)) -> (Permutation, Vec<Msisdn>) {
    for &number in &numbers {
        black_box(hidden.subject(black_box(number)));
    }
    (hidden, numbers)
}

// Results are named after these groups and cases: `instructions/native/miss`.
library_benchmark_group!(name = native, benchmarks = [one_natively, many_natively]);
library_benchmark_group!(name = host, benchmarks = [one_through_the_host, many_through_the_host]);
library_benchmark_group!(name = edge, benchmarks = [parse, permute]);
// The last cache in the model has the size of a core's own cache, so that a miss is what a core waits for. The
// machine's last cache is shared, and too large for any list here to miss.
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--LL=2097152,16,64"])),
    library_benchmark_groups = [native, host, edge]
);
