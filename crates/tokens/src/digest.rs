//! Bearer tokens. Only their digests are kept in memory.

use std::fmt;

use portcullis_api::settings::MASK;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::hex;

/// The SHA-256 digest of a bearer token. `Debug` shows only the first six digits.
///
/// Equality takes constant time. A lookup in a hash map leaks at most the bucket of the digest, which says nothing
/// about the token.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

/// Precedes the 64 hexadecimal digits of a digest that is written in place of a token.
const DIGEST_PREFIX: &str = "sha256:";

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is empty.
    #[error("the token is empty")]
    Empty,
    /// It has more than [`TokenDigest::MAX_LENGTH`] characters.
    #[error("the token has more than {} characters", TokenDigest::MAX_LENGTH)]
    TooLong,
    /// It has a space, a control character or a character outside ASCII.
    #[error("the token has a character that is not allowed in a header: use printable ASCII without spaces")]
    NotPrintable,
    /// It is the placeholder of a secret that is not shown.
    #[error("(set) is the placeholder of a token that is not shown: write the token, or its digest")]
    Placeholder,
    /// It starts with `sha256:`, but 64 hexadecimal digits don't follow.
    #[error("sha256: must be followed by 64 hexadecimal digits: `portcullis token new` prints this form")]
    NotADigest,
}

impl TokenDigest {
    /// The maximum length of a token in characters.
    pub const MAX_LENGTH: usize = 512;

    /// Computes the digest of a token as a client sent it.
    pub fn of(token: &[u8]) -> Self {
        TokenDigest(Sha256::digest(token).into())
    }

    /// Parses a token as an operator writes it: the token itself, or `sha256:` and its digest.
    ///
    /// # Errors
    /// If the text is empty, the placeholder `(set)`, longer than [`MAX_LENGTH`](Self::MAX_LENGTH), contains anything but printable ASCII
    /// without spaces, or starts with `sha256:` but is not a digest.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if let Some(hex) = text.strip_prefix(DIGEST_PREFIX) {
            return Self::from_hex(hex).ok_or(TokenError::NotADigest);
        }
        match text.len() {
            _ if text == MASK => Err(TokenError::Placeholder),
            0 => Err(TokenError::Empty),
            length if length > Self::MAX_LENGTH => Err(TokenError::TooLong),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(TokenError::NotPrintable),
            _ => Ok(Self::of(text.as_bytes())),
        }
    }

    fn from_hex(hex: &str) -> Option<Self> {
        hex::digest(hex).map(TokenDigest)
    }

    /// A name for logs and the audit trail: `token-` and the first six digits of the digest.
    pub fn name(&self) -> String {
        format!("token-{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2])
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl std::hash::Hash for TokenDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The form that can be written in place of the token: `sha256:` and 64 hexadecimal digits.
impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DIGEST_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_its_digest_form_are_the_same() {
        let token = TokenDigest::parse("acme-secret").unwrap();
        assert_eq!(TokenDigest::parse(&token.to_string()), Ok(token));
        assert_eq!(TokenDigest::parse(&token.to_string().to_uppercase().replace("SHA", "sha")), Ok(token));
        assert_ne!(TokenDigest::parse("acme-secreT"), Ok(token));
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            TokenDigest::of(b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn what_no_header_carries_is_refused() {
        assert_eq!(TokenDigest::parse(""), Err(TokenError::Empty));
        assert_eq!(TokenDigest::parse("(set)"), Err(TokenError::Placeholder));
        assert_eq!(TokenDigest::parse(&"a".repeat(513)), Err(TokenError::TooLong));
        for text in ["a b", "é", "a\n"] {
            assert_eq!(TokenDigest::parse(text), Err(TokenError::NotPrintable));
        }
        for text in ["sha256:", "sha256:00", &format!("sha256:{}", "g".repeat(64))] {
            assert_eq!(TokenDigest::parse(text), Err(TokenError::NotADigest));
        }
    }

    #[test]
    fn debug_shows_no_token() {
        assert!(!format!("{:?}", TokenDigest::of(b"acme-secret")).contains("acme"));
    }
}
