//! The folder of plugins: a file `NAME.wasm` is the plugin NAME.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The prefix of files that are being written. Files that begin with a dot are ignored.
const INCOMING: &str = ".incoming-";
/// An older file was left by a process that ended while it wrote.
const ABANDONED: Duration = Duration::from_secs(3600);
/// The most bytes of a name: a file name must have room for it and a digest.
const MAX_NAME: usize = 180;
/// The coarsest resolution of a file system's timestamps. A file can change again within the step in which it was read, with the
/// same timestamps.
const STEP: Duration = Duration::from_secs(2);

/// An error of reading a plugin's file.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system reported an error.
    #[error("it can't be read")]
    Read(#[source] Arc<io::Error>),
    /// It is a folder, a pipe or a device.
    #[error("it is not a file")]
    NotAFile,
    /// It is larger than any plugin may be.
    #[error("it has {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// Its size, in bytes.
        bytes: u64,
        /// The largest size that is allowed, in bytes.
        limit: usize,
    },
    /// It changed while it was read.
    #[error("it is being written: try again when that is done")]
    Changing,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        FileError::Read(Arc::new(error))
    }
}

/// The metadata that tells whether a file changed. Another stamp may still be the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Unlike the modification time, programs can't set this one.
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of the file at this path; `None` if there is none.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    /// Whether a change after `now` shows in the stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        // A time before 1970 is long ago.
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(changed) + STEP < now
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The content of a file.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) stamp: Stamp,
    /// Whether the same stamp means the same content from now on.
    pub(super) is_settled: bool,
}

/// Reads a file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: usize) -> Result<Content, FileError> {
    // Of the path, as opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    if metadata.size() > limit as u64 {
        return Err(FileError::TooLarge { bytes: metadata.size(), limit });
    }
    let file = File::open(path)?;
    let now = SystemTime::now();
    let stamp = Stamp::of_file(&file)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or(limit));
    (&file).take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != stamp.bytes || Stamp::of_file(&file)? != stamp {
        return Err(FileError::Changing);
    }
    Ok(Content { bytes, stamp, is_settled: stamp.is_settled(now) })
}

/// Writes a file atomically and durably.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let dir = path.parent().unwrap_or(Path::new(""));
    create(dir)?;
    let mut file = tempfile::Builder::new()
        .prefix(INCOMING)
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(here(dir))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let file = file.persist(path)?;
    sync(dir)?;
    Ok(file)
}

/// Creates a folder and its parents, durably.
fn create(dir: &Path) -> io::Result<()> {
    if here(dir).is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new(""));
    create(parent)?;
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync(parent),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(here(dir))?.sync_all()
}

/// The parent of a bare file name is the current folder.
fn here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

/// Removes files that a process left unfinished when it ended.
pub(super) fn sweep(dir: &Path) {
    for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = file.file_name().to_str().is_some_and(|name| name.starts_with(INCOMING));
        let modified = || file.metadata().and_then(|metadata| metadata.modified()).ok();
        if is_ours && modified().is_some_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED)) {
            // If that fails: it is ignored anyway.
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// The names of the plugins in a folder. There are none if it is missing or can't be read.
pub(super) fn names(dir: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| name(&file.path()).map(str::to_owned)).collect()
}

/// The stamps of the plugins in a folder, and of their signatures.
pub(super) fn stamps(dir: &Path) -> BTreeMap<String, [Option<Stamp>; 2]> {
    let at = |path: &Path| Stamp::at(path).ok().flatten();
    let stamp = |name: String| {
        let stamps = file(dir, &name).map_or([None; 2], |path| [at(&path), at(&signature(&path))]);
        (name, stamps)
    };
    names(dir).into_iter().map(stamp).collect()
}

/// Where the signature of a plugin's file is.
pub(super) fn signature(file: &Path) -> PathBuf {
    file.with_extension("wasm.minisig")
}

/// The path of a plugin's file, whether or not it exists. `None` if no file can have this name.
pub(super) fn file(dir: &Path, name: &str) -> Option<PathBuf> {
    let path = dir.join(format!("{name}.wasm"));
    (!name.contains(['/', '\0']) && self::name(&path) == Some(name)).then_some(path)
}

/// The name of the plugin in this file; `None` if it is not a plugin.
fn name(path: &Path) -> Option<&str> {
    let name = path.file_stem()?.to_str()?;
    let is_plugin = path.extension()? == "wasm" && !name.starts_with('.') && name.len() <= MAX_NAME;
    is_plugin.then_some(name)
}
