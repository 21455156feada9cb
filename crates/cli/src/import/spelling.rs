//! Numbers as spreadsheets and scripts spell them.
//!
//! pandas, csvkit and spreadsheets parse telephone numbers as numbers. If a column has an empty cell, `46732001122` becomes
//! `46732001122.0`; if it is too narrow, `4.6732E+10`. Read as a telephone number, the first would have one digit more and belong
//! to a stranger, and the second has lost its digits. A text is therefore read only if it can mean just one number. Otherwise the
//! row is refused.

use portcullis_msisdn::Msisdn;

use super::refusal::Refusal;
use portcullis_api::USER_PREFIX;

/// From this many digits on, a whole part is a telephone number by itself, and what follows a point is a fraction.
const WHOLE: usize = 8;

/// Removes what a spreadsheet added to the number in a cell, line or JSON string. Any other spelling is returned unchanged, and
/// left to the gateway.
///
/// - `46732001122.0` and `46732001122,00` lose the fraction. Three or more zeros may be a group of digits, as in `+46732001.000`,
///   and are refused unless the number would then have more than 15 digits.
/// - `="46732001122"` and `'46732001122`, which make Excel treat the number as text, lose these characters.
///
/// # Errors
///
/// [`Refusal::Fraction`], [`Refusal::Point`], [`Refusal::Scientific`] or [`Refusal::Formula`], if digits may have been lost or the
/// spelling is ambiguous.
pub(super) fn read(cell: &str) -> Result<&str, Refusal> {
    let cell = cell.trim();
    if cell.starts_with(USER_PREFIX) {
        return Ok(cell);
    }
    let text = without_text_signs(cell)?;
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if is_scientific(unsigned) {
        return Err(Refusal::Scientific);
    }
    let Some((whole, fraction)) = unsigned.split_once(['.', ',']) else { return Ok(text) };
    if !is_digits(whole) || !is_digits(fraction) {
        return Ok(text);
    }
    // Leading zeros are a dialing prefix or padding, not digits of the number.
    let digits = whole.trim_start_matches('0').len();
    let too_long_with_it = digits + fraction.len() > Msisdn::MAX_DIGITS as usize;
    match (is_zero(fraction), fraction.len()) {
        (true, 1) => Ok(without_fraction(text, fraction)),
        (true, 2) if digits >= WHOLE => Ok(without_fraction(text, fraction)),
        (true, _) if too_long_with_it => Ok(without_fraction(text, fraction)),
        (true, _) => Err(Refusal::Point),
        (false, 1) => Err(Refusal::Fraction),
        (false, _) if digits >= WHOLE => Err(Refusal::Fraction),
        // Groups of digits, as in `+1.7035555555`.
        (false, _) => Ok(text),
    }
}

/// Reads the raw text of a JSON number, in which a point is always a decimal point.
///
/// # Errors
///
/// [`Refusal::Fraction`] or [`Refusal::Scientific`], as for [`read`], and [`Refusal::NumberType`] for a negative number.
pub(super) fn read_json_number(number: &str) -> Result<&str, Refusal> {
    if number.starts_with('-') {
        return Err(Refusal::NumberType);
    }
    if number.contains(['e', 'E']) {
        return Err(Refusal::Scientific);
    }
    match number.split_once('.') {
        None => Ok(number),
        Some((whole, fraction)) if is_zero(fraction) => Ok(whole),
        Some(_) => Err(Refusal::Fraction),
    }
}

/// Removes the characters that make a spreadsheet treat a number as text.
fn without_text_signs(cell: &str) -> Result<&str, Refusal> {
    if let Some(formula) = cell.strip_prefix('=') {
        let text = formula.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        return match text {
            Some(text) if !text.contains('"') => Ok(text.trim()),
            _ => Err(Refusal::Formula),
        };
    }
    match cell.strip_prefix('\'') {
        Some(text) => Ok(text.strip_suffix('\'').unwrap_or(text).trim()),
        None => Ok(cell),
    }
}

/// Removes `fraction` and the point before it from the end of `text`.
fn without_fraction<'a>(text: &'a str, fraction: &str) -> &'a str {
    &text[..text.len() - fraction.len() - 1]
}

/// Whether the text looks like `4.6732E+10`.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    is_digits(whole)
        && is_digits(fraction)
        && is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_zero(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fraction_of_zeros_is_dropped() {
        for (cell, number) in [
            ("46732001122.0", "46732001122"),
            ("46732001122.00", "46732001122"),
            ("+46732001122.0", "+46732001122"),
            ("46732001122,0", "46732001122"),
            (" 46732001122,00\t", "46732001122"),
            ("0046732001122.0", "0046732001122"),
            ("0732001122.0", "0732001122"),
            // Niue and Saint Helena have numbers this short.
            ("6834001.0", "6834001"),
            // As printf formats a float.
            ("46732001122.000000", "46732001122"),
            ("=\"46732001122.0\"", "46732001122"),
            ("'46732001122.0", "46732001122"),
        ] {
            assert_eq!(read(cell), Ok(number), "{cell}");
        }
    }

    #[test]
    fn what_is_a_text_for_excel_is_read() {
        for cell in ["=\"+46732001122\"", "= \"+46732001122\" ", "'+46732001122", "'+46732001122'"] {
            assert_eq!(read(cell), Ok("+46732001122"), "{cell}");
        }
    }

    #[test]
    fn what_may_have_lost_digits_is_refused() {
        for (cell, expected) in [
            ("46732001122.5", Refusal::Fraction),
            ("46732001122,25", Refusal::Fraction),
            ("467320011.223", Refusal::Fraction),
            ("4673200.5", Refusal::Fraction),
            ("4.6732E+10", Refusal::Scientific),
            ("4,6732E+10", Refusal::Scientific),
            ("4.6732001122e10", Refusal::Scientific),
            ("+5E10", Refusal::Scientific),
            ("=\"4.6732E+10\"", Refusal::Scientific),
            // Either +46732001000 or a float with 8 digits.
            ("46732001.000", Refusal::Point),
            ("4673.00", Refusal::Point),
            ("=46732001122", Refusal::Formula),
            ("=\"467\"&\"32001122\"", Refusal::Formula),
            ("=A1", Refusal::Formula),
        ] {
            assert_eq!(read(cell), Err(expected), "{cell}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_gateway() {
        for cell in [
            "+46 73-200 11 22",
            "46.73.200.11.22",
            "+1.7035555555",
            "46.732.001.122",
            "073-200 11 22",
            "user:US.13491208655302741918",
            "user:4673200112.0",
            "user:1e5",
            "nobody",
            "46732001122.",
            "1,2,3",
            "",
        ] {
            assert_eq!(read(cell), Ok(cell), "{cell}");
        }
    }

    #[test]
    fn a_json_number_is_read_where_it_is_whole() {
        for (number, expected) in [
            ("46732001122", Ok("46732001122")),
            ("46732001122.0", Ok("46732001122")),
            ("46732001.000", Ok("46732001")),
            ("46732001122.5", Err(Refusal::Fraction)),
            ("4.6732001122e10", Err(Refusal::Scientific)),
            ("4673200112E1", Err(Refusal::Scientific)),
            ("-46732001122", Err(Refusal::NumberType)),
        ] {
            assert_eq!(read_json_number(number), expected, "{number}");
        }
    }

    /// Spells a number in one of the ways that occur in files.
    fn spelled(number: u64, spelling: usize, at: usize) -> String {
        let digits = number.to_string();
        // After eight or more digits, nobody separates the last one or two with a dot.
        let at = 1 + at % (digits.len() - 1);
        let (head, tail) = digits.split_at(at.min(digits.len() - 3));
        #[expect(clippy::cast_precision_loss, reason = "that it is lost is what is tested")]
        let float = number as f64;
        match spelling {
            0 => digits,
            1 => format!("+{digits}"),
            2 => format!("00{digits}"),
            3 => format!("{digits}.0"),
            4 => format!("{digits},0"),
            5 => format!("+{digits}.00"),
            6 => format!("00{digits}.0"),
            7 => format!("{digits}.000000"),
            8 => format!("=\"{digits}\""),
            9 => format!("=\"+{digits}.0\""),
            10 => format!("'{digits}"),
            11 => format!("'+{digits}'"),
            12 => format!("{float:e}"),
            13 => format!("{float:E}").replace('.', ","),
            14 => format!("{float:.4E}").replace('E', "E+"),
            15 => format!("{float:.1}"),
            16 => format!("{float}.5"),
            17 => format!("+{head}.{tail}"),
            18 => format!("{head},{tail}"),
            19 => format!("+{head} {tail}"),
            20 => format!("{head}/{tail}.0"),
            21 => format!("{digits}.00000000000"),
            22 => format!("{digits},25"),
            23 => format!("=\"{digits},00\""),
            _ => format!(" {digits}.0 "),
        }
    }

    proptest! {
        #[test]
        fn no_spelling_makes_another_number(
            number in prop_oneof![
                1_000_000..1_000_000_000_000_000_u64,
                // With trailing zeros, which look like a fraction after a dot.
                (1_000..1_000_000_000_u64, 1..6_u32).prop_map(|(head, zeros)| head * 10_u64.pow(zeros)),
            ],
            spelling in 0..25_usize,
            at in 0..15_usize,
        ) {
            prop_assume!(number >= 1_000_000);
            let Ok(number) = Msisdn::try_from(number) else { return Ok(()) };
            let text = spelled(number.get(), spelling, at);
            if let Ok(read) = read(&text) {
                // The gateway refuses a point that is followed by fewer than two digits.
                let is_point = read.rsplit_once(['.', '/', ',']).is_some_and(|(_, last)| last.len() < 2);
                if let Ok(read) = Msisdn::parse(read) {
                    prop_assert!(is_point || read == number, "{:?} is not {}", read, text);
                }
            }
        }

        #[test]
        fn a_whole_number_with_a_fraction_of_zeros_is_read(
            number in 10_000_000..1_000_000_000_000_000_u64,
            spelling in prop_oneof![0..2_usize, 3..6_usize, 8..12_usize],
        ) {
            let text = spelled(number, spelling, 0);
            let digits = read(&text).unwrap();
            prop_assert_eq!(digits.strip_prefix('+').unwrap_or(digits), number.to_string());
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}|[0-9.,eE+='\"]{0,20}") {
            _ = read(&text);
            _ = read_json_number(&text);
        }
    }
}
