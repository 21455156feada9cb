//! Holds, as spelled in files and options.

use clap::ValueEnum as _;
use portcullis_api::HoldKind;

/// The names that the API and files use, for messages.
pub(super) const NAMES: &str = "operator, opt_out, marketing";

/// Parses a name from a file, ignoring case. `opt_out`, `opt-out` and `optout` are the same.
pub(super) fn from_name(name: &str) -> Option<HoldKind> {
    HoldKind::from_str(name.trim(), true).ok()
}

/// Whether the person, rather than the business, asked for this kind of hold.
pub(super) fn is_wish(kind: HoldKind) -> bool {
    kind != HoldKind::Operator
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn an_opt_out_has_several_spellings_and_one_name() {
        for name in ["opt_out", "opt-out", "optout", "OPT-OUT", " Opt_Out "] {
            assert_eq!(from_name(name), Some(HoldKind::OptOut), "{name}");
        }
        for name in ["", "opt out", "opted_out", "customer"] {
            assert_eq!(from_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_names_are_those_of_the_api_and_are_read_again() {
        let names = HoldKind::value_variants().iter().map(|hold| hold.as_str()).collect::<Vec<_>>();
        assert_eq!(names.join(", "), NAMES);
        for hold in HoldKind::value_variants() {
            assert_eq!(from_name(hold.as_str()), Some(*hold));
            assert_eq!(serde_json::to_value(hold).unwrap(), hold.as_str());
        }
    }
}
