//! One plugin's place on the shelf.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder::Stamp;
use crate::version::PluginVersion;

/// One plugin's place on the shelf.
#[derive(Default)]
pub(super) struct Slot {
    look: Mutex<Look>,
    shown: Mutex<Shown>,
}

impl Slot {
    /// Held through a look at the file, compiling included, so that no look overtakes another.
    pub(super) fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held for moments, also by whoever looks.
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the file was, and what was told of it.
#[derive(Default)]
pub(super) struct Look {
    pub(super) seen: Option<Seen>,
    pub(super) told: Told,
    /// Whether there is a file.
    pub(super) is_there: bool,
    /// Whether there was one since it was last told that there is none.
    pub(super) was_there: bool,
    /// A problem that is yet to be told.
    pub(super) untold: Option<PluginStoreError>,
}

/// The file as it was read last.
pub(super) struct Seen {
    pub(super) stamp: Stamp,
    /// Whether the stamp alone says that the file is as it was.
    pub(super) is_settled: bool,
    /// `None` where it was not even read.
    pub(super) digest: Option<Digest>,
    pub(super) outcome: Result<Arc<PluginVersion>, PluginStoreError>,
}

/// Which version they have who asked for the latest one, or were told of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// Nobody asked.
    #[default]
    Nothing,
    /// All have this one.
    One(Digest),
    /// Somebody got another one than those before, who don't know of it yet.
    Several,
}

impl Told {
    /// That somebody got this version.
    pub(super) fn hand_out(&mut self, digest: Digest) {
        *self = match *self {
            Told::Nothing => Told::One(digest),
            Told::One(before) if before == digest => Told::One(digest),
            _ => Told::Several,
        };
    }
}

/// What can be asked for while somebody looks.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) newest: Option<Arc<PluginVersion>>,
    pub(super) problem: Option<PluginStoreError>,
    /// Versions that are on no disk.
    pub(super) unkept: Vec<Unkept>,
}

/// A version that ends with the process.
pub(super) struct Unkept {
    pub(super) version: Arc<PluginVersion>,
    /// As [`ListedVersion::since`](super::ListedVersion).
    pub(super) since: Option<Timestamp>,
}

impl Shown {
    /// That this version is the newest, and a good one.
    pub(super) fn show(&mut self, newest: &Arc<PluginVersion>) {
        self.newest = Some(Arc::clone(newest));
        self.problem = None;
    }

    /// The version of this content, if it is at hand.
    pub(super) fn at_hand(&self, digest: Digest) -> Option<Arc<PluginVersion>> {
        let unkept = self.unkept.iter().map(|unkept| &unkept.version);
        self.newest.iter().chain(unkept).find(|version| version.digest == digest).cloned()
    }

    /// Keeps a version in memory.
    pub(super) fn hold(&mut self, version: &Arc<PluginVersion>, is_newest: bool) {
        let since = is_newest.then(Timestamp::now);
        match self.unkept.iter_mut().find(|unkept| unkept.version.digest == version.digest) {
            Some(unkept) => unkept.since = since.or(unkept.since),
            None => self.unkept.push(Unkept { version: Arc::clone(version), since }),
        }
        self.unkept.sort_by_key(|unkept| std::cmp::Reverse(unkept.since));
    }
}
