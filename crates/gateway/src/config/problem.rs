//! What is wrong with a configuration, and where.

use std::fmt::{self, Write as _};

/// A step from a table into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a table.
    Key(&'static str),
    /// An element of an array, from 0 on.
    Index(usize),
}

/// A place in a configuration, as the steps that lead there: `tenants[1].senders[0].number`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) Vec<Step>);

impl Place {
    pub(crate) fn key(&self, key: &'static str) -> Self {
        self.with(Step::Key(key))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        Place(self.0.iter().copied().chain([step]).collect())
    }
}

impl fmt::Display for Place {
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

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    /// What is wrong, a semicolon, and what to do. Holds no token.
    pub(crate) what: String,
    /// Whether it is right by itself, but contradicts something else.
    pub(crate) conflict: bool,
}

impl Problem {
    pub(crate) fn new(place: Place, what: impl Into<String>) -> Self {
        Problem { place, what: what.into(), conflict: false }
    }

    pub(crate) fn conflict(place: Place, what: impl Into<String>) -> Self {
        Problem { place, what: what.into(), conflict: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_in_code() {
        let place = Place::default().key("tenants").index(1).key("senders").index(0).key("number");
        assert_eq!(place.to_string(), "tenants[1].senders[0].number");
    }
}
