//! What is between the fields of a line.

/// The delimiters that are detected in the header. Spreadsheets write `;` in locales in which the comma
/// is the decimal separator.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// The delimiter declared by a `sep=;` line, with or without quotes.
pub(super) fn told(line: &[u8]) -> Option<u8> {
    let quoted = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
    let line = quoted.unwrap_or(line);
    match line {
        [name @ .., b'=', delimiter] if name.eq_ignore_ascii_case(b"sep") => {
            Some(*delimiter).filter(|delimiter| delimiter.is_ascii() && *delimiter != b'"')
        }
        _ => None,
    }
}

/// The delimiter that occurs most often in the header, outside quotes.
pub(super) fn guessed(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [0_usize; DELIMITERS.len()];
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some(index) = DELIMITERS.iter().position(|delimiter| !quoted && delimiter == byte) {
            counts[index] += 1;
        }
    }
    // On a tie, the first one. A header with one column has no delimiter, and any will do.
    let most = counts.iter().max();
    let best = counts.iter().position(|count| Some(count) == most);
    DELIMITERS[best.unwrap_or_default()]
}
