#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod extension;
mod prefix;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use portcullis_msisdn::{Fit, Msisdn, ParseError};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, get_national_significant_number_owned};

/// A country or territory with a numbering plan by which national numbers can be read.
///
/// Parsing the first region loads the metadata of all plans, which takes 25 ms once per process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(rlibphonenumber::Region);

/// The text is not the code of a region with a known numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a region with a known numbering plan: write its two capital letters of ISO 3166-1, such as SE")]
pub struct UnknownRegion;

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

/// Why a text can't be read as a number. The message contains numbers only masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not a number in any reading.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// It is a valid national number, and also a different valid international number.
    #[error(
        "the number can be read as the national {} and as the international {}: write it with + and its country code",
        national.masked(),
        international.masked()
    )]
    Ambiguous {
        /// The number if it is dialled in the tenant's default region.
        national: Msisdn,
        /// The number if its first digits are the country code.
        international: Msisdn,
    },
}

/// Reads numbers with a tenant's default region.
#[derive(Clone, Copy, Debug)]
pub struct NumberReader {
    /// The region of national numbers. `None`: every number is international.
    pub default_region: Option<Region>,
}

impl NumberReader {
    /// Reads a number as people write it.
    ///
    /// A number with a plus, or any number without a default region, is read by [`international`], which takes tens of
    /// nanoseconds. Otherwise there are two readings: the text as dialled in the region (a national number, or one
    /// after the region's prefix for calls abroad), and as an international number without its plus. The reading that
    /// is valid by libphonenumber's metadata wins, which takes 3 µs. If neither is valid, the number is international:
    /// numbering plans change monthly, and a blacklist must not refuse a number because its tables are old.
    ///
    /// # Errors
    /// [`NumberError::Unreadable`] if there is no reading. [`NumberError::Ambiguous`] if both readings are valid and
    /// belong to different people, also if the international one is valid only without a misplaced zero after its
    /// country code.
    pub fn read(self, text: &str) -> Result<Msisdn, NumberError> {
        match self.both(text) {
            (Some(national), Err(ParseError::TrunkPrefix)) => national_only(text, national),
            (Some(national), Ok(international)) if !is_same(national, international) => {
                if !is_valid(international) {
                    return Ok(national);
                }
                Err(NumberError::Ambiguous { national, international })
            }
            (Some(national), Err(_)) => Ok(national),
            (_, international) => Ok(international?),
        }
    }

    /// Reads a number as the vendors document theirs: digits are international, also without a plus. If they can't be,
    /// they are read as a national number of the default region.
    ///
    /// # Errors
    /// [`NumberError::Unreadable`] if there is no reading. [`NumberError::Ambiguous`] if the national reading is valid, and the
    /// international one is valid only without a misplaced zero after its country code.
    pub fn read_vendor_s(self, text: &str) -> Result<Msisdn, NumberError> {
        match self.both(text) {
            (Some(national), Err(ParseError::TrunkPrefix)) => national_only(text, national),
            (Some(national), Ok(international))
                if is_valid(international) || is_same(national, international) =>
            {
                Ok(international)
            }
            (Some(national), _) => Ok(national),
            (None, international) => Ok(international?),
        }
    }

    /// Returns all numbers that the recipient of a message may stand for, sorted: at least one. The message must be
    /// refused if one of them is blocked.
    ///
    /// A text with a plus has one reading. Without a plus, Meta prepends the business's own country code to a number
    /// that lacks one, and does not document how it decides (its page on sending messages, "WhatsApp user phone number
    /// formats", 4 November 2025). So the readings are: the digits as an international number (also without a misplaced
    /// zero), the digits after the country code of `business`, and the digits as dialled in its country and in the
    /// default region.
    ///
    /// Digits that can't be an international number must be valid in the sender's country, because otherwise it is
    /// unclear what the upstream makes of them. If `business` is `None`, there must be a valid international reading,
    /// or a valid national one of the default region: the upstream could turn anything else into somebody's number.
    ///
    /// # Errors
    /// [`RecipientError::Unreadable`] with the reason why the text is not an international number, if it has no reading;
    /// [`RecipientError::CountryUnknown`] if it may lack the country code of an unknown business.
    pub fn readings(self, text: &str, business: Option<Msisdn>) -> Result<Vec<Msisdn>, RecipientError> {
        let (national, international) = self.both(text);
        if let Err(error @ (ParseError::Point | ParseError::Extension)) = international {
            return Err(error.into());
        }
        let behind_own_code = |text: &str| {
            let digits = bare_digits(text)?;
            plainly(&format!("+{}{digits}", business?.country_code())).ok()
        };
        if extension::follows(text, |text| behind_own_code(text).is_some_and(is_known)) {
            return Err(ParseError::Extension.into());
        }
        if business.is_none()
            && national.is_none()
            && has_a_number_s_digits(international)
            && bare_digits(text).is_some_and(|digits| !is_international(&digits, international))
        {
            return Err(RecipientError::CountryUnknown);
        }
        let (behind, dialled) = (behind_own_code(text), business.and_then(|own| dialled_like(own, text)));
        if let Err(error) = international {
            let is_known_at_home = match business {
                Some(_) => dialled.is_some() || behind.is_some_and(is_known),
                None => national.is_some(),
            };
            if !is_known_at_home {
                return Err(error.into());
            }
        }
        let without_zero =
            if international == Err(ParseError::TrunkPrefix) { without_zero(text) } else { None };
        let mut readings: Vec<Msisdn> =
            [international.ok(), without_zero, behind, dialled, national].into_iter().flatten().collect();
        readings.sort_unstable();
        readings.dedup();
        Ok(readings)
    }

    /// The two readings of a text: as dialled in the default region, if it is valid there, and as an international number.
    fn both(self, text: &str) -> (Option<Msisdn>, Result<Msisdn, ParseError>) {
        let international = plainly(text);
        if is_readable(international) && extension::follows(text, |text| self.is_number(text)) {
            return (None, Err(ParseError::Extension));
        }
        // A point that does not separate groups is not part of a national number either.
        let national = if international == Err(ParseError::Point) { None } else { self.national(text) };
        (national, international)
    }

    /// The text as dialled in the default region, if it is valid there. `None` for a text with a plus or letters.
    fn national(self, text: &str) -> Option<Msisdn> {
        let Region(region) = self.default_region?;
        PHONE_NUMBER_UTIL.parse(bare_digits(text)?, Some(region)).ok().and_then(valid)
    }

    /// Whether the text is a valid number in one of its readings.
    fn is_number(self, text: &str) -> bool {
        plainly(text).is_ok_and(is_known) || self.national(text).is_some()
    }
}

/// The national reading of digits whose international reading has a misplaced zero, unless the latter is valid without
/// the zero and belongs to somebody else.
fn national_only(text: &str, national: Msisdn) -> Result<Msisdn, NumberError> {
    match without_zero(text) {
        Some(international) if !is_same(national, international) => {
            Err(NumberError::Ambiguous { national, international })
        }
        _ => Ok(national),
    }
}

/// Reads digits without a plus as an international number with a misplaced zero after its country code. Returns the
/// number without the zero, if it is valid.
fn without_zero(text: &str) -> Option<Msisdn> {
    let digits = bare_digits(text)?;
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    if digits.starts_with('0') {
        return None;
    }
    prefix::without_zero(Msisdn::try_from(digits.parse::<u64>().ok()?).ok()?)
}

/// The text as dialled in the country of another number, if it is valid there: a national number, or one after the
/// country's prefix for calls abroad (Russia's 8 10, North America's 011).
fn dialled_like(own: Msisdn, text: &str) -> Option<Msisdn> {
    let region = PHONE_NUMBER_UTIL.get_region_for_country_code(own.country_code().into())?;
    NumberReader { default_region: Some(Region(region)) }.national(text)
}

/// Why the recipient of a message can't be read. The message contains no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// It is not a number.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// It may be a number without its country code, and the number of the business, whose country would complete it, is unknown.
    #[error(
        "the number has no plus and is not a valid international number, and the country code that it may lack is \
         unknown: write + and the country code before it, or set the sender's `number` in the configuration"
    )]
    CountryUnknown,
}

/// Whether the digits are a valid international number as they stand, and were read as that number.
fn is_international(digits: &str, read: Result<Msisdn, ParseError>) -> bool {
    let digits = digits.strip_prefix("00").unwrap_or(digits);
    read.is_ok_and(|number| is_known(number) && number.digits().to_string() == digits)
}

/// Whether there are enough digits for a number, with or without its country code, and not too many.
fn has_a_number_s_digits(read: Result<Msisdn, ParseError>) -> bool {
    is_readable(read) && read != Err(ParseError::TooManyDigits)
}

/// Whether the text consists of digits and separators, whether or not they are a number.
fn is_readable(read: Result<Msisdn, ParseError>) -> bool {
    !matches!(
        read,
        Err(ParseError::Point
            | ParseError::NoDigits
            | ParseError::TextTooLong
            | ParseError::SecondPlus
            | ParseError::MisplacedPlus
            | ParseError::ForeignDigit
            | ParseError::Letter
            | ParseError::UnexpectedCharacter(_))
    )
}

/// Reads an international number: like [`Msisdn::parse`], but also uses numbering plans.
///
/// A prefix that is only dialled inside the country (a trunk zero, Russia's 8, Mexico's 044, Argentina's 15) is dropped
/// if the rest is valid by libphonenumber's metadata and the whole is not. Takes tens of nanoseconds, or some
/// microseconds if the digits don't fit the plan.
///
/// # Errors
/// Those of [`Msisdn::parse`], and [`ParseError::Extension`] if an extension or a fraction follows the number.
pub fn international(text: &str) -> Result<Msisdn, ParseError> {
    NumberReader { default_region: None }.both(text).1
}

/// Like [`international`], but does not look for an extension or a fraction.
fn plainly(text: &str) -> Result<Msisdn, ParseError> {
    match Msisdn::parse(text) {
        Ok(number) if number.fit() == Fit::UnknownLength => prefix::dropped(number),
        Err(ParseError::TrunkPrefix) => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            // The parser has found that nothing, a plus or two zeros precede the country code.
            let digits = digits.strip_prefix("00").unwrap_or(&digits);
            let value: u64 = digits.parse().map_err(|_| ParseError::TooManyDigits)?;
            prefix::dropped(Msisdn::try_from(value)?)
        }
        read => read,
    }
}

/// The digits of a text of digits and separators that is short enough to be a number.
fn bare_digits(text: &str) -> Option<String> {
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

/// Whether two numbers are spellings of one person's number.
pub fn is_same(one: Msisdn, other: Msisdn) -> bool {
    one.variants().any(|spelling| spelling == other)
}

/// Whether a spelling of the number is valid by libphonenumber's metadata.
fn is_known(number: Msisdn) -> bool {
    number.variants().any(is_valid)
}

fn is_valid(number: Msisdn) -> bool {
    PHONE_NUMBER_UTIL
        .parse(number.e164().to_string(), None)
        .ok()
        .filter(|parsed| PHONE_NUMBER_UTIL.is_valid_number(parsed))
        .and_then(|parsed| in_full(&parsed))
        .is_some_and(|parsed| parsed == number)
}

fn valid(number: PhoneNumber) -> Option<Msisdn> {
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    in_full(&number)
}

fn in_full(number: &PhoneNumber) -> Option<Msisdn> {
    let national = get_national_significant_number_owned(number);
    let whole = Msisdn::try_from(format!("{}{national}", number.country_code).parse::<u64>().ok()?).ok()?;
    // The metadata has a few services with fewer digits than their country's plan, which can't be read again in E.164.
    (whole.fit() != Fit::TooShort).then_some(whole)
}
