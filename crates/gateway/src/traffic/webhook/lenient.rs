//! Values of JSON, read as far as they can be.
//!
//! A message of a blocked person is stopped, and a STOP is heard, also where something beside it is odd: a lone surrogate in a
//! text, a number that no float holds, arrays hundreds deep. So each value is read on its own, from the text that it is.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use portcullis_ledger::UserId;
use portcullis_msisdn::Msisdn;
use serde::Deserializer as _;
use serde::de::{Error, Visitor};
use serde_json::value::RawValue;

use super::payload::Object;
use crate::number;

/// What a string says. A lone surrogate, which no string of Unicode has, becomes U+FFFD.
pub(in super::super) fn text(raw: &RawValue) -> Option<String> {
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

    // As bytes, as these may have surrogates (serde_json's documentation of `Deserializer::deserialize_bytes`).
    raw.get()
        .starts_with('"')
        .then(|| serde_json::Deserializer::from_str(raw.get()).deserialize_bytes(Bytes).ok())?
}

/// What a string or an integer says.
pub(super) fn text_or_integer(raw: &RawValue) -> Option<String> {
    let is_integer = raw.get().bytes().all(|byte| byte.is_ascii_digit());
    if is_integer { Some(raw.get().to_owned()) } else { text(raw) }
}

/// A telephone number: WhatsApp's ids are the digits of international ones.
pub(super) fn number(object: &Object<'_>, name: &str) -> Option<Msisdn> {
    number::international(&text_or_integer(object.get(name)?)?).ok()
}

/// A person's id.
pub(super) fn user(object: &Object<'_>, name: &str) -> Option<UserId> {
    text(object.get(name)?)?.parse().ok()
}

/// The earliest time that is believed: 2001. Meta's messages are not older than WhatsApp.
const EARLIEST_SECOND: i64 = 1_000_000_000;

/// How far clocks are believed to be apart.
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// A time in seconds since 1970, as a string or a number. One that is still to come is taken for now, and one that is so by
/// more than a day for none.
pub(in super::super) fn time(object: &Object<'_>, name: &str) -> Option<Timestamp> {
    let seconds: i64 = text_or_integer(object.get(name)?)?.parse().ok()?;
    let time = Timestamp::from_second(seconds).ok().filter(|_| seconds >= EARLIEST_SECOND)?;
    let now = Timestamp::now();
    (time.duration_since(now) <= MOST_AHEAD).then(|| time.min(now))
}

/// What stands at a path of names.
pub(super) fn at<'a>(object: &Object<'a>, path: &[&str]) -> Option<&'a RawValue> {
    let (last, parents) = path.split_last()?;
    let mut object = object.clone();
    for name in parents {
        object = object.read(name)?;
    }
    object.get(last)
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
            r#"{"a":"46732001122","b":46732001122,"c":-1,"d":1.5,"e":"x","f":"1749416383","g":1749416383}"#,
        );
        assert_eq!(number(&values, "a"), number(&values, "b"));
        assert!(number(&values, "a").is_some());
        for name in ["c", "d", "e", "h"] {
            assert_eq!((number(&values, name), time(&values, name)), (None, None), "{name}");
        }
        assert_eq!(time(&values, "f").map(Timestamp::as_second), Some(1_749_416_383));
        assert_eq!(time(&values, "f"), time(&values, "g"));
        let to_come = object(r#"{"a":"99999999999","b":"5","c":"1749416383000"}"#);
        let soon = format!(r#"{{"a":{}}}"#, Timestamp::now().as_second() + 600);
        assert!(time(&serde_json::from_str(&soon).unwrap(), "a").unwrap() <= Timestamp::now());
        for name in ["a", "b", "c"] {
            assert_eq!(time(&to_come, name), None, "{name}");
        }
    }

    #[test]
    fn what_stands_deep_is_found_beside_anything() {
        let deep =
            format!(r#"{{"n":1e999,"z":{}1{},"text":{{"body":"STOP"}}}}"#, "[".repeat(200), "]".repeat(200));
        let object = object(&deep);
        assert_eq!(at(&object, &["text", "body"]).and_then(text).as_deref(), Some("STOP"));
        assert_eq!(at(&object, &["text", "other"]).map(RawValue::get), None);
        assert_eq!(at(&object, &["n", "body"]).map(RawValue::get), None);
    }
}
