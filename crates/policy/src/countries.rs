//! Sets of countries.

use portcullis_plugin_sdk::rules::Country;

const LETTERS: u16 = 26;

/// A set of countries: a bit for each two letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Countries {
    bits: [u64; 11],
}

impl Countries {
    pub(crate) fn contains(&self, country: Country) -> bool {
        let (word, bit) = place(country);
        self.bits.get(word).is_some_and(|bits| bits >> bit & 1 == 1)
    }

    /// Adds a country. Returns whether it was not there.
    pub(crate) fn add(&mut self, country: Country) -> bool {
        let is_new = !self.contains(country);
        let (word, bit) = place(country);
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= 1 << bit;
        }
        is_new
    }
}

fn place(country: Country) -> (usize, u16) {
    let number =
        country.as_str().bytes().fold(0, |number, letter| number * LETTERS + u16::from(letter - b'A'));
    (usize::from(number / 64), number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added() {
        let all: Vec<Country> = ('A'..='Z')
            .flat_map(|a| ('A'..='Z').map(move |b| Country::new(&format!("{a}{b}")).unwrap()))
            .collect();
        let mut countries = Countries::default();
        for (place, &country) in all.iter().enumerate() {
            assert!(!countries.contains(country), "{country:?}");
            assert!(countries.add(country));
            assert!(!countries.add(country));
            assert_eq!(all.iter().filter(|&&country| countries.contains(country)).count(), place + 1);
        }
    }
}
