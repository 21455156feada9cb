//! Ids of keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The id of a key pair: random, and the same in the public key and in each signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

impl KeyId {
    /// Behind the two letters of the algorithm, with which public keys and signatures begin.
    pub(crate) fn of_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        Some(KeyId(u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?)))
    }
}

/// Writes 16 hexadecimal digits, as minisign does in its comments.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
