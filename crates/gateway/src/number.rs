//! Reading the numbers that clients write.

use std::str::FromStr;

use portcullis_msisdn::{Msisdn, ParseError};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, get_national_significant_number_owned};

/// A country or territory with a numbering plan that national numbers can be read by.
///
/// Reading one loads the metadata of all plans (25 ms, once a process).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region(rlibphonenumber::Region);

/// The text names no region with a known numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a region with a known numbering plan: write two capital letters of ISO 3166-1, such as SE")]
pub(crate) struct UnknownRegion;

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(code: &str) -> Result<Self, UnknownRegion> {
        let capitals = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        match rlibphonenumber::Region::from_code(code) {
            Ok(region) if capitals && PHONE_NUMBER_UTIL.get_country_code_for_region(region).is_some() => {
                Ok(Region(region))
            }
            _ => Err(UnknownRegion),
        }
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text can't be read as a number. Tells nothing about the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    /// It is no number in any reading.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// It is a valid national number, and a different valid international one.
    #[error(
        "the number can be read as a national and as an international one: write it with + and its country code"
    )]
    Ambiguous,
}

/// Reads numbers as one tenant's clients write them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberReader {
    /// Where national numbers are read as of. Without one, every number is international.
    pub(crate) default_region: Option<Region>,
}

impl NumberReader {
    /// Reads one number.
    ///
    /// With `+` in front, and wherever there is no default region, that is [`Msisdn::parse`] and costs tens of
    /// nanoseconds. Otherwise the text is read both as it is dialled in the region (a national number, or one behind the
    /// region's dialling prefix) and as an international one without its plus, and the one reading that is valid under
    /// Google's numbering plans wins: 3 µs. Where neither is, it is international, as numbering plans change monthly and a
    /// blacklist must not refuse a number because its tables are old.
    pub(crate) fn read(self, text: &str) -> Result<Msisdn, NumberError> {
        let international = Msisdn::parse(text);
        let Some(Region(region)) = self.default_region else {
            return Ok(international?);
        };
        let Some(digits) = digits(text) else {
            // It has a plus, which needs no region; or a letter, of which no region makes a number.
            return Ok(international?);
        };
        let dialled = PHONE_NUMBER_UTIL.parse(&digits, Some(region)).ok().and_then(valid);
        match (dialled, international) {
            (None, international) => Ok(international?),
            (Some(dialled), Ok(international)) if dialled != international && is_valid(international) => {
                Err(NumberError::Ambiguous)
            }
            (Some(dialled), _) => Ok(dialled),
        }
    }
}

/// The digits of a text that has, besides them, separators only, and is not too long to be a number.
fn digits(text: &str) -> Option<String> {
    if text.len() > Msisdn::MAX_TEXT {
        return None;
    }
    let mut digits = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' => digits.push(character),
            '-' | '.' | '(' | ')' | '/' | ' ' | '\u{a0}' | '\u{202f}' => {}
            _ => return None,
        }
    }
    Some(digits)
}

fn is_valid(number: Msisdn) -> bool {
    PHONE_NUMBER_UTIL
        .parse(number.e164().to_string(), None)
        .is_ok_and(|number| PHONE_NUMBER_UTIL.is_valid_number(&number))
}

fn valid(number: PhoneNumber) -> Option<Msisdn> {
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    let national = get_national_significant_number_owned(&number);
    Msisdn::parse(&format!("+{}{national}", number.country_code)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(region: &str) -> NumberReader {
        NumberReader { default_region: Some(region.parse().unwrap()) }
    }

    fn read(region: &str, text: &str) -> Result<u64, NumberError> {
        reader(region).read(text).map(Msisdn::get)
    }

    #[test]
    fn without_a_region_numbers_are_international() {
        let reader = NumberReader { default_region: None };
        assert_eq!(reader.read("46732001122").map(Msisdn::get), Ok(46732001122));
        assert_eq!(reader.read("073-200 11 22"), Err(ParseError::NationalForm.into()));
    }

    #[test]
    fn a_national_number_is_read_as_of_the_region() {
        assert_eq!(read("SE", "073-200 11 22"), Ok(46732001122));
        assert_eq!(read("SE", "(073) 200 11 22"), Ok(46732001122));
        assert_eq!(read("IN", "98765 43210"), Ok(919876543210));
        assert_eq!(read("US", "(202) 555-0173"), Ok(12025550173));
        assert_eq!(read("IT", "06 6988 1234"), Ok(390669881234), "Italy keeps the 0");
    }

    #[test]
    fn a_number_with_its_country_code_needs_no_plus() {
        for text in ["46732001122", "+46732001122", "0046732001122", "(+46) 732001122", "00 46 73 200 11 22"]
        {
            assert_eq!(read("SE", text), Ok(46732001122), "{text}");
            assert_eq!(read("IL", text), Ok(46732001122), "{text}");
        }
        // Behind what is dialled there to call abroad.
        assert_eq!(read("US", "011 46 732001122"), Ok(46732001122));
        assert_eq!(read("AU", "0011 46 732001122"), Ok(46732001122));
        // The plus decides, also where the digits behind it would make a national number.
        assert_eq!(read("US", "+2025550173"), Ok(2025550173));
    }

    #[test]
    fn two_valid_readings_are_refused() {
        // Fayetteville in Arkansas, and a mobile phone in Norway.
        assert_eq!(read("US", "479 234 5678"), Err(NumberError::Ambiguous));
    }

    #[test]
    fn what_no_plan_knows_is_international_if_it_can_be() {
        assert_eq!(read("SE", "99912"), Err(ParseError::UnassignedCountryCode.into()));
        assert_eq!(read("SE", "46000000000001"), Ok(46000000000001));
        assert_eq!(read("SE", "0"), Err(ParseError::NationalForm.into()));
    }

    #[test]
    fn letters_and_extensions_are_refused_although_the_plans_would_take_them() {
        assert_eq!(read("US", "1-800-FLOWERS"), Err(ParseError::Letter.into()));
        assert_eq!(read("US", "202 555 0173 ext. 5"), Err(ParseError::Letter.into()));
        assert_eq!(read("US", "202 555 0173;5"), Err(ParseError::UnexpectedCharacter(';').into()));
    }

    #[test]
    fn regions_are_two_capital_letters_with_a_plan() {
        for code in ["se", "SWE", "", "001", "XX", "S1", "é"] {
            assert_eq!(code.parse::<Region>(), Err(UnknownRegion), "{code}");
        }
        assert_eq!("SE".parse::<Region>().unwrap().to_string(), "SE");
    }

    proptest! {
        /// Whatever is in front of it, the region never changes a number that names its country.
        #[test]
        fn the_plus_form_of_what_was_read_reads_the_same(text in "[0-9+() -]{0,20}") {
            for region in ["SE", "US", "IT", "AU"] {
                if let Ok(number) = reader(region).read(&text) {
                    prop_assert_eq!(reader(region).read(&number.e164().to_string()), Ok(number));
                }
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,70}") {
            let _ = reader("US").read(&text);
        }
    }
}
