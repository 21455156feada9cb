//! Files of numbers.

use portcullis_api::HoldKind;
use portcullis_cli::fuzz::{Row, rows};
use portcullis_msisdn::Msisdn;
use serde_json::Value;

use crate::support::choice;

const HOLDS: [Option<HoldKind>; 4] =
    [None, Some(HoldKind::Operator), Some(HoldKind::OptOut), Some(HoldKind::Marketing)];

/// A row as a file of the format.
type Write = fn(&Row) -> Vec<u8>;

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.entry[name].as_str()
}

fn as_plain(row: &Row) -> Vec<u8> {
    format!("{}\n", text(row, "number").unwrap_or_default()).into_bytes()
}

fn as_ndjson(row: &Row) -> Vec<u8> {
    let mut object = row.entry.clone();
    if row.taken_back {
        object["status"] = Value::from("inactive");
    }
    object.to_string().into_bytes()
}

fn as_csv(row: &Row) -> Vec<u8> {
    let directions = row.entry["directions"].as_array().map(|names| {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        names.join(",")
    });
    let names = ["number", "reason", "source", "hold", "expires", "requested"];
    let fields = names.into_iter().filter_map(|name| Some((name, text(row, name)?.to_owned())));
    let fields = fields
        .chain(directions.map(|names| ("directions", names)))
        .chain(row.taken_back.then(|| ("status", "inactive".to_owned())));
    let (names, values): (Vec<_>, Vec<_>) = fields.unzip();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names).and_then(|()| writer.write_record(values)).expect("they are as many");
    writer.into_inner().expect("it is written to memory")
}

/// Lines go up, and a row that is taken is taken alike when it is written again in each of these formats.
fn import(format: &str, data: &[u8], formats: &[(&str, Write)]) {
    let (choice, data) = choice(data);
    let (unblock, hold) = (choice & 1 == 1, HOLDS[usize::from(choice >> 1) % HOLDS.len()]);
    // Whether it can be told what format it has is not looked at further.
    let _ = rows("auto", data, unblock, hold);
    let Some(all) = rows(format, data, unblock, hold) else { return };
    assert!(
        all.is_sorted_by(|(before, _), (after, _)| before < after),
        "each row begins in a line of its own"
    );
    for row in all.iter().filter_map(|(_, row)| row.as_ref().ok()) {
        let number = text(row, "number").unwrap_or_default();
        // The gateway reads the others once more, and refuses them.
        if Msisdn::parse(number).is_err() && !number.starts_with("user:") {
            continue;
        }
        for (format, write) in formats {
            let file = write(row);
            if file.len() > 50_000 {
                continue;
            }
            let again = rows(format, &file, unblock, hold);
            let again =
                again.unwrap_or_else(|| panic!("the {format} {:?} is read", String::from_utf8_lossy(&file)));
            let [(_, Ok(again))] = &again[..] else {
                panic!("the {format} {:?} has one row: {again:?}", String::from_utf8_lossy(&file));
            };
            if *format == "csv" {
                // In CSV, every end of a line within a field is read as a line feed.
                assert_eq!(with_line_feeds(again), with_line_feeds(row), "{format}");
            } else {
                assert_eq!(again, row, "{format}");
            }
        }
    }
}

fn with_line_feeds(row: &Row) -> (Value, bool) {
    let mut entry = row.entry.clone();
    for value in entry.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if let Value::String(text) = value {
            *text = text.replace("\r\n", "\n").replace('\r', "\n");
        }
    }
    (entry, row.taken_back)
}

/// CSV: what is taken is taken alike from CSV that another library writes, and from NDJSON.
pub fn csv(data: &[u8]) {
    import("csv", data, &[("csv", as_csv), ("ndjson", as_ndjson)]);
}

/// NDJSON: what is taken is taken alike from NDJSON and from CSV.
pub fn ndjson(data: &[u8]) {
    import("ndjson", data, &[("csv", as_csv), ("ndjson", as_ndjson)]);
}

/// A number a line: what is taken is taken alike from each format.
pub fn plain(data: &[u8]) {
    import("plain", data, &[("plain", as_plain), ("csv", as_csv), ("ndjson", as_ndjson)]);
}
