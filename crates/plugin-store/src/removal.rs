//! Removing versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::digest::{Digest, Prefix};
use crate::error::PluginStoreError;
use crate::store::{PluginStore, short};

impl PluginStore {
    /// Removes an old version of a plugin from the archive, and from the ledger that stores share: one that no tenant uses and that is not
    /// the newest. The text is as for [`version`](Self::version).
    ///
    /// # Errors
    /// If there is no such version, it is needed, or its file can't be removed.
    pub fn remove_version(
        &self,
        name: &str,
        text: &str,
        in_use: impl Fn(&Digest) -> bool,
    ) -> Result<Digest, PluginStoreError> {
        let wanted = text.parse::<Prefix>().map_err(|source| PluginStoreError::NoVersion {
            name: name.to_owned(),
            text: text.to_owned(),
            source,
        })?;
        let listed = self.versions(name);
        if listed.is_empty() {
            return Err(PluginStoreError::Unknown { name: name.to_owned() });
        }
        let fitting: Vec<_> = listed.iter().filter(|version| wanted.fits(&version.digest)).collect();
        let version = match *fitting {
            [version] => version,
            [] => {
                let known: BTreeSet<Digest> = listed.iter().map(|version| version.digest).collect();
                let (name, text, known) = (name.to_owned(), text.to_owned(), short(&known));
                return Err(PluginStoreError::UnknownVersion { name, text, known });
            }
            _ => {
                let fitting = short(fitting.iter().map(|version| &version.digest));
                let (name, text) = (name.to_owned(), text.to_owned());
                return Err(PluginStoreError::Ambiguous { name, text, fitting });
            }
        };
        let digest = version.digest;
        let needed = |why| PluginStoreError::Needed { name: name.to_owned(), version: digest.short(), why };
        if self.built_in(name).is_some_and(|built_in| built_in.digest == digest) {
            return Err(needed("it is built into the program"));
        }
        if version.is_latest {
            return Err(needed("it is the newest: upload the one to use instead first"));
        }
        if in_use(&digest) {
            return Err(needed(
                "a tenant uses it, or is pinned to it: move the tenant to another version first",
            ));
        }
        self.forget_upload(name, digest)?;
        for file in self.archived(name).into_iter().filter(|file| file.digest == digest) {
            file.remove().map_err(|source| PluginStoreError::Remove {
                path: file.path.clone(),
                source: Arc::new(source),
            })?;
        }
        self.slot_of(name).versions().in_memory.retain(|kept| kept.version.digest != digest);
        Ok(digest)
    }
}
