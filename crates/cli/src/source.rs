//! Sources of blocks, as spelled in files and options.

use clap::ValueEnum as _;
use portcullis_api::{GivenSource, HoldKind};

/// The names that the API and files use, for messages.
pub(super) const NAMES: &str = "api, manual, import, opt_out";

/// Parses a name from a file, ignoring case. `opt_out`, `opt-out` and `optout` are the same.
pub(super) fn from_name(name: &str) -> Option<GivenSource> {
    GivenSource::from_str(name.trim(), true).ok()
}

/// The hold that a block from this source sets unless another one is named. `None` if the source does
/// not imply one.
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
        // `system` is reserved for the gateway itself.
        for name in ["", "system", "facebook"] {
            assert_eq!(from_name(name), None, "{name}");
        }
    }
}
