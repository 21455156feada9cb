//! The balanced Feistel network on 25 + 25 bits that the permutation is built on.
//!
//! The number of rounds is a parameter so that tests can show that the statistics which six rounds pass fail with
//! fewer.

use crate::siphash;

#[cfg(test)]
mod statistics;

/// The number of bits in each half.
const HALF_BITS: u32 = 25;
/// A mask for the right half.
const HALF: u64 = (1 << HALF_BITS) - 1;

/// Permutes `value`, which must be below 2^50. So is the result.
#[inline]
pub(crate) fn permute<const ROUNDS: u64>(key: &siphash::Key, value: u64) -> u64 {
    let (mut left, mut right) = (value >> HALF_BITS, value & HALF);
    for round in 0..ROUNDS {
        (left, right) = (right, left ^ mix(key, round, right));
    }
    left << HALF_BITS | right
}

/// The inverse of [`permute`]. `value` must be below 2^50; so is the result.
#[inline]
pub(crate) fn invert<const ROUNDS: u64>(key: &siphash::Key, value: u64) -> u64 {
    let (mut left, mut right) = (value >> HALF_BITS, value & HALF);
    for round in (0..ROUNDS).rev() {
        (left, right) = (right ^ mix(key, round, left), left);
    }
    left << HALF_BITS | right
}

/// The round function: 25 bits of SipHash-1-3 over the round number (4 bits) and a half (28 bits).
#[inline(always)]
fn mix(key: &siphash::Key, round: u64, half: u64) -> u64 {
    let [b0, b1, b2, b3, ..] = (round << 28 | half).to_le_bytes();
    siphash::hash::<1, 3, 4>(key, [b0, b1, b2, b3]) & HALF
}
