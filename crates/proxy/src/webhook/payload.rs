//! Splitting a webhook's body into changes, and writing it again with unchanged parts byte for byte as they were.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::message::object::{Field, Inner, Object, array, elements};

/// The body of a webhook.
pub(super) struct Payload<'a> {
    pub(super) object: Object<'a>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// An element of `entry`: the changes of one business account.
pub(super) struct Entry<'a> {
    raw: &'a RawValue,
    pub(super) object: Object<'a>,
    pub(super) changes: Vec<Change<'a>>,
    /// Whether the entry, or its `changes`, has an unexpected type, so that it can't be split.
    pub(super) is_odd: bool,
}

/// An element of `changes`, such as messages or statuses.
pub(super) struct Change<'a> {
    raw: &'a RawValue,
    object: Object<'a>,
    pub(super) value: Inner<'a>,
}

impl<'a> Payload<'a> {
    /// Parses a body; `None` if it isn't a webhook, that is, an object with an array `entry`.
    pub(super) fn read(body: &'a str) -> Option<Self> {
        let object: Object<'a> = serde_json::from_str(body).ok()?;
        let mut entries = Vec::new();
        let mut is_webhook = false;
        for raw in object.all("entry") {
            match elements(raw) {
                Some(elements) => {
                    is_webhook |= raw.get() != "null";
                    entries.extend(elements.into_iter().map(Entry::read));
                }
                None => {
                    entries.push(Entry { raw, object: Object::default(), changes: Vec::new(), is_odd: true });
                }
            }
        }
        is_webhook.then_some(Payload { object, entries })
    }

    /// Writes the body with what `fate` keeps, or returns `None` if nothing is left.
    ///
    /// `fate` is called with the index of each entry and of each change in it, and with `None` as the second index to ask whether
    /// the entry is kept as a whole.
    pub(super) fn with(&self, fate: impl Fn(usize, Option<usize>) -> Option<Kept>) -> Option<String> {
        let mut entries = Vec::new();
        for (e, entry) in self.entries.iter().enumerate() {
            if fate(e, None).is_some() {
                entries.push(Cow::Borrowed(entry.raw.get()));
            }
            let changes: Vec<_> = (entry.changes.iter().enumerate())
                .filter_map(|(c, change)| Some(change.with(fate(e, Some(c))?)))
                .collect();
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

/// What is kept of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it, unchanged.
    Whole,
    /// The change with this JSON text as its `value`.
    Value(String),
}

impl<'a> Entry<'a> {
    fn read(raw: &'a RawValue) -> Self {
        let Some(object) = Object::read(raw) else {
            return Entry { raw, object: Object::default(), changes: Vec::new(), is_odd: true };
        };
        // Entries of other products have no `changes`.
        let (mut changes, mut is_odd) = (Vec::new(), false);
        for changed in object.all("changes") {
            match elements(changed) {
                Some(elements) => changes.extend(elements.into_iter().map(Change::read)),
                None => is_odd = true,
            }
        }
        Entry { raw, object, changes, is_odd }
    }
}

impl<'a> Change<'a> {
    fn read(raw: &'a RawValue) -> Self {
        match Object::read(raw) {
            Some(object) => Change { raw, value: object.inner("value"), object },
            None => Change { raw, object: Object::default(), value: Inner { object: None, is_odd: true } },
        }
    }

    fn with(&self, kept: Kept) -> Cow<'a, str> {
        match kept {
            Kept::Whole => Cow::Borrowed(self.raw.get()),
            Kept::Value(value) => {
                Cow::Owned(
                    self.object.with(|name| {
                        if name == "value" { Field::Other(value.clone()) } else { Field::AsItIs }
                    }),
                )
            }
        }
    }
}

/// Escapes all non-ASCII characters with lower-case digits (`\u00e9`), as Meta does in the bodies that it signs.
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
        let body = r#"{"object":"x","entry":[{"id":"1","changes":[{"value":{"a": 1.50,"z":[ 1 ]},"field":"m"},{"field":"n","value":7}]},{"id":"2","changes":[{"field":"o","value":{}}]}],"new":{"b":"\u00e9"}}"#;
        let payload = Payload::read(body).unwrap();
        let all = payload.with(|_, c| c.map(|_| Kept::Whole)).unwrap();
        assert_eq!(all, body);
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
    fn what_is_no_webhook_is_refused_and_of_one_what_can_t_be_read_is_told() {
        for body in ["", "[]", "{}", r#"{"entry":{}}"#, r#"{"entry":null}"#] {
            assert!(Payload::read(body).is_none(), "{body}");
        }
        for body in [
            r#"{"entry":[1]}"#,
            r#"{"entry":[{"changes":1}]}"#,
            r#"{"entry":[{"changes":[],"changes":1}]}"#,
            r#"{"entry":1,"entry":[]}"#,
        ] {
            assert!(Payload::read(body).unwrap().entries[0].is_odd, "{body}");
        }
        for change in ["1", r#"{"value":[]}"#, r#"{"value":{},"value":"x"}"#] {
            let body = format!(r#"{{"entry":[{{"changes":[{change}]}}]}}"#);
            let payload = Payload::read(&body).unwrap();
            assert!(payload.entries[0].changes[0].value.is_odd, "{change}");
        }
    }

    #[test]
    fn what_stands_twice_is_read_twice_and_written_once() {
        let body = r#"{"entry":[{"changes":[{"value":{"a":1,"\ud83d":2},"value":{"a":3}}],"changes":[{"value":4}]}],"entry":[{"id":"2"}]}"#;
        let payload = Payload::read(body).unwrap();
        assert_eq!((payload.entries.len(), payload.entries[0].changes.len()), (2, 2));
        let value = payload.entries[0].changes[0].value.object.clone().unwrap();
        assert_eq!(value.all("a").map(RawValue::get).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(value.with(|_| Field::AsItIs), r#"{"a":1,"\ud83d":2,"a":3}"#, "to the byte");
        assert_eq!(
            value.with(|name| if name == "a" { Field::Other("[]".into()) } else { Field::AsItIs }),
            r#"{"a":[],"\ud83d":2}"#
        );
        let part = payload.with(|e, c| (e == 0 && c == Some(0)).then(|| Kept::Value("5".into())));
        assert_eq!(part.unwrap(), r#"{"entry":[{"changes":[{"value":5}]}]}"#);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "\\PC{0,80}") {
            let _ = Payload::read(&body);
        }

        #[test]
        fn an_escaped_text_means_the_same(text in "\\PC{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let read: String = serde_json::from_str(&escaped(&json)).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
