//! Sets of countries.

use portcullis_plugin_sdk::rules::Country;

const LETTERS: u16 = 26;

/// The codes that ISO 3166-1 assigns, and those of places whose numbers are told apart and that have none: Kosovo (XK), Ascension (AC) and
/// Tristan da Cunha (TA).
const CODES: &str = "\
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW \
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ \
    FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ \
    IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH \
    MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL \
    PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC \
    TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Whether there is a country of this code.
pub(crate) fn is_any(country: Country) -> bool {
    CODES.split(' ').any(|code| code == country.as_str())
}

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
    fn countries_are_those_of_the_standard() {
        let is_one = |code: &str| is_any(Country::new(code).unwrap());
        assert!(["AD", "GB", "SE", "US", "ZW", "XK", "TA"].iter().all(|code| is_one(code)));
        assert!(!["UK", "XX", "ZZ", "EU", "AA"].iter().any(|code| is_one(code)));
        assert!(CODES.split(' ').is_sorted() && CODES.split(' ').all(|code| code.len() == 2));
        assert_eq!(CODES.split(' ').count(), 252);
    }

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
