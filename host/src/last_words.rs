//! What a plugin said when it panicked, and where it was.

use std::fmt::Write as _;

use wasmtime::{AsContext, FrameInfo, WasmCoreDump};

use crate::foreign_text::ForeignText;
use crate::function_name;

/// Begins a note in a plugin's memory. After it come the length of the message, as a `u32` in little-endian order, and the message in
/// UTF-8. The SDK's panic hook writes one; `docs/plugins.md` describes it for other languages.
const MARK: &[u8; 16] = b"PORTCULLIS-PANIC";
/// The most bytes of a message that are read.
const MESSAGE_BYTES: usize = 1024;
/// The most bytes of a message that are shown.
const SHOWN_BYTES: usize = 256;
/// How much of each memory is searched, from its start, where linkers place static data.
const SEARCHED_BYTES: usize = 16 << 20;
/// The most memories that are searched.
const MEMORIES: usize = 4;
/// The most frames that are shown.
const FRAMES: usize = 5;
/// The most bytes of a function's name that are shown.
const NAME_BYTES: usize = 80;
/// From so many digits on, digits may be those of a telephone number, or of a subject.
const SECRET_DIGITS: usize = 5;

/// What a plugin left behind when it trapped: its message if it panicked, and the functions that it was in, if they have names.
///
/// Empty if it left nothing. Both are the plugin's own words: they are bounded and escaped, and digits that may be of a number are masked.
pub(crate) fn last_words(store: impl AsContext, error: &wasmtime::Error) -> String {
    let Some(dump) = error.downcast_ref::<WasmCoreDump>() else { return String::new() };
    let mut words = String::new();
    if let Some(message) = message(&store, dump) {
        let shown = ForeignText(message.trim()).within(SHOWN_BYTES);
        let _ = write!(words, ": {}", without_numbers(&shown));
    }
    let names: Vec<String> = named(dump.frames()).take(FRAMES).collect();
    if !names.is_empty() {
        let _ = write!(words, " (in {})", names.join(" < "));
    }
    words
}

fn message(store: &impl AsContext, dump: &WasmCoreDump) -> Option<String> {
    dump.memories().iter().take(MEMORIES).find_map(|memory| {
        let data = memory.data(store);
        noted(data.get(..SEARCHED_BYTES).unwrap_or(data))
    })
}

/// The message in a memory. There may be marks without one, such as that of a hook that did not run.
fn noted(memory: &[u8]) -> Option<String> {
    memchr::memmem::find_iter(memory, MARK).find_map(|at| {
        let (length, text) = memory.get(at + MARK.len()..)?.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let text = text.get(..length.min(MESSAGE_BYTES))?;
        (length > 0).then(|| String::from_utf8_lossy(text).into_owned())
    })
}

/// The functions that were called, the innermost first. Those that only make a panic of an error are left out.
fn named(frames: &[FrameInfo]) -> impl Iterator<Item = String> {
    let names = frames.iter().filter_map(FrameInfo::func_name).filter_map(function_name::readable);
    let names = names.filter(|name| !is_of_panics(name));
    names.map(|name| without_numbers(&ForeignText(&name).within(NAME_BYTES)))
}

fn is_of_panics(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "core::panicking::",
        "core::option::",
        "core::result::",
        "std::panicking::",
        "std::sys::",
        "__rust",
        "rust_panic",
        "abort",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.contains("begin_panic")
}

/// Masks all digits where there are many, whatever stands between them that may stand in a telephone number.
fn without_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_numeric()) {
        let (before, from) = rest.split_at(start);
        let is_part = |c: char| c.is_numeric() || matches!(c, ' ' | '-' | '.' | '/' | '(' | ')' | '_' | ',');
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        shown.push_str(before);
        match run.chars().filter(|c| c.is_numeric()).count() >= SECRET_DIGITS {
            true => shown.extend(run.chars().map(|c| if c.is_numeric() { '*' } else { c })),
            false => shown.push_str(run),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: &str) -> Vec<u8> {
        [MARK, &u32::try_from(message.len()).unwrap().to_le_bytes()[..], message.as_bytes()].concat()
    }

    #[test]
    fn a_note_is_found_behind_marks_that_are_none() {
        let mut memory = vec![0; 100];
        memory.extend(note(""));
        memory.extend(note("at the third"));
        assert_eq!(noted(&memory).as_deref(), Some("at the third"));
        assert_eq!(noted(&memory[..memory.len() - 1]), None, "it is cut off");
        assert_eq!(noted(&[]), None);
        assert_eq!(noted(MARK), None);
    }

    #[test]
    fn a_note_may_lie_about_its_length_and_its_language() {
        let lying = [&MARK[..], &u32::MAX.to_le_bytes(), &[0xff; 2000]].concat();
        assert_eq!(noted(&lying).map(|text| text.chars().count()), Some(MESSAGE_BYTES));
        assert_eq!(noted(&lying[..40]), None);
    }

    #[test]
    fn digits_of_numbers_are_masked_and_others_are_not() {
        for (text, shown) in [
            ("panicked at src/lib.rs:117:12: on 3 of 12", "panicked at src/lib.rs:117:12: on 3 of 12"),
            ("no rule for +46732001122", "no rule for +***********"),
            ("no rule for +46 73-200 11 22!", "no rule for +** **-*** ** **!"),
            ("Subject(1125899906842623)", "Subject(****************)"),
            ("(046) 73 2", "(***) ** *"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(text), shown);
        }
    }
}
