//! The records of a file, each of a line or several.

use std::io::BufRead;

use csv_core::ReadRecordResult;

use super::super::refusal::Refusal;
use crate::lines::{LONGEST_LINE, Lines};

/// The fields of one record.
pub(super) struct Record<'a> {
    text: &'a [u8],
    /// The end of each field in `text`.
    ends: &'a [usize],
}

impl Record<'_> {
    pub(super) fn field(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|index| self.field(index))
    }
}

/// Assembles lines into records.
pub(super) struct Records<R> {
    lines: Lines<R>,
    parser: csv_core::Reader,
    /// Buffers for the fields of a record and their ends, reused for each record.
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(lines: Lines<R>, delimiter: u8) -> Self {
        Records {
            lines,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            // Enough for the longest record, so it rarely grows.
            text: vec![0; 2 * LONGEST_LINE],
            ends: vec![0; 64],
        }
    }

    /// The next record, and the line on which it starts.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(u64, Result<Record<'_>, Refusal>)>> {
        let (line, mut bytes) = loop {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) => match line.bytes {
                    None => return Ok(Some((line.number, Err(Refusal::LineTooLong)))),
                    Some(bytes) if bytes.trim_ascii().is_empty() => {}
                    Some(bytes) => break (line.number, bytes),
                },
            }
        };
        self.parser.reset();
        let mut filled = Filled::default();
        let mut size = 0;
        let mut ahead = Vec::new();
        loop {
            size += bytes.len();
            bytes.push(b'\n');
            if size <= LONGEST_LINE && self.parse(&bytes, &mut filled) {
                let record = Record { text: &self.text[..filled.text], ends: &self.ends[..filled.ends] };
                return Ok(Some((line, Ok(record))));
            }
            let next = if size <= LONGEST_LINE { self.lines.next()? } else { None };
            match next {
                Some(next) if next.bytes.is_some() => {
                    bytes = next.bytes.clone().unwrap_or_default();
                    ahead.push(next);
                }
                next => {
                    self.lines.give_back(ahead.into_iter().chain(next));
                    return Ok(Some((line, Err(Refusal::UnclosedQuote))));
                }
            }
        }
    }

    /// Parses one more line. Returns whether the record ends with it.
    fn parse(&mut self, mut line: &[u8], filled: &mut Filled) -> bool {
        loop {
            let (result, read, text, ends) =
                self.parser.read_record(line, &mut self.text[filled.text..], &mut self.ends[filled.ends..]);
            line = &line[read..];
            filled.text += text;
            filled.ends += ends;
            match result {
                ReadRecordResult::InputEmpty => return false,
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record | ReadRecordResult::End => return true,
            }
        }
    }
}

/// How much of the buffers the current record has filled.
#[derive(Default)]
struct Filled {
    text: usize,
    ends: usize,
}
