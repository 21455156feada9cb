//! How versions were admitted.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use portcullis_plugin_trust::Signature;
use sha2::Sha256;

use crate::digest::Digest;

/// How a version was admitted: when first, and with which signature.
///
/// It is kept with the version, and with it what is needed to admit it again: after a restart, and at others who share a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// When it was first admitted, here or by another store that shares the ledger, to a second.
    pub at: Timestamp,
    /// Whether it was built into the program, so that it needs no signature.
    pub is_built_in: bool,
    /// Its signature, if it has one.
    pub signature: Option<Signature>,
}

/// The most bytes of an admission as text.
pub(crate) const MOST_BYTES: usize = Signature::MOST_BYTES + 512;

const TITLE: &str = "portcullis admission 1";
const BUILT_IN: &str = "built in";

impl Admission {
    /// For now.
    pub(crate) fn new(is_built_in: bool, signature: Option<Signature>) -> Self {
        let now = Timestamp::now();
        let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Admission { at, is_built_in, signature }
    }

    /// As text, which [`parse`](Self::parse) reads.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{TITLE}\n{}\n", self.at.as_second());
        let how = if self.is_built_in { BUILT_IN } else { "" };
        let signature = self.signature.as_ref().map(Signature::text).unwrap_or_default();
        let _ = write!(text, "{how}\n{signature}");
        text
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '\n');
        let title = parts.next()?;
        let at = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let (how, signature) = (parts.next()?, parts.next()?);
        let signature = match signature.is_empty() {
            true => None,
            false => Some(Signature::parse(signature.as_bytes()).ok()?),
        };
        (title == TITLE).then_some(Admission { at, is_built_in: how == BUILT_IN, signature })
    }
}

/// Seals admissions that are stored in the folder: who can write there, and has no key, can't say that a version was admitted before.
pub(crate) struct Seal(Hmac<Sha256>);

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Seal(Hmac::new_from_slice(key).expect("a key of any length"))
    }

    fn of(&self, name: &str, digest: Digest, text: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&digest.bytes());
        mac.update(name.as_bytes());
        mac.update(b"\0");
        mac.update(text.as_bytes());
        mac
    }

    /// The text of an admission, behind its seal.
    pub(crate) fn seal(&self, name: &str, digest: Digest, admission: &Admission) -> String {
        let text = admission.text();
        let seal = self.of(name, digest, &text).finalize().into_bytes();
        format!("{}\n{text}", base16ct::lower::encode_string(&seal))
    }

    /// The admission, if it was sealed under this key.
    pub(crate) fn open(&self, name: &str, digest: Digest, sealed: &[u8]) -> Option<Admission> {
        let (seal, text) = str::from_utf8(sealed).ok()?.split_once('\n')?;
        let seal = base16ct::lower::decode_vec(seal).ok()?;
        self.of(name, digest, text).verify_slice(&seal).ok()?;
        Admission::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admission_is_read_as_it_was_sealed_and_for_nothing_else() {
        let (seal, other) = (Seal::new(&[1; 32]), Seal::new(&[2; 32]));
        let digest = Digest::of(b"component");
        for is_built_in in [false, true] {
            let admission = Admission::new(is_built_in, None);
            let sealed = seal.seal("exact", digest, &admission);
            let open = |seal: &Seal, name, digest, text: &str| seal.open(name, digest, text.as_bytes());
            assert_eq!(open(&seal, "exact", digest, &sealed), Some(admission));
            assert_eq!(open(&other, "exact", digest, &sealed), None);
            assert_eq!(open(&seal, "exac", digest, &sealed), None);
            assert_eq!(open(&seal, "exact", Digest::of(b"other"), &sealed), None);
            let changed = sealed.replace("admission 1\n1", "admission 1\n2");
            assert_ne!(changed, sealed);
            assert_eq!(open(&seal, "exact", digest, &changed), None);
        }
        assert_eq!(seal.open("exact", digest, b""), None);
    }
}
