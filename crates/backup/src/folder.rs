//! The folder of a backup that is being made.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use portcullis_keys::MasterKey;

use crate::error::BackupError;
use crate::files::{self, Sum, beside, folder_of, sync_folder};
use crate::manifest::{self, FilePath, MANIFEST, Manifest, SEAL};

/// In a folder that is not finished. By it, what an interrupted backup left is told from other folders.
const MARK: &str = "unfinished";

/// The folder of a backup that is being made, under the name `….partial`. Dropping it removes it, unless it was
/// [finished](Self::finish).
///
/// A process that is killed leaves it, without a manifest or under that name. The next backup of the same name removes it.
pub(crate) struct Folder {
    path: PathBuf,
    target: PathBuf,
    files: Vec<manifest::File>,
    is_finished: bool,
    /// Locked until this is dropped.
    _lock: File,
}

impl Folder {
    /// Creates the folder of a backup that gets this name, which must be free.
    pub(crate) fn create(target: &Path) -> Result<Self, BackupError> {
        if target.file_name().is_none() {
            return Err(BackupError::NoName { path: target.to_owned() });
        }
        // Without the slash at its end, and wherever the process goes.
        let target = std::path::absolute(target).map_err(BackupError::disk("find", target))?;
        let target = target.components().collect::<PathBuf>();
        if fs::symlink_metadata(&target).is_ok() {
            return Err(BackupError::Exists { path: target });
        }
        let path = beside(&target, ".partial");
        if fs::symlink_metadata(&path).is_ok() {
            remove_left(&path)?;
        }
        // Not those above it: a disk that is not mounted must not be taken for an empty one.
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(BackupError::disk("create the folder", &path))?;
        let lock = lock(&path)?;
        let folder = Folder { path, target, files: Vec::new(), is_finished: false, _lock: lock };
        files::write(&folder.path.join(MARK), b"")?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Copies all files of a folder that have such names, with those of its folders. `depth` says how deep.
    pub(crate) fn add_folder(
        &mut self,
        name: &str,
        source: &Path,
        depth: u32,
        is_wanted: impl Fn(&str) -> bool,
        mut copied: impl FnMut(u64),
    ) -> Result<(), BackupError> {
        for file in files::listed(source, depth)?.into_iter().filter(|file| is_wanted(file)) {
            copied(self.add(&format!("{name}/{file}"), &source.join(&file))?);
        }
        Ok(())
    }

    /// Copies a file, unless it was removed meanwhile. Returns its length.
    fn add(&mut self, name: &str, source: &Path) -> Result<u64, BackupError> {
        let from = match File::open(source) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened.map_err(BackupError::disk("read", source))?,
        };
        let metadata = from.metadata().map_err(BackupError::disk("read", source))?;
        let path = file_path(name, source)?;
        let to = path.within(&self.path);
        files::make_folder(folder_of(&to))?;
        let sum = files::copy(&from, source, &to)?;
        let bytes = sum.bytes;
        let modified = metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        self.note(path, sum, modified.unwrap_or(Timestamp::UNIX_EPOCH));
        Ok(bytes)
    }

    /// Writes a file with this content.
    pub(crate) fn add_content(&mut self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        let to = self.path.join(name);
        files::write(&to, content)?;
        self.add_written(name)
    }

    /// Notes a file that was written into the folder, and makes it durable.
    pub(crate) fn add_written(&mut self, name: &str) -> Result<(), BackupError> {
        let path = self.path.join(name);
        let sum = files::sum(&path, |_| {})?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(BackupError::disk("flush", &path))?;
        self.note(file_path(name, &path)?, sum, Timestamp::now());
        Ok(())
    }

    fn note(&mut self, path: FilePath, sum: Sum, modified: Timestamp) {
        self.files.push(manifest::File { path, bytes: sum.bytes, sha256: sum.sha256, modified });
    }

    /// What was added, for the manifest.
    pub(crate) fn files(&self) -> Vec<manifest::File> {
        let mut files = self.files.clone();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }

    /// Writes the manifest, makes everything durable, and gives the folder its name.
    pub(crate) fn finish(mut self, manifest: &Manifest, key: &MasterKey) -> Result<(), BackupError> {
        let mut text = serde_json::to_vec_pretty(manifest)
            .map_err(|error| BackupError::Manifest { path: self.path.clone(), what: error.to_string() })?;
        text.push(b'\n');
        files::write(&self.path.join(SEAL), format!("{}\n", manifest::seal(key, &text)?).as_bytes())?;
        files::write(&self.path.join(MANIFEST), &text)?;
        let mut folders: Vec<PathBuf> =
            manifest.files.iter().map(|file| folder_of(&file.path.within(&self.path)).to_owned()).collect();
        // Folders are named in others.
        for folder in folders.clone() {
            let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.path));
            folders.extend(above.map(Path::to_owned));
        }
        folders.sort();
        folders.dedup();
        for folder in folders.iter().filter(|folder| **folder != self.path) {
            sync_folder(folder)?;
        }
        let mark = self.path.join(MARK);
        fs::remove_file(&mark).map_err(BackupError::disk("remove", &mark))?;
        sync_folder(&self.path)?;
        fs::rename(&self.path, &self.target).map_err(BackupError::disk("rename", &self.path))?;
        self.is_finished = true;
        sync_folder(folder_of(&self.target))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_finished {
            // After an error, such as that of a full disk, which needs the room.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn file_path(name: &str, source: &Path) -> Result<FilePath, BackupError> {
    FilePath::try_from(name.to_owned()).map_err(|_| BackupError::Name { path: source.to_owned() })
}

fn lock(path: &Path) -> Result<File, BackupError> {
    let folder = File::open(path).map_err(BackupError::disk("open", path))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(BackupError::disk("lock", path)(error)),
    }
}

/// Removes what an interrupted backup left.
fn remove_left(path: &Path) -> Result<(), BackupError> {
    let in_the_way = || BackupError::InTheWay { path: path.to_owned() };
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(in_the_way());
    }
    let _lock = lock(path)?;
    let is_empty = fs::read_dir(path).is_ok_and(|mut files| files.next().is_none());
    if !is_empty && ![MARK, MANIFEST].iter().any(|name| path.join(name).is_file()) {
        return Err(in_the_way());
    }
    fs::remove_dir_all(path).map_err(BackupError::disk("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_interrupted_is_removed_and_what_is_being_written_or_somebody_s_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("backup");
        let partial = folder.path().join("backup.partial");
        let first = Folder::create(&target).unwrap();
        assert!(matches!(Folder::create(&target), Err(BackupError::Busy { .. })));
        drop(first);
        assert!(!partial.exists());
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("letter"), "mine").unwrap();
        assert!(matches!(Folder::create(&target), Err(BackupError::InTheWay { .. })));
        fs::write(partial.join(MARK), "").unwrap();
        Folder::create(&target).unwrap();
        fs::create_dir(&target).unwrap();
        assert!(matches!(Folder::create(&target), Err(BackupError::Exists { .. })));
        assert!(matches!(Folder::create(Path::new("/")), Err(BackupError::NoName { .. })));
        let nowhere = folder.path().join("not mounted/backup");
        assert!(matches!(Folder::create(&nowhere), Err(BackupError::Disk { .. })));
    }
}
