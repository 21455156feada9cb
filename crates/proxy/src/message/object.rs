//! Objects of JSON, read however they are written, and written again so that what stays is, to the byte, what it was.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::lenient::{self, Values};

/// An object of JSON, with its members in their order and as they are written.
///
/// Any that JSON's grammar has is read: also one with a name that no text can have (a lone surrogate), or in which a name stands
/// several times. Of these, who reads it next may take either, so whoever asks gets all.
#[derive(Clone, Default)]
pub(crate) struct Object<'a>(Vec<Member<'a>>);

#[derive(Clone)]
struct Member<'a> {
    name: Cow<'a, str>,
    /// The name as it is written.
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

fn name(written: &RawValue) -> Cow<'_, str> {
    let quoted = written.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match quoted.filter(|text| !text.contains('\\')) {
        Some(plain) => Cow::Borrowed(plain),
        None => Cow::Owned(lenient::text(written).unwrap_or_default()),
    }
}

impl<'a> Object<'a> {
    /// A JSON text as an object, if it is one.
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// Everything of this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.0.iter().filter(move |member| member.name == name).map(|member| member.value)
    }

    /// Everything of this name that says something.
    pub(crate) fn said(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.all(name).filter(|value| !matches!(value.get(), "null" | "\"\""))
    }

    /// What most readers take for the value of a name: the last.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.all(name).last()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The objects of this name. Several are as one with the members of all.
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

    /// Whatever can be read of this name.
    pub(crate) fn values<T>(&self, name: &str, read: impl Fn(&'a RawValue) -> Option<T>) -> Values<T> {
        self.said(name).map(read).collect()
    }

    /// The object with this one for the value of a name.
    pub(crate) fn saying(&self, name: &str, value: &'a RawValue) -> Self {
        let mut members = self.0.clone();
        members.retain(|member| member.name != name || std::ptr::eq(member.value, value));
        Object(members)
    }

    /// The object again, with other text in the place of some members, or without them.
    pub(crate) fn with(&self, change: impl Fn(&str) -> Field) -> String {
        let mut text = String::from("{");
        let mut replaced: Vec<&str> = Vec::new();
        for member in &self.0 {
            let value = match change(&member.name) {
                Field::AsItIs => Cow::Borrowed(member.value.get()),
                // It stands for all of the name.
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

/// An object in another.
#[derive(Default)]
pub(crate) struct Inner<'a> {
    /// Missing where there is none.
    pub(crate) object: Option<Object<'a>>,
    /// Whether something stands there that is none.
    pub(crate) is_odd: bool,
}

/// What becomes of a member.
pub(crate) enum Field {
    AsItIs,
    Other(String),
    Gone,
}

/// Texts as an array.
pub(crate) fn array<'a>(items: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// The elements of an array; `None` where it is something else.
pub(crate) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get() == "null" {
        return Some(Vec::new());
    }
    serde_json::from_str(raw.get()).ok()
}
