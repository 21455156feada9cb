//! Holds as the command line and the API spell them.

use clap::ValueEnum;
use serde::Serialize;

/// One of the independent reasons for which a number is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "kebab-case")]
pub(super) enum Hold {
    /// The business's own
    Operator,
    /// The person's opt-out
    #[value(aliases = ["opt_out", "optout"])]
    OptOut,
    /// The person's opt-out from marketing, which blocks nothing by itself
    Marketing,
}

impl Hold {
    /// The names, as the API and files spell them.
    pub(super) const NAMES: &'static str = "operator, opt_out, marketing";

    /// As the API spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Hold::Operator => "operator",
            Hold::OptOut => "opt_out",
            Hold::Marketing => "marketing",
        }
    }

    /// As files and answers of the API spell it, in any case: `opt_out`, `opt-out` and `optout` are the same.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        <Hold as ValueEnum>::from_str(name.trim(), true).ok()
    }

    /// Whether it is a person's own wish rather than the business's.
    pub(super) fn is_wish(self) -> bool {
        self != Hold::Operator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opt_out_has_several_spellings_and_one_name() {
        for name in ["opt_out", "opt-out", "optout", "OPT-OUT", " Opt_Out "] {
            assert_eq!(Hold::from_name(name), Some(Hold::OptOut), "{name}");
        }
        for name in ["", "opt out", "opted_out", "customer"] {
            assert_eq!(Hold::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_names_are_those_of_the_api_and_are_read_again() {
        let names = Hold::value_variants().iter().map(|hold| hold.name()).collect::<Vec<_>>();
        assert_eq!(names.join(", "), Hold::NAMES);
        for hold in Hold::value_variants() {
            assert_eq!(Hold::from_name(hold.name()), Some(*hold));
            assert_eq!(serde_json::to_value(hold).unwrap(), hold.name());
        }
    }
}
