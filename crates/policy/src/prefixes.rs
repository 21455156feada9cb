//! Numbers by their first digits.

use std::collections::BTreeMap;

/// The most digits of a number.
pub(crate) const MAX_DIGITS: u8 = 15;

/// A number below this is a telephone number: others are identities without one.
const NUMBERS: u64 = 10_u64.pow(15);

/// What holds for numbers by the digits that they begin with: the longest decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes<T> {
    /// By length, the longest first.
    by_length: Vec<(u32, BTreeMap<u64, T>)>,
}

impl<T> Prefixes<T> {
    /// Adds digits, at most 15, the first not 0. Returns whether they were not there.
    pub(crate) fn add(&mut self, prefix: u64, value: T) -> bool {
        let length = digits(prefix);
        let place = match self.by_length.binary_search_by(|(other, _)| length.cmp(other)) {
            Ok(place) => place,
            Err(place) => {
                self.by_length.insert(place, (length, BTreeMap::new()));
                place
            }
        };
        self.by_length.get_mut(place).is_some_and(|(_, prefixes)| prefixes.insert(prefix, value).is_none())
    }

    /// What holds for a number, if its digits are known.
    pub(crate) fn longest(&self, number: u64) -> Option<&T> {
        if !(1..NUMBERS).contains(&number) {
            return None;
        }
        let length = digits(number);
        self.by_length.iter().find_map(|(shorter, prefixes)| {
            prefixes.get(&(number / 10_u64.pow(length.checked_sub(*shorter)?)))
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }
}

fn digits(number: u64) -> u32 {
    number.checked_ilog10().map_or(1, |log| log + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_longest_prefix_decides(
            given in prop::collection::btree_set("[1-3][0-2]{0,5}", 0..20), number in "[1-3][0-2]{0,14}",
        ) {
            let mut prefixes = Prefixes::default();
            for prefix in &given {
                prop_assert!(prefixes.add(prefix.parse().unwrap(), prefix.clone()));
            }
            let expected = given.iter().filter(|prefix| number.starts_with(prefix.as_str())).max_by_key(|prefix| prefix.len());
            prop_assert_eq!(prefixes.longest(number.parse().unwrap()), expected);
            prop_assert_eq!(prefixes.longest(NUMBERS + 1), None);
        }
    }
}
