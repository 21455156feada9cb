//! Webhook signatures: the HMAC-SHA256 of the body as sent, in the header `X-Hub-Signature-256`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use portcullis_edge::hex;

pub(crate) const HEADER: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";

fn mac(secret: &str, body: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC accepts keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    mac
}

/// Returns the header's value: `sha256=` and 64 hexadecimal digits.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let digest = mac(secret, body).finalize().into_bytes();
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{digits}")
}

/// Returns a keyed hash of several texts, which is no signature of a body. Only the last may contain a zero byte.
pub(crate) fn digest(secret: &str, texts: &[&[u8]]) -> [u8; 16] {
    let mut mac = mac(secret, b"");
    for text in texts {
        mac.update(b"\0");
        mac.update(text);
    }
    let digest = mac.finalize().into_bytes();
    std::array::from_fn(|byte| digest[byte])
}

/// A signature that a body is to have under one of several secrets, computed while the body arrives.
pub(crate) struct Expected {
    macs: Vec<Hmac<Sha256>>,
    digest: [u8; 32],
}

impl Expected {
    /// Reads the header; `None` if no body can have this signature.
    pub(crate) fn read<'a>(secrets: impl Iterator<Item = &'a str>, header: &[u8]) -> Option<Self> {
        let digits = str::from_utf8(header).ok()?.strip_prefix(PREFIX)?;
        let digest = hex::digest(digits)?;
        Some(Expected { macs: secrets.map(|secret| mac(secret, b"")).collect(), digest })
    }

    /// Adds the next piece of the body.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.macs.iter_mut().for_each(|mac| mac.update(piece));
    }

    /// The index of the secret under which the pieces have this signature. The digests of all secrets are compared, each in constant time.
    pub(crate) fn met(self) -> Option<usize> {
        let is_met: Vec<bool> =
            self.macs.into_iter().map(|mac| mac.verify_slice(&self.digest).is_ok()).collect();
        is_met.into_iter().position(|is_met| is_met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_body_and_one_secret() {
        // RFC 4231, section 4.3.
        let signature = sign("Jefe", b"what do ya want for nothing?");
        assert_eq!(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let met = |secrets: &[&str], body: &[u8], header: &[u8]| {
            let mut expected = Expected::read(secrets.iter().copied(), header)?;
            body.chunks(7).for_each(|piece| expected.update(piece));
            expected.met()
        };
        let is_of = |secret: &str, body: &[u8], header: &[u8]| met(&[secret], body, header) == Some(0);
        let body = b"what do ya want for nothing?";
        assert_eq!(met(&["new", "Jefe"], body, signature.as_bytes()), Some(1));
        assert_eq!(met(&["new", "newer"], body, signature.as_bytes()), None);
        assert_eq!(met(&[], body, signature.as_bytes()), None);
        assert!(is_of("Jefe", b"what do ya want for nothing?", signature.as_bytes()));
        assert!(!is_of("jefe", b"what do ya want for nothing?", signature.as_bytes()));
        assert!(!is_of("Jefe", b"what do ya want for nothing!", signature.as_bytes()));
        for other in ["", "sha256=", "sha1=5bdcc146", &signature[..20], &signature[7..]] {
            assert!(!is_of("Jefe", b"what do ya want for nothing?", other.as_bytes()), "{other}");
        }
    }
}
