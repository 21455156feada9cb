//! Prefixes that are dialled inside a country only, typed behind its code.

use portcullis_msisdn::{Fit, Msisdn, ParseError};
use rlibphonenumber::PHONE_NUMBER_UTIL;

use super::{is_known, is_valid, valid};

/// Prefixes that libphonenumber's metadata does not have, has for some services only, or takes for a part of another one. Longer
/// ones stand before those that they begin with.
fn of(code: u16) -> &'static [&'static str] {
    match code {
        // The Soviet Union's, in Russia and Kazakhstan of today, and elsewhere abolished in the last thirty years.
        7 | 370..=375 | 380 | 992..=996 | 998 => &["8"],
        // Hungary.
        36 => &["06"],
        // Mexico: before calls to mobile telephones and to other areas, abolished in 2019; also behind the 1 of mobile telephones.
        52 => &["1044", "1045", "101", "044", "045", "01"],
        // Argentina: the 9 of mobile numbers beside the 15 of the same, of which the metadata drops the latter alone.
        54 => &["90", "9", "0"],
        // Colombia, before mobile numbers.
        57 => &["0"],
        // Mongolia, with the code of a carrier.
        976 => &["01", "02"],
        _ => &[],
    }
}

/// The number without a prefix that is dialled inside its country only, where the whole is not valid and the rest is. The number
/// itself where it has none.
///
/// # Errors
/// [`ParseError::TrunkPrefix`] where it has one, and the rest is not valid.
pub(super) fn dropped(number: Msisdn) -> Result<Msisdn, ParseError> {
    if is_valid(number) {
        // As freephone numbers of some countries are, that begin with 0.
        return Ok(number);
    }
    let fit = number.fit();
    match rest(number) {
        Some(rest) => Ok(rest),
        None if fit == Fit::TrunkPrefix || is_typed(number) => Err(ParseError::TrunkPrefix),
        None => Ok(number),
    }
}

/// What is left without zeros behind the country code, if that is valid in a spelling, whatever the country dials.
pub(super) fn without_zero(number: Msisdn) -> Option<Msisdn> {
    let (code, national) = (number.country_code(), national(number));
    let zeros = national.bytes().take_while(|digit| *digit == b'0').count();
    (1..=zeros).filter_map(|count| behind(code, &national[count..])).find(|rest| is_known(*rest))
}

/// What is left without the prefix, if that is valid.
fn rest(number: Msisdn) -> Option<Msisdn> {
    let code = number.country_code();
    read(number).or_else(|| without_prefix(number).find_map(read)).or_else(|| {
        // Before a zero that belongs to the number.
        let national = national(number);
        let rest = national.strip_prefix('0').filter(|rest| rest.starts_with('0'))?;
        behind(code, rest).and_then(read)
    })
}

/// The valid number that the metadata makes of this one, which may have prefixes that it knows.
fn read(number: Msisdn) -> Option<Msisdn> {
    PHONE_NUMBER_UTIL.parse(number.e164().to_string(), None).ok().and_then(valid)
}

/// Whether the number has a prefix that makes it too long, and would have a length of its country's plan without.
fn is_typed(number: Msisdn) -> bool {
    without_prefix(number).any(|rest| match rest.fit() {
        Fit::TrunkPrefix => true,
        // The 9 of Argentina's mobile numbers belongs to them.
        Fit::Known => number.country_code() != 54,
        Fit::UnknownLength | Fit::TooShort => false,
    })
}

/// What is left without each of the prefixes of its country that the number begins with.
fn without_prefix(number: Msisdn) -> impl Iterator<Item = Msisdn> {
    let (code, national) = (number.country_code(), national(number));
    let rest = move |prefix: &&str| behind(code, national.strip_prefix(*prefix)?);
    of(code).iter().filter_map(rest)
}

/// The digits behind the country code.
fn national(number: Msisdn) -> String {
    let digits = number.digits().to_string();
    digits.strip_prefix(&number.country_code().to_string()).unwrap_or_default().to_owned()
}

fn behind(code: u16, national: &str) -> Option<Msisdn> {
    Msisdn::try_from(format!("{code}{national}").parse::<u64>().ok()?).ok()
}
