//! A tenant's secret, and the keys derived from it.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use portcullis_msisdn::{Permutation, PermutationKey, Subject};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::identity::UserId;
use crate::master_seal::MasterSeal;
use crate::name::TenantId;
use crate::ring::Rewrap;
use crate::scope::Scope;
use crate::seal::{Seal, SealError};

/// A tenant's 32 random bytes, from which all its keys are derived. Without them its rows and saved states can't be
/// read.
///
/// Overwritten in memory when dropped.
pub struct TenantSecret(Zeroizing<[u8; 32]>);

impl TenantSecret {
    /// Creates a random secret.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn random() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(SealError::NoRandomness)?;
        Ok(TenantSecret(bytes))
    }

    /// Encrypts the secret under the master key, bound to this tenant.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn wrap(&self, master: &MasterSeal, tenant: &TenantId) -> Result<Vec<u8>, SealError> {
        master.seal(&context(tenant), self.0.as_slice())
    }

    /// Decrypts what [`wrap`](Self::wrap) returned for the same tenant.
    ///
    /// # Errors
    /// [`SealError::Broken`] if it is not authentic.
    pub fn unwrap(master: &MasterSeal, tenant: &TenantId, wrapped: &[u8]) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(master.open(&context(tenant), wrapped)?);
        let mut secret = Zeroizing::new([0; 32]);
        if bytes.len() != secret.len() {
            return Err(SealError::Broken);
        }
        secret.copy_from_slice(&bytes);
        Ok(TenantSecret(secret))
    }

    /// Encrypts what [`wrap`](Self::wrap) returned for this tenant under another master key.
    ///
    /// # Errors
    /// [`SealError::Broken`] if it is not authentic; [`SealError::NoRandomness`].
    pub fn rewrap(rewrap: &Rewrap, tenant: &TenantId, wrapped: &[u8]) -> Result<Vec<u8>, SealError> {
        rewrap.rewrap(&context(tenant), wrapped)
    }

    /// Derives the key for one purpose (HKDF-SHA256, RFC 5869). Labels are constants, and a zero byte separates them
    /// from `detail`, so no two purposes share a key.
    fn derive<const N: usize>(&self, label: &str, detail: &str) -> Zeroizing<[u8; N]> {
        let mut key = Zeroizing::new([0; N]);
        let info = [b"portcullis/1/", label.as_bytes(), b"\0", detail.as_bytes()];
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand_multi_info(&info, key.as_mut_slice())
            .expect("HKDF-SHA256 can output up to 8,160 bytes");
        key
    }

    fn permutation(&self, label: &str, detail: &str) -> Permutation {
        Permutation::new(PermutationKey::from_bytes(*self.derive(label, detail)))
    }
}

fn context(tenant: &TenantId) -> Vec<u8> {
    [b"portcullis tenant secret\0", tenant.as_str().as_bytes()].concat()
}

/// The keys derived from a tenant's secret. Cheap to clone. The keys are overwritten when the last clone is dropped.
#[derive(Clone)]
pub struct TenantKeys(Arc<Inner>);

struct Inner {
    secret: TenantSecret,
    permutation: Permutation,
    state_seal: Seal,
    text_seal: Seal,
    settings_seal: Seal,
    position_seal: Seal,
}

impl TenantKeys {
    /// Derives the keys.
    pub fn new(secret: TenantSecret) -> Self {
        TenantKeys(Arc::new(Inner {
            permutation: secret.permutation("permutation", ""),
            state_seal: Seal::new(&secret.derive("saved state", "")),
            text_seal: Seal::new(&secret.derive("entry text", "")),
            settings_seal: Seal::new(&secret.derive("settings", "")),
            position_seal: Seal::new(&secret.derive("position", "")),
            secret,
        }))
    }

    /// The permutation between the tenant's phone numbers and subjects.
    pub fn permutation(&self) -> &Permutation {
        &self.0.permutation
    }

    /// The key for saved states of plugins. The context should identify the list and the part of the state.
    pub fn state_seal(&self) -> &Seal {
        &self.0.state_seal
    }

    /// The file name of a list's saved state: 32 hexadecimal digits, which reveal nothing about the list without the
    /// tenant's secret. A sender's own name may be its phone number.
    pub fn state_name(&self, scope: &Scope) -> String {
        let digits = *self.0.secret.derive::<16>("state name", scope.as_stored());
        format!("{:032x}", u128::from_be_bytes(digits))
    }

    /// The lookup key of a user id: 32 bytes, which reveal nothing about the id without the tenant's secret.
    pub fn digest_of(&self, user: &UserId) -> [u8; 32] {
        *self.0.secret.derive("user id", user.as_str())
    }

    /// The lookup key of a message that a person sent to a list's owner, by the id that the vendor gave it: 16 bytes, which reveal
    /// nothing about either without the tenant's secret.
    pub fn digest_of_message(&self, scope: &Scope, from: Subject, id: &str) -> [u8; 16] {
        // Neither a scope nor a number contains a zero byte.
        let message = format!("{}\0{}\0{id}", scope.as_stored(), from.get());
        *self.0.secret.derive("message", &message)
    }

    /// The key for texts of entries and records, and for user ids.
    pub fn text_seal(&self) -> &Seal {
        &self.0.text_seal
    }

    /// The key for the tenant's settings.
    pub fn settings_seal(&self) -> &Seal {
        &self.0.settings_seal
    }

    /// The key for positions in lists, which clients keep.
    pub fn position_seal(&self) -> &Seal {
        &self.0.position_seal
    }

    /// The permutation between a list's subjects and its public ids. It depends on the list's name, not its row, so ids
    /// survive a migration of the ledger.
    pub fn public_ids(&self, scope: &Scope) -> Permutation {
        self.0.secret.permutation("public ids", scope.as_stored())
    }
}

impl fmt::Debug for TenantSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantSecret(…)")
    }
}

impl fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::MasterKey;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[test]
    fn a_wrapped_secret_can_be_unwrapped_for_its_tenant_only() {
        let master = MasterKey::from_bytes([1; 32]).seal();
        let secret = TenantSecret::random().unwrap();
        let wrapped = secret.wrap(&master, &tenant("acme")).unwrap();
        let opened = TenantSecret::unwrap(&master, &tenant("acme"), &wrapped).unwrap();
        assert_eq!(opened.0, secret.0);
        assert!(TenantSecret::unwrap(&master, &tenant("acme2"), &wrapped).is_err());
        assert!(
            TenantSecret::unwrap(&MasterKey::from_bytes([2; 32]).seal(), &tenant("acme"), &wrapped).is_err()
        );
    }

    #[test]
    fn no_two_purposes_share_a_key() {
        let secret = TenantSecret(Zeroizing::new([9; 32]));
        let derive = |label, detail| *secret.derive::<16>(label, detail);
        let keys = [
            derive("permutation", ""),
            derive("saved state", ""),
            derive("entry text", ""),
            derive("settings", ""),
            derive("position", ""),
            derive("public ids", ""),
            derive("public ids", "a"),
            derive("public ids", "b"),
            derive("state name", ""),
            derive("state name", "a"),
            derive("user id", ""),
            derive("user id", "a"),
            derive("message", "a"),
        ];
        for (position, key) in keys.iter().enumerate() {
            assert!(!keys[..position].contains(key));
        }
    }

    #[test]
    fn lists_have_different_public_ids() {
        let keys = TenantKeys::new(TenantSecret(Zeroizing::new([9; 32])));
        let one = keys.public_ids(&Scope::Tenant);
        let other = keys.public_ids(&Scope::Sender("a".parse().unwrap()));
        let subject = Subject::new(12_345).unwrap();
        assert_ne!(one.permute(subject), other.permute(subject));
        assert_eq!(one.invert(one.permute(subject)), subject);
    }

    #[test]
    fn messages_differ_by_their_list_their_author_and_their_id() {
        let keys = TenantKeys::new(TenantSecret(Zeroizing::new([9; 32])));
        let (bot, desk) = (Scope::Sender("bot".parse().unwrap()), Scope::Sender("desk".parse().unwrap()));
        let digest = |scope, from, id| keys.digest_of_message(scope, Subject::new(from).unwrap(), id);
        let digests =
            [digest(&bot, 1, "1"), digest(&desk, 1, "1"), digest(&bot, 11, "1"), digest(&bot, 1, "11")];
        for (position, one) in digests.iter().enumerate() {
            assert!(!digests[..position].contains(one));
        }
        assert_eq!(digest(&bot, 1, "1"), digests[0]);
    }

    #[test]
    fn state_names_differ_by_list_and_tenant_and_reveal_neither() {
        let name = |secret, scope: &Scope| {
            TenantKeys::new(TenantSecret(Zeroizing::new([secret; 32]))).state_name(scope)
        };
        let sender = Scope::Sender("46732001122".parse().unwrap());
        let names = [name(9, &Scope::Tenant), name(9, &sender), name(8, &Scope::Tenant), name(8, &sender)];
        for (position, one) in names.iter().enumerate() {
            assert!(!names[..position].contains(one));
            assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!one.contains("46732001122"));
        }
        assert_eq!(name(9, &sender), names[1]);
    }

    /// Computed according to RFC 5869 with another implementation. If this changes, no stored number can be found.
    #[test]
    fn derived_keys_are_stable() {
        let secret = TenantSecret(Zeroizing::new([9; 32]));
        let derived = *secret.derive::<4>("public ids", "a");
        assert_eq!(derived, [0x9b, 0x91, 0x2e, 0x19]);
    }
}
