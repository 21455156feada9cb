//! What a place costs: `cargo run --release -p portcullis-zones --example place`.
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::hint::black_box;
use std::time::Instant;

use portcullis_msisdn::Msisdn;
use portcullis_zones::Place;

const ROUNDS: u64 = 5_000_000;
/// A day in 2026, in milliseconds.
const NOW: u64 = 1_790_000_000_000;

fn main() {
    let numbers: Vec<Msisdn> =
        [46_732_001_122, 12_125_550_123, 18_005_550_123, 61_412_345_678, 447_911_123_456, 881_612_345_678]
            .into_iter()
            .filter_map(|number| Msisdn::try_from(number).ok())
            .collect();
    let started = Instant::now();
    black_box(Place::of(numbers[0]));
    println!("the first place: {} µs", started.elapsed().as_micros());
    let started = Instant::now();
    for number in &numbers {
        black_box(Place::of(*number).offsets(NOW));
    }
    println!("the first offsets of {} places: {} µs", numbers.len(), started.elapsed().as_micros());
    let each = |started: Instant| started.elapsed().as_nanos() as f64 / ROUNDS as f64;
    let number = |round: u64| numbers[usize::try_from(round).unwrap_or_default() % numbers.len()];
    let started = Instant::now();
    for round in 0..ROUNDS {
        black_box(Place::of(black_box(number(round))).country());
    }
    println!("a place and its country: {:.1} ns", each(started));
    let started = Instant::now();
    for round in 0..ROUNDS {
        black_box(Place::of(black_box(number(round))).offsets(NOW + round));
    }
    println!("a place and its offsets: {:.1} ns", each(started));
}
