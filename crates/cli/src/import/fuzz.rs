//! Entry points for `fuzz/`, which can't reach what is private here. They are not part of this crate's interface.

use jiff::Timestamp;
use portcullis_api::HoldKind;

use super::super::lines::Lines;
use super::date::DateReader;
use super::format::Format;
use super::rules::{Change, Rules};

/// A row that was taken.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The entry as the API takes it.
    pub entry: serde_json::Value,
    /// Whether a person took their wish back.
    pub taken_back: bool,
}

/// The rows of a file, each with its line, as far as the file can be read. `None` where it can't be.
///
/// `format` is `plain`, `csv`, or `ndjson`; any other is found out. `hold` is that of the command line.
pub fn rows(
    format: &str,
    text: &[u8],
    unblock: bool,
    hold: Option<HoldKind>,
) -> Option<Vec<(u64, Result<Row, String>)>> {
    let format = match format {
        "plain" => Some(Format::Plain),
        "csv" => Some(Format::Csv),
        "ndjson" => Some(Format::Ndjson),
        _ => None,
    };
    let rules = Rules {
        change: if unblock { Change::Unblock } else { Change::Block },
        hold,
        source: None,
        column: None,
        date_column: None,
        ignored: Vec::new(),
        dates: DateReader {
            format: None,
            offset: jiff::tz::Offset::UTC,
            of_opt_ins: unblock,
            // The same in each run: 2026-06-15.
            now: Timestamp::constant(1_781_524_800, 0),
        },
        file_sign: None,
    };
    let mut rows = super::rows(Lines::new(text), format, &rules).ok()?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().ok()? {
        let wanted = row.wanted.map_err(|refusal| refusal.to_string()).map(|wanted| Row {
            entry: serde_json::to_value(wanted.entry()).unwrap_or_default(),
            taken_back: wanted.taken_back,
        });
        all.push((row.line, wanted));
    }
    Some(all)
}
