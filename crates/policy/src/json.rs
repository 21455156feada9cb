//! Reading of options, with the path to what is wrong.
//!
//! Messages end up in logs, and options may hold digits of numbers: a message names the path, and repeats nothing of what is there
//! but names of a few letters.

use serde_json::{Map, Value};

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    path: String,
    value: &'a Value,
}

/// What is wrong with a value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object whose names are all known.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        At { path: String::new(), value }
    }

    /// An error about this: what is wrong, and what to write.
    pub(crate) fn wrong(&self, what: &str) -> Wrong {
        Wrong(format!("{} {what}", self.named()))
    }

    fn named(&self) -> String {
        if self.path.is_empty() { "the options".to_owned() } else { format!("`{}`", self.path) }
    }

    /// The path of a field of this.
    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// An object that has no other than these names.
    pub(crate) fn object(&self, names: &[&str]) -> Result<Object<'a>, Wrong> {
        let Value::Object(fields) = self.value else {
            return Err(self.wrong(&format!("must be an object with {}", listed(names))));
        };
        if let Some(unknown) = fields.keys().find(|name| !names.contains(&name.as_str())) {
            let is_name = (1..=32).contains(&unknown.len())
                && unknown.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            let options = format!("there are {}", listed(names));
            return Err(match is_name {
                true => Wrong(format!("`{}` is not an option: {options}", self.below(unknown))),
                false => Wrong(format!("a name in {} is not an option: {options}", self.named())),
            });
        }
        Ok(Object { path: self.path.clone(), fields })
    }

    /// The items of a list, at least one and at most so many. `example` is what to write instead.
    pub(crate) fn list(&self, most: usize, example: &str) -> Result<Vec<At<'a>>, Wrong> {
        let Value::Array(items) = self.value else {
            return Err(self.wrong(&format!("must be a list, such as {example}")));
        };
        if items.is_empty() {
            return Err(self.wrong(&format!("is empty: leave it out, or write a list such as {example}")));
        }
        if items.len() > most {
            return Err(self.wrong(&format!("has {} items, and {most} is the most", items.len())));
        }
        let at = |(index, value)| At { path: format!("{}[{index}]", self.path), value };
        Ok(items.iter().enumerate().map(at).collect())
    }

    /// A text. `example` is what to write instead.
    pub(crate) fn text(&self, example: &str) -> Result<&'a str, Wrong> {
        self.value.as_str().ok_or_else(|| self.wrong(&format!("must be a string, such as {example}")))
    }

    /// A whole number.
    pub(crate) fn whole(&self, least: u32, most: u32) -> Result<u32, Wrong> {
        let number = self.value.as_u64().and_then(|number| u32::try_from(number).ok());
        let fits = number.filter(|number| (least..=most).contains(number));
        fits.ok_or_else(|| self.wrong(&format!("must be a whole number from {least} to {most}")))
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Wrong> {
        let found = self.value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            self.wrong(&format!("must be one of {}", quoted(&words)))
        })
    }
}

impl<'a> Object<'a> {
    /// A field, if it is there. `null` is as none.
    pub(crate) fn get(&self, name: &str) -> Option<At<'a>> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        let path = At { path: self.path.clone(), value }.below(name);
        Some(At { path, value })
    }

    /// A field that must be there.
    pub(crate) fn require(&self, name: &str, example: &str) -> Result<At<'a>, Wrong> {
        self.get(name).ok_or_else(|| self.wrong(&format!("lacks `{name}`: write {example}")))
    }

    /// An error about the whole.
    pub(crate) fn wrong(&self, what: &str) -> Wrong {
        At { path: self.path.clone(), value: &Value::Null }.wrong(what)
    }

    /// Reads a field, if it is there.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(At<'a>) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        self.get(name).map(read).transpose()
    }
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    joined(&names)
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    joined(&words)
}

fn joined(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
