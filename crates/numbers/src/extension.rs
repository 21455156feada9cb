//! Extensions and decimal fractions after a number, which are not part of it.
//!
//! In `46732001122/123` and `46732001122.125` the last digits are an extension or a fraction. Read as part of the
//! number, they would turn it into a stranger's or nobody's. A dot or slash separates groups of one number if the part
//! before it is not a number yet, as in `+49 170/1234567`.

/// From this many digits on, the part before a separator is taken as a number even if the whole is another valid one.
/// Fewer digits may be an area code.
const WHOLE: usize = 8;

/// Whether the text is a number followed by a separator and an extension or a fraction. `is_number` says whether a text
/// is a valid number as it stands.
pub(crate) fn follows(text: &str, is_number: impl Fn(&str) -> bool) -> bool {
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
            // Several dots or hyphens separate groups.
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
