//! The options in docs/policy.md.

use std::fs;
use std::path::Path;

use portcullis_policy::{Policy, Reason};

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md")).unwrap()
}

#[test]
fn the_options_of_the_guide_are_accepted() {
    let guide = guide();
    let examples: Vec<&str> =
        guide.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 10);
    for options in examples {
        Policy::parse(options, true).unwrap_or_else(|error| panic!("{error}: {options}"));
        let policy = Policy::parse(options, false);
        assert_eq!(policy.is_err(), options.contains("prefixes"), "{options}");
    }
}

#[test]
fn the_guide_has_all_reasons() {
    let guide = guide();
    for reason in Reason::ALL {
        assert!(guide.contains(&format!("`{}`", reason.name())), "{}", reason.name());
    }
}
