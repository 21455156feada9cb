//! How a block came about, as files and options spell it.

use clap::ValueEnum as _;
use portcullis_api::{GivenSource, HoldKind};

/// The names, as the API and files spell them.
pub(super) const NAMES: &str = "api, manual, import, opt_out";

/// Reads what files and answers of the API have, in any case: `opt_out`, `opt-out` and `optout` are the same.
pub(super) fn from_name(name: &str) -> Option<GivenSource> {
    GivenSource::from_str(name.trim(), true).ok()
}

/// The hold that a block from there sets where nothing else names one, as far as the source tells.
pub(super) fn implied_hold(source: GivenSource) -> Option<HoldKind> {
    (source == GivenSource::OptOut).then_some(HoldKind::OptOut)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_names_are_those_of_the_api_and_are_read_again() {
        let name = |source: &GivenSource| serde_json::to_value(source).unwrap().as_str().unwrap().to_owned();
        let names = GivenSource::value_variants().iter().map(name).collect::<Vec<_>>();
        assert_eq!(names.join(", "), NAMES);
        for (source, name) in GivenSource::value_variants().iter().zip(names) {
            assert_eq!(from_name(&name), Some(*source));
        }
        assert_eq!(from_name("Opt-Out"), Some(GivenSource::OptOut));
        // What the gateway itself writes nobody else may claim.
        for name in ["", "system", "facebook"] {
            assert_eq!(from_name(name), None, "{name}");
        }
    }
}
