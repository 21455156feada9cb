//! The plugin store.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use portcullis_host::Engine;
use portcullis_plugin_bundle::SHIPPED;
use portcullis_plugin_trust::Signature;
use tracing::warn;

use crate::admission::Admission;
use crate::archive::{self, Archive, ArchivedFile};
use crate::awaited::Awaited;
use crate::compiled::Compiled;
use crate::digest::{Digest, Prefix};
use crate::error::PluginStoreError;
use crate::folder::{self, Stamp};
use crate::limits::PluginLimits;
use crate::refusals::Refusals;
use crate::shared::Shared;
use crate::slot::{FileState, Known, Seen, Slot};
use crate::trust::{Offered, SignatureFile, Trust};
use crate::uses::Users;
use crate::version::{ListedVersion, Origin, PluginVersion, own_version};

/// Plugins by name, each with its versions.
///
/// A version is compiled when it is first requested. Each version that was ever handed out is archived in the folder of plugins, or
/// if that can't be written, kept in memory until the process ends.
///
/// Methods block: for a look at a file, and if its content is new, until that is compiled. Plugins take turns to be compiled; how long
/// one waits for its turn is bounded.
pub struct PluginStore {
    dir: Option<PathBuf>,
    pub(super) archive: Option<Archive>,
    built_in: BTreeMap<&'static str, BuiltIn>,
    engine: Engine,
    pub(super) compiled: Compiled,
    pub(super) refusals: Option<Refusals>,
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
    pub(super) shared: Option<Shared>,
    pub(super) trust: Trust,
    pub(super) awaited: Awaited,
    pub(super) users: OnceLock<Users>,
}

/// A built-in plugin.
#[derive(Clone, Copy)]
pub(super) struct BuiltIn {
    pub(super) digest: Digest,
    pub(super) component: &'static [u8],
}

impl PluginStore {
    /// How many versions of a plugin [`retain`](Self::retain) keeps besides those in use.
    pub const KEPT: usize = 8;

    /// Opens a store, without compiling anything. The folder need not exist.
    pub fn new(engine: Engine, dir: Option<PathBuf>) -> Self {
        if let Some(dir) = &dir {
            folder::sweep(dir);
        }
        let built_in = SHIPPED.iter().map(|plugin| {
            let component = plugin.component;
            (plugin.name, BuiltIn { digest: Digest::of(component), component })
        });
        PluginStore {
            archive: dir.as_deref().map(Archive::new),
            refusals: dir.as_deref().map(Refusals::new),
            dir,
            built_in: built_in.collect(),
            compiled: Compiled::new(engine.clone(), PluginLimits::default()),
            engine,
            slots: Mutex::default(),
            shared: None,
            trust: Trust::default(),
            awaited: Awaited::default(),
            users: OnceLock::new(),
        }
    }

    /// Sets the limits with which plugins are loaded: those of [`portcullis_host::Limits::default`] by default.
    #[must_use]
    pub fn with_limits(mut self, limits: PluginLimits) -> Self {
        self.compiled = Compiled::new(self.engine.clone(), limits);
        self
    }

    /// The largest component of this name, in bytes.
    pub fn most_bytes(&self, name: &str) -> usize {
        self.compiled.limits().of(name).component_bytes
    }

    /// The folder of plugins.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The names of the plugins that are built in or in the folder.
    pub fn names(&self) -> BTreeSet<String> {
        let files = self.dir().map(folder::names).unwrap_or_default();
        SHIPPED.iter().map(|plugin| plugin.name.to_owned()).chain(files).collect()
    }

    /// The newest version of a plugin that loads: its file, or else the built-in plugin. If the file can't be used, or was removed
    /// and nothing is built in, returns the previous version, and [`problem`](Self::problem) says why.
    ///
    /// A plugin that is not here is fetched from the ledger, if stores [share](Self::sharing) one.
    ///
    /// At first, in a new process, that is the version which served last, even if there is another file: what is known to
    /// load serves at once. A [rescan](Self::rescan) finds the file, and reports it as a change.
    ///
    /// # Errors
    /// If no plugin has this name, or none of its versions loads.
    pub fn latest(&self, name: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        match self.latest_here(name).map_err(|error| self.awaited.explain(error)) {
            Err(error) if error.is_absence() => self.fetch_latest(name, error),
            found => found,
        }
    }

    fn latest_here(&self, name: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let slot = self.slot(name)?;
        let mut file = slot.file();
        if slot.versions().latest.is_none() {
            // Nothing else can serve, so retry what did not load: the machine may have been short of memory.
            file.seen = None;
            if let Some(version) = self.served_last(name) {
                slot.versions().latest = Some(Arc::clone(&version));
                file.known.hand_out(version.digest);
                return Ok(version);
            }
        }
        let version = self.find_latest(name, &slot, &mut file)?;
        file.known.hand_out(version.digest);
        Ok(version)
    }

    /// A version of a plugin, by its digest: `sha256:` and 64 hexadecimal digits. The prefix may be left out, and all but the first 8
    /// digits. One that is not here is fetched from the ledger, if stores [share](Self::sharing) one.
    ///
    /// # Errors
    /// If no version has this digest, or several have; if the version does not load, or its copy in the archive is damaged.
    pub fn version(&self, name: &str, text: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        match self.version_here(name, text).map_err(|error| self.awaited.explain(error)) {
            Err(error) if error.is_absence() => self.fetch(name, text, error),
            found => found,
        }
    }

    fn version_here(&self, name: &str, text: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let slot = self.slot(name)?;
        let wanted = text.parse::<Prefix>().map_err(|source| PluginStoreError::NoVersion {
            name: name.to_owned(),
            text: text.to_owned(),
            source,
        })?;
        // It may be a file that nobody requested yet.
        let file = self.file(name).and_then(|path| {
            let content = folder::read(&path, self.most_bytes(name)).ok()?;
            Some((path, Digest::of(&content.bytes), content.bytes))
        });
        let archived = self.archived(name);
        let mut known: BTreeSet<Digest> = self.listed(name, &slot, &archived).into_keys().collect();
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
        let loaded = slot.versions().loaded(digest);
        if let Some(version) = loaded {
            self.verify_again(&version)?;
            return Ok(version);
        }
        if let Some(built_in) = self.built_in(name).filter(|built_in| built_in.digest == digest) {
            let version = self.load(name, digest, built_in.component, Origin::BuiltIn, Offered::default())?;
            self.keep(&slot, &version, built_in.component, false);
            return Ok(version);
        }
        if let Some((path, _, component)) = file.filter(|&(_, read, _)| read == digest) {
            let signature = SignatureFile::beside(&path).content;
            let offered = Offered { signature, known: None };
            let version = self.load(name, digest, &component, Origin::File(path), offered)?;
            self.keep(&slot, &version, &component, false);
            return Ok(version);
        }
        let file = archived.iter().find(|file| file.digest == digest).ok_or_else(unknown)?;
        self.load_archived(name, file)
    }

    /// A version in name only, for a plugin that can't be loaded: what it is compiled from is a built-in plugin.
    ///
    /// # Errors
    /// If the built-in plugin does not load.
    pub fn placeholder(&self, name: &str) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let unknown = || PluginStoreError::Unknown { name: name.to_owned() };
        let (&built_in, &BuiltIn { digest, component }) = self.built_in.iter().next().ok_or_else(unknown)?;
        let stand_in = self.load(built_in, digest, component, Origin::BuiltIn, Offered::default())?;
        let (compiled, name) = (stand_in.compiled.clone(), name.to_owned());
        // No component is empty.
        Ok(Arc::new(PluginVersion {
            name,
            digest: Digest::of(b""),
            compiled,
            bytes: 0,
            origin: Origin::BuiltIn,
            admission: Admission::new(true, None),
            verified: Mutex::default(),
        }))
    }

    /// Stores a component and its signature in the folder, and makes it the latest version of its plugin. It is loaded first, and the file
    /// is replaced atomically. [`rescan`](Self::rescan) does not report it.
    ///
    /// # Errors
    /// If the name is not valid, the component is not trusted, does not load or is of [another kind](Self::set_users) than is needed, or the
    /// folder can't be written. Nothing is changed then.
    pub fn put(
        &self,
        name: &str,
        component: &[u8],
        signature: Option<Signature>,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        self.put_offered(name, component, Offered::signed(signature))
    }

    pub(super) fn put_offered(
        &self,
        name: &str,
        component: &[u8],
        offered: Offered,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let version = self.check(name, component, offered)?;
        let path = self.file(name).ok_or(PluginStoreError::NoFolder)?;
        let slot = self.slot_of(name);
        let mut state = slot.file();
        let written = |path: &Path, bytes: &[u8]| {
            let failed = |source| PluginStoreError::Write { path: path.to_owned(), source: Arc::new(source) };
            folder::write(path, bytes).map_err(failed)
        };
        // The signature first: if this ends in between, the file before is admitted with what is kept of it.
        let beside = folder::signature(&path);
        if let Some(signature) = &version.admission.signature {
            written(&beside, signature.text().as_bytes())?;
        }
        let file = written(&path, component)?;
        if version.admission.signature.is_none() {
            // It was of the file before, if there is one.
            let _ = std::fs::remove_file(&beside);
        }
        self.keep(&slot, &version, component, true);
        slot.versions().set_latest(&version);
        let digest = version.digest;
        let seen = |stamp| Seen {
            stamp,
            signature: SignatureFile::beside(&path),
            is_settled: false,
            digest: Some(digest),
            outcome: Ok(Arc::clone(&version)),
        };
        *state = FileState {
            seen: Stamp::of_file(&file).ok().map(seen),
            known: Known::One(digest),
            exists: true,
            existed: true,
            unreported: None,
        };
        Ok(version)
    }

    /// Loads a component that is to be stored in the folder, and changes nothing.
    pub(super) fn check(
        &self,
        name: &str,
        component: &[u8],
        offered: Offered,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        if !is_plugin_name(name) {
            return Err(PluginStoreError::Name { name: name.to_owned() });
        }
        let path = self.file(name).ok_or(PluginStoreError::NoFolder)?;
        let version = self.load(name, Digest::of(component), component, Origin::File(path), offered)?;
        self.check_kind(name, &version.compiled)?;
        Ok(version)
    }

    /// The component of a version, if there is a copy on disk.
    pub(super) fn component(&self, name: &str, digest: Digest) -> Option<Vec<u8>> {
        if let Some(built_in) = self.built_in(name).filter(|built_in| built_in.digest == digest) {
            return Some(built_in.component.to_vec());
        }
        let file = self.archived(name).into_iter().find(|file| file.digest == digest)?;
        file.read(name, self.most_bytes(name)).ok()
    }

    /// Why the newest content of a plugin can't be used; `None` if it can.
    pub fn problem(&self, name: &str) -> Option<PluginStoreError> {
        let slot = self.slots().get(name).cloned()?;
        slot.versions().problem.clone()
    }

    /// What is odd about the newest version of a plugin, if it was loaded: see [`PluginVersion::remark`].
    pub fn remark(&self, name: &str) -> Option<String> {
        let slot = self.slots().get(name).cloned()?;
        let latest = slot.versions().latest.clone();
        latest?.remark()
    }

    /// The versions of a plugin that can be requested: the latest first, then by age, and last those that never were the latest.
    pub fn versions(&self, name: &str) -> Vec<ListedVersion> {
        let Ok(slot) = self.slot(name) else { return Vec::new() };
        let mut versions: Vec<ListedVersion> =
            self.listed(name, &slot, &self.archived(name)).into_values().collect();
        versions.sort_by_key(|version| std::cmp::Reverse((version.is_latest, version.since)));
        versions
    }

    fn listed(&self, name: &str, slot: &Slot, archived: &[ArchivedFile]) -> BTreeMap<Digest, ListedVersion> {
        let known = slot.versions();
        let mut versions = BTreeMap::new();
        let loaded = known.in_memory.iter().map(|in_memory| &in_memory.version).chain(&known.latest);
        let loaded: Vec<_> = loaded.map(|version| (version.digest, &version.admission)).collect();
        let keys = self.trusted_keys();
        let signed_by = |digest| {
            let admission = loaded.iter().find(|(of, _)| *of == digest);
            let admission = admission.map(|&(_, admission)| admission.clone());
            let signature = admission.or_else(|| self.kept_admission(name, digest))?.signature?;
            let trusted = keys.iter().find(|key| key.id() == signature.key());
            Some(trusted.map_or_else(|| signature.key().to_string(), ToString::to_string))
        };
        let mut list = |digest, bytes, since| {
            versions.entry(digest).or_insert_with(|| ListedVersion {
                digest,
                own_version: self.compiled.get(&digest).map(|compiled| own_version(&compiled).to_owned()),
                bytes,
                since,
                is_latest: known.latest.as_ref().is_some_and(|latest| latest.digest == digest),
                signed_by: signed_by(digest),
            });
        };
        for file in archived {
            list(file.digest, file.bytes, file.since);
        }
        for in_memory in &known.in_memory {
            list(in_memory.version.digest, in_memory.version.bytes as u64, in_memory.since);
        }
        if let Some(latest) = &known.latest {
            list(latest.digest, latest.bytes as u64, None);
        }
        if let Some(built_in) = self.built_in(name) {
            list(built_in.digest, built_in.component.len() as u64, None);
        }
        versions
    }

    /// Drops old versions: of each plugin all but the newest [`PluginStore::KEPT`], the latest, and those that are `in_use`.
    ///
    /// Files are removed only of plugins of which this store has archived another version since it was opened. So opening a store
    /// removes no version that a tenant, which is yet to be served, is pinned to.
    pub fn retain(&self, in_use: impl Fn(&Digest) -> bool) {
        let slots = self.slots().clone();
        let mut needed = HashSet::new();
        let mut latest_of = BTreeMap::new();
        for (name, slot) in slots {
            let mut versions = slot.versions();
            let latest = versions.latest.as_ref().map(|version| version.digest);
            let mut position = 0;
            versions.in_memory.retain(|in_memory| {
                position += 1;
                let digest = in_memory.version.digest;
                position <= Self::KEPT || latest == Some(digest) || in_use(&digest)
            });
            needed.extend(latest);
            needed.extend(versions.in_memory.iter().map(|in_memory| in_memory.version.digest));
            latest_of.insert(name, latest);
        }
        for (name, files) in self.archive.iter().flat_map(Archive::grown) {
            let latest = latest_of.get(&name).copied().flatten();
            let old = files.iter().skip(Self::KEPT);
            for file in old.filter(|file| latest != Some(file.digest) && !in_use(&file.digest)) {
                if let Err(error) = file.remove() {
                    warn!(file = %file.path.display(), %error, "an old version of a plugin can't be removed");
                }
            }
        }
        self.compiled.retain(|digest| needed.contains(digest) || in_use(digest));
    }

    /// Whether a version is the built-in one of this program.
    pub fn is_built_in(&self, version: &PluginVersion) -> bool {
        self.built_in(&version.name).is_some_and(|built_in| built_in.digest == version.digest)
    }

    pub(super) fn built_in(&self, name: &str) -> Option<BuiltIn> {
        self.built_in.get(name).copied()
    }

    /// The path of a plugin's file, whether or not it exists. `None` if no file can have this name.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        folder::file(self.dir()?, name)
    }

    pub(super) fn archived(&self, name: &str) -> Vec<ArchivedFile> {
        self.archive.as_ref().map(|archive| archive.of(name)).unwrap_or_default()
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock()
    }

    /// The slot of a plugin that exists or existed. A name that was only asked for gets none: anybody may ask for any name.
    fn slot(&self, name: &str) -> Result<Arc<Slot>, PluginStoreError> {
        if let Some(slot) = self.slots().get(name) {
            return Ok(Arc::clone(slot));
        }
        let is_file = || self.file(name).is_some_and(|path| !matches!(Stamp::at(&path), Ok(None)));
        if self.built_in(name).is_some() || is_file() || !self.archived(name).is_empty() {
            return Ok(self.slot_of(name));
        }
        Err(PluginStoreError::Unknown { name: name.to_owned() })
    }

    /// The slot of a plugin, created if it is missing.
    pub(super) fn slot_of(&self, name: &str) -> Arc<Slot> {
        Arc::clone(self.slots().entry(name.to_owned()).or_default())
    }
}

/// The names of the plugins that a store could serve: those that are built in or in the folder `dir`, which need not exist, and those
/// whose file was removed, but of which an earlier version is kept.
pub fn names(dir: Option<&Path>) -> BTreeSet<String> {
    let there = dir.map(|dir| folder::names(dir).into_iter().chain(archive::names(dir)));
    SHIPPED.iter().map(|plugin| plugin.name.to_owned()).chain(there.into_iter().flatten()).collect()
}

/// Whether a component may be stored under this name.
pub fn is_plugin_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

pub(super) fn short<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> String {
    digests.into_iter().map(Digest::short).collect::<Vec<_>>().join(", ")
}
