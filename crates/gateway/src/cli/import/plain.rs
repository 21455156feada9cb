//! Plain lists: a number a line.

use std::io::BufRead;

use super::super::lines::Lines;
use super::row::{Fields, Refusal, Row, Rows, Wanted};

/// Skips empty lines, and those that begin with `#`.
pub(super) struct PlainRows<R>(Lines<R>);

impl<R: BufRead> PlainRows<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        PlainRows(lines)
    }
}

impl<R: BufRead> Rows for PlainRows<R> {
    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        while let Some(line) = self.0.next()? {
            let wanted = match line.bytes.as_deref().map(str::from_utf8) {
                None => Err(Refusal::LineTooLong),
                Some(Err(_)) => Err(Refusal::NotUtf8),
                Some(Ok(text)) => match text.trim() {
                    "" => continue,
                    text if text.starts_with('#') => continue,
                    number => Wanted::read(Fields { number, ..Fields::default() }),
                },
            };
            return Ok(Some(Row { line: line.number, wanted }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_that_is_no_comment() {
        let text = b"# numbers\n+46700000001\n\n  \n 0046 70-000 00 02 \r\n  # more\n\xff\n";
        let mut rows = PlainRows::new(Lines::new(&text[..]));
        let rows: Vec<_> = std::iter::from_fn(|| rows.next().unwrap())
            .map(|row| (row.line, row.wanted.map(|wanted| wanted.number)))
            .collect();
        assert_eq!(
            rows,
            [
                (2, Ok("+46700000001".to_owned())),
                (5, Ok("0046 70-000 00 02".to_owned())),
                (7, Err(Refusal::NotUtf8)),
            ]
        );
    }
}
