//! Finding the latest version of a plugin.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_host::ErrorChain;
use tracing::warn;

use crate::archive::ArchivedFile;
use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder::{self, FileError, Stamp};
use crate::slot::{FileState, Seen, Slot};
use crate::store::{BuiltIn, PluginStore};
use crate::trust::{Offered, SignatureFile};
use crate::version::{Origin, PluginVersion};

impl PluginStore {
    /// The newest version of a plugin that loads. Records the problem of a newer one that doesn't.
    pub(super) fn find_latest(
        &self,
        name: &str,
        slot: &Slot,
        file: &mut FileState,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let error = match self.newest(name, slot, file) {
            Ok(version) => {
                slot.versions().set_latest(&version);
                return Ok(version);
            }
            Err(error) => error,
        };
        let known = slot.versions().latest.clone();
        // The keys that are trusted may have changed since.
        let known = known.filter(|version| self.verify_again(version).is_ok());
        let before = known.or_else(|| self.newest_archived(name));
        if before.is_none() && matches!(error, PluginStoreError::Gone { .. }) {
            slot.versions().problem = None;
            return Err(PluginStoreError::Unknown { name: name.to_owned() });
        }
        let mut versions = slot.versions();
        versions.latest.clone_from(&before);
        let is_known = versions.problem.as_ref().is_some_and(|known| known.is_same(&error));
        // What is being written, or waits for others, may be good in the end.
        if !error.passes() && !is_known {
            file.unreported = Some(error.clone());
            versions.problem = Some(error.clone());
        }
        before.ok_or(error)
    }

    /// The version that served last, if the file has another content by now. It is known to load, while the file may be
    /// anything, and a rescan finds that.
    pub(super) fn served_last(&self, name: &str) -> Option<Arc<PluginVersion>> {
        let last = self.archived(name).into_iter().find(|file| file.since.is_some())?;
        let content = folder::read(&self.file(name)?, self.most_bytes(name)).ok()?;
        if Digest::of(&content.bytes) == last.digest {
            return None;
        }
        self.load_archived(name, &last).ok()
    }

    /// The plugin's file, or else the built-in plugin.
    fn newest(
        &self,
        name: &str,
        slot: &Slot,
        file: &mut FileState,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let path = self.file(name);
        if let Some(path) = &path {
            let stamp = Stamp::at(path);
            file.exists = !matches!(stamp, Ok(None));
            file.existed |= file.exists;
            if let Some(stamp) = stamp.map_err(|error| unusable(name, path, error.into()))? {
                return self.newest_of_file(name, path, stamp, slot, file);
            }
            file.seen = None;
        }
        let Some(BuiltIn { digest, component }) = self.built_in(name) else {
            return Err(match path {
                Some(path) => PluginStoreError::Gone { path },
                None => PluginStoreError::Unknown { name: name.to_owned() },
            });
        };
        let latest = slot.versions().latest.clone();
        if let Some(latest) = latest.filter(|latest| latest.digest == digest) {
            return Ok(latest);
        }
        let version = self.load(name, digest, component, Origin::BuiltIn, Offered::default())?;
        self.keep(slot, &version, component, true);
        Ok(version)
    }

    fn newest_of_file(
        &self,
        name: &str,
        path: &Path,
        stamp: Stamp,
        slot: &Slot,
        file: &mut FileState,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let before = file.seen.take();
        let is_same = |seen: &&Seen| {
            seen.is_settled
                && !seen.may_suit_later()
                && seen.stamp == stamp
                && seen.signature.stamp == SignatureFile::stamp_beside(path)
        };
        if let Some(seen) = before.as_ref().filter(is_same) {
            let outcome = seen.outcome.clone();
            file.seen = before;
            return outcome;
        }
        let content = match folder::read(path, self.most_bytes(name)) {
            Ok(content) => content,
            Err(source) => {
                let is_known_by_stamp = matches!(source, FileError::NotAFile | FileError::TooLarge { .. });
                let error = unusable(name, path, source);
                if is_known_by_stamp {
                    slot.versions().problem = None;
                    let outcome = Err(error.clone());
                    let signature = SignatureFile::beside(path);
                    file.seen = Some(Seen { stamp, signature, is_settled: true, digest: None, outcome });
                }
                return Err(error);
            }
        };
        let (digest, signature) = (Digest::of(&content.bytes), SignatureFile::beside(path));
        let is_same =
            |seen: &Seen| seen.digest == Some(digest) && seen.signature.content == signature.content;
        let before = before.filter(is_same);
        if before.is_none() {
            // The problem was that of another content.
            slot.versions().problem = None;
        }
        let outcome = match before.filter(|seen| !seen.may_suit_later()) {
            Some(seen) => seen.outcome,
            None => {
                let offered = Offered { signature: signature.content.clone(), known: None };
                let loaded = self.load(name, digest, &content.bytes, Origin::File(path.to_owned()), offered);
                let loaded = loaded.and_then(|version| {
                    self.check_kind(name, &version.compiled)?;
                    Ok(version)
                });
                if let Ok(version) = &loaded {
                    self.keep(slot, version, &content.bytes, true);
                }
                loaded
            }
        };
        // What says nothing about the content is tried again.
        if !outcome.as_ref().is_err_and(PluginStoreError::is_transient) {
            let is_settled = content.is_settled && signature.is_settled;
            let (stamp, digest, outcome) = (content.stamp, Some(digest), outcome.clone());
            file.seen = Some(Seen { stamp, signature, is_settled, digest, outcome });
        }
        outcome
    }

    /// The version in the archive that was the latest last.
    fn newest_archived(&self, name: &str) -> Option<Arc<PluginVersion>> {
        let archived = self.archived(name);
        archived.iter().filter(|file| file.since.is_some()).find_map(|file| {
            match self.load_archived(name, file) {
                Ok(version) => Some(version),
                Err(error) => {
                    warn!(plugin = name, error = %ErrorChain(&error), "an earlier version can't be used");
                    None
                }
            }
        })
    }

    pub(super) fn load_archived(
        &self,
        name: &str,
        file: &ArchivedFile,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let component = file.read(name, self.most_bytes(name))?;
        self.load(name, file.digest, &component, Origin::Kept(file.path.clone()), Offered::default())
    }

    /// Compiles a component that is trusted, unless it is compiled already, or is known to need more time or memory than it may have.
    pub(super) fn load(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
        origin: Origin,
        offered: Offered,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let (admission, keys) = self.admit(name, digest, component, &origin, offered)?;
        let limits = self.compiled.limits().of(name);
        let known = self.refusals.as_ref().and_then(|refusals| refusals.find(digest, limits));
        let loaded = match known {
            Some(error) => Err(Arc::new(error)),
            None => self.compiled.load(name, digest, component),
        };
        match loaded {
            Ok(compiled) => {
                let verified = Mutex::new(vec![(*keys).clone()]);
                let (name, bytes) = (name.to_owned(), component.len());
                Ok(Arc::new(PluginVersion { name, digest, compiled, bytes, origin, admission, verified }))
            }
            Err(source) => {
                if let Some(refusals) = &self.refusals {
                    refusals.add(digest, limits, &source);
                }
                Err(PluginStoreError::Unloadable { name: name.to_owned(), origin, source })
            }
        }
    }

    /// Archives a version, or if that fails keeps it in memory.
    pub(super) fn keep(&self, slot: &Slot, version: &Arc<PluginVersion>, component: &[u8], is_latest: bool) {
        if let Some(archive) = &self.archive {
            let (name, admission) = (&version.name, self.sealed_admission(version));
            let Err(error) = archive.add(name, version.digest, component, &admission, is_latest) else {
                return;
            };
            warn!(
                plugin = version.name,
                version = version.digest.short(),
                %error,
                "the version can't be kept on disk: it is kept in memory until the process ends"
            );
        }
        slot.versions().keep_in_memory(version, is_latest);
    }
}

fn unusable(name: &str, path: &Path, source: FileError) -> PluginStoreError {
    PluginStoreError::File { name: name.to_owned(), path: path.to_owned(), source }
}
