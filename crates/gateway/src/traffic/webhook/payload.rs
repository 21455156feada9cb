//! A webhook's body, taken apart and put together again so that what stays is, to the byte, what it was.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object of JSON, with its fields in their order and as they are written. A name that comes twice is refused: two readers
/// could take it for two things.
#[derive(Clone)]
pub(in super::super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a field comes twice"));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    pub(in super::super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// What a field says, if it is there and says such a thing.
    pub(super) fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// The object again, with other text in the place of some fields, or without them.
    pub(super) fn with(&self, change: impl Fn(&str) -> Field) -> String {
        let mut text = String::from("{");
        for (name, value) in &self.0 {
            let value = match change(name) {
                Field::AsItIs => value.get().to_owned(),
                Field::Other(text) => text,
                Field::Gone => continue,
            };
            let separator = if text.len() > 1 { "," } else { "" };
            let name = Value::from(name.as_ref());
            let _ = write!(text, "{separator}{name}:{value}");
        }
        text.push('}');
        text
    }
}

/// What becomes of a field.
pub(super) enum Field {
    AsItIs,
    Other(String),
    Gone,
}

/// Texts as an array.
pub(super) fn array<'a>(items: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// A webhook.
pub(super) struct Payload<'a> {
    object: Object<'a>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// What there is of one business account.
pub(super) struct Entry<'a> {
    pub(super) object: Object<'a>,
    pub(super) changes: Vec<Change<'a>>,
}

/// One change: messages and statuses, or something else.
pub(super) struct Change<'a> {
    object: Object<'a>,
    /// Missing where it is no object, or one that can't be told apart.
    pub(super) value: Option<Object<'a>>,
    /// Whether it is the latter.
    pub(super) is_unreadable: bool,
}

impl<'a> Payload<'a> {
    /// Takes a body apart; `None` where it is no webhook.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let object: Object<'a> = serde_json::from_slice(body).ok()?;
        let entries: Vec<Object<'a>> = object.read("entry")?;
        let entries = entries.into_iter().map(Entry::read).collect::<Option<_>>()?;
        Some(Payload { object, entries })
    }

    /// The body again with what `fate` makes of each change, by their places, and of each entry that has none; `None` where
    /// nothing is left.
    pub(super) fn with(&self, fate: impl Fn(usize, Option<usize>) -> Option<Kept>) -> Option<String> {
        let mut entries = Vec::new();
        for (e, entry) in self.entries.iter().enumerate() {
            if entry.changes.is_empty() && fate(e, None).is_some() {
                entries.push(Cow::Owned(entry.object.with(|_| Field::AsItIs)));
            }
            let mut changes = Vec::new();
            for (c, change) in entry.changes.iter().enumerate() {
                match fate(e, Some(c)) {
                    None => {}
                    Some(Kept::Whole) => changes.push(Cow::Owned(change.object.with(|_| Field::AsItIs))),
                    Some(Kept::Value(value)) => changes.push(Cow::Owned(change.object.with(|name| {
                        if name == "value" { Field::Other(value.clone()) } else { Field::AsItIs }
                    }))),
                }
            }
            if !changes.is_empty() {
                let changes = array(changes);
                entries.push(Cow::Owned(entry.object.with(|name| {
                    if name == "changes" { Field::Other(changes.clone()) } else { Field::AsItIs }
                })));
            }
        }
        if entries.is_empty() {
            return None;
        }
        let entries = array(entries);
        let body = self
            .object
            .with(|name| if name == "entry" { Field::Other(entries.clone()) } else { Field::AsItIs });
        Some(escaped(&body))
    }
}

/// What is left of a change.
#[derive(Clone)]
pub(super) enum Kept {
    Whole,
    /// With this for its value.
    Value(String),
}

impl<'a> Entry<'a> {
    fn read(object: Object<'a>) -> Option<Self> {
        // Other webhooks have entries without changes.
        let changes: Vec<Object<'a>> = match object.get("changes") {
            Some(changes) => serde_json::from_str(changes.get()).ok()?,
            None => Vec::new(),
        };
        let changes = changes.into_iter().map(|object| {
            let value: Option<Object<'a>> = object.read("value");
            let is_object = object.get("value").is_some_and(|value| value.get().starts_with('{'));
            Change { is_unreadable: is_object && value.is_none(), value, object }
        });
        Some(Entry { changes: changes.collect(), object })
    }
}

/// The text with everything but ASCII escaped, in lower case: as Meta writes it, and signs it.
fn escaped(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stays_is_what_it_was_to_the_byte() {
        let body = br#"{"object":"x","entry":[{"id":"1","changes":[{"value":{"a": 1.50,"z":[ 1 ]},"field":"m"},{"field":"n","value":7}]},{"id":"2","changes":[{"field":"o","value":{}}]}],"new":{"b":"\u00e9"}}"#;
        let payload = Payload::read(body).unwrap();
        let all = payload.with(|_, _| Some(Kept::Whole)).unwrap();
        assert_eq!(all.as_bytes(), body);
        let part = payload.with(|e, c| (e == 0 && c == Some(0)).then_some(Kept::Whole)).unwrap();
        assert_eq!(
            part,
            r#"{"object":"x","entry":[{"id":"1","changes":[{"value":{"a": 1.50,"z":[ 1 ]},"field":"m"}]}],"new":{"b":"\u00e9"}}"#
        );
        assert_eq!(payload.with(|_, _| None), None);
    }

    #[test]
    fn everything_but_ascii_is_escaped_in_lower_case() {
        assert_eq!(escaped("{\"a\":\"héj 👍\"}"), r#"{"a":"h\u00e9j \ud83d\udc4d"}"#);
    }

    #[test]
    fn what_is_no_webhook_or_says_something_twice_is_refused() {
        for body in ["", "[]", "{}", r#"{"entry":{}}"#, r#"{"entry":[1]}"#, r#"{"entry":[{"changes":1}]}"#] {
            assert!(Payload::read(body.as_bytes()).is_none(), "{body}");
        }
        let twice = r#"{"entry":[{"changes":[{"field":"m","value":{},"value":{}}]}]}"#;
        assert!(Payload::read(twice.as_bytes()).is_none());
        let inside = r#"{"entry":[{"changes":[{"field":"m","value":{"messages":[],"messages":[]}}]}]}"#;
        let payload = Payload::read(inside.as_bytes()).unwrap();
        let change = &payload.entries[0].changes[0];
        assert!(change.value.is_none() && change.is_unreadable);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "\\PC{0,80}") {
            let _ = Payload::read(body.as_bytes());
        }

        #[test]
        fn an_escaped_text_means_the_same(text in "\\PC{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let read: String = serde_json::from_str(&escaped(&json)).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
