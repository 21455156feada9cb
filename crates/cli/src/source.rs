//! How a block came about, as the command line and the API spell it.

use clap::ValueEnum;
use serde::Serialize;

use super::hold::Hold;

/// How a block came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "kebab-case")]
pub(super) enum Source {
    /// Through an API
    Api,
    /// By hand
    Manual,
    /// From a file
    Import,
    /// The person asked for it: the hold is theirs, unless --hold says otherwise
    #[value(aliases = ["opt_out", "optout"])]
    OptOut,
}

impl Source {
    /// The names, as the API and files spell them.
    pub(super) const NAMES: &'static str = "api, manual, import, opt_out";

    /// As files and answers of the API spell it, in any case: `opt_out`, `opt-out` and `optout` are the same.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        <Source as ValueEnum>::from_str(name.trim(), true).ok()
    }

    /// The hold that a block from there makes where nothing else names one, as far as the source tells.
    pub(super) fn implied_hold(self) -> Option<Hold> {
        match self {
            Source::OptOut => Some(Hold::OptOut),
            Source::Api | Source::Manual | Source::Import => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_api_and_are_read_again() {
        let name = |source: &Source| serde_json::to_value(source).unwrap().as_str().unwrap().to_owned();
        let names = Source::value_variants().iter().map(name).collect::<Vec<_>>();
        assert_eq!(names.join(", "), Source::NAMES);
        for (source, name) in Source::value_variants().iter().zip(names) {
            assert_eq!(Source::from_name(&name), Some(*source));
        }
        assert_eq!(Source::from_name("Opt-Out"), Some(Source::OptOut));
        // What the gateway itself writes nobody else may claim.
        for name in ["", "system", "facebook"] {
            assert_eq!(Source::from_name(name), None, "{name}");
        }
    }
}
