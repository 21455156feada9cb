//! Authenticated encryption.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};

/// Authenticated encryption under one key: XChaCha20-Poly1305 with a random nonce, which at 192
/// bits may be drawn any number of times.
///
/// A sealed text is the nonce (24 bytes), the ciphertext, and the tag (16 bytes). The key is
/// overwritten when this is dropped.
pub struct Seal {
    cipher: XChaCha20Poly1305,
}

const NONCE: usize = 24;
const TAG: usize = 16;

impl Seal {
    /// How much longer a sealed text is than the plain one, in bytes.
    pub const OVERHEAD: usize = NONCE + TAG;

    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Seal { cipher: XChaCha20Poly1305::new(<&Key>::from(key)) }
    }

    /// Seals `plain`. It opens only with the same `context`, which is not stored: whatever must not
    /// be exchanged unnoticed (whose it is, what it is for, its version) belongs there.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
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

    /// The plain text of what [`seal`](Self::seal) gave for the same `context`.
    ///
    /// # Errors
    /// [`SealError::Broken`].
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

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum SealError {
    /// It was changed, belongs elsewhere, or was sealed under another key. Which of these can't be
    /// told.
    #[error("the sealed data was changed, belongs elsewhere, or was sealed under another key")]
    Broken,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    /// More than the cipher takes, 256 GiB.
    #[error("more data than can be sealed at once")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_again() {
        let seal = Seal::new(&[7; 32]);
        let sealed = seal.seal(b"context", b"plain").unwrap();
        assert_eq!(sealed.len(), 5 + Seal::OVERHEAD);
        assert_eq!(seal.open(b"context", &sealed).unwrap(), b"plain");
    }

    #[test]
    fn a_changed_byte_breaks_the_seal() {
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
    fn another_context_or_key_does_not_open() {
        let sealed = Seal::new(&[7; 32]).seal(b"a", b"plain").unwrap();
        assert!(matches!(Seal::new(&[7; 32]).open(b"b", &sealed), Err(SealError::Broken)));
        assert!(matches!(Seal::new(&[8; 32]).open(b"a", &sealed), Err(SealError::Broken)));
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let seal = Seal::new(&[7; 32]);
        assert_ne!(seal.seal(b"", b"plain").unwrap(), seal.seal(b"", b"plain").unwrap());
    }
}
