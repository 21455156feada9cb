//! Signatures of plugins.

use std::sync::LazyLock;

use portcullis_engine::plugin_store::{Signature, TrustedKey, TrustedKeys};

/// The key and the signed bytes of the examples in minisign's documents.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const SIGNED: &[u8] = b"test";

static KEYS: LazyLock<TrustedKeys> =
    LazyLock::new(|| [TrustedKey::parse("example", KEY, None).expect("a key")].into_iter().collect());

/// A signature that is read is the text that it was read from, and is of at most one component.
pub fn signature(data: &[u8]) {
    let Ok(signature) = Signature::parse(data) else { return };
    assert_eq!(signature.text().as_bytes(), data);
    let verify = |component: &[u8]| KEYS.verify(component, Some(&signature), Default::default());
    let _ = verify(SIGNED);
    assert!(verify(b"Test").is_err());
}
