//! Lenient reading of JSON values.
//!
//! A message from a blocked person must be stopped, and a STOP must be recognized, even if other parts of the JSON are unusual: a
//! lone surrogate in a string, a number outside of the range of floats, arrays nested hundreds of levels deep. So each value is
//! parsed separately, from its own text.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use portcullis_ledger::UserId;
use portcullis_msisdn::Msisdn;
use serde::Deserializer as _;
use serde::de::{Error, Visitor};
use serde_json::value::RawValue;

use super::object::Object;

/// Reads a string. A lone surrogate, which is not valid Unicode, becomes U+FFFD.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    // Read as bytes, which may contain surrogates (see serde_json's documentation of `Deserializer::deserialize_bytes`).
    raw.get()
        .starts_with('"')
        .then(|| serde_json::Deserializer::from_str(raw.get()).deserialize_bytes(Bytes).ok())?
}

/// Reads a string, or a non-negative integer as its digits.
pub(crate) fn text_or_integer(raw: &RawValue) -> Option<String> {
    let is_integer = raw.get().bytes().all(|byte| byte.is_ascii_digit());
    if is_integer { Some(raw.get().to_owned()) } else { text(raw) }
}

/// The readable values of all members with one name, and whether there are unreadable ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values<T> {
    /// The readable values, in order.
    pub(crate) read: Vec<T>,
    /// Whether at least one value can't be read.
    pub(crate) is_odd: bool,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Values { read: Vec::new(), is_odd: false }
    }
}

impl<T> FromIterator<Option<T>> for Values<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(values: I) -> Self {
        let mut all = Values::default();
        for value in values {
            match value {
                Some(value) => all.read.push(value),
                None => all.is_odd = true,
            }
        }
        all
    }
}

impl<T> Values<T> {
    /// Combines two sets of values.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.read.extend(other.read);
        self.is_odd |= other.is_odd;
        self
    }
}

impl<T: PartialEq> Values<T> {
    /// Returns the value if there is at least one, all are readable, and all are equal.
    pub(crate) fn agreed(&self) -> Option<&T> {
        let first = self.read.first()?;
        let is_one = !self.is_odd && self.read.iter().all(|other| other == first);
        is_one.then_some(first)
    }

    /// Whether there are no values, or all are readable and equal.
    pub(crate) fn is_at_most_one(&self) -> bool {
        self.read.is_empty() && !self.is_odd || self.agreed().is_some()
    }
}

/// Reads a phone number. WhatsApp ids are the digits of international numbers.
pub(crate) fn number(raw: &RawValue) -> Option<Msisdn> {
    portcullis_numbers::international(&text_or_integer(raw)?).ok()
}

/// Reads a user id.
pub(crate) fn user(raw: &RawValue) -> Option<UserId> {
    text_or_integer(raw)?.parse().ok()
}

/// Reads the user ids under one name.
pub(crate) fn users(object: &Object<'_>, name: &str) -> Values<UserId> {
    object.values(name, user)
}

/// Reads the strings and integers at a path of names. A string in the place of an object on the path counts as well.
pub(crate) fn texts_at(object: &Object<'_>, path: &[&str]) -> Values<String> {
    let Some((name, rest)) = path.split_first() else { return Values::default() };
    if rest.is_empty() {
        return object.values(name, text_or_integer);
    }
    let (texts, others): (Vec<_>, Vec<_>) = object.said(name).partition(|raw| raw.get().starts_with('"'));
    let mut found: Values<String> = texts.into_iter().map(text).collect();
    for raw in others {
        match Object::read(raw) {
            Some(object) => found = found.and(texts_at(&object, rest)),
            None => found.is_odd = true,
        }
    }
    found
}

/// The earliest plausible time, in 2001: no message is older than WhatsApp.
const EARLIEST_SECOND: i64 = 1_000_000_000;

/// Tolerated clock skew.
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Reads the times under one name: Unix time in seconds, as strings or integers.
///
/// A time more than 24 hours in the future, or before 2001, counts as unreadable.
pub(crate) fn times(object: &Object<'_>, name: &str) -> Values<Timestamp> {
    object.values(name, read_time)
}

/// Reads the time that most JSON parsers would use: the last one under this name.
pub(crate) fn time(object: &Object<'_>, name: &str) -> Option<Timestamp> {
    read_time(object.get(name)?)
}

fn read_time(raw: &RawValue) -> Option<Timestamp> {
    let seconds: i64 = text_or_integer(raw)?.parse().ok()?;
    let time = Timestamp::from_second(seconds).ok().filter(|_| seconds >= EARLIEST_SECOND)?;
    (time.duration_since(Timestamp::now()) <= MOST_AHEAD).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    fn object(json: &str) -> Object<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_string_is_read_whatever_its_surrogates() {
        assert_eq!(text(raw(r#""x \ud83d\udc4d \/""#)).as_deref(), Some("x 👍 /"));
        let lone = text(raw(r#""STOP \ud83d""#)).unwrap();
        assert!(lone.starts_with("STOP ") && lone.contains('\u{fffd}'), "{lone}");
        for other in ["1", "null", "[]", "{}", "[1]"] {
            assert_eq!(text(raw(other)), None, "{other}");
        }
    }

    #[test]
    fn numbers_and_times_are_strings_or_integers() {
        let values = object(
            r#"{"a":"46732001122","b":46732001122,"c":-1,"d":1.5,"e":"x","f":"1749416383","g":1749416383,"h":null,"i":""}"#,
        );
        assert_eq!(values.values("a", number), values.values("b", number));
        assert!(values.values("a", number).agreed().is_some());
        for name in ["c", "d", "e"] {
            assert!(values.values(name, number).is_odd && times(&values, name).is_odd, "{name}");
        }
        for name in ["h", "i", "j"] {
            assert_eq!((values.values(name, number), times(&values, name)), Default::default(), "{name}");
        }
        assert_eq!(time(&values, "f").map(Timestamp::as_second), Some(1_749_416_383));
        assert_eq!(time(&values, "f"), time(&values, "g"));
        let to_come = object(r#"{"a":"99999999999","b":"5","c":"1749416383000"}"#);
        let soon = Timestamp::now().as_second() + 600;
        let written = format!(r#"{{"a":{soon}}}"#);
        assert_eq!(time(&object(&written), "a").map(Timestamp::as_second), Some(soon));
        for name in ["a", "b", "c"] {
            assert_eq!(time(&to_come, name), None, "{name}");
        }
    }

    #[test]
    fn what_stands_deep_is_found_beside_anything() {
        let deep =
            format!(r#"{{"n":1e999,"z":{}1{},"text":{{"body":"STOP"}}}}"#, "[".repeat(200), "]".repeat(200));
        let object = object(&deep);
        assert_eq!(texts_at(&object, &["text", "body"]).read, ["STOP"]);
        assert_eq!(texts_at(&object, &["text", "other"]), Values::default());
        assert!(texts_at(&object, &["n", "body"]).is_odd);
    }

    #[test]
    fn everything_that_stands_under_a_name_is_read() {
        let two = object(
            r#"{"text":{"body":"a","\ud83d":1,"body":"b","body":null},"t\u0065xt":{"body":"c"},"text":"d","text":{"x":1}}"#,
        );
        let mut texts = texts_at(&two, &["text", "body"]);
        texts.read.sort();
        assert_eq!((texts.read.join(""), texts.is_odd), ("abcd".to_owned(), false));
        for odd in [r#"{"text":{"body":"a","body":["b"]}}"#, r#"{"text":{"body":"a"},"text":[]}"#] {
            let texts = texts_at(&object(odd), &["text", "body"]);
            assert_eq!((texts.read.join(""), texts.is_odd), ("a".to_owned(), true), "{odd}");
        }
        let names = object(r#"{"a":"1","a":1,"b":"1","b":"2","c":"1","c":true}"#);
        let agreed = |name| names.values(name, text_or_integer).agreed().cloned();
        assert_eq!((agreed("a").as_deref(), agreed("b"), agreed("c")), (Some("1"), None, None));
    }
}
