//! What is wrong with a token that somebody wrote.

/// A mistake in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The fields that lead to it, from the token on; none if the token as a whole is wrong.
    pub place: Vec<Step>,
    /// What is wrong, a semicolon, and what to do. Contains no token.
    pub what: String,
    /// Whether the token is valid by itself, but conflicts with another one.
    pub is_conflict: bool,
}

/// A step on the way to a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field of a table.
    Key(&'static str),
    /// An element of a list, from 0.
    Index(usize),
}

impl Mistake {
    pub(crate) fn of(field: &'static str, what: impl Into<String>) -> Self {
        Mistake { place: vec![Step::Key(field)], what: what.into(), is_conflict: false }
    }

    pub(crate) fn of_whole(what: impl Into<String>) -> Self {
        Mistake { place: Vec::new(), what: what.into(), is_conflict: false }
    }

    /// The same mistake, which is one of two that conflict.
    pub(crate) fn conflict(self) -> Self {
        Mistake { is_conflict: true, ..self }
    }

    /// The same mistake, with the way to its token in front.
    #[must_use]
    pub fn at(mut self, steps: &[Step]) -> Self {
        self.place.splice(0..0, steps.iter().copied());
        self
    }
}
