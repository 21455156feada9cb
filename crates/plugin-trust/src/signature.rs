//! Signatures.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key_id::KeyId;

/// A signature in minisign's format: what a file `NAME.wasm.minisig` contains.
///
/// That it can be parsed says nothing about what it signs: see [`TrustedKeys::verify`](crate::TrustedKeys::verify).
#[derive(Clone)]
pub struct Signature {
    text: Arc<str>,
    pub(crate) parsed: Arc<minisign_verify::Signature>,
    key: KeyId,
    pub(crate) is_prehashed: bool,
}

/// An error of parsing a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is too long.
    #[error("the signature has more than {} bytes: shorten its comments", Signature::MOST_BYTES)]
    TooLong,
    /// It is not in minisign's format.
    #[error(
        "the signature is not one of minisign's: it must be the whole file that `portcullis plugin sign` or `minisign -S` wrote"
    )]
    Format,
    /// The system can't read the file.
    #[error("the signature's file can't be read: check its permissions, or remove it")]
    Unreadable,
}

impl Signature {
    /// The most bytes of a signature with its comments.
    pub const MOST_BYTES: usize = 4096;

    /// Parses the content of a `.minisig` file.
    ///
    /// # Errors
    /// If it is too long, or not in minisign's format.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(SignatureError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| SignatureError::Format)?;
        let parsed = minisign_verify::Signature::decode(text).map_err(|_| SignatureError::Format)?;
        let line = text.lines().nth(1).ok_or(SignatureError::Format)?;
        let key = KeyId::of_base64(line).ok_or(SignatureError::Format)?;
        let algorithm = STANDARD.decode(line).map_err(|_| SignatureError::Format)?;
        let is_prehashed = algorithm.starts_with(b"ED");
        Ok(Signature { text: text.into(), parsed: Arc::new(parsed), key, is_prehashed })
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The id of the key that is said to have made it.
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Signature {}

/// Writes the key's id: the comments are anybody's text.
impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(a signature by {})", self.key)
    }
}
