//! CSV files with a header.

mod delimiter;
mod records;
#[cfg(test)]
mod tests;

use std::io::BufRead;

use anyhow::bail;

use super::super::lines::Lines;
use super::column::{ColumnError, Columns, Name, told};
use super::refusal::Refusal;
use super::row::{Fields, Row, Rows, Wanted};
use super::rules::Rules;
use records::{Record, Records};

/// Reads RFC 4180 as leniently as the `csv` crate does, with any line endings. Inside quotes, each line
/// ending becomes LF.
///
/// A quote that is never closed would swallow the rest of the file. Such a record is refused at the end
/// of the input or after [`LONGEST_LINE`](super::super::lines::LONGEST_LINE) bytes, and reading resumes on the line after its first.
pub(super) struct CsvRows<'a, R> {
    records: Records<R>,
    columns: Columns,
    must_say_hold: bool,
    rules: &'a Rules,
}

impl<'a, R: BufRead> CsvRows<'a, R> {
    /// Reads the header, and the `sep=;` line that Excel may write before it.
    ///
    /// # Errors
    ///
    /// If no column or several columns could contain the number, if a column that the user named does not exist, or if the file
    /// seems to contain opt-outs and nothing says which holds to set.
    pub(super) fn new(mut lines: Lines<R>, rules: &'a Rules) -> anyhow::Result<Self> {
        let mut told = None;
        let mut ahead = Vec::new();
        while let Some(line) = lines.next()? {
            let text = line.bytes.as_deref().unwrap_or(b"");
            match delimiter::told(text) {
                Some(delimiter) if ahead.is_empty() && told.is_none() => told = Some(delimiter),
                _ if text.trim_ascii().is_empty() && line.bytes.is_some() => {}
                _ => {
                    ahead.push(line);
                    break;
                }
            }
        }
        let guessed =
            || ahead.first().and_then(|line| line.bytes.as_deref()).map_or(b',', delimiter::guessed);
        let delimiter = told.unwrap_or_else(guessed);
        lines.give_back(ahead);
        let mut records = Records::new(lines, delimiter);
        let (columns, must_say_hold) = match records.next()? {
            // An empty file has no rows, so its columns don't matter.
            None => (Columns::default(), false),
            Some((_, Ok(header))) => {
                let names: Vec<Name> =
                    header.fields().map(|name| Name::new(&String::from_utf8_lossy(name))).collect();
                let columns = find_columns(&names, rules)?;
                let must_say_hold = rules.rows_must_say_hold(&names, &columns)?;
                (columns, must_say_hold)
            }
            Some((line, Err(refusal))) => bail!("the header (line {line}) can't be read: {refusal}"),
        };
        Ok(CsvRows { records, columns, must_say_hold, rules })
    }

    fn read(
        columns: &Columns,
        record: &Record<'_>,
        must_say_hold: bool,
        rules: &Rules,
    ) -> Result<Wanted, Refusal> {
        let text = |column: Option<usize>| match column.and_then(|column| record.field(column)) {
            Some(bytes) => str::from_utf8(bytes).map_err(|_| Refusal::NotUtf8),
            None => Ok(""),
        };
        if record.field(columns.number).is_none() {
            return Err(Refusal::NoColumn);
        }
        let date = columns.date.as_ref().map(|date| Ok((date, text(Some(date.index))?)));
        let flag = columns.flag.as_ref().map(|(index, name)| Ok((name, text(Some(*index))?)));
        let fields = Fields {
            number: text(Some(columns.number))?,
            directions: text(columns.directions)?,
            reason: text(columns.reason)?,
            source: text(columns.source)?,
            hold: text(columns.hold)?,
            expires: text(columns.expires)?,
            status: text(columns.status)?,
            display: text(columns.display)?,
            date: date.transpose()?,
            flag: flag.transpose()?,
            must_say_hold,
        };
        Wanted::read(fields, rules)
    }
}

impl<R: BufRead> Rows for CsvRows<'_, R> {
    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        let CsvRows { records, columns, must_say_hold, rules } = self;
        let Some((line, record)) = records.next()? else { return Ok(None) };
        let wanted = record.and_then(|record| Self::read(columns, &record, *must_say_hold, rules));
        Ok(Some(Row { line, wanted }))
    }
}

/// Identifies the columns of a header.
fn find_columns(names: &[Name], rules: &Rules) -> anyhow::Result<Columns> {
    if let Some(missing) = rules.ignored.iter().find(|ignored| !names.iter().any(|name| name.is(ignored))) {
        bail!("there is no column {missing} (--ignore-column)");
    }
    let error = match Columns::find(names, rules) {
        Ok(columns) => return Ok(columns),
        Err(error) => error,
    };
    // The names must not be displayed: they are numbers.
    if names.iter().any(Name::looks_like_a_number) {
        bail!(
            "the first line contains a number instead of column names; add a header, such as `number`, or use --format plain if \
             each line is just a number"
        );
    }
    let there = told(names);
    match error {
        ColumnError::NoNumber(guesses) => match guesses.first() {
            Some(guess) => bail!(
                "no column is known to contain the numbers; the columns are: {there}; name one with --column; is it \
                 --column '{guess}'?"
            ),
            None => bail!(
                "no column is known to contain the numbers; the columns are: {there}; name one with --column"
            ),
        },
        ColumnError::SeveralNumbers(found) => {
            let both = ["to", "from"].map(|end| found.iter().any(|name| name.key() == end));
            let hint = match (both, names.iter().any(|name| name.key() == "messagingprofileid")) {
                ([true, true], true) => "; in Telnyx's opt-outs it is --column to",
                ([true, true], false) => {
                    "; in a log of messages use --column from for received messages, and --column to for sent ones"
                }
                _ => "",
            };
            bail!("several columns could contain the numbers: {}; name one with --column{hint}", told(&found))
        }
        ColumnError::NotThere(option, name) => {
            bail!("there is no column {name} ({option}); the columns are: {there}")
        }
        ColumnError::SeveralDates(one, other) => bail!("{}", Refusal::SeveralDates(one, other)),
        ColumnError::MessageDirection => bail!("{}", Refusal::MessageDirection),
    }
}
