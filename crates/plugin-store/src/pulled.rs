//! What was pulled from registries: which artifact was which version.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use portcullis_plugin_trust::Signature;

use crate::digest::Digest;
use crate::folder;
use crate::store::PluginStore;

/// The most artifacts of a plugin that are remembered.
const MOST: usize = 16;
/// The most bytes of the file: each line has two digests.
const BYTES: usize = 4096;

/// An artifact that was pulled, and the version that it contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PulledVersion {
    /// The digest by which the artifact was pinned.
    pub artifact: Digest,
    /// The version.
    pub version: Digest,
}

impl PluginStore {
    /// The artifacts that were pulled for a plugin, the last one first.
    pub fn pulled(&self, name: &str) -> Vec<PulledVersion> {
        let content = self.pulled_file(name).and_then(|file| folder::read(&file, BYTES).ok());
        let text = content.and_then(|content| String::from_utf8(content.bytes).ok()).unwrap_or_default();
        let parse = |line: &str| {
            let (artifact, version) = line.split_once(' ')?;
            Some(PulledVersion { artifact: artifact.parse().ok()?, version: version.parse().ok()? })
        };
        text.lines().filter_map(parse).collect()
    }

    /// Remembers an artifact as the last one that was pulled for a plugin.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn note_pulled(&self, name: &str, pulled: PulledVersion) -> io::Result<()> {
        let Some(file) = self.pulled_file(name) else { return Ok(()) };
        let mut text = String::new();
        let others = self.pulled(name).into_iter().filter(|other| other.artifact != pulled.artifact);
        for PulledVersion { artifact, version } in std::iter::once(pulled).chain(others).take(MOST) {
            let _ = writeln!(text, "{artifact} {version}");
        }
        folder::write(&file, text.as_bytes()).map(drop)
    }

    /// The component of a version and its signature, if there is a copy of it in the folder.
    pub fn copy_of(&self, name: &str, version: Digest) -> Option<(Vec<u8>, Option<Signature>)> {
        let component = self.component(name, version)?;
        Some((component, self.kept_admission(name, version).and_then(|admission| admission.signature)))
    }

    fn pulled_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir()?.join(".versions").join(format!("{name}.pulled")))
    }
}
