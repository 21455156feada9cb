//! Reads numbered lines, with any line ending, in bounded memory.

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// The longest line that is read, in bytes without its line ending. Exports of customer databases stay
/// far below.
pub(super) const LONGEST_LINE: usize = 64 << 10;

/// A line without its line ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    /// `None` if the line is longer than [`LONGEST_LINE`].
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads lines that end with LF, CRLF or CR, in any mixture, or with the end of the input. Drops a
/// UTF-8 byte order mark at the beginning.
pub(super) struct Lines<R> {
    input: R,
    /// The number of lines read from `input` so far.
    read: u64,
    /// Whether the last line ended with CR, so that an LF next in `input` belongs to it.
    after_cr: bool,
    /// Lines that were read ahead and returned, in order.
    given_back: VecDeque<Line>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Lines { input, read: 0, after_cr: false, given_back: VecDeque::new() }
    }

    /// Reads the next line, or `None` at the end. Keeps at most one line in memory.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.given_back.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Vec::new();
        let mut began = false;
        let mut too_long = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if !began {
                    return Ok(None);
                }
                break;
            }
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            began = true;
            let end = chunk.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if line.len() + part.len() > LONGEST_LINE {
                too_long = true;
                line = Vec::new();
            }
            if !too_long {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.after_cr = end.is_some_and(|end| chunk[end] == b'\r');
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.read += 1;
        if self.read == 1 && line.starts_with(b"\xEF\xBB\xBF") {
            line.drain(..3);
        }
        Ok(Some(Line { number: self.read, bytes: (!too_long).then_some(line) }))
    }

    /// Returns lines, which [`next`](Self::next) yields again in this order before any others.
    pub(super) fn give_back(&mut self, lines: impl IntoIterator<Item = Line>) {
        let later = std::mem::take(&mut self.given_back);
        self.given_back = lines.into_iter().chain(later).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// Reads through a buffer of `buffer` bytes, so that line endings are split between two chunks.
    fn read(text: &[u8], buffer: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text));
        std::iter::from_fn(|| lines.next().unwrap())
            .map(|line| (line.number, line.bytes.map(|bytes| String::from_utf8(bytes).unwrap())))
            .collect()
    }

    fn numbered<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<(u64, Option<String>)> {
        (1..).zip(lines.into_iter().map(|line| Some(line.to_owned()))).collect()
    }

    #[test]
    fn lines_end_with_lf_crlf_cr_or_the_end() {
        for (text, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\r\nb\rc\nd", &["a", "b", "c", "d"]),
            ("\n\r\n\r", &["", "", ""]),
            ("a\r\r\nb", &["a", "", "b"]),
            ("a\n\rb", &["a", "", "b"]),
            ("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]),
            ("\u{feff}", &[""]),
        ] {
            for buffer in [1, 2, 3, 4, 8192] {
                assert_eq!(read(text.as_bytes(), buffer), numbered(expected.iter().copied()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_keeps_its_number_and_not_its_bytes() {
        let longest = "1".repeat(LONGEST_LINE);
        let text = format!("a\n{longest}\n{longest}1\r\nb\n{longest}{longest}");
        for buffer in [7, 8192, 1 << 20] {
            let lines = read(text.as_bytes(), buffer);
            assert_eq!(lines[0], (1, Some("a".to_owned())));
            assert_eq!(lines[1], (2, Some(longest.clone())));
            assert_eq!(lines[2..], [(3, None), (4, Some("b".to_owned())), (5, None)]);
        }
    }

    #[test]
    fn lines_given_back_come_first_and_in_order() {
        let mut lines = Lines::new(&b"1\n2\n3\n4\n"[..]);
        let mut take = |count| -> Vec<Line> { (0..count).map(|_| lines.next().unwrap().unwrap()).collect() };
        let mut ahead = take(3);
        let later = ahead.split_off(1);
        lines.give_back(later);
        let second = lines.next().unwrap().unwrap();
        lines.give_back([second]);
        let numbers: Vec<_> = std::iter::from_fn(|| lines.next().unwrap()).map(|line| line.number).collect();
        assert_eq!(numbers, [2, 3, 4]);
    }

    proptest! {
        #[test]
        fn every_line_comes_with_its_number_whatever_ends_it(
            lines in proptest::collection::vec(("[0-9+, é]{0,12}", 0..3_usize), 0..20),
            mark: bool,
            unended: bool,
            buffer in 1..40_usize,
        ) {
            let mut text = String::new();
            for (index, (line, end)) in lines.iter().enumerate() {
                text.push_str(line);
                // A CR before an empty line that ends with LF would be a single CRLF.
                let next_is_empty = lines.get(index + 1).is_some_and(|(next, _)| next.is_empty());
                text.push_str(if next_is_empty { "\n" } else { ["\n", "\r\n", "\r"][*end] });
            }
            let mut expected: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
            if unended {
                text.push_str("last");
                expected.push("last");
            }
            if mark {
                text.insert(0, '\u{feff}');
                if expected.is_empty() {
                    expected.push("");
                }
            }
            prop_assert_eq!(read(text.as_bytes(), buffer), numbered(expected));
        }
    }
}
