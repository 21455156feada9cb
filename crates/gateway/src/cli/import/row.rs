//! A row of an import: what one line, or one record, asks for.

use portcullis_msisdn::{Msisdn, ParseError};
use serde::Serialize;

use super::super::directions::Directions;
use super::super::time::Time;
use crate::identity::USER_PREFIX;

/// The most characters of a reason that the gateway keeps.
const LONGEST_REASON: usize = 500;

/// The names, in lower case and with `_` between words, under which files carry the number.
pub(super) const NUMBER_NAMES: [&str; 13] = [
    "number",
    "phone",
    "phone_number",
    "phonenumber",
    "msisdn",
    "mobile",
    "mobile_number",
    "tel",
    "telephone",
    "e164",
    "to",
    "recipient",
    "wa_id",
];

/// The values of `source` that the gateway knows.
const SOURCES: [&str; 4] = ["api", "manual", "import", "opt_out"];

/// The holds that the gateway knows.
const HOLDS: [&str; 3] = ["operator", "opt_out", "marketing"];

/// A row, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) wanted: Result<Wanted, Refusal>,
}

/// An entry to block or unblock, as the API takes it. What the row leaves open is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Wanted {
    /// As it was written: the gateway reads it.
    pub(super) number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) directions: Option<Directions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hold: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Time>,
}

/// Why a row is not taken. Nothing of the row is repeated, as numbers and names may stand anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the line has more than {} bytes", super::super::lines::LONGEST_LINE)]
    LineTooLong,
    #[error("the line is not UTF-8: save the file as UTF-8")]
    NotUtf8,
    #[error("a quoted field begins and does not end: is a quote too many or missing?")]
    UnclosedQuote,
    #[error("the row has too few columns: the number's is missing")]
    NoColumn,
    #[error("there is no number")]
    NoNumber,
    #[error("{0}")]
    Number(ParseError),
    #[error("not a JSON object: write one object a line, such as {{\"number\": \"+46…\"}}")]
    NotAnObject,
    #[error("several fields could be the number: name one by --column")]
    Ambiguous,
    #[error("the number is neither a JSON string nor a whole number")]
    NumberType,
    #[error("the field `{0}` is not a string")]
    FieldType(&'static str),
    #[error("the directions are none: write inbound, outbound or both")]
    Directions,
    #[error("the expiry is not a time in RFC 3339: write it as 2030-12-31T23:59:59Z")]
    Expires,
    #[error("the reason has more than {LONGEST_REASON} characters")]
    ReasonTooLong,
    #[error("its status is inactive: it does not block anyone where it comes from")]
    Inactive,
    /// What the gateway said.
    #[error("{0}")]
    Gateway(String),
}

/// What a row says of each field: text, trimmed; empty where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) number: &'a str,
    pub(super) directions: &'a str,
    pub(super) reason: &'a str,
    pub(super) source: &'a str,
    pub(super) hold: &'a str,
    pub(super) expires: &'a str,
    pub(super) status: &'a str,
}

impl Wanted {
    pub(super) fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let number = fields.number.trim();
        if number.is_empty() {
            return Err(Refusal::NoNumber);
        }
        // The gateway would say the same, after all of it had been sent.
        if number.len() > Msisdn::MAX_TEXT && !number.starts_with(USER_PREFIX) {
            return Err(Refusal::Number(ParseError::TextTooLong));
        }
        if fields.status.trim().eq_ignore_ascii_case("inactive") {
            return Err(Refusal::Inactive);
        }
        let reason = filled(fields.reason);
        if reason.is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            return Err(Refusal::ReasonTooLong);
        }
        // A column of that name in someone else's file means something else: it says nothing here.
        let source = SOURCES.into_iter().find(|known| *known == fields.source.trim());
        let hold = HOLDS.into_iter().find(|known| *known == fields.hold.trim());
        Ok(Wanted {
            number: number.to_owned(),
            directions: filled(fields.directions).map(directions).transpose()?,
            reason: reason.map(str::to_owned),
            source,
            hold,
            expires: filled(fields.expires)
                .map(|time| time.parse().map_err(|_| Refusal::Expires))
                .transpose()?,
        })
    }

    /// Whether it says more than its number and directions.
    pub(super) fn has_details(&self) -> bool {
        self.reason.is_some() || self.source.is_some() || self.hold.is_some() || self.expires.is_some()
    }

    /// About how many bytes it has as JSON.
    pub(super) fn weight(&self) -> usize {
        100 + self.number.len() + self.reason.as_deref().map_or(0, str::len)
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Names with anything but letters between them: `inbound`, `inbound,outbound`, `both`.
fn directions(text: &str) -> Result<Directions, Refusal> {
    let names = text.split(|between: char| !between.is_alphanumeric()).filter(|name| !name.is_empty());
    Directions::from_names(names).ok_or(Refusal::Directions)
}

/// Reads rows one by one.
pub(super) trait Rows {
    /// The next row, good or bad; `None` at the end. An error is one of the input as a whole.
    fn next(&mut self) -> anyhow::Result<Option<Row>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl FnOnce(&mut Fields<'static>)) -> Result<Wanted, Refusal> {
        let mut fields = Fields { number: "+46700000001", ..Fields::default() };
        change(&mut fields);
        Wanted::read(fields)
    }

    #[test]
    fn fields_are_trimmed_and_empty_ones_say_nothing() {
        let wanted = read(|fields| {
            fields.number = " +46700000001\t";
            fields.reason = "  ";
            fields.directions = "";
        });
        assert_eq!(wanted, Ok(Wanted { number: "+46700000001".to_owned(), ..Wanted::default() }));
    }

    #[test]
    fn directions_are_names_with_anything_between() {
        for (text, expected) in [
            ("inbound", Ok(Directions::Inbound)),
            ("OUTBOUND", Ok(Directions::Outbound)),
            ("inbound, outbound", Ok(Directions::Both)),
            ("inbound|outbound", Ok(Directions::Both)),
            ("[\"outbound\"]", Ok(Directions::Outbound)),
            ("both", Ok(Directions::Both)),
            ("none", Err(Refusal::Directions)),
            ("inbound,x", Err(Refusal::Directions)),
            (",", Err(Refusal::Directions)),
        ] {
            let wanted = read(|fields| fields.directions = text);
            assert_eq!(wanted.map(|wanted| wanted.directions), expected.map(Some), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_taken_is_refused_for_its_reason() {
        let long = "1".repeat(65);
        for (fields, expected) in [
            (Fields { number: " ", ..Fields::default() }, Refusal::NoNumber),
            (Fields { number: &long, ..Fields::default() }, Refusal::Number(ParseError::TextTooLong)),
            (Fields { number: "1", expires: "31.12.2030", ..Fields::default() }, Refusal::Expires),
            (Fields { number: "1", reason: &"å".repeat(501), ..Fields::default() }, Refusal::ReasonTooLong),
            (Fields { number: "1", status: "inactive", ..Fields::default() }, Refusal::Inactive),
        ] {
            assert_eq!(Wanted::read(fields), Err(expected));
        }
        assert!(read(|fields| fields.reason = "as long as it may be").is_ok());
    }

    #[test]
    fn a_foreign_source_says_nothing() {
        for (text, expected) in [("opt_out", Some("opt_out")), ("facebook", None), ("", None)] {
            assert_eq!(read(|fields| fields.source = text).unwrap().source, expected);
        }
    }
}
