//! Which version of a plugin is the newest that loads.

use std::path::Path;
use std::sync::Arc;

use portcullis_host::{ErrorChain, Limits};
use tracing::warn;

use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder::{self, FileError, Stamp};
use crate::kept::KeptFile;
use crate::slot::{Look, Seen, Slot};
use crate::store::{BuiltIn, PluginStore};
use crate::version::{Origin, PluginVersion};

impl PluginStore {
    /// The newest version of a plugin that loads. What is wrong with a newer one is written down.
    pub(super) fn look(
        &self,
        name: &str,
        slot: &Slot,
        look: &mut Look,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let error = match self.newest(name, slot, look) {
            Ok(version) => {
                slot.shown().show(&version);
                return Ok(version);
            }
            Err(error) => error,
        };
        let known = slot.shown().newest.clone();
        let before = known.or_else(|| self.newest_kept(name));
        if before.is_none() && matches!(error, PluginStoreError::Gone { .. }) {
            slot.shown().problem = None;
            return Err(PluginStoreError::Unknown { name: name.to_owned() });
        }
        let mut shown = slot.shown();
        shown.newest.clone_from(&before);
        // One that is being written may be good when that is done.
        let is_being_written = matches!(error, PluginStoreError::File { source: FileError::Changing, .. });
        let is_known = shown.problem.as_ref().is_some_and(|known| known.is_same(&error));
        if !is_being_written && !is_known {
            look.untold = Some(error.clone());
            shown.problem = Some(error.clone());
        }
        before.ok_or(error)
    }

    /// The newest content of a plugin: its file, or else what is built in.
    fn newest(
        &self,
        name: &str,
        slot: &Slot,
        look: &mut Look,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let path = self.file(name);
        if let Some(path) = &path {
            let stamp = Stamp::at(path);
            look.is_there = !matches!(stamp, Ok(None));
            look.was_there |= look.is_there;
            if let Some(stamp) = stamp.map_err(|error| unusable(name, path, error.into()))? {
                return self.newest_of_file(name, path, stamp, slot, look);
            }
            look.seen = None;
        }
        let Some(BuiltIn { digest, component }) = self.built_in(name) else {
            return Err(match path {
                Some(path) => PluginStoreError::Gone { path },
                None => PluginStoreError::Unknown { name: name.to_owned() },
            });
        };
        let newest = slot.shown().newest.clone();
        if let Some(newest) = newest.filter(|newest| newest.digest == digest) {
            return Ok(newest);
        }
        let version = self.load(name, digest, component, Origin::BuiltIn)?;
        self.keep(slot, &version, component, true);
        Ok(version)
    }

    fn newest_of_file(
        &self,
        name: &str,
        path: &Path,
        stamp: Stamp,
        slot: &Slot,
        look: &mut Look,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let before = look.seen.take();
        if let Some(seen) = before.as_ref().filter(|seen| seen.is_settled && seen.stamp == stamp) {
            let outcome = seen.outcome.clone();
            look.seen = before;
            return outcome;
        }
        let content = match folder::read(path, Limits::default().component_bytes) {
            Ok(content) => content,
            Err(source) => {
                let is_known_by_stamp = matches!(source, FileError::NotAFile | FileError::TooLarge { .. });
                let error = unusable(name, path, source);
                if is_known_by_stamp {
                    slot.shown().problem = None;
                    let outcome = Err(error.clone());
                    look.seen = Some(Seen { stamp, is_settled: true, digest: None, outcome });
                }
                return Err(error);
            }
        };
        let digest = Digest::of(&content.bytes);
        let outcome = match before.filter(|seen| seen.digest == Some(digest)) {
            Some(seen) => seen.outcome,
            None => {
                // What was wrong with another content says nothing of this one.
                slot.shown().problem = None;
                let loaded = self.load(name, digest, &content.bytes, Origin::File(path.to_owned()));
                if let Ok(version) = &loaded {
                    self.keep(slot, version, &content.bytes, true);
                }
                loaded
            }
        };
        let (stamp, is_settled) = (content.stamp, content.is_settled);
        look.seen = Some(Seen { stamp, is_settled, digest: Some(digest), outcome: outcome.clone() });
        outcome
    }

    /// The version that was the newest last, as far as what was kept tells.
    fn newest_kept(&self, name: &str) -> Option<Arc<PluginVersion>> {
        let kept = self.kept_of(name);
        kept.iter().filter(|file| file.since.is_some()).find_map(|file| match self.load_kept(name, file) {
            Ok(version) => Some(version),
            Err(error) => {
                warn!(plugin = name, error = %ErrorChain(&error), "a kept version can't be used");
                None
            }
        })
    }

    pub(super) fn load_kept(
        &self,
        name: &str,
        file: &KeptFile,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let component = file.read(name, Limits::default().component_bytes)?;
        self.load(name, file.digest, &component, Origin::Kept(file.path.clone()))
    }

    /// Compiles a component, unless that was done already.
    pub(super) fn load(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
        origin: Origin,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let name = name.to_owned();
        match self.compiled.load(digest, component) {
            Ok(plugin) => {
                Ok(Arc::new(PluginVersion { name, digest, plugin, bytes: component.len(), origin }))
            }
            Err(source) => Err(PluginStoreError::Unloadable { name, origin, source }),
        }
    }

    /// Keeps a version for as long as can be.
    pub(super) fn keep(&self, slot: &Slot, version: &Arc<PluginVersion>, component: &[u8], is_newest: bool) {
        if let Some(kept) = &self.kept {
            let Err(error) = kept.keep(&version.name, version.digest, component, is_newest) else { return };
            warn!(
                plugin = version.name,
                version = version.digest.short(),
                %error,
                "the version can't be kept on disk, and ends with this process"
            );
        }
        slot.shown().hold(version, is_newest);
    }
}

fn unusable(name: &str, path: &Path, source: FileError) -> PluginStoreError {
    PluginStoreError::File { name: name.to_owned(), path: path.to_owned(), source }
}
