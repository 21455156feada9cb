//! What was found about what a plugin does.

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Conformance {
    pub(crate) problems: Vec<String>,
    pub(crate) remarks: Vec<String>,
}
