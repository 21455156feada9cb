//! A tenant's secret, and the keys that are made of it.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use portcullis_msisdn::{Permutation, PermutationKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::seal::{Seal, SealError};
use crate::identity::UserId;
use crate::name::TenantId;
use crate::scope::Scope;

/// 32 random bytes, all that a tenant's data depends on: without them its rows and saved states
/// are noise.
pub(crate) struct TenantSecret(Zeroizing<[u8; 32]>);

impl TenantSecret {
    pub(crate) fn random() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(SealError::NoRandomness)?;
        Ok(TenantSecret(bytes))
    }

    /// Seals the secret under the master key, for this tenant only.
    pub(crate) fn wrap(&self, master: &Seal, tenant: &TenantId) -> Result<Vec<u8>, SealError> {
        master.seal(&context(tenant), self.0.as_slice())
    }

    pub(crate) fn unwrap(master: &Seal, tenant: &TenantId, wrapped: &[u8]) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(master.open(&context(tenant), wrapped)?);
        let mut secret = Zeroizing::new([0; 32]);
        if bytes.len() != secret.len() {
            return Err(SealError::Broken);
        }
        secret.copy_from_slice(&bytes);
        Ok(TenantSecret(secret))
    }

    /// The key for one purpose (HKDF-SHA256, RFC 5869). Labels are of fixed text, and end before
    /// `detail` in a zero byte, so that no two purposes share one.
    fn derive<const N: usize>(&self, label: &str, detail: &str) -> Zeroizing<[u8; N]> {
        let mut key = Zeroizing::new([0; N]);
        let info = [b"portcullis/1/", label.as_bytes(), b"\0", detail.as_bytes()];
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand_multi_info(&info, key.as_mut_slice())
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        key
    }

    fn permutation(&self, label: &str, detail: &str) -> Permutation {
        Permutation::new(PermutationKey::from_bytes(*self.derive(label, detail)))
    }
}

fn context(tenant: &TenantId) -> Vec<u8> {
    [b"portcullis tenant secret\0", tenant.as_str().as_bytes()].concat()
}

/// What a tenant's secret is used for. Cheap to clone; the keys are overwritten when the last clone
/// is dropped.
#[derive(Clone)]
pub struct TenantKeys(Arc<Inner>);

struct Inner {
    secret: TenantSecret,
    permutation: Permutation,
    state_seal: Seal,
    text_seal: Seal,
    settings_seal: Seal,
}

impl TenantKeys {
    pub(crate) fn new(secret: TenantSecret) -> Self {
        TenantKeys(Arc::new(Inner {
            permutation: secret.permutation("permutation", ""),
            state_seal: Seal::new(&secret.derive("saved state", "")),
            text_seal: Seal::new(&secret.derive("entry text", "")),
            settings_seal: Seal::new(&secret.derive("settings", "")),
            secret,
        }))
    }

    /// Between the tenant's numbers and its subjects.
    pub fn permutation(&self) -> &Permutation {
        &self.0.permutation
    }

    /// For saved states of plugins. The context should say which list a state is of, and which of its
    /// parts this is.
    pub fn state_seal(&self) -> &Seal {
        &self.0.state_seal
    }

    /// What the saved state of one of the tenant's lists can be called on disk: 32 hexadecimal digits,
    /// which without the tenant's secret say nothing about the list. A sender's name may be its number.
    pub fn state_name(&self, scope: &Scope) -> String {
        let digits = *self.0.secret.derive::<16>("state name", scope.as_stored());
        format!("{:032x}", u128::from_be_bytes(digits))
    }

    /// What a user id can be found by: 32 bytes, which without the tenant's secret say nothing of it.
    pub(crate) fn digest_of(&self, user: &UserId) -> [u8; 32] {
        *self.0.secret.derive("user id", user.as_str())
    }

    pub(crate) fn text_seal(&self) -> &Seal {
        &self.0.text_seal
    }

    pub(crate) fn settings_seal(&self) -> &Seal {
        &self.0.settings_seal
    }

    /// Between a list's subjects and its public ids. By the list's name, not by its row: ids stay
    /// when the ledger is moved.
    pub(crate) fn public_ids(&self, scope: &Scope) -> Permutation {
        self.0.secret.permutation("public ids", scope.as_stored())
    }
}

impl fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use portcullis_msisdn::Subject;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[test]
    fn a_wrapped_secret_opens_for_its_tenant_only() {
        let master = Seal::new(&[1; 32]);
        let secret = TenantSecret::random().unwrap();
        let wrapped = secret.wrap(&master, &tenant("acme")).unwrap();
        let opened = TenantSecret::unwrap(&master, &tenant("acme"), &wrapped).unwrap();
        assert_eq!(opened.0, secret.0);
        assert!(TenantSecret::unwrap(&master, &tenant("acme2"), &wrapped).is_err());
        assert!(TenantSecret::unwrap(&Seal::new(&[2; 32]), &tenant("acme"), &wrapped).is_err());
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
            derive("public ids", ""),
            derive("public ids", "a"),
            derive("public ids", "b"),
            derive("state name", ""),
            derive("state name", "a"),
            derive("user id", ""),
            derive("user id", "a"),
        ];
        for (position, key) in keys.iter().enumerate() {
            assert!(!keys[..position].contains(key));
        }
    }

    #[test]
    fn one_list_s_public_ids_are_not_anothers() {
        let keys = TenantKeys::new(TenantSecret(Zeroizing::new([9; 32])));
        let one = keys.public_ids(&Scope::Tenant);
        let other = keys.public_ids(&Scope::Sender("a".parse().unwrap()));
        let subject = Subject::new(12_345).unwrap();
        assert_ne!(one.rename(subject), other.rename(subject));
        assert_eq!(one.rename_back(one.rename(subject)), subject);
    }

    #[test]
    fn a_state_s_name_tells_lists_and_tenants_apart_and_names_neither() {
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

    /// Computed by RFC 5869 with another implementation. Were it to change, no stored number could be
    /// found again.
    #[test]
    fn derived_keys_stay_what_they_are() {
        let secret = TenantSecret(Zeroizing::new([9; 32]));
        let derived = *secret.derive::<4>("public ids", "a");
        assert_eq!(derived, [0x9b, 0x91, 0x2e, 0x19]);
    }
}
