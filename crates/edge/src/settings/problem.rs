//! Mistakes in a configuration, and their places.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::Path;

use portcullis_api::settings as typed;
pub use portcullis_tokens::Step;

/// A place in a configuration, displayed as `tenants[1].senders[0].number`. The default is the root, displayed as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// The place of a key in the table at this place.
    pub fn key(&self, key: &'static str) -> Self {
        self.with(Step::Key(key))
    }

    /// The place of an element of the array at this place, from 0.
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        FieldPath(self.0.iter().copied().chain([step]).collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => {
                    f.write_char('.')?;
                    f.write_str(key)?;
                }
            }
        }
        Ok(())
    }
}

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: FieldPath,
    /// What is wrong, a semicolon, and what to do. Contains no token.
    pub what: String,
    /// Whether the value is valid by itself, but conflicts with another one.
    pub conflict: bool,
}

impl Problem {
    /// Creates a problem with a value that is invalid by itself.
    pub fn new(place: FieldPath, what: impl Into<String>) -> Self {
        Problem { place, what: what.into(), conflict: false }
    }

    /// Creates a problem with a value that conflicts with another one.
    pub fn conflict(place: FieldPath, what: impl Into<String>) -> Self {
        Problem { place, what: what.into(), conflict: true }
    }
}

/// The problem of a plugin that does not exist. `named` is the place of its name, `dir` the plugin folder, and
/// `plugins` the names that exist.
pub fn unknown_plugin(named: FieldPath, dir: Option<&Path>, plugins: &BTreeSet<String>) -> Problem {
    let known: Vec<&str> = plugins.iter().map(String::as_str).collect();
    let known = known.join(", ");
    let dir =
        dir.map_or_else(|| "the folder that plugins.dir names".to_owned(), |dir| dir.display().to_string());
    let what =
        format!("there is no plugin of this name; use one of {known}, or put its .wasm file into {dir}");
    Problem::new(named, what)
}

/// The plugins that a tenant's settings name, and where. `place` is the tenant's place.
pub fn plugins_of<'a>(
    typed: &'a typed::Tenant,
    place: &FieldPath,
) -> impl Iterator<Item = (FieldPath, &'a String)> {
    let rules = place.key("rules");
    let rule =
        move |(index, rule): (usize, &'a typed::Rule)| (rules.index(index).key("plugin"), &rule.plugin);
    std::iter::once((place.key("plugin"), &typed.plugin)).chain(typed.rules.iter().enumerate().map(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_in_code() {
        let place = FieldPath::default().key("tenants").index(1).key("senders").index(0).key("number");
        assert_eq!(place.to_string(), "tenants[1].senders[0].number");
    }
}
