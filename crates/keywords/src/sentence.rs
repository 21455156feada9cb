//! The first sentence of a text.

use super::fold::is_of_word;

/// Number of characters in which the end of the first sentence is searched for.
pub(super) const LONGEST: usize = 1024;

/// Returns the text up to the first full stop, exclamation mark, ellipsis or line break; `None` if the first 1,024 characters
/// have none.
///
/// A question mark doesn't end a sentence here: "Stop? Why" asks for nothing. Neither does a mark that is followed immediately by
/// a letter or digit (`stop.example`), or by a number as the next word (`stop. 12345`).
pub(super) fn first_sentence(text: &str) -> Option<&str> {
    let start = text.find(is_of_word)?;
    let text = &text[start..];
    let end = text.char_indices().take(LONGEST).find(|(position, character)| {
        let rest = &text[position + character.len_utf8()..];
        let ends = match character {
            '.' | '!' | '…' | '।' | '۔' => !rest.starts_with(is_of_word),
            '。' | '｡' | '！' | '．' => true,
            _ => return is_new_line(*character),
        };
        ends && !is_number_next(rest)
    });
    end.map(|(position, _)| &text[..position])
}

fn is_new_line(character: char) -> bool {
    matches!(character, '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether the next word on the line is a number. The search is bounded, because a text may be megabytes of punctuation.
fn is_number_next(rest: &str) -> bool {
    let next = rest.chars().take(LONGEST).find(|character| is_new_line(*character) || is_of_word(*character));
    next.is_some_and(char::is_numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_is_what_stands_before_another() {
        for (text, expected) in [
            ("Stop. Thank you", Some("Stop")),
            ("Stop!!! Thank you", Some("Stop")),
            ("\"Stop.\" Thank you", Some("Stop")),
            ("... stop… bye", Some("stop")),
            ("STOP\n-- \nSent from my phone", Some("STOP")),
            ("\r\nSTOP\r\n+1 650 555 1234", Some("STOP")),
            ("停止。谢谢", Some("停止")),
            ("बंद। धन्यवाद", Some("बंद")),
            ("stop, please", None),
            ("stop? why", None),
            ("stop.example", None),
            ("STOP. 12345", None),
            ("STOP! - 12345", None),
            ("", None),
            ("...", None),
        ] {
            assert_eq!(first_sentence(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_sentence_without_an_end_is_not_looked_for_forever() {
        assert_eq!(first_sentence(&format!("{}.", "a".repeat(LONGEST - 1))).map(str::len), Some(LONGEST - 1));
        assert_eq!(first_sentence(&format!("{}.", "a".repeat(LONGEST))), None);
    }
}
