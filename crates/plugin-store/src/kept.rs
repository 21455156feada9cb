//! Versions on disk, by name and content, so that one from before can be had again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder;

/// The folder `.versions` in the folder of plugins: a file `NAME@HEX.wasm` is a version of the plugin NAME, and HEX the digest
/// of its bytes. When it was modified is when it last became the newest of its name; zero where it never did.
///
/// A copy, never a link: whoever writes over `NAME.wasm` in place must not write over what is kept. One gateway has the
/// folder to itself: another that shared it would not know which versions the first one needs.
pub(super) struct Kept {
    dir: PathBuf,
}

/// One file of it.
#[derive(Clone, Debug)]
pub(super) struct KeptFile {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// As [`ListedVersion::since`](super::ListedVersion).
    pub(super) since: Option<Timestamp>,
}

impl Kept {
    pub(super) fn new(plugins: &Path) -> Self {
        let dir = plugins.join(".versions");
        folder::sweep(&dir);
        Kept { dir }
    }

    /// All versions of all plugins, the newest first.
    pub(super) fn all(&self) -> BTreeMap<String, Vec<KeptFile>> {
        let mut all: BTreeMap<String, Vec<KeptFile>> = BTreeMap::new();
        for file in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = file.path();
            let (Some((name, digest)), Ok(metadata)) = (parse(&path), file.metadata()) else { continue };
            let modified = metadata.modified().ok().filter(|&at| at > SystemTime::UNIX_EPOCH);
            let since = modified.and_then(|at| Timestamp::try_from(at).ok());
            all.entry(name).or_default().push(KeptFile { digest, path, bytes: metadata.len(), since });
        }
        for files in all.values_mut() {
            files.sort_by_key(|file| std::cmp::Reverse(file.since));
        }
        all
    }

    /// The versions of one plugin, the newest first.
    pub(super) fn of(&self, name: &str) -> Vec<KeptFile> {
        self.all().remove(name).unwrap_or_default()
    }

    /// Keeps a version, and writes down that it is the newest of its name, where it is.
    pub(super) fn keep(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
        is_newest: bool,
    ) -> io::Result<()> {
        let files = self.of(name);
        let path = self.dir.join(format!("{name}@{}.wasm", digest.hex()));
        // Looked into, as there is a better copy at hand should it be damaged.
        let is_there = files.iter().any(|file| file.digest == digest)
            && folder::read(&path, component.len()).is_ok_and(|content| content.bytes == component);
        let is_first = files.first().is_some_and(|file| file.digest == digest && file.since.is_some());
        let file = match is_there {
            true if is_first || !is_newest => return Ok(()),
            true => File::open(&path)?,
            false => folder::write(&path, component)?,
        };
        file.set_modified(if is_newest { SystemTime::now() } else { SystemTime::UNIX_EPOCH })?;
        file.sync_all()
    }
}

impl KeptFile {
    /// The bytes of the version, which are those it is named after.
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

fn parse(path: &Path) -> Option<(String, Digest)> {
    let (name, hex) = path.file_stem()?.to_str()?.rsplit_once('@')?;
    let is_version = path.extension()? == "wasm" && !name.starts_with('.');
    is_version.then_some((name.to_owned(), Digest::from_hex(hex)?))
}
