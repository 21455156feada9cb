//! Random numbers: of a kind that a plugin can't predict, and of a kind that costs a nanosecond.

use std::hash::{BuildHasher as _, RandomState};

use portcullis_msisdn::{Direction, Subject};

/// Random numbers that a plugin can't predict, also from earlier ones.
pub(crate) struct Random {
    state: RandomState,
    drawn: u64,
}

impl Random {
    pub(crate) fn new() -> Self {
        Random { state: RandomState::new(), drawn: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.drawn += 1;
        self.state.hash_one(self.drawn)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // The bias is immaterial: `end` is tiny in comparison to 2^64.
        let wide = u128::from(self.bits()) * end as u128;
        usize::try_from(wide >> u64::BITS).unwrap_or_default()
    }

    pub(crate) fn subject(&mut self) -> Subject {
        Subject::new(self.bits() >> (u64::BITS - Subject::BITS)).unwrap_or(Subject::MIN)
    }

    pub(crate) fn direction(&mut self) -> Direction {
        if self.below(2) == 0 { Direction::Inbound } else { Direction::Outbound }
    }

    /// Puts items in random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for left in (1..items.len()).rev() {
            items.swap(left, self.below(left + 1));
        }
    }
}

/// Random numbers that cost a nanosecond (Marsaglia 2003), for what a plugin can't observe. Seeded by the first use.
#[derive(Debug, Default)]
pub(crate) struct Xorshift(u32);

impl Xorshift {
    /// A number below `end`, which must not be 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        if self.0 == 0 {
            self.0 = (RandomState::new().hash_one(end) >> 32) as u32 | 1;
        }
        // It never gets to 0.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_their_range_and_all_of_them_occur() {
        let (mut random, mut cheap) = (Random::new(), Xorshift::default());
        let (mut seen, mut seen_cheap) = ([false; 8], [false; 8]);
        for _ in 0..1000 {
            seen[random.below(8)] = true;
            seen_cheap[cheap.below(8) as usize] = true;
        }
        assert_eq!((seen, seen_cheap), ([true; 8], [true; 8]));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_shuffle_keeps_all_items() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new().shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }
}
