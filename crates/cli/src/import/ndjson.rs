//! NDJSON files: one JSON object per line.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::lines::Lines;
use super::column::{ColumnError, Columns, Name};
use super::refusal::Refusal;
use super::row::{Fields, Row, Rows, Wanted};
use super::rules::Rules;
use super::spelling;

/// Reads one row per object. Empty lines and unknown fields are ignored.
pub(super) struct NdjsonRows<'a, R> {
    lines: Lines<R>,
    rules: &'a Rules,
    /// The layout of the last object, reused if the next one has the same fields.
    layout: Option<Layout>,
}

/// The meaning of an object's fields.
struct Layout {
    fields: Vec<String>,
    columns: Result<Columns, Refusal>,
    must_say_hold: bool,
}

impl<'a, R: BufRead> NdjsonRows<'a, R> {
    /// Reads ahead to the first object.
    ///
    /// # Errors
    ///
    /// If the file name or the first object shows that the file contains opt-outs, and nothing says which holds to set.
    pub(super) fn new(mut lines: Lines<R>, rules: &'a Rules) -> anyhow::Result<Self> {
        let mut ahead = Vec::new();
        while let Some(line) = lines.next()? {
            let bytes = line.bytes.clone();
            ahead.push(line);
            let Some(bytes) = bytes.filter(|bytes| !bytes.trim_ascii().is_empty()) else { continue };
            if let Ok(object) = serde_json::from_slice::<Object<'_>>(&bytes) {
                let names = object.names();
                if let Ok(columns) = Columns::find(&names, rules) {
                    rules.rows_must_say_hold(&names, &columns)?;
                }
            }
            break;
        }
        lines.give_back(ahead);
        Ok(NdjsonRows { lines, rules, layout: None })
    }

    fn read(&mut self, line: &[u8]) -> Result<Wanted, Refusal> {
        // The error of serde_json is dropped: it may quote the line.
        let object: Object<'_> = serde_json::from_slice(line).map_err(|_| Refusal::NotAnObject)?;
        let layout = match self.layout.take().filter(|layout| object.has(&layout.fields)) {
            Some(layout) => layout,
            None => Layout::of(&object, self.rules),
        };
        let layout = self.layout.insert(layout);
        let columns = layout.columns.as_ref().map_err(Refusal::clone)?;
        let value = |column: Option<usize>| column.and_then(|column| object.value(column));
        let text = |column, name| value(column).map_or(Ok(Cow::from("")), |value| value.text(name));
        let date = columns.date.as_ref().map(|date| {
            let text = value(Some(date.index)).map_or(Some(Cow::from("")), Value::written);
            Ok((date, text.ok_or_else(|| Refusal::Date(date.name.clone()))?))
        });
        let date = date.transpose()?;
        let flag = columns.flag.as_ref().map(|(index, name)| {
            // An array or object counts as set.
            let text = |value: Value<'_>| value.written().map_or_else(|| "other".to_owned(), Cow::into_owned);
            (name, value(Some(*index)).map_or_else(String::new, text))
        });
        let fields = Fields {
            number: &value(Some(columns.number)).map_or(Err(Refusal::NoNumber), Value::number)?,
            directions: &value(columns.directions).map_or(Ok(Cow::from("")), Value::directions)?,
            reason: &text(columns.reason, "reason")?,
            source: &text(columns.source, "source").map_err(|_| Refusal::Source)?,
            hold: &text(columns.hold, "hold").map_err(|_| Refusal::Hold)?,
            expires: &text(columns.expires, "expires")?,
            // In other systems' files these fields may mean anything.
            status: &text(columns.status, "status").unwrap_or(Cow::from("")),
            display: &text(columns.display, "display").unwrap_or(Cow::from("")),
            date: date.as_ref().map(|(date, text)| (*date, &**text)),
            flag: flag.as_ref().map(|(name, text)| (*name, &**text)),
            must_say_hold: layout.must_say_hold,
        };
        Wanted::read(fields, self.rules)
    }
}

impl Layout {
    fn of(object: &Object<'_>, rules: &Rules) -> Self {
        let names = object.names();
        let columns = Columns::find(&names, rules).map_err(|error| match error {
            ColumnError::NoNumber(_) if names.is_empty() => Refusal::NoNumber,
            ColumnError::NoNumber(guesses) => Refusal::NoNumberField(guesses.into_iter().next()),
            ColumnError::SeveralNumbers(_) => Refusal::Ambiguous,
            ColumnError::NotThere(option, name) => Refusal::NoField(name, option),
            ColumnError::SeveralDates(one, other) => Refusal::SeveralDates(one, other),
            ColumnError::MessageDirection => Refusal::MessageDirection,
        });
        let must_say_hold = columns.as_ref().is_ok_and(|columns| {
            // An error means that no field could say it, so this row does not.
            rules.rows_must_say_hold(&names, columns).unwrap_or(true)
        });
        let fields = object.0.iter().map(|(name, _)| name.clone().into_owned()).collect();
        Layout { fields, columns, must_say_hold }
    }
}

/// The fields of an object, in order.
struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl Object<'_> {
    fn names(&self) -> Vec<Name> {
        self.0.iter().map(|(name, _)| Name::new(name)).collect()
    }

    fn has(&self, fields: &[String]) -> bool {
        self.0.iter().map(|(name, _)| name).eq(fields)
    }

    /// The value of a field, unless it is null.
    fn value(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|(_, value)| *value).filter(|value| value.0 != "null")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push((Cow::from(name), Value(value.get())));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The raw text of a JSON value. A telephone number parsed as a float could lose digits.
#[derive(Clone, Copy)]
struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    fn string(self) -> Option<Cow<'a, str>> {
        self.0.starts_with('"').then(|| serde_json::from_str::<String>(self.0).ok().map(Cow::from)).flatten()
    }

    fn text(self, name: &'static str) -> Result<Cow<'a, str>, Refusal> {
        self.string().ok_or(Refusal::FieldType(name))
    }

    /// The value of a string, or the raw text of a number or boolean.
    fn written(self) -> Option<Cow<'a, str>> {
        match self.0.as_bytes().first() {
            Some(b'[' | b'{') | None => None,
            Some(b'"') => self.string(),
            Some(_) => Some(Cow::from(self.0)),
        }
    }

    fn number(self) -> Result<Cow<'a, str>, Refusal> {
        match self.0.as_bytes().first() {
            Some(b'"') => self.string().ok_or(Refusal::NumberType),
            Some(b'-' | b'0'..=b'9') => spelling::read_json_number(self.0).map(Cow::from),
            _ => Err(Refusal::NumberType),
        }
    }

    fn directions(self) -> Result<Cow<'a, str>, Refusal> {
        if !self.0.starts_with('[') {
            return self.text("directions");
        }
        let names: Vec<String> = serde_json::from_str(self.0).map_err(|_| Refusal::Directions)?;
        // An empty array must not be read as an absent field.
        Ok(if names.is_empty() { Cow::from("none") } else { Cow::from(names.join(" ")) })
    }
}

impl<R: BufRead> Rows for NdjsonRows<'_, R> {
    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        while let Some(line) = self.lines.next()? {
            let wanted = match &line.bytes {
                None => Err(Refusal::LineTooLong),
                Some(bytes) if bytes.trim_ascii().is_empty() => continue,
                Some(bytes) if str::from_utf8(bytes).is_err() => Err(Refusal::NotUtf8),
                Some(bytes) => self.read(bytes),
            };
            return Ok(Some(Row { line: line.number, wanted }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::directions::Directions;
    use super::*;
    use portcullis_api::GivenSource;
    use portcullis_api::HoldKind;

    fn try_rows(text: &str, rules: &Rules) -> anyhow::Result<Vec<Row>> {
        let mut rows = NdjsonRows::new(Lines::new(text.as_bytes()), rules)?;
        Ok(std::iter::from_fn(|| rows.next().unwrap()).collect())
    }

    fn rows(text: &str, number: Option<&str>) -> Vec<Row> {
        try_rows(text, &Rules { column: number.map(Name::new), ..Rules::default() }).unwrap()
    }

    fn one(text: &str) -> Result<Wanted, Refusal> {
        let mut rows = rows(text, None);
        assert_eq!(rows.len(), 1, "{text}");
        rows.remove(0).wanted
    }

    #[test]
    fn an_object_says_what_its_fields_say() {
        let wanted = one(
            r#"{"number":"+46700000001","directions":["outbound"],"reason":"r","source":"opt_out","expires":"2030-01-01T00:00:00Z","status":"active","id":"e_1"}"#,
        )
        .unwrap();
        assert_eq!(
            wanted,
            Wanted {
                number: "+46700000001".to_owned(),
                directions: Some(Directions::Outbound),
                reason: Some("r".to_owned()),
                source: Some(GivenSource::OptOut),
                hold: Some(HoldKind::OptOut),
                expires: Some("2030-01-01T00:00:00Z".parse().unwrap()),
                ..Wanted::default()
            }
        );
    }

    #[test]
    fn the_number_may_be_an_integer_and_have_another_name() {
        for text in [
            r#"{"phone":46700000001}"#,
            r#"{"msisdn":"46700000001","reason":null}"#,
            r#"{"number":"46700000001","to":"x"}"#,
            r#"{"to":"46700000001","direction":"both","source":null,"status":7,"display":7}"#,
            r#"{"Phone Number":"46700000001.0","reason":"r"}"#,
            r#"{"phone":46700000001.0}"#,
            r#"{"phone":"=\"46700000001\""}"#,
            r#"{"phone":"\u0034670000\u0030001"}"#,
        ] {
            assert_eq!(one(text).unwrap().number, "46700000001", "{text}");
        }
        let row = &rows(r#"{"number":"1","cell":"46700000001"}"#, Some("cell"))[0];
        assert_eq!(row.wanted.as_ref().unwrap().number, "46700000001");
    }

    #[test]
    fn a_bad_row_is_refused_for_its_reason_and_the_next_is_read() {
        let long = format!("{{\"number\":\"{}\"}}", " ".repeat(70_000));
        for (text, expected) in [
            ("46700000001", Refusal::NotAnObject),
            (r#"{"number":"1""#, Refusal::NotAnObject),
            ("{}", Refusal::NoNumber),
            (r#"{"phone":"1","to":"2"}"#, Refusal::Ambiguous),
            (r#"{"number":null}"#, Refusal::NoNumber),
            (r#"{"number":["1"]}"#, Refusal::NumberType),
            (r#"{"number":46700000001.5}"#, Refusal::Fraction),
            (r#"{"number":4.67e10}"#, Refusal::Scientific),
            (r#"{"number":"4.67E+10"}"#, Refusal::Scientific),
            (r#"{"number":true}"#, Refusal::NumberType),
            (r#"{"contact_id":"1","name":"A"}"#, Refusal::NoNumberField(Some(Name::new("contact_id")))),
            (r#"{"name":"A"}"#, Refusal::NoNumberField(None)),
            (r#"{"number":"1","source":7}"#, Refusal::Source),
            (r#"{"number":"1","source":"facebook"}"#, Refusal::Source),
            (r#"{"number":"1","hold":{}}"#, Refusal::Hold),
            (r#"{"number":"1","source":"api","requested":{}}"#, Refusal::Date(Name::new("requested"))),
            (r#"{"number":"1","source":"api","requested":"soon"}"#, Refusal::Date(Name::new("requested"))),
            (r#"{"from":"1","to":"2"}"#, Refusal::Ambiguous),
            (r#"{"number":-1}"#, Refusal::NumberType),
            (r#"{"number":"1","directions":[]}"#, Refusal::Directions),
            (r#"{"number":"1","directions":[1]}"#, Refusal::Directions),
            (r#"{"number":"1","directions":{}}"#, Refusal::FieldType("directions")),
            (r#"{"number":"1","reason":5}"#, Refusal::FieldType("reason")),
            (r#"{"number":"1","expires":5}"#, Refusal::FieldType("expires")),
            (&long, Refusal::LineTooLong),
        ] {
            let rows = rows(&format!("{text}\n\n{{\"number\":\"2\"}}"), None);
            assert_eq!(rows[0], Row { line: 1, wanted: Err(expected) });
            assert_eq!((rows[1].line, rows[1].wanted.is_ok()), (3, true), "{text}");
        }
    }

    #[test]
    fn a_date_may_be_a_number_and_another_object_have_other_fields() {
        let rules = Rules { hold: Some(HoldKind::OptOut), ..Rules::default() };
        let text = r#"{"OptedOutNumber":"+46700000001","OptedOutTimestamp":1711886400.5}
            {"OptedOutTimestamp":"2024-03-31T12:00:00Z","OptedOutNumber":"+46700000002"}
            {"OptedOutTimestamp":null,"OptedOutNumber":"+46700000003"}
            {"phone":"+46700000004"}"#;
        let read: Vec<_> =
            try_rows(text, &rules).unwrap().into_iter().map(|row| row.wanted.unwrap()).collect();
        let noon = Some("2024-03-31T12:00:00Z".parse().unwrap());
        assert_eq!(read.iter().map(|wanted| wanted.requested).collect::<Vec<_>>(), [noon, noon, None, None]);
        let last = |wanted: &Wanted| wanted.number.chars().last();
        assert_eq!(read.iter().filter_map(last).collect::<String>(), "1234");
    }

    #[test]
    fn opt_outs_have_to_say_whose_hold_they_make() {
        let text = r#"{"phone":"+46700000001","unsubscribed_at":"2024-03-31"}"#;
        let error = try_rows(text, &Rules::default()).err().unwrap().to_string();
        assert!(error.contains("--hold opt-out"), "{error}");
        let later = format!("{{\"phone\":\"+46700000002\"}}\n{text}\n");
        let rows = try_rows(&later, &Rules::default()).unwrap();
        assert!(rows[0].wanted.is_ok());
        assert_eq!(rows[1].wanted, Err(Refusal::HoldUnsaid));
        let said = text.replace("{\"", "{\"hold\":\"opt-out\",\"");
        assert!(try_rows(&said, &Rules::default()).unwrap()[0].wanted.is_ok());
    }

    #[test]
    fn whether_a_person_opted_out_may_be_a_truth_value() {
        let rules = Rules { hold: Some(HoldKind::OptOut), ..Rules::default() };
        for (flag, taken) in [("true", true), ("false", false), ("null", false), ("1", true), ("[]", true)] {
            let text = format!("{{\"phone\":\"1\",\"opted_out\":{flag}}}");
            assert_eq!(try_rows(&text, &rules).unwrap()[0].wanted.is_ok(), taken, "{flag}");
        }
    }
}
