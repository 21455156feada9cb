//! CSV files with a header.

use std::io::BufRead;

use anyhow::bail;
use csv_core::ReadRecordResult;

use super::super::lines::{LONGEST_LINE, Lines};
use super::column::{ColumnError, Columns, Name, told};
use super::refusal::Refusal;
use super::row::{Fields, Row, Rows, Wanted};
use super::rules::Rules;

/// The delimiters that are detected in the header. Spreadsheets write `;` in locales in which the comma
/// is the decimal separator.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Reads RFC 4180 as leniently as the `csv` crate does, with any line endings. Inside quotes, each line
/// ending becomes LF.
///
/// A quote that is never closed would swallow the rest of the file. Such a record is refused at the end
/// of the input or after [`LONGEST_LINE`] bytes, and reading resumes on the line after its first.
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
            match told_delimiter(text) {
                Some(delimiter) if ahead.is_empty() && told.is_none() => told = Some(delimiter),
                _ if text.trim_ascii().is_empty() && line.bytes.is_some() => {}
                _ => {
                    ahead.push(line);
                    break;
                }
            }
        }
        let guessed = || ahead.first().and_then(|line| line.bytes.as_deref()).map_or(b',', delimiter);
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

/// The delimiter declared by a `sep=;` line, with or without quotes.
fn told_delimiter(line: &[u8]) -> Option<u8> {
    let quoted = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
    let line = quoted.unwrap_or(line);
    match line {
        [name @ .., b'=', delimiter] if name.eq_ignore_ascii_case(b"sep") => {
            Some(*delimiter).filter(|delimiter| delimiter.is_ascii() && *delimiter != b'"')
        }
        _ => None,
    }
}

/// The delimiter that occurs most often in the header, outside quotes.
fn delimiter(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [0_usize; DELIMITERS.len()];
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some(index) = DELIMITERS.iter().position(|delimiter| !quoted && delimiter == byte) {
            counts[index] += 1;
        }
    }
    // On a tie, the first one. A header with one column has no delimiter, and any will do.
    let most = counts.iter().max();
    let best = counts.iter().position(|count| Some(count) == most);
    DELIMITERS[best.unwrap_or_default()]
}

/// The fields of one record.
struct Record<'a> {
    text: &'a [u8],
    /// The end of each field in `text`.
    ends: &'a [usize],
}

impl Record<'_> {
    fn field(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|index| self.field(index))
    }
}

/// Assembles lines into records.
struct Records<R> {
    lines: Lines<R>,
    parser: csv_core::Reader,
    /// Buffers for the fields of a record and their ends, reused for each record.
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: BufRead> Records<R> {
    fn new(lines: Lines<R>, delimiter: u8) -> Self {
        Records {
            lines,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            // Enough for the longest record, so it rarely grows.
            text: vec![0; 2 * LONGEST_LINE],
            ends: vec![0; 64],
        }
    }

    /// The next record, and the line on which it starts.
    fn next(&mut self) -> anyhow::Result<Option<(u64, Result<Record<'_>, Refusal>)>> {
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

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::super::super::directions::Directions;
    use super::*;
    use portcullis_api::GivenSource;
    use portcullis_api::HoldKind;

    fn try_rows_by(rules: &Rules, text: &[u8]) -> anyhow::Result<Vec<(u64, Result<Wanted, Refusal>)>> {
        let mut rows = CsvRows::new(Lines::new(BufReader::with_capacity(5, text)), rules)?;
        Ok(std::iter::from_fn(|| rows.next().unwrap()).map(|row| (row.line, row.wanted)).collect())
    }

    fn try_rows(text: &[u8], column: Option<&str>) -> anyhow::Result<Vec<(u64, Result<Wanted, Refusal>)>> {
        try_rows_by(&Rules { column: column.map(Name::new), ..Rules::default() }, text)
    }

    /// The line of each row, with its number or why it was refused.
    fn numbers(text: &str) -> Vec<(u64, Result<String, Refusal>)> {
        let rows = try_rows(text.as_bytes(), None).unwrap();
        rows.into_iter().map(|(line, row)| (line, row.map(|row| row.number))).collect()
    }

    fn good(line: u64, number: &str) -> (u64, Result<String, Refusal>) {
        (line, Ok(number.to_owned()))
    }

    #[test]
    fn the_number_is_in_the_column_of_a_known_name() {
        for text in [
            "number\n46700000001\n",
            "name,Phone Number\nA,46700000001\n",
            "name;msisdn;x\n\"A;B\";46700000001;",
            "to\tname\n46700000001\tA\n",
            "\u{feff}\"TO\"\r\n\"46700000001\"\r\n",
            "to,number\nx,46700000001\n",
            "\nnumber\n46700000001",
            "sep=;\nname;number\nA,B;46700000001",
            "\u{feff}\"sep=;\"\r\nnumber;a,b,c,d\r\n46700000001",
            "SEP=\t\n\nnumber\tname\n46700000001\tA;B",
            "sep=^\nnumber^name\n46700000001^A",
            "number\n=\"46700000001\"",
            "number\n\"=\"\"46700000001\"\"\"",
            "number\n46700000001.0",
            "number;x\n46700000001,0;",
            "number,x\n\"46700000001,0\",",
        ] {
            let rows = numbers(text);
            assert_eq!(rows.len(), 1, "{text:?}");
            assert_eq!(rows[0].1, Ok("46700000001".to_owned()), "{text:?}");
        }
        let rows = try_rows(b"to,Cell No\nx,46700000001\n", Some("cell-no")).unwrap();
        assert_eq!(rows[0].1.as_ref().unwrap().number, "46700000001");
    }

    #[test]
    fn a_header_that_names_no_column_or_several_is_refused() {
        for (text, column, expected) in [
            ("name,city\nA,B\n", None, "the columns are: name, city"),
            ("phone,mobile\n1,2\n", None, "phone, mobile; name one with"),
            ("number,number\n1,2\n", None, "several columns"),
            ("number\n1\n", Some("cell"), "there is no column cell"),
            ("contact_id,name\n1,2\n", None, "--column 'contact_id'"),
            ("From,To,Body\n1,2,x\n", None, "use --column from for received messages"),
            ("from,to,messaging_profile_id\n1,2,x\n", None, "Telnyx's opt-outs it is --column to"),
            ("from,to,direction\n1,2,x\n", Some("from"), "--ignore-column direction"),
            ("46700000001,A\n46700000002,B\n", None, "add a header"),
            ("\"number\n1\n", None, "the header (line 1)"),
        ] {
            let error = try_rows(text.as_bytes(), column).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("467"), "{error}");
        }
    }

    #[test]
    fn a_record_says_what_its_columns_say() {
        let text = "reason,number,Directions,expires,source,status\n\
                    \"said \"\"no\"\",\nthen left\",46700000001,outbound,2030-01-01T00:00:00Z,opt_out,active\n\
                    ,46700000002,,,,\n\
                    x\n";
        let rows = try_rows(text.as_bytes(), None).unwrap();
        let expected = Wanted {
            number: "46700000001".to_owned(),
            directions: Some(Directions::Outbound),
            reason: Some("said \"no\",\nthen left".to_owned()),
            source: Some(GivenSource::OptOut),
            hold: Some(HoldKind::OptOut),
            expires: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            ..Wanted::default()
        };
        assert_eq!(rows[0], (2, Ok(expected)));
        assert_eq!(rows[1], (4, Ok(Wanted { number: "46700000002".to_owned(), ..Wanted::default() })));
        assert_eq!(rows[2], (5, Err(Refusal::NoColumn)));
    }

    #[test]
    fn a_record_says_whose_hold_it_is_and_when_the_person_asked() {
        let text = "Phone Number,hold,source,UNSUB_TIME\n\
                    46700000001,opt-out,,2024-03-31 12:00:00\n\
                    46700000002,,facebook,\n\
                    46700000003,,OPT_OUT,03/04/2024\n\
                    46700000004,,,\n";
        let rows = try_rows(text.as_bytes(), None).unwrap();
        let first = rows[0].1.as_ref().unwrap();
        assert_eq!(first.hold, Some(HoldKind::OptOut));
        assert_eq!(first.requested, Some("2024-03-31T12:00:00Z".parse().unwrap()));
        assert_eq!(rows[1], (3, Err(Refusal::Source)));
        assert_eq!(rows[2], (4, Err(Refusal::Date(Name::new("UNSUB_TIME")))));
        assert_eq!(rows[3], (5, Err(Refusal::HoldUnsaid)));
    }

    /// The headers in the documentation's table, each with the rules that its options stand for.
    fn documented_headers() -> Vec<(String, Rules)> {
        let documentation = include_str!("../../../../docs/importing.md");
        let table = documentation.split_once("| file | header | command |").unwrap().1;
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let rows = rows.map(|line| {
            let code: Vec<&str> = line.split('`').collect();
            let [.., header, _, options, _] = code[..] else { panic!("{line}") };
            assert!(options.contains("--hold opt-out"), "{line}");
            let named = |option: &str| {
                let name = options.split_once(&format!("{option} "))?.1;
                let quoted = name.strip_prefix('\'').and_then(|name| name.split('\'').next());
                Some(Name::new(quoted.unwrap_or(name.split(' ').next()?)))
            };
            let rules = Rules {
                hold: Some(HoldKind::OptOut),
                column: named("--column"),
                ignored: named("--ignore-column").into_iter().collect(),
                ..Rules::default()
            };
            (header.to_owned(), rules)
        });
        rows.collect()
    }

    #[test]
    fn the_documented_headers_of_vendors_are_read_or_the_column_is_told() {
        let headers = documented_headers();
        assert_eq!(headers.len(), 14);
        for (header, rules) in headers {
            let text = format!("{header}\n{}\n", "1711886400,".repeat(header.split(',').count() - 1) + "x");
            try_rows_by(&rules, text.as_bytes()).unwrap_or_else(|error| panic!("{header}: {error}"));
            let unnamed = Rules { column: None, ..rules.clone() };
            match (rules.column, try_rows_by(&unnamed, text.as_bytes())) {
                (None, result) => assert!(result.is_ok()),
                (Some(column), result) => {
                    let error = result.unwrap_err().to_string().to_lowercase();
                    assert!(error.contains("with --column"), "{error}");
                    assert!(error.contains(&column.to_string().to_lowercase()), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_column_can_be_left_out() {
        let ignored = |name| Rules { ignored: vec![Name::new(name)], ..Rules::default() };
        let text = "number,source\n46700000001,facebook\n";
        let rows = try_rows_by(&ignored("Source"), text.as_bytes()).unwrap();
        assert_eq!(rows[0].1.as_ref().unwrap().source, None);
        let error = try_rows_by(&ignored("sorce"), text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("there is no column sorce"), "{error}");
    }

    #[test]
    fn only_a_first_line_tells_the_delimiter() {
        assert_eq!(numbers("number\nsep=;\n1\n"), [good(2, "sep=;"), good(3, "1")]);
        for text in ["sep=;", "sep=;\n\n"] {
            assert_eq!(numbers(text), [], "{text:?}");
        }
        for line in ["sep=", "sep=;;", "sep=\"", "step=;", "\"sep=;"] {
            assert_eq!(told_delimiter(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_spoil_only_the_columns_that_are_read() {
        let rows = try_rows(b"name,number,reason\nJ\xf6rg,1,\nJ,2,J\xf6rg\n", None).unwrap();
        assert!(rows[0].1.is_ok());
        assert_eq!(rows[1], (3, Err(Refusal::NotUtf8)));
    }

    #[test]
    fn a_quote_that_does_not_close_spoils_one_line() {
        for text in [
            "number,reason\n1,\"open\n2,\n3,\n".to_owned(),
            // Long enough to be given up before the end of the input.
            format!("number,reason\n1,\"open\n2,\n3,\n{}", "# filler that has no quote\n".repeat(4000)),
            // Followed by a line that is too long to be part of the record.
            format!("number,reason\n1,\"open\n2,\n3,\n{}\n", "9".repeat(LONGEST_LINE + 1)),
        ] {
            let rows = numbers(&text);
            assert_eq!(rows[0], (2, Err(Refusal::UnclosedQuote)));
            assert_eq!(rows[1..3], [good(3, "2"), good(4, "3")]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_spoils_one_row() {
        let rows = numbers(&format!("number,reason\n1,{}\n2,\n", "x".repeat(LONGEST_LINE)));
        assert_eq!(rows, [(2, Err(Refusal::LineTooLong)), good(3, "2")]);
    }

    #[test]
    fn a_record_may_have_thousands_of_columns() {
        let text = format!("number{}\n1{}\n", ",x".repeat(9000), ",".repeat(9000));
        assert_eq!(numbers(&text), [good(2, "1")]);
    }

    #[test]
    fn an_empty_file_has_no_rows() {
        assert_eq!(numbers(""), []);
        assert_eq!(numbers("number\n"), []);
    }

    /// Quotes a field, with the given line ending.
    fn quoted(field: &str, end: &str) -> String {
        format!("\"{}\"", field.replace('"', "\"\"").replace('\n', end))
    }

    proptest! {
        #[test]
        fn every_record_comes_with_its_line_and_its_fields(
            records in proptest::collection::vec(
                ("[1-9][0-9]{0,9}", "[a-z\",\n]{0,8}", 0..3_usize, 0..3_usize), 0..12),
            mark: bool,
        ) {
            let ends = ["\n", "\r\n", "\r"];
            let mut text = String::from(if mark { "\u{feff}number,reason\n" } else { "number,reason\n" });
            let mut line = 2;
            let mut expected = Vec::new();
            for (number, reason, end, blank) in &records {
                for _ in 0..*blank {
                    // Never an LF right after a CR, which would be a single line ending.
                    text.push_str(" \n");
                    line += 1;
                }
                text.push_str(&format!("{number},{}{}", quoted(reason, ends[*end]), ends[*end]));
                let kept = Some(reason.clone()).filter(|reason| !reason.trim().is_empty());
                expected.push((line, number.clone(), kept));
                line += 1 + reason.matches('\n').count() as u64;
            }
            let rows: Vec<_> = try_rows(text.as_bytes(), None).unwrap().into_iter()
                .map(|(line, row)| { let row = row.unwrap(); (line, row.number, row.reason) })
                .collect();
            prop_assert_eq!(rows, expected);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'1'), any::<u8>()], 0..300)
        ) {
            let mut text = b"number,reason\n".to_vec();
            text.extend(bytes);
            let lines: Vec<u64> = try_rows(&text, None).unwrap().into_iter().map(|(line, _)| line).collect();
            prop_assert!(lines.is_sorted_by(|a, b| a < b), "{:?}", lines);
        }
    }
}
