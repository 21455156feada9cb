//! The phone numbers that servers are asked about.
//!
//! The last number of each hundred is blocked. So a list of any size can be generated with a single `seq`, and 99 of
//! 100 random numbers in its range are not blocked.

use crate::SplitMix;

/// The first number, which is not blocked.
pub const FIRST: u64 = 46_732_000_000;

/// The number of phone numbers per blocked one.
pub const RANGE: u64 = 100;

/// The `nth` blocked number.
pub fn member(nth: u64) -> u64 {
    FIRST + nth * RANGE + RANGE - 1
}

/// The number before the `nth` blocked one, which is not blocked.
pub fn stranger(nth: u64) -> u64 {
    member(nth) - 1
}

/// The `nth` number to check, from the first `count`. Random, so that the next one is not in any cache.
pub fn asked(nth: u64, count: u64) -> u64 {
    FIRST + SplitMix::new(nth).bits() % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_is_blocked() {
        let is_member = |number: u64| number % RANGE == member(0) % RANGE;
        let members = (0..100_000).filter(|&nth| is_member(asked(nth, 6_400_000))).count();
        assert!((900..1100).contains(&members), "{members}");
        assert!((0..1000).all(|nth| !is_member(asked(nth, RANGE - 1))), "the first 99 are not blocked");
    }
}
