//! Authenticated encryption.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};

/// Authenticated encryption under one key: XChaCha20-Poly1305 with random nonces. At 192 bits any number of nonces can
/// be generated without a collision.
///
/// Sealed data is the nonce (24 bytes), the ciphertext, and the tag (16 bytes). The key is overwritten when this value
/// is dropped.
pub struct Seal {
    cipher: XChaCha20Poly1305,
}

const NONCE: usize = 24;
const TAG: usize = 16;

impl Seal {
    /// The length that sealing adds, in bytes.
    pub const OVERHEAD: usize = NONCE + TAG;

    /// A seal under a key. The caller's copy of the key is not overwritten.
    pub fn new(key: &[u8; 32]) -> Self {
        Seal { cipher: XChaCha20Poly1305::new(<&Key>::from(key)) }
    }

    /// Encrypts `plain`. Decryption requires the same `context`, which is authenticated but not stored: include
    /// whatever must not be swapped unnoticed, such as the owner, purpose and version of the data.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] or [`SealError::TooLong`].
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(SealError::NoRandomness)?;
        let mut sealed = Vec::with_capacity(plain.len() + Self::OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), context, (&mut sealed[NONCE..]).into())
            .map_err(|_| SealError::TooLong)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Decrypts what [`seal`](Self::seal) returned for the same `context`.
    ///
    /// # Errors
    /// [`SealError::Broken`] if the data is not authentic.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(SealError::Broken)?;
        let mut plain = ciphertext.to_vec();
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                context,
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| SealError::Broken)?;
        Ok(plain)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// Why data can't be sealed or opened.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum SealError {
    /// The data was modified, belongs to another context, or was sealed under another key. These can't be
    /// distinguished.
    #[error("the sealed data was modified, belongs to another context, or was sealed under another key")]
    Broken,
    /// The operating system provided no random bytes.
    #[error("the operating system provided no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    /// The data is longer than the cipher's maximum, 256 GiB.
    #[error("the data is too long to be sealed at once")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_data_can_be_opened() {
        let seal = Seal::new(&[7; 32]);
        let sealed = seal.seal(b"context", b"plain").unwrap();
        assert_eq!(sealed.len(), 5 + Seal::OVERHEAD);
        assert_eq!(seal.open(b"context", &sealed).unwrap(), b"plain");
    }

    #[test]
    fn modified_or_truncated_data_can_not_be_opened() {
        let seal = Seal::new(&[7; 32]);
        let sealed = seal.seal(b"", b"plain").unwrap();
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(matches!(seal.open(b"", &changed), Err(SealError::Broken)));
        }
        for length in 0..sealed.len() {
            assert!(matches!(seal.open(b"", &sealed[..length]), Err(SealError::Broken)));
        }
    }

    #[test]
    fn another_context_or_key_can_not_open() {
        let sealed = Seal::new(&[7; 32]).seal(b"a", b"plain").unwrap();
        assert!(matches!(Seal::new(&[7; 32]).open(b"b", &sealed), Err(SealError::Broken)));
        assert!(matches!(Seal::new(&[8; 32]).open(b"a", &sealed), Err(SealError::Broken)));
    }

    #[test]
    fn sealing_twice_yields_different_data() {
        let seal = Seal::new(&[7; 32]);
        assert_ne!(seal.seal(b"", b"plain").unwrap(), seal.seal(b"", b"plain").unwrap());
    }
}
