//! Keys by which plugins must be signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key by which plugins may be signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// A name for people, of 1 to 64 characters, such as the owner's.
    pub name: String,
    /// The public key in minisign's format: 56 characters that begin with `RW`, the second line of the `.pub` file.
    pub key: String,
    /// The last day in UTC, such as `2027-01-31`, or the last moment, such as `2027-01-31T12:00:00Z`, at which the key admits plugins
    /// that were not admitted before. Omit for no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
}
