//! `/admin/keys/master`: the master key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which master key the ledger is sealed under.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct MasterKeyAnswer {
    /// The fingerprint of the key in use: 16 hexadecimal digits, from which nothing of the key can be computed.
    pub fingerprint: String,
    /// Since when it is in use; null since the ledger was created.
    pub rotated: Option<String>,
    /// The fingerprints of other keys that this gateway has: the one before, or the one that the key in use is to be rotated to.
    pub others: Vec<String>,
}

/// The outcome of a rotation of the master key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RotatedAnswer {
    /// The fingerprint of the key that was in use before.
    pub from: String,
    /// The fingerprint of the key in use.
    pub to: String,
    /// Why the key's file still has both keys, and what to do. Left out if it has the new one, or the key is not from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
}
