//! What several targets need.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

static FOLDERS: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());

/// A new folder, which stays until [`clean_up`].
pub(crate) fn folder() -> PathBuf {
    let folder =
        tempfile::Builder::new().prefix("portcullis-fuzz-").tempdir().expect("a folder for temporary files");
    let path = folder.path().to_owned();
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
    path
}

/// Removes the files that targets keep while the process lives. Targets can't be run afterwards.
pub fn clean_up() {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The first byte, which chooses how the others are read.
pub(crate) fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Byte strings, each behind its length: two bytes, the lower one first. The last may be cut off.
pub(crate) fn frames(mut data: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let (frame, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        frames.push(frame);
        data = rest;
    }
    frames
}

/// The data in pieces: its first byte tells how many sizes follow, which are used in turn.
pub(crate) fn pieces(data: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (count, rest) = choice(data);
    let (sizes, whole) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let (mut pieces, mut left) = (Vec::new(), whole);
    while !left.is_empty() {
        let (piece, rest) = left.split_at(sizes.next().unwrap_or(1).min(left.len()));
        pieces.push(piece);
        left = rest;
    }
    (pieces, whole)
}

/// A JSON text with everything but ASCII escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            let mut units = [0; 2];
            escaped.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped
}

/// Fails where a message shows digits of the input that could be a telephone number.
pub(crate) fn assert_shows_no_number(message: &str, input: &[u8]) {
    /// Bounds that messages tell.
    const TOLD: [&str; 3] = ["1073741824", "16777216", "9223372036854775807"];
    let input = String::from_utf8_lossy(input);
    let runs = input.split(|character: char| !character.is_ascii_digit());
    for run in runs.filter(|run| run.len() >= 8 && !TOLD.contains(run)) {
        assert!(!message.contains(run), "{message:?} shows {run}");
    }
}
