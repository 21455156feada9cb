//! What the store knows of one plugin.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder::Stamp;
use crate::trust::SignatureFile;
use crate::version::PluginVersion;

/// What the store knows of one plugin.
#[derive(Default)]
pub(super) struct Slot {
    file: Mutex<FileState>,
    versions: Mutex<Versions>,
}

impl Slot {
    /// Held while the file is read and compiled, so that no reader overtakes another.
    pub(super) fn file(&self) -> MutexGuard<'_, FileState> {
        self.file.lock()
    }

    /// Held for moments. Taken after [`file`](Self::file) if both are.
    pub(super) fn versions(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock()
    }
}

/// The plugin's file, and what was reported of it.
#[derive(Default)]
pub(super) struct FileState {
    pub(super) seen: Option<Seen>,
    pub(super) known: Known,
    pub(super) exists: bool,
    /// Whether it existed since its removal was last reported.
    pub(super) existed: bool,
    /// A problem that is not reported yet.
    pub(super) unreported: Option<PluginStoreError>,
}

/// The file as it was last read.
pub(super) struct Seen {
    pub(super) stamp: Stamp,
    /// The signature beside it.
    pub(super) signature: SignatureFile,
    /// Whether the same stamps mean the same contents.
    pub(super) is_settled: bool,
    /// `None` if it was not even read.
    pub(super) digest: Option<Digest>,
    pub(super) outcome: Result<Arc<PluginVersion>, PluginStoreError>,
}

impl Seen {
    /// Whether the same content may be of use once others use its name.
    pub(super) fn may_suit_later(&self) -> bool {
        matches!(self.outcome, Err(PluginStoreError::OtherKind { .. }))
    }
}

/// The version that callers know as the latest, by asking for it or by a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Known {
    /// Nobody asked.
    #[default]
    Nothing,
    /// Everybody knows this one.
    One(Digest),
    /// A caller got another one than earlier callers, who are to get a report.
    Several,
}

impl Known {
    /// A caller gets this version.
    pub(super) fn hand_out(&mut self, digest: Digest) {
        *self = match *self {
            Known::Nothing => Known::One(digest),
            Known::One(before) if before == digest => Known::One(digest),
            _ => Known::Several,
        };
    }
}

/// What can be asked for while the file is read.
#[derive(Default)]
pub(super) struct Versions {
    pub(super) latest: Option<Arc<PluginVersion>>,
    pub(super) problem: Option<PluginStoreError>,
    /// Versions that could not be archived.
    pub(super) in_memory: Vec<InMemory>,
}

/// A version that ends with the process.
pub(super) struct InMemory {
    pub(super) version: Arc<PluginVersion>,
    /// As [`ListedVersion::since`](super::ListedVersion).
    pub(super) since: Option<Timestamp>,
}

impl Versions {
    pub(super) fn set_latest(&mut self, latest: &Arc<PluginVersion>) {
        self.latest = Some(Arc::clone(latest));
        self.problem = None;
    }

    /// A loaded version.
    pub(super) fn loaded(&self, digest: Digest) -> Option<Arc<PluginVersion>> {
        let in_memory = self.in_memory.iter().map(|in_memory| &in_memory.version);
        self.latest.iter().chain(in_memory).find(|version| version.digest == digest).cloned()
    }

    pub(super) fn keep_in_memory(&mut self, version: &Arc<PluginVersion>, is_latest: bool) {
        let since = is_latest.then(Timestamp::now);
        match self.in_memory.iter_mut().find(|known| known.version.digest == version.digest) {
            Some(known) => known.since = since.or(known.since),
            None => self.in_memory.push(InMemory { version: Arc::clone(version), since }),
        }
        self.in_memory.sort_by_key(|known| std::cmp::Reverse(known.since));
    }
}
