//! All keys that somebody trusts.

use std::fmt;

use jiff::Timestamp;

use crate::distrust::Distrust;
use crate::signature::Signature;
use crate::trusted_key::TrustedKey;

/// The keys that somebody trusts. Without any, everything is trusted, whether it is signed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<TrustedKey>);

impl TrustedKeys {
    /// Whether everything is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.0.iter()
    }

    /// Verifies that one of the keys signed a component. `admitted` is when it was first admitted: a key whose time is over still admits what
    /// it admitted before. Takes some 2 ms per MiB.
    ///
    /// # Errors
    /// Why the component is not trusted.
    pub fn verify(
        &self,
        component: &[u8],
        signature: Option<&Signature>,
        admitted: Timestamp,
    ) -> Result<(), Distrust> {
        if self.is_empty() {
            return Ok(());
        }
        let trusted = || self.to_string();
        let signature = signature.ok_or_else(|| Distrust::Unsigned { trusted: trusted() })?;
        let id = signature.key();
        let mut of_id = self.0.iter().filter(|key| key.id() == id).peekable();
        let Some(&first) = of_id.peek() else {
            return Err(Distrust::Stranger { key: id, trusted: trusted() });
        };
        if !signature.is_prehashed {
            return Err(Distrust::Legacy { key: id });
        }
        // Two keys may have one id, by chance or by design.
        let signer = of_id.find(|key| key.key.verify(component, &signature.parsed, false).is_ok());
        match signer {
            None => Err(Distrust::Tampered { key: first.to_string() }),
            Some(key) if key.is_in_force(admitted) => Ok(()),
            Some(key) => Err(Distrust::Expired {
                key: key.to_string(),
                not_after: key.not_after().unwrap_or_default().to_owned(),
            }),
        }
    }
}

impl FromIterator<TrustedKey> for TrustedKeys {
    fn from_iter<T: IntoIterator<Item = TrustedKey>>(keys: T) -> Self {
        TrustedKeys(keys.into_iter().collect())
    }
}

/// Writes the keys, with `or` between them.
impl fmt::Display for TrustedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            write!(f, "{}{key}", if index == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use minisign::KeyPair;

    use super::*;

    const COMPONENT: &[u8] = b"\0asm component";

    fn pair() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().unwrap()
    }

    fn trusted(name: &str, pair: &KeyPair, not_after: Option<&str>) -> TrustedKey {
        TrustedKey::parse(name, &pair.pk.to_base64(), not_after).unwrap()
    }

    fn signed(pair: &KeyPair, bytes: &[u8]) -> Signature {
        let signature = minisign::sign(None, &pair.sk, Cursor::new(bytes), None, None).unwrap();
        Signature::parse(signature.to_string().as_bytes()).unwrap()
    }

    fn now() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn without_keys_everything_is_trusted() {
        let none = TrustedKeys::default();
        assert_eq!(none.verify(COMPONENT, None, now()), Ok(()));
        assert_eq!(none.verify(COMPONENT, Some(&signed(&pair(), b"other")), now()), Ok(()));
    }

    #[test]
    fn each_outcome_names_the_keys() {
        let (acme, other, stranger) = (pair(), pair(), pair());
        let keys: TrustedKeys = [trusted("acme", &acme, None), trusted("other", &other, Some("2026-05-31"))]
            .into_iter()
            .collect();
        let verify = |signature: Option<&Signature>| keys.verify(COMPONENT, signature, now());
        assert_eq!(verify(Some(&signed(&acme, COMPONENT))), Ok(()));
        let error = verify(None).unwrap_err();
        assert!(
            matches!(&error, Distrust::Unsigned { trusted } if trusted.contains(" or other (")),
            "{error}"
        );
        let error = verify(Some(&signed(&stranger, COMPONENT))).unwrap_err();
        assert!(
            matches!(&error, Distrust::Stranger { trusted, .. } if trusted.contains("acme (")),
            "{error}"
        );
        let error = verify(Some(&signed(&acme, b"\0asm Component"))).unwrap_err();
        assert!(matches!(&error, Distrust::Tampered { key } if key.starts_with("acme (")), "{error}");
        let of_other = signed(&other, COMPONENT);
        let error = verify(Some(&of_other)).unwrap_err();
        assert!(
            matches!(&error, Distrust::Expired { not_after, .. } if not_after == "2026-05-31"),
            "{error}"
        );
        // What it had admitted goes on.
        let then = "2026-05-31T23:59:59Z".parse().unwrap();
        assert_eq!(keys.verify(COMPONENT, Some(&of_other), then), Ok(()));
    }

    #[test]
    fn a_changed_signature_or_comment_is_tampered_with_and_a_cut_one_is_unreadable() {
        let acme = pair();
        let keys: TrustedKeys = [trusted("acme", &acme, None)].into_iter().collect();
        let text = signed(&acme, COMPONENT).text().to_owned();
        let changed = text.replace("trusted comment: timestamp", "trusted comment: Timestamp");
        assert_ne!(text, changed);
        let changed = Signature::parse(changed.as_bytes()).unwrap();
        assert!(matches!(keys.verify(COMPONENT, Some(&changed), now()), Err(Distrust::Tampered { .. })));
        for length in [0, 10, 100, text.len() / 2] {
            assert_eq!(Signature::parse(&text.as_bytes()[..length]), Err(crate::SignatureError::Format));
        }
        let long = [text.as_bytes(), &[b'x'; Signature::MOST_BYTES]].concat();
        assert_eq!(Signature::parse(&long), Err(crate::SignatureError::TooLong));
    }
}
