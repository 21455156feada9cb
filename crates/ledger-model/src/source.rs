//! The origin of a block.

use std::fmt;
use std::str::FromStr;

/// The origin of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A call of a block API.
    Api,
    /// A person, through the command line or an admin tool.
    Manual,
    /// An imported file.
    Import,
    /// The blocked person's own request, such as a keyword in a message.
    OptOut,
    /// The gateway itself.
    System,
}

impl Source {
    /// All sources.
    pub const ALL: [Source; 5] =
        [Source::Api, Source::Manual, Source::Import, Source::OptOut, Source::System];

    /// `api`, `manual`, `import`, `opt-out` or `system`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Api => "api",
            Source::Manual => "manual",
            Source::Import => "import",
            Source::OptOut => "opt-out",
            Source::System => "system",
        }
    }

    /// The code stored on disk. Never renumber.
    pub const fn code(self) -> i64 {
        match self {
            Source::Api => 0,
            Source::Manual => 1,
            Source::Import => 2,
            Source::OptOut => 3,
            Source::System => 4,
        }
    }

    /// The source with this code.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.code() == code)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    /// Parses exactly what [`as_str`](Source::as_str) returns.
    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or(UnknownSource)
    }
}

/// The text is not a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a source: write api, manual, import, opt-out or system")]
pub struct UnknownSource;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_round_trips_through_its_name_and_code() {
        for source in Source::ALL {
            assert_eq!(source.as_str().parse(), Ok(source));
            assert_eq!(Source::from_code(source.code()), Some(source));
        }
        assert_eq!("API".parse::<Source>(), Err(UnknownSource));
        assert_eq!(Source::from_code(5), None);
    }
}
