//! What a file is that is not WebAssembly.

/// The bytes at its start that are looked at.
const LOOKED_AT: usize = 1024;

/// What a file is that is not WebAssembly, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotWasm {
    /// Nothing.
    #[error("the file is empty; build it again")]
    Empty,
    /// WebAssembly's text format, a `.wat` file.
    #[error("it is the text format of it, of which `wasm-tools parse FILE.wat -o FILE.wasm` makes a binary")]
    TextFormat,
    /// Another text.
    #[error(
        "it is text, such as source code; build it first, as the README of `portcullis plugin new` shows"
    )]
    Text,
    /// Anything else.
    #[error("it does not begin with the bytes \\0asm")]
    Other,
}

impl NotWasm {
    /// Looks at the start of a file. `None` if it begins as WebAssembly does: a component or a module.
    pub fn of(file: &[u8]) -> Option<Self> {
        if file.starts_with(b"\0asm") {
            return None;
        }
        if file.is_empty() {
            return Some(NotWasm::Empty);
        }
        let start = &file[..file.len().min(LOOKED_AT)];
        let text = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        // The last character may be cut off.
        let is_all = !text.is_empty() && start.len() - text.len() < 4;
        let is_text = is_all && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
        let begin = text.trim_start_matches('\u{feff}').trim_start();
        Some(match is_text {
            true if begin.starts_with('(') || begin.starts_with(";;") => NotWasm::TextFormat,
            true => NotWasm::Text,
            false => NotWasm::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_webassembly_is_told_apart_by_its_start() {
        let long = "é".repeat(LOOKED_AT);
        for (file, is) in [
            (&b""[..], Some(NotWasm::Empty)),
            (b"(module\n  (func))", Some(NotWasm::TextFormat)),
            (b"\xef\xbb\xbf\n;; a comment\n(component)", Some(NotWasm::TextFormat)),
            (b"#include <stdlib.h>\n", Some(NotWasm::Text)),
            (&long.as_bytes()[1..], Some(NotWasm::Other)),
            (&[b" ", long.as_bytes()].concat(), Some(NotWasm::Text)),
            (b"\x7fELF\x02", Some(NotWasm::Other)),
            (b"\xff\xd8\xff", Some(NotWasm::Other)),
            (b"\0asm", None),
        ] {
            assert_eq!(NotWasm::of(file), is, "{:?}", file.get(..20));
        }
    }
}
