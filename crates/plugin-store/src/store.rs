//! Plugins by name, each with its versions.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_host::{Engine, Limits};
use portcullis_plugin_bundle::SHIPPED;
use tracing::warn;

use crate::compiled::Compiled;
use crate::digest::{Digest, Prefix};
use crate::error::PluginStoreError;
use crate::folder::{self, Stamp};
use crate::kept::{Kept, KeptFile};
use crate::slot::{Look, Seen, Slot, Told};
use crate::version::{ListedVersion, Origin, PluginVersion};

/// Plugins by name, each with its versions.
///
/// A version is compiled when it is first asked for. Each that was ever handed out is kept in the folder of plugins, or
/// where that can't be written, in memory for as long as the process runs.
///
/// Methods block: for a look at a file, and where its content is new, until that is compiled. Nobody waits for another
/// plugin to be compiled.
pub struct PluginStore {
    dir: Option<PathBuf>,
    pub(super) kept: Option<Kept>,
    built_in: BTreeMap<&'static str, BuiltIn>,
    pub(super) compiled: Compiled,
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
}

/// A plugin that comes with the program.
#[derive(Clone, Copy)]
pub(super) struct BuiltIn {
    pub(super) digest: Digest,
    pub(super) component: &'static [u8],
}

impl PluginStore {
    /// How many versions of a plugin [`retain`](Self::retain) leaves besides those in use.
    pub const KEPT: usize = 8;

    /// Compiles nothing yet. The folder need not be there.
    pub fn new(engine: Engine, dir: Option<PathBuf>) -> Self {
        if let Some(dir) = &dir {
            folder::sweep(dir);
        }
        let built_in = SHIPPED.iter().map(|plugin| {
            let component = plugin.component;
            (plugin.name, BuiltIn { digest: Digest::of(component), component })
        });
        PluginStore {
            kept: dir.as_deref().map(Kept::new),
            dir,
            built_in: built_in.collect(),
            compiled: Compiled::new(engine),
            slots: Mutex::default(),
        }
    }

    /// The folder that was named for plugins.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The names of the plugins there are now.
    pub fn names(&self) -> BTreeSet<String> {
        names(self.dir())
    }

    /// The newest content of this name that loads: the file, else the built-in plugin. Where the file can't be used, or is gone
    /// and nothing is built in, the version from before; [`problem`](Self::problem) says so then.
    ///
    /// # Errors
    ///
    /// Where no plugin has this name, or none of its contents loads.
    pub fn latest(&self, name: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let slot = self.slot(name)?;
        let mut look = slot.look();
        if slot.shown().newest.is_none() {
            // What did not load is tried again where nothing else can serve: the machine may have been short of something.
            look.seen = None;
        }
        let version = self.look(name, &slot, &mut look)?;
        look.told.hand_out(version.digest);
        Ok(version)
    }

    /// The version of a plugin whose digest is `text`, or begins so: `sha256:` may be missing, and all but the first 8 digits.
    ///
    /// # Errors
    ///
    /// Where there is none such, or several; where it does not load, or what was kept of it is damaged.
    pub fn version(&self, name: &str, text: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let slot = self.slot(name)?;
        let wanted = text.parse::<Prefix>().map_err(|source| PluginStoreError::NoVersion {
            name: name.to_owned(),
            text: text.to_owned(),
            source,
        })?;
        // A file that nobody asked for yet may be the very version.
        let file = self.file(name).and_then(|path| {
            let content = folder::read(&path, Limits::default().component_bytes).ok()?;
            Some((path, Digest::of(&content.bytes), content.bytes))
        });
        let kept = self.kept_of(name);
        let mut known: BTreeSet<Digest> = self.listed(name, &slot, &kept).into_keys().collect();
        known.extend(file.iter().map(|&(_, digest, _)| digest));
        let fitting: Vec<Digest> = known.iter().copied().filter(|digest| wanted.fits(digest)).collect();
        let unknown = || {
            let (name, text, known) = (name.to_owned(), text.to_owned(), short(&known));
            PluginStoreError::UnknownVersion { name, text, known }
        };
        let digest = match *fitting {
            [] => return Err(unknown()),
            [digest] => digest,
            _ => {
                let (name, text, fitting) = (name.to_owned(), text.to_owned(), short(&fitting));
                return Err(PluginStoreError::Ambiguous { name, text, fitting });
            }
        };
        if let Some(version) = slot.shown().at_hand(digest) {
            return Ok(version);
        }
        if let Some(built_in) = self.built_in(name).filter(|built_in| built_in.digest == digest) {
            let version = self.load(name, digest, built_in.component, Origin::BuiltIn)?;
            self.keep(&slot, &version, built_in.component, false);
            return Ok(version);
        }
        if let Some((path, _, component)) = file.filter(|&(_, read, _)| read == digest) {
            let version = self.load(name, digest, &component, Origin::File(path))?;
            self.keep(&slot, &version, &component, false);
            return Ok(version);
        }
        let file = kept.iter().find(|file| file.digest == digest).ok_or_else(unknown)?;
        self.load_kept(name, file)
    }

    /// Puts a component into the folder, and makes it the latest of its name: after it was seen to load, and so that the file is
    /// there whole, whatever happens. [`rescan`](Self::rescan) does not find it: the caller knows.
    ///
    /// # Errors
    ///
    /// Where the name is none, the component does not load, or the folder can't be written: everything is as it was then.
    pub fn put(&self, name: &str, component: &[u8]) -> Result<Arc<PluginVersion>, PluginStoreError> {
        if !is_good(name) {
            return Err(PluginStoreError::Name { name: name.to_owned() });
        }
        let path = self.file(name).ok_or(PluginStoreError::NoFolder)?;
        let version = self.load(name, Digest::of(component), component, Origin::File(path.clone()))?;
        let slot = self.slot_of(name);
        let mut look = slot.look();
        let file = folder::write(&path, component)
            .map_err(|source| PluginStoreError::Write { path, source: Arc::new(source) })?;
        self.keep(&slot, &version, component, true);
        slot.shown().show(&version);
        let digest = version.digest;
        let seen = |stamp| Seen {
            stamp,
            is_settled: false,
            digest: Some(digest),
            outcome: Ok(Arc::clone(&version)),
        };
        *look = Look {
            seen: Stamp::of_file(&file).ok().map(seen),
            told: Told::One(digest),
            is_there: true,
            was_there: true,
            untold: None,
        };
        Ok(version)
    }

    /// What is wrong with the newest content of a plugin, until a good one is there.
    pub fn problem(&self, name: &str) -> Option<PluginStoreError> {
        let slot = self.slots().get(name).cloned()?;
        slot.shown().problem.clone()
    }

    /// The versions of a plugin that can be asked for: the latest first, then by age, and last those that never were the latest.
    pub fn versions(&self, name: &str) -> Vec<ListedVersion> {
        let Ok(slot) = self.slot(name) else { return Vec::new() };
        let mut versions: Vec<ListedVersion> =
            self.listed(name, &slot, &self.kept_of(name)).into_values().collect();
        versions.sort_by_key(|version| std::cmp::Reverse((version.is_latest, version.since)));
        versions
    }

    fn listed(&self, name: &str, slot: &Slot, kept: &[KeptFile]) -> BTreeMap<Digest, ListedVersion> {
        let shown = slot.shown();
        let mut versions = BTreeMap::new();
        let mut list = |digest, bytes, since| {
            versions.entry(digest).or_insert_with(|| ListedVersion {
                digest,
                own_version: self.compiled.get(&digest).map(|plugin| plugin.description().version.clone()),
                bytes,
                since,
                is_latest: shown.newest.as_ref().is_some_and(|newest| newest.digest == digest),
            });
        };
        for file in kept {
            list(file.digest, file.bytes, file.since);
        }
        for unkept in &shown.unkept {
            list(unkept.version.digest, unkept.version.bytes as u64, unkept.since);
        }
        if let Some(newest) = &shown.newest {
            list(newest.digest, newest.bytes as u64, None);
        }
        if let Some(built_in) = self.built_in(name) {
            list(built_in.digest, built_in.component.len() as u64, None);
        }
        versions
    }

    /// Forgets old versions: of each plugin all but the newest [`PluginStore::KEPT`], the latest, and those that are `in_use`.
    pub fn retain(&self, in_use: impl Fn(&Digest) -> bool) {
        let slots = self.slots().clone();
        let mut needed = HashSet::new();
        let mut latest = BTreeMap::new();
        for (name, slot) in slots {
            let mut shown = slot.shown();
            let newest = shown.newest.as_ref().map(|version| version.digest);
            let mut position = 0;
            shown.unkept.retain(|unkept| {
                position += 1;
                let digest = unkept.version.digest;
                position <= Self::KEPT || newest == Some(digest) || in_use(&digest)
            });
            needed.extend(newest);
            needed.extend(shown.unkept.iter().map(|unkept| unkept.version.digest));
            latest.insert(name, newest);
        }
        for (name, files) in self.kept.iter().flat_map(Kept::all) {
            let latest = latest.get(&name).copied().flatten();
            let old = files.iter().skip(Self::KEPT);
            for file in old.filter(|file| latest != Some(file.digest) && !in_use(&file.digest)) {
                if let Err(error) = std::fs::remove_file(&file.path) {
                    warn!(file = %file.path.display(), %error, "an old version of a plugin can't be removed");
                }
            }
        }
        self.compiled.retain(|digest| needed.contains(digest) || in_use(digest));
    }

    pub(super) fn built_in(&self, name: &str) -> Option<BuiltIn> {
        self.built_in.get(name).copied()
    }

    /// Where the file of this plugin lies, if it does.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        folder::file(self.dir()?, name)
    }

    pub(super) fn kept_of(&self, name: &str) -> Vec<KeptFile> {
        self.kept.as_ref().map(|kept| kept.of(name)).unwrap_or_default()
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a plugin that there is, or was: names that anybody may ask for take no place.
    fn slot(&self, name: &str) -> Result<Arc<Slot>, PluginStoreError> {
        if let Some(slot) = self.slots().get(name) {
            return Ok(Arc::clone(slot));
        }
        let is_file = || self.file(name).is_some_and(|path| !matches!(Stamp::at(&path), Ok(None)));
        if self.built_in(name).is_some() || is_file() || !self.kept_of(name).is_empty() {
            return Ok(self.slot_of(name));
        }
        Err(PluginStoreError::Unknown { name: name.to_owned() })
    }

    /// The place of a plugin, made where it is missing.
    pub(super) fn slot_of(&self, name: &str) -> Arc<Slot> {
        Arc::clone(self.slots().entry(name.to_owned()).or_default())
    }
}

/// The names of the plugins that are built in or lie in `dir`. A folder that is not there has none.
pub fn names(dir: Option<&Path>) -> BTreeSet<String> {
    let files = dir.map(folder::names).unwrap_or_default();
    SHIPPED.iter().map(|plugin| plugin.name.to_owned()).chain(files).collect()
}

/// Whether a component may be put into the folder under this name.
fn is_good(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn short<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> String {
    digests.into_iter().map(Digest::short).collect::<Vec<_>>().join(", ")
}
