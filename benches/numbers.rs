//! The telephone numbers that servers are asked about.
//!
//! The last of each hundred is blocked: a list of any size is then one `seq` for whoever fills a server, and among random
//! numbers of its range 99 of 100 are strangers.

use crate::SplitMix;

/// The first number of all, a stranger.
pub const FIRST: u64 = 46_732_000_000;

/// How many numbers there are for each one that is blocked.
pub const RANGE: u64 = 100;

/// The `nth` blocked number.
pub fn member(nth: u64) -> u64 {
    FIRST + nth * RANGE + RANGE - 1
}

/// A number that is not blocked, the `nth` of them that come before blocked ones.
pub fn stranger(nth: u64) -> u64 {
    member(nth) - 1
}

/// The `nth` number to ask about, of the first `count`: in random order, so that no cache holds what comes next.
pub fn asked(nth: u64, count: u64) -> u64 {
    FIRST + SplitMix::new(nth).bits() % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_hundred_is_blocked() {
        let is_member = |number: u64| number % RANGE == member(0) % RANGE;
        let members = (0..100_000).filter(|&nth| is_member(asked(nth, 6_400_000))).count();
        assert!((900..1100).contains(&members), "{members}");
        assert!((0..1000).all(|nth| !is_member(asked(nth, RANGE - 1))), "the first 99 are strangers");
    }
}
