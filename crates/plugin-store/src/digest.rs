//! Digests, which identify the versions of a plugin.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The first digits of a digest: 8 to 64 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix(String);

/// The prefix of the hexadecimal digits.
const MARK: &str = "sha256:";
/// Fewer digits would soon match several versions.
const FEWEST_DIGITS: usize = 8;

/// An error of parsing a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// A whole digest was expected.
    #[error("not a digest: write sha256: and 64 hexadecimal digits")]
    Whole,
    /// A digest or its beginning was expected.
    #[error("not a digest: write sha256: and 64 hexadecimal digits, or at least the first {FEWEST_DIGITS}")]
    Prefix,
}

impl Digest {
    /// Hashes a component. Takes a few milliseconds for the largest.
    pub fn of(component: &[u8]) -> Self {
        Digest(Sha256::digest(component).into())
    }

    /// The digest of these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Whether a version, as a digest or at least its first 8 digits, means this one.
    pub fn begins_with(&self, version: &str) -> bool {
        version.parse::<Prefix>().is_ok_and(|prefix| prefix.fits(self))
    }

    /// The first 12 digits, for display.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// The 64 hexadecimal digits, in lower case.
    pub(super) fn hex(&self) -> String {
        base16ct::lower::encode_string(&self.0)
    }

    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let decoded = base16ct::mixed::decode(hex, &mut digest).ok()?;
        (decoded.len() == 32).then_some(Digest(digest))
    }
}

/// Writes `sha256:` and 64 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses the displayed form. Digits may be upper case.
impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix(MARK).and_then(Self::from_hex).ok_or(DigestError::Whole)
    }
}

impl Prefix {
    pub(super) fn fits(&self, digest: &Digest) -> bool {
        digest.hex().starts_with(&self.0)
    }
}

/// Parses the digits, with or without `sha256:`.
impl FromStr for Prefix {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix(MARK).unwrap_or(text);
        let length = FEWEST_DIGITS..=2 * size_of::<Digest>();
        if length.contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Prefix(digits.to_ascii_lowercase()));
        }
        Err(DigestError::Prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_parsed_as_it_is_displayed() {
        let digest = Digest::of(b"abc");
        assert_eq!((digest.to_string().as_str(), digest.short().as_str()), (ABC, "ba7816bf8f01"));
        assert_eq!(ABC.parse(), Ok(digest));
        assert_eq!(ABC.to_uppercase().replace("SHA", "sha").parse(), Ok(digest));
        assert_eq!(format!("{digest:?}"), ABC);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "sha256:", &ABC[7..], &ABC[..70], &format!("{ABC}0"), &ABC.replace("ba", "+a")] {
            assert_eq!(text.parse::<Digest>(), Err(DigestError::Whole), "{text}");
        }
    }

    #[test]
    fn eight_digits_or_more_match_the_digests_that_begin_with_them() {
        let digest = Digest::of(b"abc");
        for text in ["ba7816bf", "sha256:BA7816BF8", ABC] {
            assert!(text.parse::<Prefix>().unwrap().fits(&digest), "{text}");
        }
        assert!(!"ba7816be".parse::<Prefix>().unwrap().fits(&digest));
        for text in ["ba7816b", "sha256:ba7816b", "ba7816bg", &format!("{ABC}0"), "ba7816bé", ""] {
            assert_eq!(text.parse::<Prefix>(), Err(DigestError::Prefix), "{text}");
        }
    }
}
