//! Text that was written by others: bounded, and safe to print.

use std::fmt::{self, Write};

/// The most bytes of one text that is shown, before its characters are escaped.
pub const FOREIGN_TEXT_BYTES: usize = 512;

/// Text that was written by others, such as a plugin, the file of one, or a parser that quotes it.
///
/// Displays at most [`FOREIGN_TEXT_BYTES`] of it, then an ellipsis. Characters that a terminal or a reader of a log
/// would obey instead of show are escaped, as in `\u{1b}`: see [`is_obeyed`]. What is escaped is not escaped again.
///
/// ```
/// use portcullis_host::ForeignText;
///
/// assert_eq!(ForeignText("a\nb \u{202e}c").to_string(), r"a\nb \u{202e}c");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignText<'a>(pub &'a str);

impl ForeignText<'_> {
    /// Displays at most `limit` bytes, instead of [`FOREIGN_TEXT_BYTES`].
    pub fn within(self, limit: usize) -> String {
        let mut shown = String::new();
        let mut escaped = Escaped::new(&mut shown, limit);
        // Writing into a string can't fail.
        let _ = escaped.write_str(self.0);
        shown
    }
}

impl fmt::Display for ForeignText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped::new(f, FOREIGN_TEXT_BYTES).write_str(self.0)
    }
}

/// Whether a terminal or a reader of a log would obey the character instead of show it: control characters, separators
/// of lines, and characters without a shape of their own that change the direction of text, or hide in it.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Passes text on, escapes what [is obeyed](is_obeyed), and replaces what is beyond the limit by an ellipsis.
pub(crate) struct Escaped<'a, W: ?Sized> {
    to: &'a mut W,
    /// The bytes that may still come.
    left: usize,
    has_ended: bool,
}

impl<'a, W: Write + ?Sized> Escaped<'a, W> {
    pub(crate) fn new(to: &'a mut W, limit: usize) -> Self {
        Escaped { to, left: limit, has_ended: false }
    }
}

impl<W: Write + ?Sized> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.has_ended {
                return Ok(());
            }
            let Some(left) = self.left.checked_sub(c.len_utf8()) else {
                self.has_ended = true;
                return self.to.write_char('…');
            };
            self.left = left;
            match c {
                '\n' | '\r' | '\t' => write!(self.to, "{}", c.escape_default())?,
                c if is_obeyed(c) => write!(self.to, "{}", c.escape_unicode())?,
                c => self.to.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_visibly() {
        let shown = |text: &str| ForeignText(text).to_string();
        assert_eq!(
            shown("x`\n2026-11-28T19:00Z INFO \u{1b}[2J\u{1b}[31m"),
            r"x`\n2026-11-28T19:00Z INFO \u{1b}[2J\u{1b}[31m"
        );
        for c in "\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}".chars() {
            assert_eq!(shown(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
        let plain = "Zoë–日本 \"ok\" \\ é";
        assert_eq!(shown(plain), plain);
    }

    #[test]
    fn long_text_ends_in_an_ellipsis_between_two_characters() {
        assert_eq!(ForeignText("abc").within(3), "abc");
        assert_eq!(ForeignText("abcd").within(3), "abc…");
        assert_eq!(ForeignText("aéé").within(4), "aé…");
        let shown = ForeignText(&"\u{202e}".repeat(1 << 20)).to_string();
        assert!(shown.len() < 8 * FOREIGN_TEXT_BYTES, "{}", shown.len());
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_is_obeyed_and_nothing_is_escaped_twice(text in "\\PC*|.*", limit in 0..80_usize) {
            let shown = ForeignText(&text).within(limit);
            prop_assert!(!shown.contains(is_obeyed));
            prop_assert_eq!(ForeignText(&shown).within(usize::MAX), shown);
        }
    }
}
