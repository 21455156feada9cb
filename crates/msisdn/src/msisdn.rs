//! Parsing and formatting of phone numbers.

use core::error::Error;
use core::fmt::{self, Write as _};
use core::num::NonZeroU64;
use core::str::FromStr;

use crate::{country_code, plan, variants};

/// An international phone number: 1 to 15 digits (ITU-T E.164, clause 6), starting with an assigned country code and
/// therefore not with 0.
///
/// The digits after the country code are not checked against a list of numbers in use: numbering plans change monthly,
/// and a blacklist must not reject a number because its tables are outdated. Numbers only ever get longer, so
/// [`parse`](Msisdn::parse) does reject numbers that are shorter than any number of their country.
///
/// There is no `Display` implementation, and `Debug` shows the [masked](Msisdn::masked) form. A number gets into a log
/// or an error only on purpose, through [`e164`](Msisdn::e164) or [`digits`](Msisdn::digits):
///
/// ```compile_fail,E0277
/// # let number = portcullis_msisdn::Msisdn::parse("+46732001122")?;
/// println!("{number}");
/// # Ok::<(), portcullis_msisdn::ParseError>(())
/// ```
///
/// `Msisdn` and `Option<Msisdn>` take eight bytes. Numbers are ordered as integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(NonZeroU64);

impl Msisdn {
    /// The most digits in a number, including the country code.
    pub const MAX_DIGITS: u32 = 15;

    /// The longest text in bytes that [`parse`](Msisdn::parse) accepts: 15 digits with ample separators.
    pub const MAX_TEXT: usize = 64;

    /// The exclusive upper bound of all numbers: 10^15.
    pub(crate) const BOUND: u64 = 10_u64.pow(Self::MAX_DIGITS);

    /// Parses an international number in the forms that people and systems write.
    ///
    /// The text may begin with `+`, `00` or the country code. Digits may be separated by the visual separators of RFC
    /// 3966 (hyphen, dot, parentheses), spaces (including the no-break spaces U+00A0 and U+202F) and slashes. A dot or
    /// slash must separate groups of at least two digits: in `46732001122.0` it is a decimal point.
    ///
    /// `00` is the only dialling prefix supported. `011` (North America) and `0011` (Australia) are rejected like
    /// national numbers, which also begin with 0.
    ///
    /// A 0 after the country code is part of the number in the few countries whose numbers begin with 0, such as Italy,
    /// Côte d'Ivoire and Benin. Elsewhere it is a trunk prefix or a mistake and is rejected, as is Argentina's 15.
    /// Numbers with fewer digits than any number of their country are rejected, too.
    ///
    /// Takes tens of nanoseconds, regardless of the input.
    ///
    /// # Errors
    /// Returns one [`ParseError`] per cause. If several apply, it is the leftmost in the text; the number of digits,
    /// the country code and the digits after it are checked last.
    ///
    /// ```
    /// use portcullis_msisdn::{Msisdn, ParseError};
    ///
    /// assert_eq!(Msisdn::parse("+46 73-200 11 22")?.get(), 46732001122);
    /// assert_eq!(Msisdn::parse("0046732001122")?.get(), 46732001122);
    /// assert_eq!(Msisdn::parse("073-200 11 22"), Err(ParseError::NationalForm));
    /// assert_eq!(Msisdn::parse("+46 (0)73-200 11 22"), Err(ParseError::TrunkPrefix));
    /// assert_eq!(Msisdn::parse("+39 06 698 12345")?.get(), 390669812345);
    /// # Ok::<(), ParseError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_TEXT {
            return Err(ParseError::TextTooLong);
        }
        let mut digits = Digits::default();
        let mut points = Points::default();
        let mut plus = false;
        for character in text.chars() {
            match character {
                '0'..='9' => digits.push(character),
                '-' | '(' | ')' => {}
                '.' | '/' => points.push(&digits)?,
                _ if is_space(character) => {}
                '+' if plus => return Err(ParseError::SecondPlus),
                '+' if !digits.is_empty() => return Err(ParseError::MisplacedPlus),
                '+' => plus = true,
                _ if character.is_numeric() => return Err(ParseError::ForeignDigit),
                _ if character.is_alphabetic() => return Err(ParseError::Letter),
                _ => return Err(ParseError::UnexpectedCharacter(character)),
            }
        }
        points.end(&digits)?;
        let number = Self::try_from(digits.international(plus)?)?;
        match number.fit() {
            Fit::TooShort => Err(ParseError::TooShort),
            Fit::TrunkPrefix => Err(ParseError::TrunkPrefix),
            Fit::Known | Fit::UnknownLength => Ok(number),
        }
    }

    /// The number as an integer below 10^15, including the country code.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The country code, 1 to 998. Countries may share one: 1 is North America, 7 is Russia and Kazakhstan.
    pub fn country_code(self) -> u16 {
        let (code, _) = self.split();
        code
    }

    /// Displays the full number as `+46732001122`. For responses to authorized callers, never for logs.
    pub fn e164(self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "+{}", self.get()))
    }

    /// Displays the full number as `46732001122`. For responses to authorized callers, never for logs.
    pub fn digits(self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "{}", self.get()))
    }

    /// Displays a form that is safe for logs and shared screens: the country code, the number's length, and its last
    /// two digits, as in `+46*******22`. With fewer than eight digits after the country code only the last digit is
    /// shown, with fewer than four none.
    pub fn masked(self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let (code, national_digits) = self.split();
            let shown = (national_digits / 4).min(2);
            write!(f, "+{code}")?;
            for _ in shown..national_digits {
                f.write_char('*')?;
            }
            match shown {
                0 => Ok(()),
                1 => write!(f, "{}", self.get() % 10),
                _ => write!(f, "{:02}", self.get() % 100),
            }
        })
    }

    /// Compares the number with the numbering plan of its country: whether it has enough digits, and no prefix that is
    /// dialled inside the country only.
    ///
    /// [`parse`](Msisdn::parse) rejects numbers that don't fit. They can still be created from an integer, because
    /// records of earlier versions contain some.
    pub fn fit(self) -> Fit {
        let (code, national_digits) = self.split();
        let plan = plan::of(code);
        if national_digits < plan.shortest() {
            return Fit::TooShort;
        }
        let first = self.get() / 10_u64.pow(national_digits - 1) % 10;
        let is_zero = first == 0 && !plan::zero_may_lead(code, self.national());
        if is_zero || code == 54 && variants::has_argentinas_fifteen(self.national()) {
            return Fit::TrunkPrefix;
        }
        let has_prefix = plan::may_have_prefix(code, self.national());
        if plan.has(national_digits) && !has_prefix { Fit::Known } else { Fit::UnknownLength }
    }

    /// The number without its country code, and its count of digits.
    pub(crate) fn national(self) -> (u64, u32) {
        let (_, national_digits) = self.split();
        (self.get() % 10_u64.pow(national_digits), national_digits)
    }

    /// The country code, and the count of digits after it.
    fn split(self) -> (u16, u32) {
        let digits = self.0.ilog10() + 1;
        // The constructor has checked that there is a country code.
        let code_digits = country_code::length(self.get()).unwrap_or(digits);
        let national_digits = digits - code_digits;
        let code = self.get() / 10_u64.pow(national_digits);
        (u16::try_from(code).unwrap_or_default(), national_digits)
    }
}

/// The dots and slashes seen so far.
///
/// Between groups of digits they are separators. But numbers from spreadsheets and scripts may have a decimal point,
/// and its digits are not part of the phone number: including them would yield someone else's.
#[derive(Default)]
struct Points {
    count: u32,
    /// The count of digits before the last point.
    before: u32,
    /// The value of those digits.
    value: u64,
}

impl Points {
    /// The fewest digits in a group.
    const LEAST: u32 = 2;
    /// The count of digits that can be a complete number. If they are followed by a single point and one or two digits,
    /// those are a fraction.
    const WHOLE: u32 = 8;

    fn push(&mut self, digits: &Digits) -> Result<(), ParseError> {
        if digits.count < self.before + if self.count == 0 { 1 } else { Self::LEAST } {
            return Err(ParseError::Point);
        }
        *self = Points { count: self.count + 1, before: digits.count, value: digits.value };
        Ok(())
    }

    fn end(&self, digits: &Digits) -> Result<(), ParseError> {
        if self.count == 0 {
            return Ok(());
        }
        let group = digits.count - self.before;
        let is_zero =
            10_u64.checked_pow(group).and_then(|scale| self.value.checked_mul(scale)) == Some(digits.value);
        let is_fraction = self.count == 1 && (is_zero || self.before >= Self::WHOLE && group <= Self::LEAST);
        if group < Self::LEAST || is_fraction { Err(ParseError::Point) } else { Ok(()) }
    }
}

/// How a number fits the numbering plan of its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The plan has numbers of this length.
    Known,
    /// The plan had no numbers of this length when its data was collected, or few that begin like this one. The plan
    /// may have grown since, or the number has a prefix that is not dialled from abroad.
    UnknownLength,
    /// Fewer digits than any number of the plan.
    TooShort,
    /// It has a prefix that is dialled inside the country only: a 0 after the country code in a plan whose numbers
    /// don't begin with 0, or Argentina's 15 after the area code.
    TrunkPrefix,
}

/// The space, and the two no-break spaces used in phone numbers.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\u{a0}' | '\u{202f}')
}

/// The digits seen so far.
#[derive(Default)]
struct Digits {
    /// Their value, saturating at `u64::MAX`, which is too large for a number.
    value: u64,
    count: u32,
    /// The count of zeros before the first other digit.
    leading_zeros: u32,
}

impl Digits {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn push(&mut self, digit: char) {
        if self.value == 0 && digit == '0' {
            self.leading_zeros += 1;
        }
        self.count += 1;
        self.value =
            self.value.saturating_mul(10).saturating_add(u64::from(digit.to_digit(10).unwrap_or_default()));
    }

    /// The digits as an integer, without a `00` prefix.
    fn international(&self, plus: bool) -> Result<u64, ParseError> {
        match (plus, self.leading_zeros) {
            _ if self.is_empty() => Err(ParseError::NoDigits),
            (_, 0) => Ok(self.value),
            (false, 2) if !self.is_australian_prefix() => Ok(self.value),
            (false, 1 | 2) => Err(ParseError::NationalForm),
            _ => Err(ParseError::UnassignedCountryCode),
        }
    }

    /// Whether the digits begin with `0011`. After `00` it would be a North American number whose area code begins with
    /// 1, which none does.
    fn is_australian_prefix(&self) -> bool {
        let significant = self.count - self.leading_zeros;
        significant >= 2 && 10_u64.checked_pow(significant - 2).is_some_and(|scale| self.value / scale == 11)
    }
}

impl FromStr for Msisdn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// Converts an integer that includes the country code. Fails with [`ParseError::TooManyDigits`], or with
/// [`ParseError::UnassignedCountryCode`], also for 0.
impl TryFrom<u64> for Msisdn {
    type Error = ParseError;

    fn try_from(number: u64) -> Result<Self, ParseError> {
        if number >= Self::BOUND {
            return Err(ParseError::TooManyDigits);
        }
        match (NonZeroU64::new(number), country_code::length(number)) {
            (Some(number), Some(_)) => Ok(Msisdn(number)),
            _ => Err(ParseError::UnassignedCountryCode),
        }
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Msisdn({})", self.masked())
    }
}

/// Why text is not an international number. Contains nothing of the number itself, so it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseError {
    /// The text has no digits.
    NoDigits,
    /// The text is longer than [`Msisdn::MAX_TEXT`] bytes.
    TextTooLong,
    /// The number has more than [`Msisdn::MAX_DIGITS`] digits.
    TooManyDigits,
    /// The number begins with a single 0, as in `073-200 11 22`, or with the dialling prefix `011` or `0011`.
    NationalForm,
    /// The number has a prefix that is dialled inside its country only: a 0 after the country code of a country whose
    /// numbers don't begin with 0, as in `+46 (0)73-200 11 22`, or Argentina's 15.
    TrunkPrefix,
    /// The number has fewer digits than any number of its country.
    TooShort,
    /// A dot or slash does not separate groups of digits, as in `46732001122.0`.
    Point,
    /// A complete number is followed by further digits: an extension or a decimal fraction. Detecting this takes full
    /// numbering plans, so [`Msisdn::parse`] never returns it.
    Extension,
    /// The text has a second `+`.
    SecondPlus,
    /// The text has a `+` after a digit.
    MisplacedPlus,
    /// The text has a digit other than ASCII `0` to `9`, such as a fullwidth, Arabic-Indic or superscript one.
    ForeignDigit,
    /// The text has a letter of any script, as in an alphanumeric sender id, an extension or a vanity number.
    Letter,
    /// The text has a character that is not a digit, letter or separator.
    UnexpectedCharacter(char),
    /// The number does not begin with a country code assigned by the ITU.
    UnassignedCountryCode,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::NoDigits => "the number has no digits",
            ParseError::TextTooLong => {
                let most = Msisdn::MAX_TEXT;
                return write!(f, "the text is longer than {most} bytes, which is too long for a number");
            }
            ParseError::TooManyDigits => {
                let most = Msisdn::MAX_DIGITS;
                return write!(f, "the number has more than {most} digits, the maximum in E.164");
            }
            ParseError::NationalForm => {
                "the number begins with 0, the national form, which does not say its country: \
                 write it with its country code, as in +46 73 200 11 22"
            }
            ParseError::TrunkPrefix => {
                "the number has a prefix that is dialled inside its country only (a 0 after the country \
                 code, or Argentina's 15): leave it out"
            }
            ParseError::TooShort => "the number is too short: no number of its country has so few digits",
            ParseError::Point => {
                "the number has a dot or slash that does not separate groups of digits: if it is a decimal point, or \
                 is followed by an extension, leave out what follows"
            }
            ParseError::Extension => {
                "the number is followed by what looks like an extension or a decimal fraction, after a dot, slash, \
                 hyphen or parenthesis: leave it out, or write the number without separators"
            }
            ParseError::SecondPlus => "the number has two plus signs: is it two numbers?",
            ParseError::MisplacedPlus => {
                "the number has a plus sign after a digit: it belongs in front of the country code"
            }
            ParseError::ForeignDigit => {
                "the number has a digit other than 0 to 9 in ASCII: write it with those"
            }
            ParseError::Letter => {
                "the text has a letter: write the number in digits, without a name or extension"
            }
            ParseError::UnexpectedCharacter(character) => {
                return write!(
                    f,
                    "the character U+{:04X} is not allowed in a number: remove it",
                    u32::from(*character)
                );
            }
            ParseError::UnassignedCountryCode => {
                "the number does not begin with an assigned country code: \
                 is it a national number? write it with its country code, as in +46 73 200 11 22"
            }
        })
    }
}

impl Error for ParseError {}

#[cfg(test)]
pub(crate) mod tests {
    use std::format;
    use std::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Msisdn {
        Msisdn::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_number_is_parsed_in_the_forms_that_people_write() {
        for text in [
            "46732001122",
            "+46732001122",
            "0046732001122",
            "+46 73-200 11 22",
            "+46.73.200.11.22",
            "+46 (73) 200/1122",
            "+46.732001122",
            "+4673/2001122",
            "+46 73 / 200 11 22",
            "(+46).73.200.1122",
            "(+46) 73 200 11 22",
            "00 46 73 200 11 22",
            "(00)46732001122",
            "  +46\u{a0}73\u{202f}2001122  ",
            "+4-6-7-3-2-0-0-1-1-2-2-",
        ] {
            assert_eq!(number(text).get(), 46732001122, "{text}");
        }
    }

    #[test]
    fn a_zero_that_is_part_of_the_number_is_kept() {
        assert_eq!(number("+39 06 1234567").get(), 39061234567);
        assert_eq!(number("+39 (06) 1234567").get(), 39061234567);
        assert_eq!(number("+39 (0)6 1234567").get(), 39061234567);
        assert_eq!(number("+225 07 12 34 56 78").get(), 2250712345678);
        assert_eq!(number("+1 (800) 555 0100").get(), 18005550100);
    }

    #[test]
    fn text_that_is_not_a_number_is_rejected_with_its_cause() {
        use ParseError::*;
        for (text, cause) in [
            ("", NoDigits),
            ("+", NoDigits),
            (" (-) ", NoDigits),
            ("1234567890123456", TooManyDigits),
            ("+1 2345 6789 0123 456", TooManyDigits),
            ("00 1 2345 6789 0123 456", TooManyDigits),
            ("99999999999999999999999999999999999999999999", TooManyDigits),
            ("0732001122", NationalForm),
            ("(0)732001122", NationalForm),
            ("0", NationalForm),
            ("011 46 732001122", NationalForm),
            ("0011 46 732001122", NationalForm),
            ("+46 (0)73-200 11 22", TrunkPrefix),
            ("+46( 0 )73-200 11 22", TrunkPrefix),
            ("+46(0\u{a0})73-200 11 22", TrunkPrefix),
            ("0046 (0)73-200 11 22", TrunkPrefix),
            ("46(0)732001122", TrunkPrefix),
            ("+46 073-200 11 22", TrunkPrefix),
            ("+44 07911 123457", TrunkPrefix),
            ("0049 0170 1234568", TrunkPrefix),
            ("+225 0 07 12 34 56 78", TrunkPrefix),
            ("+54 11 15 5555 1234", TrunkPrefix),
            ("+(0)46732001122", UnassignedCountryCode),
            ("++46732001122", SecondPlus),
            ("+46732001122+46732001123", SecondPlus),
            ("46+732001122", MisplacedPlus),
            ("00+46732001122", MisplacedPlus),
            ("+46 73 200 11 2２", ForeignDigit),
            ("+46 73 200 11 2٢", ForeignDigit),
            ("+46 73 200 11 2²", ForeignDigit),
            ("ACME", Letter),
            ("+46732001122 ext 5", Letter),
            ("tel:+46732001122", Letter),
            ("+4673200l122", Letter),
            ("+46732001122\n", UnexpectedCharacter('\n')),
            ("+46732001122;5", UnexpectedCharacter(';')),
            ("\u{202d}+46732001122", UnexpectedCharacter('\u{202d}')),
            ("+46_732001122", UnexpectedCharacter('_')),
            ("2105550100", UnassignedCountryCode),
            ("+046732001122", UnassignedCountryCode),
            ("00046732001122", UnassignedCountryCode),
            ("00", UnassignedCountryCode),
            ("+3", UnassignedCountryCode),
            ("+1", TooShort),
            ("44", TooShort),
            ("0043", TooShort),
            ("12", TooShort),
            ("+1 555 0123", TooShort),
            ("+46 12345", TooShort),
            ("46732001122.0", Point),
            ("+46732001122.00", Point),
            ("46732001122.5", Point),
            ("46732001122.25", Point),
            ("46732001122/23", Point),
            ("46732001122.", Point),
            (".46732001122", Point),
            ("4673200..1122", Point),
            ("46.7.3", Point),
            ("+46.0", Point),
            ("+888 0000 0000", UnassignedCountryCode),
        ] {
            assert_eq!(Msisdn::parse(text), Err(cause), "{text:?}");
        }
    }

    #[test]
    fn text_is_parsed_up_to_the_maximum_length() {
        let longest = format!("{:>64}", "46732001122");
        assert_eq!(number(&longest).get(), 46732001122);
        assert_eq!(Msisdn::parse(&format!(" {longest}")), Err(ParseError::TextTooLong));
    }

    #[test]
    fn integers_are_checked_by_the_same_rules() {
        assert_eq!(Msisdn::try_from(46732001122).map(Msisdn::get), Ok(46732001122));
        assert_eq!(
            Msisdn::try_from(999_999_999_999_999).map(Msisdn::get),
            Err(ParseError::UnassignedCountryCode)
        );
        assert_eq!(Msisdn::try_from(998_999_999_999_999).map(Msisdn::get), Ok(998_999_999_999_999));
        assert_eq!(Msisdn::try_from(10_u64.pow(15)), Err(ParseError::TooManyDigits));
        assert_eq!(Msisdn::try_from(u64::MAX), Err(ParseError::TooManyDigits));
        assert_eq!(Msisdn::try_from(0), Err(ParseError::UnassignedCountryCode));
    }

    #[test]
    fn the_country_code_is_split_off() {
        assert_eq!(number("+1 415 555 0123").country_code(), 1);
        assert_eq!(number("+46 73 200 11 22").country_code(), 46);
        assert_eq!(number("+358 40 1234567").country_code(), 358);
        assert_eq!(number("+998 90 1234567").country_code(), 998);
        assert_eq!(Msisdn::try_from(7).unwrap().country_code(), 7);
    }

    #[test]
    fn a_masked_number_shows_country_length_and_at_most_two_digits() {
        for (value, masked) in [
            (46_732_001_122, "+46*******22"),
            (14_155_550_100, "+1********00"),
            (4_673_200_112, "+46******12"),
            (467_320_011, "+46******1"),
            (461_234, "+46***4"),
            (46_123, "+46***"),
            (46, "+46"),
            (882_123_456_789_012, "+882**********12"),
        ] {
            let number = Msisdn::try_from(value).unwrap();
            assert_eq!(number.masked().to_string(), masked);
            assert_eq!(format!("{number:?}"), format!("Msisdn({masked})"));
        }
    }

    #[test]
    fn a_number_takes_eight_bytes() {
        assert_eq!(size_of::<Option<Msisdn>>(), 8);
    }

    #[test]
    fn errors_say_what_to_do() {
        assert_eq!(
            ParseError::TrunkPrefix.to_string(),
            "the number has a prefix that is dialled inside its country only (a 0 after the country code, or \
             Argentina's 15): leave it out"
        );
        assert_eq!(
            ParseError::UnexpectedCharacter('\u{202d}').to_string(),
            "the character U+202D is not allowed in a number: remove it"
        );
        assert!(ParseError::NationalForm.to_string().contains("country code"));
    }

    pub(crate) fn any_number() -> impl Strategy<Value = Msisdn> {
        (0..15_u32, 0..Msisdn::BOUND).prop_filter_map("unassigned", |(shorter, number)| {
            Msisdn::try_from(number / 10_u64.pow(shorter)).ok()
        })
    }

    /// A number that can be parsed.
    fn any_fitting_number() -> impl Strategy<Value = Msisdn> {
        any_number().prop_filter("too short, or with a trunk prefix", |number| {
            matches!(number.fit(), Fit::Known | Fit::UnknownLength)
        })
    }

    proptest! {
        #[test]
        fn every_number_round_trips(number in any_fitting_number(), prefix in "(|00|\\+)") {
            let digits = number.digits().to_string();
            prop_assert_eq!(number.e164().to_string(), format!("+{digits}"));
            // With `00`, a North American number whose area code begins with 1 looks like `0011`.
            prop_assume!(!(prefix == "00" && digits.starts_with("11")));
            prop_assert_eq!(Msisdn::parse(&format!("{prefix}{digits}")), Ok(number));
        }

        #[test]
        fn separators_are_ignored(
            number in any_fitting_number(),
            separators in prop::collection::vec("[- \u{a0}\u{202f}]?", 15),
        ) {
            let digits = number.digits().to_string();
            let text: String = digits
                .chars()
                .zip(&separators)
                .map(|(digit, separator)| format!("{separator}{digit}"))
                .collect();
            prop_assert_eq!(text.parse(), Ok(number));
        }

        /// A decimal point neither adds digits to a number nor is ignored.
        #[test]
        fn a_fraction_is_rejected(number in any_fitting_number(), zeros in "[.]0{1,3}|[.,/][0-9]|[.][0-9]{2}") {
            prop_assume!(number.get() >= 10_u64.pow(8));
            let text = format!("{}{zeros}", number.digits());
            prop_assert!(Msisdn::parse(&text).is_err());
        }

        #[test]
        fn any_text_yields_a_number_or_an_error_without_digits_or_letters(text in any::<String>()) {
            match Msisdn::parse(&text) {
                Ok(number) => prop_assert!(number.get() < Msisdn::BOUND),
                Err(ParseError::UnexpectedCharacter(character)) => {
                    prop_assert!(!character.is_alphanumeric());
                }
                Err(_) => {}
            }
        }

        #[test]
        fn near_numbers_keep_all_their_digits_or_are_rejected(text in "[ +()0-9a./-]{0,70}") {
            if let Ok(number) = Msisdn::parse(&text) {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                prop_assert_eq!(digits.trim_start_matches("00"), number.digits().to_string());
            }
        }
    }
}
