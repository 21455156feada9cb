//! Test data for several modules.

use alloc::vec::Vec;

use portcullis_msisdn::{Directions, Subject};
use proptest::prelude::*;

use crate::level::Limits;

/// Limits, mostly so small that a hundred members cause many splits and merges.
pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits { high: 8, step: 2, low: 3 }),
        Just(Limits { high: 40, step: 3, low: 10 }),
        Just(Limits { high: 6, step: 6, low: 3 }),
        Just(Limits::DEFAULT),
    ]
}

pub(crate) fn subject(value: u64) -> Subject {
    Subject::new(value).expect("below 2^50")
}

/// Subjects of one kind at a time: uniformly distributed like permuted numbers; neighbours, which share a bucket; some
/// with the same slot in several shards; the smallest and largest.
pub(crate) fn subjects() -> impl Strategy<Value = BoxedStrategy<Subject>> {
    let last = Subject::MAX.get();
    prop_oneof![
        3 => Just((0..=last).boxed()),
        2 => (0..=last - 300).prop_map(|first| (first..first + 300).boxed()),
        2 => Just((0..40_u64, 0..9_u64).prop_map(|(slot, rest)| slot << 34 | rest).boxed()),
        1 => Just(prop_oneof![Just(0), Just(1), Just(last - 1), Just(last), 0..=last].boxed()),
    ]
    .prop_map(|values| values.prop_map(subject).boxed())
}

pub(crate) fn directions() -> impl Strategy<Value = Directions> {
    (0..4_u8).prop_map(|bits| Directions::from_bits(bits).expect("two bits"))
}

/// Distinct subjects, uniformly distributed like permuted numbers, in no particular order.
pub(crate) fn spread(seed: u64, count: u64) -> impl Iterator<Item = Subject> + Clone {
    // Odd multipliers and right shifts permute 2^50 values, so none repeats.
    let mask = Subject::MAX.get();
    (seed << 32..(seed << 32) + count).map(move |n| {
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask;
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0xBF58_476D_1CE4_E5B9) & mask;
        subject(mixed ^ mixed >> 25)
    })
}

pub(crate) fn sorted<T: Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable();
    values
}
