//! Statistical tests: whether permuted values look random, and whether the tests would detect it if they did not.
//!
//! Keys and inputs are fixed, so the results are reproducible. Each test also asserts that too few rounds fail it: zero
//! and one round fail all of them, two fail most, three and four fail the last. Five rounds pass, because
//! distinguishing them takes about 2^25 values. Such tests detect blunders; they don't prove security.

use std::vec;
use std::vec::Vec;

use super::{HALF, HALF_BITS, permute};
use crate::siphash::Key;

/// The bound for six rounds on every statistic here, in standard deviations. The maximum of ten thousand independent
/// normal values is about 4.
const USUAL: f64 = 5.0;

const KEYS: [Key; 4] = [
    [0, 0],
    [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908],
    [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9],
    [u64::MAX, u64::MAX],
];

/// A run of Swedish mobile numbers.
const FIRST_NUMBER: u64 = 46_732_000_000;

fn worst_of_keys(statistic: impl Fn(&Key) -> f64) -> f64 {
    KEYS.iter().map(statistic).fold(0.0, f64::max)
}

/// The deviation of the permuted values from an even distribution over 2^16 buckets: the chi-square statistic of the
/// upper, middle and lower 16 bits, of which the largest is returned, in standard deviations.
fn unevenness<const ROUNDS: u64>(key: &Key, inputs: impl Iterator<Item = u64>) -> f64 {
    const BUCKETS: u32 = 1 << 16;
    let mut counts = [34, 17, 0].map(|shift| (shift, vec![0_u32; BUCKETS as usize]));
    let mut inputs_seen = 0;
    for input in inputs {
        let value = permute::<ROUNDS>(key, input);
        for (shift, buckets) in &mut counts {
            let bucket = value >> *shift & u64::from(BUCKETS - 1);
            buckets[usize::try_from(bucket).unwrap()] += 1;
        }
        inputs_seen += 1;
    }
    let expected = f64::from(inputs_seen) / f64::from(BUCKETS);
    let freedom = f64::from(BUCKETS - 1);
    counts
        .iter()
        .map(|(_, buckets)| {
            let chi_square: f64 =
                buckets.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
            ((chi_square - freedom) / (2.0 * freedom).sqrt()).abs()
        })
        .fold(0.0, f64::max)
}

/// 2^20 consecutive numbers, which differ in the right half.
fn consecutive_unevenness<const ROUNDS: u64>() -> f64 {
    worst_of_keys(|key| unevenness::<ROUNDS>(key, FIRST_NUMBER..FIRST_NUMBER + (1 << 20)))
}

/// 2^20 values at intervals of 2^25, which differ in the left half.
fn strided_unevenness<const ROUNDS: u64>() -> f64 {
    worst_of_keys(|key| {
        unevenness::<ROUNDS>(key, (0..1 << 20).map(|left| left << HALF_BITS | FIRST_NUMBER & HALF))
    })
}

#[test]
fn subjects_of_consecutive_numbers_are_spread_evenly() {
    assert!(consecutive_unevenness::<6>() < USUAL);
    assert!(consecutive_unevenness::<0>() > 20.0 * USUAL);
    assert!(consecutive_unevenness::<1>() > 20.0 * USUAL);
}

#[test]
fn values_that_differ_in_the_left_half_are_spread_evenly() {
    assert!(strided_unevenness::<6>() < USUAL);
    assert!(strided_unevenness::<0>() > 20.0 * USUAL);
    assert!(strided_unevenness::<2>() > 20.0 * USUAL);
}

/// For each input bit and each output bit, how often flipping the input flips the output. Returns the largest deviation
/// from one half, in standard deviations.
fn avalanche<const ROUNDS: u64>() -> f64 {
    const SAMPLES: u32 = 1 << 12;
    const BITS: u32 = 2 * HALF_BITS;
    worst_of_keys(|key| {
        let mut worst = 0.0_f64;
        for input_bit in 0..BITS {
            let mut flips = [0_u32; BITS as usize];
            for sample in 0..SAMPLES {
                // Scattered: with consecutive inputs each pair would be counted from both ends.
                let input = u64::from(sample).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS);
                let changed = permute::<ROUNDS>(key, input) ^ permute::<ROUNDS>(key, input ^ 1 << input_bit);
                for (output_bit, flips) in flips.iter_mut().enumerate() {
                    *flips += u32::from(changed >> output_bit & 1 == 1);
                }
            }
            let deviation = (f64::from(SAMPLES) / 4.0).sqrt();
            for flips in flips {
                let distance = (f64::from(flips) - f64::from(SAMPLES) / 2.0).abs();
                worst = worst.max(distance / deviation);
            }
        }
        worst
    })
}

#[test]
fn every_input_bit_flips_every_output_bit_half_of_the_time() {
    assert!(avalanche::<6>() < USUAL);
    assert!(avalanche::<0>() > 10.0 * USUAL);
    assert!(avalanche::<2>() > 10.0 * USUAL);
}

/// The number of pairs of values differing only in the left half whose outputs differ in one half exactly as their
/// inputs do. Returns the larger deviation from chance of the two output halves, in standard deviations.
///
/// Four rounds produce twice as many such pairs as chance, which is what Patarin's attack on four rounds exploits.
fn kept_differences<const ROUNDS: u64>() -> f64 {
    const VALUES: u32 = 1 << 19;
    let by_chance = f64::from(VALUES) * f64::from(VALUES - 1) / 2.0 / f64::from(1_u32 << HALF_BITS);
    worst_of_keys(|key| {
        [HALF_BITS, 0]
            .into_iter()
            .map(|shift| {
                // A pair keeps its difference if the XOR of input and output is the same for both.
                let sums = (0..u64::from(VALUES)).map(|left| {
                    let output = permute::<ROUNDS>(key, left << HALF_BITS | FIRST_NUMBER & HALF);
                    left ^ output >> shift & HALF
                });
                ((equal_pairs(sums) - by_chance) / by_chance.sqrt()).abs()
            })
            .fold(0.0, f64::max)
    })
}

fn equal_pairs(values: impl Iterator<Item = u64>) -> f64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values
        .chunk_by(|a, b| a == b)
        .map(|equal| {
            let count = f64::from(u32::try_from(equal.len()).unwrap());
            count * (count - 1.0) / 2.0
        })
        .sum()
}

#[test]
fn differences_in_the_left_half_are_not_kept() {
    assert!(kept_differences::<6>() < USUAL);
    assert!(kept_differences::<0>() > 10.0 * USUAL);
    assert!(kept_differences::<2>() > 10.0 * USUAL);
    assert!(kept_differences::<3>() > 10.0 * USUAL);
    assert!(kept_differences::<4>() > 10.0 * USUAL);
}
