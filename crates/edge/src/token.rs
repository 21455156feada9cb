//! Bearer tokens, of which only digests are kept.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::hex;

/// The SHA-256 digest of a token: all that is kept of one.
///
/// Equality takes the same time whatever the digests are. As a map's key it leaks at most what a digest's
/// bucket is, which tells nothing about a token.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

/// The form in which a digest stands in place of a token, before 64 hexadecimal digits.
const DIGEST_PREFIX: &str = "sha256:";

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is empty")]
    Empty,
    #[error("the token has more than {} characters", TokenDigest::MAX_LENGTH)]
    TooLong,
    #[error("the token has a character that a header can't carry: use printable ASCII without spaces")]
    NotPrintable,
    #[error("after sha256: must stand 64 hexadecimal digits: `portcullis token new` prints such a form")]
    NotADigest,
}

impl TokenDigest {
    /// The most characters of a token.
    pub const MAX_LENGTH: usize = 512;

    /// The digest of a token as a client sends it.
    pub fn of(token: &[u8]) -> Self {
        TokenDigest(Sha256::digest(token).into())
    }

    /// Reads a token as an operator writes it: itself, or `sha256:` and its digest.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if let Some(hex) = text.strip_prefix(DIGEST_PREFIX) {
            return Self::from_hex(hex).ok_or(TokenError::NotADigest);
        }
        match text.len() {
            0 => Err(TokenError::Empty),
            length if length > Self::MAX_LENGTH => Err(TokenError::TooLong),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(TokenError::NotPrintable),
            _ => Ok(Self::of(text.as_bytes())),
        }
    }

    fn from_hex(hex: &str) -> Option<Self> {
        hex::digest(hex).map(TokenDigest)
    }

    /// A name for logs and for the record of who wrote an entry: the first digits of the digest.
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

/// As it can be written in place of the token.
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
