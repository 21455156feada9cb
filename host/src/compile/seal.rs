//! Authentication of machine code.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The length of a tag, in bytes.
pub(super) const TAG: usize = 32;

/// HMAC-SHA256 over a context and machine code. Contexts are separated by their lengths.
fn mac(key: &[u8; 32], context: &[u8], artefact: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&(context.len() as u64).to_le_bytes());
    mac.update(context);
    mac.update(artefact);
    mac
}

pub(super) fn tag(key: &[u8; 32], context: &[u8], artefact: &[u8]) -> [u8; TAG] {
    mac(key, context, artefact).finalize().into_bytes().into()
}

/// Whether the tag is that of this context and machine code. Takes constant time.
pub(super) fn is_genuine(key: &[u8; 32], context: &[u8], artefact: &[u8], tag: &[u8]) -> bool {
    mac(key, context, artefact).verify_slice(tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_vouches_for_key_context_and_code() {
        let key = [7; 32];
        let genuine = tag(&key, b"context", b"code");
        assert!(is_genuine(&key, b"context", b"code", &genuine));
        assert!(!is_genuine(&[8; 32], b"context", b"code", &genuine));
        assert!(!is_genuine(&key, b"contex", b"tcode", &genuine));
        assert!(!is_genuine(&key, b"context", b"cod", &genuine));
        assert!(!is_genuine(&key, b"context", b"code", &genuine[..31]));
    }
}
