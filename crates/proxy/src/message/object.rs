//! JSON objects that can be read leniently, and written again with unchanged members byte for byte as they were.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::lenient::{self, Values};

/// A JSON object with its members in order and as written.
///
/// Accepts every object of the JSON grammar, including names that are not valid Unicode (lone surrogates) and repeated names. The
/// next parser may use any of several members with one name, so lookups return all of them.
#[derive(Clone, Default)]
pub(crate) struct Object<'a>(Vec<Member<'a>>);

#[derive(Clone)]
struct Member<'a> {
    name: Cow<'a, str>,
    /// The name as written, with quotation marks and escapes.
    written: &'a RawValue,
    value: &'a RawValue,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((written, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push(Member { name: name(written), written, value });
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Decodes the name of a member.
fn name(written: &RawValue) -> Cow<'_, str> {
    let quoted = written.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match quoted.filter(|text| !text.contains('\\')) {
        Some(plain) => Cow::Borrowed(plain),
        None => Cow::Owned(lenient::text(written).unwrap_or_default()),
    }
}

impl<'a> Object<'a> {
    /// Reads a JSON text; `None` if it isn't an object.
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// Returns the values of all members with this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.0.iter().filter(move |member| member.name == name).map(|member| member.value)
    }

    /// Returns the values of all members with this name, except `null` and empty strings.
    pub(crate) fn said(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.all(name).filter(|value| !matches!(value.get(), "null" | "\"\""))
    }

    /// Returns the last value with this name, which most parsers would use.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.all(name).last()
    }

    /// Whether there is a member with this name, of any value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns the object with this name. Several are merged into one with the members of all.
    pub(crate) fn inner(&self, name: &str) -> Inner<'a> {
        let mut inner = Inner::default();
        for value in self.said(name) {
            match Object::read(value) {
                Some(object) => inner.object.get_or_insert_default().0.extend(object.0),
                None => inner.is_odd = true,
            }
        }
        inner
    }

    /// Reads all values with this name, except `null` and empty strings.
    pub(crate) fn values<T>(&self, name: &str, read: impl Fn(&'a RawValue) -> Option<T>) -> Values<T> {
        self.said(name).map(read).collect()
    }

    /// Returns the object with `value`, which is one of its own, as the only value of this name.
    pub(crate) fn saying(&self, name: &str, value: &'a RawValue) -> Self {
        let mut members = self.0.clone();
        members.retain(|member| member.name != name || std::ptr::eq(member.value, value));
        Object(members)
    }

    /// Writes the object, with the members that `change` selects replaced or removed.
    pub(crate) fn with(&self, change: impl Fn(&str) -> Field) -> String {
        let mut text = String::from("{");
        let mut replaced: Vec<&str> = Vec::new();
        for member in &self.0 {
            let value = match change(&member.name) {
                Field::AsItIs => Cow::Borrowed(member.value.get()),
                // The replacement stands for all members with this name.
                Field::Other(_) if replaced.contains(&&*member.name) => continue,
                Field::Other(text) => {
                    replaced.push(&member.name);
                    Cow::Owned(text)
                }
                Field::Gone => continue,
            };
            let separator = if text.len() > 1 { "," } else { "" };
            let _ = write!(text, "{separator}{}:{value}", member.written.get());
        }
        text.push('}');
        text
    }
}

/// A nested object.
#[derive(Default)]
pub(crate) struct Inner<'a> {
    /// The object; `None` if there is none.
    pub(crate) object: Option<Object<'a>>,
    /// Whether there is a value that isn't an object.
    pub(crate) is_odd: bool,
}

/// What [`Object::with`] writes in the place of a member.
pub(crate) enum Field {
    /// The member, unchanged.
    AsItIs,
    /// The member with this JSON text as its value.
    Other(String),
    /// Nothing.
    Gone,
}

/// Writes JSON texts as an array.
pub(crate) fn array<'a>(items: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// Reads the elements of an array. `null` is an empty array; `None` if the value is anything else.
pub(crate) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get() == "null" {
        return Some(Vec::new());
    }
    serde_json::from_str(raw.get()).ok()
}
