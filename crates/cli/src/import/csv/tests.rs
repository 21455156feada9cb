//! Tests of reading CSV files.

use std::io::BufReader;

use proptest::prelude::*;

use super::*;
use crate::directions::Directions;
use crate::lines::LONGEST_LINE;
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
    let documentation = include_str!("../../../../../docs/importing.md");
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
        assert_eq!(delimiter::told(line.as_bytes()), None, "{line}");
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
