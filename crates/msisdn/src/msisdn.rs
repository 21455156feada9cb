//! A telephone number, parsed once at the edge.

use core::error::Error;
use core::fmt::{self, Write as _};
use core::num::NonZeroU64;
use core::str::FromStr;

use crate::{country_code, plan, spelling};

/// An international telephone number: country code first, 1 to 15 digits (ITU-T E.164, clause 6),
/// no leading zero, an assigned country code.
///
/// Whether the digits after the country code make a number that someone has is not checked:
/// numbering plans change monthly, and a blacklist must not refuse a number because its tables are
/// old. Plans only ever grow, so [`parse`](Msisdn::parse) does refuse what is shorter than any number
/// of its country.
///
/// There is no `Display`, and `Debug` shows the [masked](Msisdn::masked) form, so that a number
/// gets into a log or an error only on purpose, through [`e164`](Msisdn::e164) or
/// [`digits`](Msisdn::digits):
///
/// ```compile_fail,E0277
/// # let number = portcullis_msisdn::Msisdn::parse("+46732001122")?;
/// println!("{number}");
/// # Ok::<(), portcullis_msisdn::ParseError>(())
/// ```
///
/// Eight bytes, and so is `Option<Msisdn>`. The order is that of the integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(NonZeroU64);

impl Msisdn {
    /// The most digits a number has, country code included.
    pub const MAX_DIGITS: u32 = 15;

    /// The most bytes of text that [`parse`](Msisdn::parse) looks at: room for 15 digits with more
    /// separators than anyone writes.
    pub const MAX_TEXT: usize = 64;

    /// Every number is below this: 10^15.
    pub(crate) const BOUND: u64 = 10_u64.pow(Self::MAX_DIGITS);

    /// Reads an international number as people and systems write it.
    ///
    /// It may begin with `+`, with `00`, or with the country code itself. Between the digits may
    /// stand the visual separators of RFC 3966 (hyphen, dot, parentheses), spaces (also U+00A0 and
    /// U+202F, which do not break) and slashes. A dot or slash must separate groups of at least two
    /// digits: in `46732001122.0` it is a decimal point.
    ///
    /// `00` is the only dialling prefix understood; `011` (North America) and `0011` (Australia)
    /// are refused as national numbers are, which begin with 0 too.
    ///
    /// A 0 after the country code belongs to the number in the few countries whose numbers begin
    /// with one (Italy, Côte d'Ivoire, Benin …). Elsewhere it is a trunk prefix, or a mistake, and
    /// refused, as is Argentina's 15. Numbers with fewer digits than any number of their country has are
    /// refused, too.
    ///
    /// Costs tens of nanoseconds, whatever the input.
    ///
    /// # Errors
    /// One [`ParseError`] per cause. Where several apply, the first one met from the left, except
    /// that the number of digits, the country code and what follows it are looked at last.
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

    /// The number as an integer, country code first: below 10^15.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The country code, 1 to 998. Several countries may share one: 1 is North America, 7 Russia
    /// and Kazakhstan.
    pub fn country_code(self) -> u16 {
        let (code, _) = self.split();
        code
    }

    /// Displays the number in full, as `+46732001122`. For answers to those who may see it, never
    /// for logs.
    pub fn e164(self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "+{}", self.get()))
    }

    /// Displays the number in full, as `46732001122`. For answers to those who may see it, never
    /// for logs.
    pub fn digits(self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "{}", self.get()))
    }

    /// Displays what may stand in a log or on a screen that others see: the country code, the
    /// number's length, and its last two digits, as `+46*******22`. Of a number with fewer than
    /// eight digits after the country code one, of one with fewer than four none.
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

    /// Whether the number has the digits that numbers of its country have: neither too few for any,
    /// nor a 0 that is dialled inside the country only.
    ///
    /// [`parse`](Msisdn::parse) refuses those that do not fit; from an integer they can be made, as
    /// records of earlier versions hold some.
    pub fn fit(self) -> Fit {
        let (code, national_digits) = self.split();
        let plan = plan::of(code);
        if national_digits < plan.shortest() {
            return Fit::TooShort;
        }
        let first = self.get() / 10_u64.pow(national_digits - 1) % 10;
        let is_zero = first == 0 && !plan::zero_may_lead(code, self.national());
        if is_zero || code == 54 && spelling::has_argentina_s_fifteen(self.national()) {
            return Fit::TrunkPrefix;
        }
        let has_prefix = plan::may_have_prefix(code, self.national());
        if plan.has(national_digits) && !has_prefix { Fit::Known } else { Fit::UnknownLength }
    }

    /// The number without its country code, and how many digits that has.
    pub(crate) fn national(self) -> (u64, u32) {
        let (_, national_digits) = self.split();
        (self.get() % 10_u64.pow(national_digits), national_digits)
    }

    /// The country code, and how many digits follow it.
    fn split(self) -> (u16, u32) {
        let digits = self.0.ilog10() + 1;
        // That there is a country code was checked when the number was made.
        let code_digits = country_code::length(self.get()).unwrap_or(digits);
        let national_digits = digits - code_digits;
        let code = self.get() / 10_u64.pow(national_digits);
        (u16::try_from(code).unwrap_or_default(), national_digits)
    }
}

/// The dots and slashes met so far.
///
/// They are separators where they stand between groups of digits. A spreadsheet's or a script's
/// number has a decimal point, and what follows it is no part of a telephone number: reading it as
/// one would give a stranger's.
#[derive(Default)]
struct Points {
    count: u32,
    /// How many digits, and how many leading zeros of the rest, stood before the last one.
    before: u32,
    /// The digits' value where the last one stood.
    value: u64,
}

impl Points {
    /// The fewest digits of a group.
    const LEAST: u32 = 2;
    /// So many digits are a number by themselves: one point behind them, and one or two digits, are
    /// a fraction.
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

/// How a number's digits fit the numbering plan of its country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The plan has numbers of this length.
    Known,
    /// The plan had no numbers of this length when its facts were collected, or few that begin like
    /// this. It may have grown, or the number has a prefix that is not dialled from abroad.
    UnknownLength,
    /// Fewer digits than any number of the plan has.
    TooShort,
    /// There is a prefix that is dialled inside the country only: a 0 after the country code, where no
    /// number of the plan begins with one, or Argentina's 15 after the area code.
    TrunkPrefix,
}

/// The space, and the two that keep a number on one line.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\u{a0}' | '\u{202f}')
}

/// The digits met so far.
#[derive(Default)]
struct Digits {
    /// Their value, or `u64::MAX` where it is larger: no number then, as both are above 10^15.
    value: u64,
    count: u32,
    /// How many zeros stood before the first other digit.
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

    /// The digits as an integer, without the prefix `00` if that stands before them.
    fn international(&self, plus: bool) -> Result<u64, ParseError> {
        match (plus, self.leading_zeros) {
            _ if self.is_empty() => Err(ParseError::NoDigits),
            (_, 0) => Ok(self.value),
            (false, 2) if !self.is_australian_prefix() => Ok(self.value),
            (false, 1 | 2) => Err(ParseError::NationalForm),
            _ => Err(ParseError::UnassignedCountryCode),
        }
    }

    /// Whether `0011` stands in front. As `00` and a number it would be one of North America whose
    /// area code begins with 1, and none does.
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

/// From the integer, country code first. Fails with [`ParseError::TooManyDigits`] or
/// [`ParseError::UnassignedCountryCode`], the latter also for 0.
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

/// Why a text is not an international number. Tells nothing about the number itself, so it may be
/// logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseError {
    /// There is no digit in it.
    NoDigits,
    /// More than [`Msisdn::MAX_TEXT`] bytes of text.
    TextTooLong,
    /// More than [`Msisdn::MAX_DIGITS`] digits.
    TooManyDigits,
    /// One leading 0, as in `073-200 11 22`; also the dialling prefixes `011` and `0011`.
    NationalForm,
    /// A prefix that is dialled inside the country only: a 0 after the country code of a country whose
    /// numbers do not begin with one, as in `+46 (0)73-200 11 22`, or Argentina's 15.
    TrunkPrefix,
    /// Fewer digits than any number of the country has.
    TooShort,
    /// A dot or slash that separates no groups of digits, as in `46732001122.0`.
    Point,
    /// Behind what is a number by itself, digits that no number of the country has besides: an extension, or a decimal fraction.
    /// Only numbering plans tell, so [`Msisdn::parse`] does not give this.
    Extension,
    /// A second `+`.
    SecondPlus,
    /// A `+` after a digit.
    MisplacedPlus,
    /// A digit other than ASCII `0` to `9`, such as a fullwidth, Arabic-Indic or superscript one.
    ForeignDigit,
    /// A letter of any script: an alphanumeric sender, an extension, a number spelled as a word.
    Letter,
    /// A character that is no digit, letter or separator.
    UnexpectedCharacter(char),
    /// The first digits are no country code that the ITU has assigned.
    UnassignedCountryCode,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::NoDigits => "the number has no digits",
            ParseError::TextTooLong => {
                let most = Msisdn::MAX_TEXT;
                return write!(f, "the text has more than {most} bytes, too many for a number");
            }
            ParseError::TooManyDigits => {
                let most = Msisdn::MAX_DIGITS;
                return write!(f, "the number has more than {most} digits, the most in E.164");
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
                "a dot or slash stands where it separates no groups of digits: is it a decimal point, or is an \
                 extension behind it? write the number alone"
            }
            ParseError::Extension => {
                "what stands behind the dot, slash, hyphen or parenthesis looks like an extension or a decimal \
                 fraction, as what stands before it is a number by itself: leave it out, or write the number \
                 without separators"
            }
            ParseError::SecondPlus => "the number has two plus signs: is it two numbers?",
            ParseError::MisplacedPlus => {
                "a plus sign stands after a digit: it belongs in front of the country code"
            }
            ParseError::ForeignDigit => {
                "the number has a digit that is not one of 0 to 9 in ASCII: write it with those"
            }
            ParseError::Letter => {
                "the text has a letter: write the number in digits, without name or extension"
            }
            ParseError::UnexpectedCharacter(character) => {
                return write!(
                    f,
                    "the character U+{:04X} has no place in a number: remove it",
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
    fn a_number_is_read_as_people_write_it() {
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
    fn a_zero_that_belongs_to_the_number_stays() {
        assert_eq!(number("+39 06 1234567").get(), 39061234567);
        assert_eq!(number("+39 (06) 1234567").get(), 39061234567);
        assert_eq!(number("+39 (0)6 1234567").get(), 39061234567);
        assert_eq!(number("+225 07 12 34 56 78").get(), 2250712345678);
        assert_eq!(number("+1 (800) 555 0100").get(), 18005550100);
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_cause() {
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
    fn text_is_read_up_to_its_bound() {
        let longest = format!("{:>64}", "46732001122");
        assert_eq!(number(&longest).get(), 46732001122);
        assert_eq!(Msisdn::parse(&format!(" {longest}")), Err(ParseError::TextTooLong));
    }

    #[test]
    fn integers_are_numbers_under_the_same_rules() {
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
    fn a_number_takes_a_word() {
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
            "the character U+202D has no place in a number: remove it"
        );
        assert!(ParseError::NationalForm.to_string().contains("country code"));
    }

    pub(crate) fn any_number() -> impl Strategy<Value = Msisdn> {
        (0..15_u32, 0..Msisdn::BOUND).prop_filter_map("unassigned", |(shorter, number)| {
            Msisdn::try_from(number / 10_u64.pow(shorter)).ok()
        })
    }

    /// One that can be read.
    fn any_fitting_number() -> impl Strategy<Value = Msisdn> {
        any_number().prop_filter("too short, or with a trunk prefix", |number| {
            matches!(number.fit(), Fit::Known | Fit::UnknownLength)
        })
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(number in any_fitting_number(), prefix in "(|00|\\+)") {
            let digits = number.digits().to_string();
            prop_assert_eq!(number.e164().to_string(), format!("+{digits}"));
            // 00 and North America's 1 and another 1 is the one pair that looks like `0011`.
            prop_assume!(!(prefix == "00" && digits.starts_with("11")));
            prop_assert_eq!(Msisdn::parse(&format!("{prefix}{digits}")), Ok(number));
        }

        #[test]
        fn separators_change_nothing(
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

        /// A decimal point never adds a digit to a number, and is never read as nothing.
        #[test]
        fn a_fraction_is_no_part_of_a_number(number in any_fitting_number(), zeros in "[.]0{1,3}|[.,/][0-9]|[.][0-9]{2}") {
            prop_assume!(number.get() >= 10_u64.pow(8));
            let text = format!("{}{zeros}", number.digits());
            prop_assert!(Msisdn::parse(&text).is_err());
        }

        #[test]
        fn any_text_gives_a_number_or_an_error_without_digits_or_letters(text in any::<String>()) {
            match Msisdn::parse(&text) {
                Ok(number) => prop_assert!(number.get() < Msisdn::BOUND),
                Err(ParseError::UnexpectedCharacter(character)) => {
                    prop_assert!(!character.is_alphanumeric());
                }
                Err(_) => {}
            }
        }

        #[test]
        fn near_numbers_give_a_number_or_an_error(text in "[ +()0-9a./-]{0,70}") {
            if let Ok(number) = Msisdn::parse(&text) {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                prop_assert_eq!(digits.trim_start_matches("00"), number.digits().to_string());
            }
        }
    }
}
