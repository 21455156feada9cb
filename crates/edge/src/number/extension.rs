//! Extensions and decimal fractions behind a number, which are no part of it.
//!
//! In `46732001122/123` and `46732001122.125` the last digits are an extension or a fraction. Read on, they would make another
//! number: a stranger's, or nobody's. A dot or slash separates groups of one number where what stands before it is none yet, as
//! in `+49 170/1234567`.

/// So many digits are a number by themselves, also where those behind them would make another one: fewer may be an area's code.
const WHOLE: usize = 8;

/// Whether a number stands before a separator that what follows does not belong to. `is_number` tells whether a text is a valid
/// number as it stands.
pub(super) fn follows(text: &str, is_number: impl Fn(&str) -> bool) -> bool {
    if !text.contains(['.', '/', '-', '(']) {
        return false;
    }
    let count = |separator: char| text.matches(separator).count();
    let (dots, hyphens) = (count('.'), count('-'));
    let mut whole = None;
    let mut digits_before = 0;
    for (at, character) in text.char_indices() {
        digits_before += usize::from(character.is_ascii_digit());
        let is_long = digits_before >= WHOLE;
        let mut is_whole = || *whole.get_or_insert_with(|| is_number(text));
        let is_in_doubt = match character {
            '/' => is_long || !is_whole(),
            // Several separate groups.
            '.' => is_long && dots == 1 || !is_whole(),
            '-' => is_long && hyphens == 1 && !is_whole(),
            '(' => is_long && !is_whole(),
            _ => false,
        };
        let (before, after) = text.split_at(at);
        if is_in_doubt && after.bytes().any(|byte| byte.is_ascii_digit()) && is_number(before) {
            return true;
        }
    }
    false
}
