//! Entries of a list, and the formats in which `list` and `export` write them.

use std::io::{self, Write};

use clap::ValueEnum;
use portcullis_api::{Direction, EntryAnswer, HoldAnswer, HoldKind, Source};
use serde::Serialize;

use super::directions::Directions;
use super::hold;

/// Which entries to list. In CSV, which holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Status {
    /// Entries that block; in CSV, holds in force
    #[default]
    Active,
    /// Lifted or expired entries; in CSV, such holds
    Inactive,
    /// Both
    All,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::All => "all",
        }
    }
}

/// An entry, or a single hold of an entry, in the form in which it is written.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Entry {
    /// `None` if the person has no telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    directions: Vec<Direction>,
    status: portcullis_api::Status,
    source: Source,
    /// The kind of the hold. Only set for a single hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<HoldKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When the person asked for the hold. Only set for a single hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested: Option<String>,
    /// The client's name for the source. Only set for a single hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<HoldAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    actor: String,
    created: String,
    updated: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deactivated: Option<String>,
    id: String,
}

impl From<EntryAnswer> for Entry {
    fn from(answer: EntryAnswer) -> Self {
        let EntryAnswer {
            id,
            number,
            directions,
            status,
            source,
            reason,
            display,
            actor,
            holds,
            created,
            updated,
            deactivated,
            expires,
        } = answer;
        Entry {
            number,
            directions,
            status,
            source,
            hold: None,
            reason,
            requested: None,
            label: None,
            holds,
            display,
            expires,
            actor,
            created,
            updated,
            deactivated,
            id,
        }
    }
}

impl Entry {
    fn directions(&self) -> Option<Directions> {
        Directions::of(&self.directions)
    }

    pub(super) fn has_number(&self) -> bool {
        self.number.is_some()
    }

    /// Whether the number alone, imported elsewhere, would block more than this entry does: it expires,
    /// or covers one direction.
    pub(super) fn is_limited(&self) -> bool {
        self.expires.is_some() || self.directions().is_some_and(|all| all != Directions::Both)
    }

    /// Splits the entry into one per hold of the given status. Importing these restores the holds.
    pub(super) fn split(mut self, status: Status) -> Vec<Entry> {
        let holds = std::mem::take(&mut self.holds);
        let parts = holds.into_iter().filter_map(|hold| {
            let is_in_force = !hold.directions.is_empty();
            let is_asked_for = match status {
                Status::All => true,
                Status::Active => is_in_force,
                Status::Inactive => !is_in_force,
            };
            let of_hold = match is_in_force {
                true => portcullis_api::Status::Active,
                false => portcullis_api::Status::Inactive,
            };
            is_asked_for.then(|| Entry {
                directions: hold.directions,
                status: of_hold,
                source: hold.source,
                hold: Some(hold.kind),
                reason: hold.reason,
                requested: Some(hold.requested),
                label: hold.label,
                expires: hold.expires,
                actor: hold.made_by.name,
                deactivated: self.deactivated.clone().filter(|_| !is_in_force),
                ..self.clone()
            })
        });
        parts.collect()
    }

    pub(super) fn is_in_force(&self) -> bool {
        self.status == portcullis_api::Status::Active
    }

    /// Whether this is a hold that the person withdrew at a known time. It is exported so that an older
    /// opt-out does not take effect where the list is imported.
    pub(super) fn is_wish_taken_back(&self) -> bool {
        !self.is_in_force() && self.hold.is_some_and(hold::is_wish) && self.requested.is_some()
    }

    /// The names and values of the CSV columns. `import` reads the first eight, and `display` if it
    /// spells the same number.
    fn columns(&self) -> [(&'static str, &str); 15] {
        fn text(field: Option<&String>) -> &str {
            field.map_or("", String::as_str)
        }
        [
            ("number", text(self.number.as_ref())),
            // An empty field would mean both.
            ("directions", self.directions().map_or("none", Directions::name)),
            ("source", self.source.as_str()),
            ("reason", text(self.reason.as_ref())),
            ("expires", text(self.expires.as_ref())),
            ("hold", self.hold.map_or("", HoldKind::as_str)),
            ("requested", text(self.requested.as_ref())),
            ("status", self.status.as_str()),
            ("label", text(self.label.as_ref())),
            ("display", text(self.display.as_ref())),
            ("actor", &self.actor),
            ("created", &self.created),
            ("updated", &self.updated),
            ("deactivated", text(self.deactivated.as_ref())),
            ("id", &self.id),
        ]
    }
}

/// The CSV header.
const COLUMNS: [&str; 15] = [
    "number",
    "directions",
    "source",
    "reason",
    "expires",
    "hold",
    "requested",
    "status",
    "label",
    "display",
    "actor",
    "created",
    "updated",
    "deactivated",
    "id",
];

/// The format in which entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One number per line, in E.164 with a plus. Entries without a number are omitted.
    Plain,
    /// CSV (RFC 4180, but with LF) with a header.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// A single JSON array.
    Json,
}

/// Writes entries page by page, so that memory use does not grow with the list.
///
/// Nothing is written before the first page has arrived, so an early failure leaves no header behind.
pub(super) struct EntryWriter<W> {
    form: Form,
    out: W,
    begun: bool,
    /// Precedes the next object of the array.
    separator: &'static str,
}

impl<W: Write> EntryWriter<W> {
    pub(super) fn new(form: Form, out: W) -> Self {
        EntryWriter { form, out, begun: false, separator: "\n" }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match self.form {
            Form::Plain | Form::Ndjson => Ok(()),
            Form::Csv => writeln!(self.out, "{}", COLUMNS.join(",")),
            Form::Json => write!(self.out, "["),
        }
    }

    pub(super) fn page(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.begin()?;
        match self.form {
            Form::Plain => entries
                .iter()
                .filter_map(|entry| entry.number.as_ref())
                .try_for_each(|number| writeln!(self.out, "{number}")),
            Form::Csv => self.csv(entries),
            Form::Ndjson => entries.iter().try_for_each(|entry| {
                serde_json::to_writer(&mut self.out, entry)?;
                writeln!(self.out)
            }),
            Form::Json => entries.iter().try_for_each(|entry| {
                write!(self.out, "{}", std::mem::replace(&mut self.separator, ",\n"))?;
                Ok(serde_json::to_writer(&mut self.out, entry)?)
            }),
        }
    }

    fn csv(&mut self, entries: &[Entry]) -> io::Result<()> {
        // Written to memory first, so that an error of `out` is returned as it is, not wrapped by `csv`.
        let mut page = csv::WriterBuilder::new().from_writer(Vec::new());
        for entry in entries {
            page.write_record(entry.columns().map(|(_, text)| text))?;
        }
        let page = page.into_inner().map_err(csv::IntoInnerError::into_error)?;
        self.out.write_all(&page)
    }

    /// Writes the end of the document, and flushes.
    pub(super) fn end(mut self) -> io::Result<W> {
        self.begin()?;
        if self.form == Form::Json {
            writeln!(self.out, "\n]")?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        serde_json::from_str(
            r#"[
            {"id":"e_0123456789","number":"+46700000001","directions":["inbound","outbound"],"status":"active",
             "source":"api","actor":"token","created":"2026-01-01T00:00:00.000Z","updated":"2026-01-01T00:00:00.000Z"},
            {"id":"e_abcdefghij","number":"+46700000002","directions":["outbound"],"status":"active",
             "source":"import","reason":"said \"no\", twice","actor":"token","expires":"2030-01-01T00:00:00.000Z",
             "created":"2026-01-01T00:00:00.000Z","updated":"2026-01-01T00:00:00.000Z","new":1}
            ]"#,
        )
        .unwrap()
    }

    fn written(form: Form, pages: &[Vec<Entry>]) -> String {
        let mut writer = EntryWriter::new(form, Vec::new());
        pages.iter().for_each(|page| writer.page(page).unwrap());
        String::from_utf8(writer.end().unwrap()).unwrap()
    }

    #[test]
    fn plain_is_a_number_a_line() {
        assert_eq!(written(Form::Plain, &[entries()]), "+46700000001\n+46700000002\n");
    }

    #[test]
    fn csv_has_a_header_and_quotes_what_needs_it() {
        let text = written(Form::Csv, &[entries()]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        assert!(lines[1].starts_with("+46700000001,both,api,,,,,active,"), "{text}");
        assert!(
            lines[2].starts_with(
                r#"+46700000002,outbound,import,"said ""no"", twice",2030-01-01T00:00:00.000Z,,,active,"#
            ),
            "{text}"
        );
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn the_header_names_the_columns() {
        assert_eq!(entries()[0].columns().map(|(name, _)| name), COLUMNS);
    }

    #[test]
    fn json_is_one_array_however_many_pages() {
        for pages in [vec![], vec![vec![]], vec![entries()], vec![entries(), entries()]] {
            let text = written(Form::Json, &pages);
            let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(array.len(), pages.iter().map(Vec::len).sum::<usize>(), "{text}");
        }
    }

    #[test]
    fn ndjson_leaves_out_what_an_entry_has_not() {
        let text = written(Form::Ndjson, &[entries()]);
        let first = text.lines().next().unwrap();
        assert!(!first.contains("reason") && !first.contains("null"), "{first}");
    }

    #[test]
    fn limited_are_those_that_expire_or_go_one_way() {
        assert_eq!(entries().iter().map(Entry::is_limited).collect::<Vec<_>>(), [false, true]);
    }

    fn of_two_holds() -> Entry {
        serde_json::from_str(
            r#"{"id":"e_0123456789","number":"+46700000001","directions":["inbound"],"status":"active","source":"api",
             "actor":"token","created":"2026-01-01T00:00:00.000Z","updated":"2026-01-02T00:00:00.000Z","holds":[
             {"kind":"operator","directions":["inbound"],"source":"api","label":"CRM","reason":"rude",
              "made_by":{"name":"token"},"since":"2026-01-01T00:00:00.000Z","requested":"2026-01-01T00:00:00.000Z"},
             {"kind":"opt_out","directions":[],"source":"import","made_by":{"name":"other"},"since":"2026-01-01T00:00:00.000Z",
              "requested":"2026-01-02T00:00:00.000Z"}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn csv_has_a_row_for_each_hold_of_the_status_that_was_asked_for() {
        let rows = |status| -> Vec<String> {
            let text = written(Form::Csv, &[of_two_holds().split(status)]);
            text.lines()
                .skip(1)
                .map(|line| line.split(",2026-01-01T00:00:00.000Z,2026").next().unwrap().to_owned())
                .collect()
        };
        let operator =
            "+46700000001,inbound,api,rude,,operator,2026-01-01T00:00:00.000Z,active,CRM,,token".to_owned();
        let lifted =
            "+46700000001,none,import,,,opt_out,2026-01-02T00:00:00.000Z,inactive,,,other".to_owned();
        assert_eq!(rows(Status::Active), [&*operator]);
        assert_eq!(rows(Status::Inactive), [&*lifted]);
        assert_eq!(rows(Status::All), [operator, lifted]);
    }

    #[test]
    fn of_lifted_holds_only_wishes_of_a_known_time_are_told_on() {
        let taken_back = |change: fn(&mut Entry)| {
            let mut entry = of_two_holds().split(Status::Inactive).remove(0);
            change(&mut entry);
            entry.is_wish_taken_back()
        };
        assert!(taken_back(|_| {}));
        assert!(!taken_back(|entry| entry.hold = Some(HoldKind::Operator)));
        assert!(!taken_back(|entry| entry.requested = None));
        assert!(!of_two_holds().split(Status::Active)[0].is_wish_taken_back());
    }
}
