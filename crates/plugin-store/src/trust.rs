//! Which versions are trusted.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_plugin_trust::{Distrust, Signature, SignatureError, TrustedKeys};

use crate::admission::{Admission, Seal};
use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder::{self, FileError, Stamp};
use crate::store::PluginStore;
use crate::version::{Origin, PluginVersion};

/// How many sets of keys under which a version was verified are remembered with it.
const MOST_VERIFIED: usize = 16;

/// Whom the store trusts.
pub(super) struct Trust {
    keys: Mutex<Arc<TrustedKeys>>,
    seal: Seal,
}

impl Default for Trust {
    fn default() -> Self {
        Trust { keys: Mutex::default(), seal: Seal::new(&[0; 32]) }
    }
}

/// What comes with a component.
#[derive(Default)]
pub(super) struct Offered {
    /// The signature that is beside it.
    pub(super) signature: Option<Result<Signature, SignatureError>>,
    /// How others who share the ledger have admitted it.
    pub(super) known: Option<Admission>,
}

impl Offered {
    pub(super) fn signed(signature: Option<Signature>) -> Self {
        Offered { signature: signature.map(Ok), known: None }
    }
}

/// The signature beside a plugin's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SignatureFile {
    pub(super) stamp: Option<Stamp>,
    pub(super) is_settled: bool,
    pub(super) content: Option<Result<Signature, SignatureError>>,
}

impl SignatureFile {
    pub(super) fn stamp_beside(file: &Path) -> Option<Stamp> {
        Stamp::at(&folder::signature(file)).ok().flatten()
    }

    pub(super) fn beside(file: &Path) -> Self {
        let path = folder::signature(file);
        let Some(stamp) = SignatureFile::stamp_beside(file) else {
            return SignatureFile { stamp: None, is_settled: true, content: None };
        };
        match folder::read(&path, Signature::MOST_BYTES) {
            Ok(content) => SignatureFile {
                stamp: Some(content.stamp),
                is_settled: content.is_settled,
                content: Some(Signature::parse(&content.bytes)),
            },
            Err(error) => {
                let error = match error {
                    FileError::TooLarge { .. } => SignatureError::TooLong,
                    _ => SignatureError::Unreadable,
                };
                SignatureFile { stamp: Some(stamp), is_settled: false, content: Some(Err(error)) }
            }
        }
    }
}

impl PluginStore {
    /// Trusts these keys: plugins that are not built in must be signed by one of them. `seal` keeps others who can write to the folder from
    /// writing there how versions were admitted.
    #[must_use]
    pub fn trusting(mut self, keys: TrustedKeys, seal: &[u8; 32]) -> Self {
        self.trust = Trust { keys: Mutex::new(Arc::new(keys)), seal: Seal::new(seal) };
        self
    }

    /// Trusts other keys from now on. Versions that were handed out remain usable; they are not handed out again unless they are trusted. A
    /// [rescan](Self::rescan) looks at all files again.
    pub fn trust(&self, keys: TrustedKeys) {
        let before = std::mem::replace(&mut *self.trust.keys.lock(), Arc::new(keys));
        if before == self.trusted_keys() {
            return;
        }
        let slots: Vec<_> = self.slots().values().cloned().collect();
        slots.iter().for_each(|slot| slot.file().seen = None);
        self.forget_settled_uploads();
    }

    /// The keys that are trusted.
    pub fn trusted_keys(&self) -> Arc<TrustedKeys> {
        Arc::clone(&self.trust.keys.lock())
    }

    /// The versions that somebody trusts, beyond the store's own keys: without any, all of them.
    pub fn trusted_by<'a>(&'a self, keys: &'a TrustedKeys) -> TrustedBy<'a> {
        TrustedBy { store: self, keys }
    }

    /// Verifies that a component is trusted, before anything is done with it. Returns also under which keys.
    pub(super) fn admit(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
        origin: &Origin,
        offered: Offered,
    ) -> Result<(Admission, Arc<TrustedKeys>), PluginStoreError> {
        let here = self.kept_admission(name, digest);
        let earlier = here.iter().chain(&offered.known).map(|known| known.at).min();
        let is_built_in =
            *origin == Origin::BuiltIn || here.iter().chain(&offered.known).any(|known| known.is_built_in);
        let mut admission = Admission::new(is_built_in, None);
        admission.at = earlier.unwrap_or(admission.at);
        let (keys, mut why) = (self.trusted_keys(), None);
        let known = [here, offered.known].into_iter().flatten().filter_map(|known| known.signature).map(Ok);
        for signature in offered.signature.into_iter().chain(known) {
            let verified = signature.map_err(Distrust::from).and_then(|signature| {
                if !is_built_in {
                    keys.verify(component, Some(&signature), admission.at)?;
                }
                Ok(signature)
            });
            match verified {
                Ok(signature) => return Ok((Admission { signature: Some(signature), ..admission }, keys)),
                Err(error) => why = why.or(Some(error)),
            }
        }
        if is_built_in || keys.is_empty() {
            return Ok((admission, keys));
        }
        let unsigned = || keys.verify(component, None, admission.at).err();
        match why.or_else(unsigned) {
            Some(source) => Err(untrusted(name, digest, GATEWAY, source)),
            None => Ok((admission, keys)),
        }
    }

    /// How a version was admitted here, as it is kept beside its copy.
    pub(super) fn kept_admission(&self, name: &str, digest: Digest) -> Option<Admission> {
        let sealed = self.archive.as_ref()?.admission(name, digest)?;
        self.trust.seal.open(name, digest, &sealed)
    }

    /// The admission of a version as it is stored beside its copy.
    pub(super) fn sealed_admission(&self, version: &PluginVersion) -> String {
        self.trust.seal.seal(&version.name, version.digest, &version.admission)
    }

    /// Whether the store still trusts a version that was admitted.
    pub(super) fn verify_again(&self, version: &PluginVersion) -> Result<(), PluginStoreError> {
        self.verify(version, &self.trusted_keys(), GATEWAY)
    }

    fn verify(
        &self,
        version: &PluginVersion,
        keys: &TrustedKeys,
        by: &'static str,
    ) -> Result<(), PluginStoreError> {
        let PluginVersion { name, digest, admission, verified, .. } = version;
        if keys.is_empty() || admission.is_built_in || verified.lock().contains(keys) {
            return Ok(());
        }
        let component = match &admission.signature {
            None => Vec::new(),
            Some(_) => self
                .component(name, *digest)
                .or_else(|| self.component_in_ledger(name, *digest))
                .ok_or_else(|| PluginStoreError::NoCopy { name: name.clone(), version: digest.short() })?,
        };
        keys.verify(&component, admission.signature.as_ref(), admission.at)
            .map_err(|source| untrusted(name, *digest, by, source))?;
        let mut verified = verified.lock();
        if verified.len() >= MOST_VERIFIED {
            verified.clear();
        }
        verified.push(keys.clone());
        Ok(())
    }
}

const GATEWAY: &str = "this gateway";
const TENANT: &str = "the tenant";

fn untrusted(name: &str, digest: Digest, by: &'static str, source: Distrust) -> PluginStoreError {
    let (name, version) = (name.to_owned(), digest.short());
    PluginStoreError::Untrusted { name, version, by, source: Box::new(source) }
}

/// The versions in a store that a tenant trusts.
#[derive(Clone, Copy)]
pub struct TrustedBy<'a> {
    store: &'a PluginStore,
    keys: &'a TrustedKeys,
}

impl TrustedBy<'_> {
    /// As [`PluginStore::latest`].
    ///
    /// # Errors
    /// Also if the version is not trusted.
    pub fn latest(&self, name: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        self.check(self.store.latest(name)?)
    }

    /// As [`latest`](Self::latest). If that is not trusted, the newest version before it that is.
    ///
    /// # Errors
    /// If there is none.
    pub fn latest_or_before(&self, name: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let error = match self.latest(name) {
            Err(error @ PluginStoreError::Untrusted { .. }) => error,
            found => return found,
        };
        self.before_latest(name).next().ok_or(error)
    }

    /// The versions that were the newest before the one that is, the newest first: those that are trusted and load. Each is loaded when it is
    /// asked for.
    pub fn before_latest(&self, name: &str) -> impl Iterator<Item = Arc<PluginVersion>> {
        let versions = self.store.versions(name).into_iter();
        let before = versions.filter(|version| version.since.is_some() && !version.is_latest);
        before.filter_map(move |listed| self.version(name, &listed.digest.to_string()).ok())
    }

    /// As [`PluginStore::version`].
    ///
    /// # Errors
    /// Also if the version is not trusted.
    pub fn version(&self, name: &str, text: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        self.check(self.store.version(name, text)?)
    }

    /// The version, if it is trusted.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self, version: Arc<PluginVersion>) -> Result<Arc<PluginVersion>, PluginStoreError> {
        self.store.verify(&version, self.keys, TENANT)?;
        Ok(version)
    }
}
