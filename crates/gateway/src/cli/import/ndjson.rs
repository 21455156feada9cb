//! NDJSON: a JSON object a line.

use std::borrow::Cow;
use std::io::BufRead;

use serde_json::{Map, Value};

use super::super::lines::Lines;
use super::row::{Fields, NUMBER_NAMES, Refusal, Row, Rows, Wanted};

/// Skips empty lines. Fields that are not known are left alone.
pub(super) struct NdjsonRows<R> {
    lines: Lines<R>,
    /// The field with the number, where the user named it.
    number: Option<String>,
}

impl<R: BufRead> NdjsonRows<R> {
    pub(super) fn new(lines: Lines<R>, number: Option<String>) -> Self {
        NdjsonRows { lines, number }
    }

    fn read(&self, line: &[u8]) -> Result<Wanted, Refusal> {
        // What serde_json has to say is dropped: it may quote the line.
        let object: Map<String, Value> = serde_json::from_slice(line).map_err(|_| Refusal::NotAnObject)?;
        let number = match &self.number {
            Some(name) => object.get(name),
            None if object.contains_key(NUMBER_NAMES[0]) => object.get(NUMBER_NAMES[0]),
            None => {
                let mut found = NUMBER_NAMES.iter().filter_map(|name| object.get(*name));
                let first = found.next();
                if found.next().is_some() {
                    return Err(Refusal::Ambiguous);
                }
                first
            }
        };
        let number = match number {
            None | Some(Value::Null) => return Err(Refusal::NoNumber),
            Some(Value::String(text)) => Cow::from(text),
            Some(Value::Number(number)) if number.is_u64() => Cow::from(number.to_string()),
            Some(_) => return Err(Refusal::NumberType),
        };
        let directions = match object.get("directions").or_else(|| object.get("direction")) {
            Some(Value::Array(names)) => {
                let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
                // An empty list is refused like a wrong name, and not read as "nothing said".
                Cow::from(names.filter(|names| !names.is_empty()).ok_or(Refusal::Directions)?.join(" "))
            }
            _ if object.contains_key("directions") => Cow::from(text(&object, "directions")?),
            _ => Cow::from(text(&object, "direction")?),
        };
        Wanted::read(Fields {
            number: &number,
            directions: &directions,
            reason: text(&object, "reason")?,
            // These may mean anything in someone else's file.
            hold: text(&object, "hold").unwrap_or_default(),
            source: text(&object, "source").unwrap_or_default(),
            status: text(&object, "status").unwrap_or_default(),
            expires: text(&object, "expires")?,
        })
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refusal> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Refusal::FieldType(name)),
    }
}

impl<R: BufRead> Rows for NdjsonRows<R> {
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

    fn rows(text: &str, number: Option<&str>) -> Vec<Row> {
        let mut rows = NdjsonRows::new(Lines::new(text.as_bytes()), number.map(str::to_owned));
        std::iter::from_fn(|| rows.next().unwrap()).collect()
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
                source: Some("opt_out"),
                hold: None,
                expires: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            }
        );
    }

    #[test]
    fn the_number_may_be_an_integer_and_have_another_name() {
        for text in [
            r#"{"phone":46700000001}"#,
            r#"{"msisdn":"46700000001","reason":null}"#,
            r#"{"number":"46700000001","to":"x"}"#,
            r#"{"to":"46700000001","direction":"both","source":7,"status":7}"#,
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
            (r#"{"number":1.5}"#, Refusal::NumberType),
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
}
