//! Text of the gateway, and of those whom it quotes, made safe to print.

use std::fmt::{self, Write as _};

/// The most bytes of one text that are shown.
const MOST: usize = 8192;

/// Text that was written by others: on one line, without what a terminal would obey, and not too long. The host has the same rules.
pub(super) struct ForeignText<'a>(pub(super) &'a str);

impl fmt::Display for ForeignText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.char_indices() {
            if at >= MOST {
                return f.write_char('…');
            }
            match c {
                '\n' | '\r' | '\t' => write!(f, "{}", c.escape_default())?,
                c if is_obeyed(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Text of several lines and columns, without anything else that a terminal would obey.
pub(super) fn page(text: &str) -> String {
    let mut page = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) && !matches!(c, '\n' | '\t') {
            true => page.extend(c.escape_unicode()),
            false => page.push(c),
        }
    }
    page
}

/// Whether a terminal would obey the character instead of show it, or show nothing, or the text around it in another order.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_can_not_write_to_the_terminal_what_it_likes() {
        let text = "refused\n2026 INFO fine\u{1b}[2J\u{202e}\u{9b}31m";
        assert_eq!(ForeignText(text).to_string(), r"refused\n2026 INFO fine\u{1b}[2J\u{202e}\u{9b}31m");
        assert_eq!(page("a\tb\n\u{1b}[2J\u{2066}"), "a\tb\n\\u{1b}[2J\\u{2066}");
        assert!(ForeignText(&"x".repeat(1 << 20)).to_string().len() < 2 * MOST);
    }
}
