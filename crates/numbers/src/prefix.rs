//! Prefixes that are only dialled inside a country, written after its code.

use portcullis_msisdn::{Fit, Msisdn, ParseError};
use rlibphonenumber::PHONE_NUMBER_UTIL;

use crate::{is_known, is_valid, valid};

/// Prefixes that libphonenumber's metadata does not have, has for some services only, or takes for part of another
/// prefix. A prefix comes after longer ones that begin with it.
fn of(code: u16) -> &'static [&'static str] {
    match code {
        // The Soviet Union's. In use in Russia and Kazakhstan; abolished elsewhere in the last thirty years.
        7 | 370..=375 | 380 | 992..=996 | 998 => &["8"],
        // Hungary.
        36 => &["06"],
        // Mexico, for calls to mobile phones and to other areas, abolished in 2019. Also after the 1 of mobile phones.
        52 => &["1044", "1045", "101", "044", "045", "01"],
        // Argentina: mobile numbers with both their 9 and their 15. The metadata only drops the 15.
        54 => &["90", "9", "0"],
        // Colombia, before mobile numbers.
        57 => &["0"],
        // Mongolia, with a carrier's code.
        976 => &["01", "02"],
        _ => &[],
    }
}

/// Drops a prefix that is only dialled inside the country, if the whole number is not valid and the rest is. Returns a
/// number without such a prefix as it is.
///
/// # Errors
/// [`ParseError::TrunkPrefix`] if there is a prefix, but the rest is not valid; [`ParseError::TooShort`].
pub(crate) fn dropped(number: Msisdn) -> Result<Msisdn, ParseError> {
    if is_valid(number) {
        // For example freephone numbers that begin with 0 in some countries.
        return Ok(number);
    }
    let fit = number.fit();
    match rest(number).filter(|rest| *rest == number || is_itself(*rest)) {
        Some(rest) => Ok(rest),
        None if fit == Fit::TrunkPrefix || is_typed(number) => Err(ParseError::TrunkPrefix),
        None if fit == Fit::TooShort => Err(ParseError::TooShort),
        None => Ok(number),
    }
}

/// Whether a number is read as it is. Belarus's +375 0 8104 090000 is valid without its zero, says the metadata, but what is left
/// begins with the 8 and 10 of calls abroad.
fn is_itself(number: Msisdn) -> bool {
    is_valid(number) || dropped(number) == Ok(number)
}

/// Drops zeros after the country code, if the rest is valid in one of its spellings. Applies to all countries, whatever
/// they dial.
pub(crate) fn without_zero(number: Msisdn) -> Option<Msisdn> {
    let (code, national) = (number.country_code(), national(number));
    let zeros = national.bytes().take_while(|digit| *digit == b'0').count();
    (1..=zeros).filter_map(|count| behind(code, &national[count..])).find(|rest| is_known(*rest))
}

/// The number without its prefix, if that is valid.
fn rest(number: Msisdn) -> Option<Msisdn> {
    let code = number.country_code();
    read(number).or_else(|| without_prefix(number).find_map(read)).or_else(|| {
        // A trunk zero before a zero that belongs to the number.
        let national = national(number);
        let rest = national.strip_prefix('0').filter(|rest| rest.starts_with('0'))?;
        behind(code, rest).and_then(read)
    })
}

/// The number without prefixes that the metadata knows, if that is valid.
fn read(number: Msisdn) -> Option<Msisdn> {
    PHONE_NUMBER_UTIL.parse(number.e164().to_string(), None).ok().and_then(valid)
}

/// Whether the number is too long because of a prefix, and would fit its country's plan without it.
fn is_typed(number: Msisdn) -> bool {
    without_prefix(number).any(|rest| match rest.fit() {
        Fit::TrunkPrefix => true,
        // In Argentina the 9 of a mobile number is part of it.
        Fit::Known => number.country_code() != 54,
        Fit::UnknownLength | Fit::TooShort => false,
    })
}

/// The number without each of its country's prefixes that it begins with.
fn without_prefix(number: Msisdn) -> impl Iterator<Item = Msisdn> {
    let (code, national) = (number.country_code(), national(number));
    let rest = move |prefix: &&str| behind(code, national.strip_prefix(*prefix)?);
    of(code).iter().filter_map(rest)
}

/// The digits after the country code.
fn national(number: Msisdn) -> String {
    let digits = number.digits().to_string();
    digits.strip_prefix(&number.country_code().to_string()).unwrap_or_default().to_owned()
}

fn behind(code: u16, national: &str) -> Option<Msisdn> {
    Msisdn::try_from(format!("{code}{national}").parse::<u64>().ok()?).ok()
}
