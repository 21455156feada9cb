//! The archive: copies of earlier versions on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::admission;
use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder;

/// In the folder of plugins.
const FOLDER: &str = ".versions";
/// A file `NAME@HEX.admitted` beside a version says how it was admitted.
const ADMITTED: &str = "admitted";

/// The folder `.versions` in the folder of plugins. A file `NAME@HEX.wasm` is a version of the plugin NAME, and HEX the digest of its
/// bytes. Its modification time is when it last became the latest version; zero if it never did.
///
/// Files are copies, not links: overwriting `NAME.wasm` in place must not overwrite an earlier version. Only one process may use the
/// folder, as another one would not know which versions are in use.
pub(super) struct Archive {
    dir: PathBuf,
    /// The plugins of which this process has added a version.
    added: Mutex<BTreeSet<String>>,
}

/// A file in the archive.
#[derive(Clone, Debug)]
pub(super) struct ArchivedFile {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// As [`ListedVersion::since`](super::ListedVersion).
    pub(super) since: Option<Timestamp>,
}

/// Two versions may become the latest within one step of the clock.
const STEP: Duration = Duration::from_millis(1);

impl Archive {
    pub(super) fn new(plugins: &Path) -> Self {
        let dir = plugins.join(FOLDER);
        folder::sweep(&dir);
        Archive { dir, added: Mutex::default() }
    }

    /// All versions of all plugins, the newest first.
    pub(super) fn all(&self) -> BTreeMap<String, Vec<ArchivedFile>> {
        let mut all: BTreeMap<String, Vec<ArchivedFile>> = BTreeMap::new();
        for file in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = file.path();
            let (Some((name, digest)), Ok(metadata)) = (parse(&path), file.metadata()) else { continue };
            let modified = metadata.modified().ok().filter(|&at| at > SystemTime::UNIX_EPOCH);
            let since = modified.and_then(|at| Timestamp::try_from(at).ok());
            all.entry(name).or_default().push(ArchivedFile { digest, path, bytes: metadata.len(), since });
        }
        for files in all.values_mut() {
            files.sort_by_key(|file| std::cmp::Reverse(file.since));
        }
        all
    }

    /// The versions of one plugin, the newest first.
    pub(super) fn of(&self, name: &str) -> Vec<ArchivedFile> {
        self.all().remove(name).unwrap_or_default()
    }

    /// All versions of the plugins of which this process has added one, the newest first.
    ///
    /// The others have as many versions as before. Removing some would gain nothing, and might remove one that a tenant is pinned to
    /// which is yet to be served.
    pub(super) fn grown(&self) -> BTreeMap<String, Vec<ArchivedFile>> {
        let added = self.added.lock();
        let mut all = self.all();
        all.retain(|name, _| added.contains(name));
        all
    }

    /// Adds a version with its sealed admission, and notes that it is the latest one if `is_latest`.
    pub(super) fn add(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
        admission: &str,
        is_latest: bool,
    ) -> io::Result<()> {
        let files = self.of(name);
        let path = self.path(name, digest);
        // First, so that no version lacks it.
        if self.admission(name, digest).as_deref() != Some(admission.as_bytes()) {
            folder::write(&path.with_extension(ADMITTED), admission.as_bytes())?;
        }
        // A damaged copy is replaced.
        let is_there = files.iter().any(|file| file.digest == digest)
            && folder::read(&path, component.len()).is_ok_and(|content| content.bytes == component);
        let first = files.first();
        let is_first = first.is_some_and(|file| file.digest == digest && file.since.is_some());
        let file = match is_there {
            true if is_first || !is_latest => return Ok(()),
            true => File::open(&path)?,
            false => {
                self.added.lock().insert(name.to_owned());
                folder::write(&path, component)?
            }
        };
        let modified = match is_latest {
            false => SystemTime::UNIX_EPOCH,
            // The clock may have been set back.
            true => {
                let before = first.and_then(|file| file.since).map(|since| SystemTime::from(since) + STEP);
                before.map_or_else(SystemTime::now, |before| before.max(SystemTime::now()))
            }
        };
        file.set_modified(modified)?;
        file.sync_all()
    }

    /// The sealed admission of a version, if there is one.
    pub(super) fn admission(&self, name: &str, digest: Digest) -> Option<Vec<u8>> {
        let path = self.path(name, digest).with_extension(ADMITTED);
        // With the digits of its seal.
        folder::read(&path, admission::MOST_BYTES + 128).ok().map(|content| content.bytes)
    }

    fn path(&self, name: &str, digest: Digest) -> PathBuf {
        self.dir.join(format!("{name}@{}.wasm", digest.hex()))
    }
}

impl ArchivedFile {
    /// Removes the file, and how it was admitted.
    pub(super) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        // Alone it is of no use, and does no harm.
        let _ = std::fs::remove_file(self.path.with_extension(ADMITTED));
        Ok(())
    }

    /// Reads the file, and checks its digest.
    pub(super) fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, PluginStoreError> {
        let path = || self.path.clone();
        let content = folder::read(&self.path, limit).map_err(|source| PluginStoreError::File {
            name: name.to_owned(),
            path: path(),
            source,
        })?;
        if Digest::of(&content.bytes) != self.digest {
            return Err(PluginStoreError::Tampered { path: path() });
        }
        Ok(content.bytes)
    }
}

/// The names of the plugins of which a folder of plugins has a version in its archive.
pub(super) fn names(plugins: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(plugins.join(FOLDER)).into_iter().flatten().flatten();
    files.filter_map(|file| parse(&file.path())).map(|(name, _)| name).collect()
}

fn parse(path: &Path) -> Option<(String, Digest)> {
    let (name, hex) = path.file_stem()?.to_str()?.rsplit_once('@')?;
    let is_version = path.extension()? == "wasm" && !name.starts_with('.');
    is_version.then_some((name.to_owned(), Digest::from_hex(hex)?))
}
