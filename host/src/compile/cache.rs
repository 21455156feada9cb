//! A cache of machine code on disk.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::seal;
use crate::limits::Limits;

/// The version of the files' format, and of the checks that a component has passed when it is in the cache.
const FORMAT: u32 = 1;
/// The most bytes of all files.
const MOST: u64 = 512 << 20;
/// The prefix of files that are being written.
const INCOMING: &str = ".incoming-";
/// An older one was left by a process that ended while it wrote.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A folder of compiled plugins. With it, a plugin that was compiled before loads in about a millisecond, also after a
/// restart.
///
/// A file holds machine code, which the process executes. So each is sealed: it begins with a tag (HMAC-SHA256) by a key
/// that only the embedder knows, and is read as a whole and verified before it is used. A file with another tag is
/// ignored and replaced. Files are written durably, with access for their owner only. The least recently used ones are
/// removed when all together exceed 512 MiB.
#[derive(Clone)]
pub struct ArtefactCache {
    dir: PathBuf,
    key: [u8; 32],
    warn: Arc<dyn Fn(&CacheProblem) + Send + Sync>,
}

/// A problem of the cache. Plugins load all the same, by being compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheProblem {
    /// A file does not have the tag of the key.
    #[error("the compiled plugin {} is damaged, or was made by somebody else: it is compiled again", .0.display())]
    Forged(PathBuf),
    /// A file can't be read.
    #[error("the compiled plugin {} can't be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file can't be written.
    #[error("the compiled plugin {} can't be kept", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// The place of a component in the cache, for the engine and the limits with which it is compiled.
pub(crate) struct Entry {
    name: String,
    /// What the tag vouches for besides the machine code.
    context: Vec<u8>,
}

impl Entry {
    pub(crate) fn of(engine: &wasmtime::Engine, component: &[u8], limits: &Limits) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // What is in the cache is not checked again.
        format!("{FORMAT} {} {:?}", env!("CARGO_PKG_VERSION"), limits.compiling).hash(&mut hasher);
        let digest: String = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{digest}-{:016x}-{FORMAT}", hasher.finish());
        let context = [b"portcullis cache of compiled components\0", name.as_bytes()].concat();
        Entry { name, context }
    }

    /// The digest of the component, in hexadecimal digits.
    pub(crate) fn digest(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }
}

impl ArtefactCache {
    /// Uses a folder, which is created when the first file is written.
    ///
    /// The key must be secret, and the same whenever this folder is used. Derive it from a key that is kept elsewhere.
    pub fn open(dir: impl Into<PathBuf>, key: [u8; 32]) -> Self {
        let dir = dir.into();
        sweep(&dir);
        ArtefactCache { dir, key, warn: Arc::new(|_| {}) }
    }

    /// Calls `warn` with each problem.
    #[must_use]
    pub fn on_problem(mut self, warn: impl Fn(&CacheProblem) + Send + Sync + 'static) -> Self {
        self.warn = Arc::new(warn);
        self
    }

    /// The machine code of a component, if it is there.
    pub(crate) fn find(&self, entry: &Entry, limits: &Limits) -> Option<Vec<u8>> {
        let path = self.dir.join(&entry.name);
        let mut bytes = match read(&path, limits.compiled_bytes.saturating_add(seal::TAG)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                (self.warn)(&CacheProblem::Read(path, error));
                return None;
            }
        };
        let genuine = bytes
            .split_at_checked(seal::TAG)
            .is_some_and(|(tag, artefact)| seal::is_genuine(&self.key, &entry.context, artefact, tag));
        if !genuine {
            (self.warn)(&CacheProblem::Forged(path));
            return None;
        }
        // It was used, so it is not among the first to be removed. If that fails, it is compiled again some day.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        bytes.drain(..seal::TAG);
        Some(bytes)
    }

    /// Keeps the machine code of a component.
    pub(crate) fn keep(&self, entry: &Entry, artefact: &[u8]) {
        let path = self.dir.join(&entry.name);
        let tag = seal::tag(&self.key, &entry.context, artefact);
        if let Err(error) = write(&self.dir, &path, &tag, artefact) {
            (self.warn)(&CacheProblem::Write(path, error));
        }
        self.make_room(&entry.name);
    }

    /// Removes the least recently used files, but not the one of this name, until all are within the limit.
    fn make_room(&self, but: &str) {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut files: Vec<_> = files
            .filter_map(|file| {
                let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((metadata.modified().ok()?, metadata.len(), file.path()))
            })
            .collect();
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, length, path) in files {
            if bytes <= MOST {
                break;
            }
            let is_kept = path.file_name().is_some_and(|name| name == but);
            if !is_kept && fs::remove_file(path).is_ok() {
                bytes -= length;
            }
        }
    }
}

impl std::fmt::Debug for ArtefactCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtefactCache").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Reads a file of at most `most` bytes.
fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Of the path, as opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take((most as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() > most {
        true => Err(io::Error::other("it is too large")),
        false => Ok(bytes),
    }
}

/// Writes a file atomically and durably, with access for its owner only.
fn write(dir: &Path, path: &Path, tag: &[u8], artefact: &[u8]) -> io::Result<()> {
    create(dir)?;
    // Such files have mode 0600.
    let mut file = tempfile::Builder::new().prefix(INCOMING).tempfile_in(dir)?;
    file.write_all(tag)?;
    file.write_all(artefact)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(dir)?.sync_all()
}

fn create(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// Removes files that a process left unfinished when it ended.
fn sweep(dir: &Path) {
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = file.file_name().to_str().is_some_and(|name| name.starts_with(INCOMING));
        let modified = || file.metadata().and_then(|metadata| metadata.modified()).ok();
        if is_ours && modified().is_some_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED)) {
            // If that fails: it is ignored anyway.
            let _ = fs::remove_file(file.path());
        }
    }
}
