//! What was found about what a plugin does.

use portcullis_host::ForeignText;

/// The most bytes of the options that are shown.
const SHOWN_BYTES: usize = 200;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Conformance {
    pub(crate) problems: Vec<String>,
    pub(crate) remarks: Vec<String>,
}

impl Conformance {
    /// The plugin refuses the options that it was given.
    pub(crate) fn refusing(options: &str, why: &str) -> Self {
        let options = shown(options);
        let problem = format!("it refuses the options {options}: {why}: give it others with --options");
        Conformance { problems: vec![problem], remarks: Vec::new() }
    }
}

/// Options as far as they are shown: the author knows the rest.
pub(crate) fn shown(options: &str) -> String {
    ForeignText(options).within(SHOWN_BYTES)
}
