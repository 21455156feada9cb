//! Plain files: one number per line.

use std::io::BufRead;

use super::super::lines::Lines;
use super::column::Columns;
use super::refusal::Refusal;
use super::row::{Fields, Row, Rows, Wanted};
use super::rules::Rules;

/// Reads one row per line. Empty lines and lines that start with `#` are skipped.
pub(super) struct PlainRows<'a, R> {
    lines: Lines<R>,
    rules: &'a Rules,
}

impl<'a, R: BufRead> PlainRows<'a, R> {
    /// Creates a reader.
    ///
    /// # Errors
    ///
    /// If the file name shows that the file contains opt-outs, and nothing says which holds to set.
    pub(super) fn new(lines: Lines<R>, rules: &'a Rules) -> anyhow::Result<Self> {
        rules.rows_must_say_hold(&[], &Columns::default())?;
        Ok(PlainRows { lines, rules })
    }
}

impl<R: BufRead> Rows for PlainRows<'_, R> {
    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        while let Some(line) = self.lines.next()? {
            let wanted = match line.bytes.as_deref().map(str::from_utf8) {
                None => Err(Refusal::LineTooLong),
                Some(Err(_)) => Err(Refusal::NotUtf8),
                Some(Ok(text)) => match text.trim() {
                    "" => continue,
                    text if text.starts_with('#') => continue,
                    number => Wanted::read(Fields { number, ..Fields::default() }, self.rules),
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
        let text = b"# numbers\n+46700000001\n\n  \n 0046 70-000 00 02 \r\n  # more\n\xff\n46700000003.0\n4.67E+10\n";
        let rules = Rules::default();
        let mut rows = PlainRows::new(Lines::new(&text[..]), &rules).unwrap();
        let rows: Vec<_> = std::iter::from_fn(|| rows.next().unwrap())
            .map(|row| (row.line, row.wanted.map(|wanted| wanted.number)))
            .collect();
        assert_eq!(
            rows,
            [
                (2, Ok("+46700000001".to_owned())),
                (5, Ok("0046 70-000 00 02".to_owned())),
                (7, Err(Refusal::NotUtf8)),
                (8, Ok("46700000003".to_owned())),
                (9, Err(Refusal::Scientific)),
            ]
        );
    }
}
