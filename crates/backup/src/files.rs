//! Files: finding, copying and flushing them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::BackupError;
use crate::manifest::hex;

/// How much is copied at once.
const PIECE: usize = 256 << 10;
/// How names begin or end of files that are being written.
const UNFINISHED: [&str; 3] = [".tmp", ".unfinished", ".new"];
const INCOMING: &str = ".incoming-";

/// The path with this suffix, such as `ledger.db-wal`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BackupError::disk("flush", folder))
}

/// Creates a folder for its owner only, with those above it, unless it exists.
pub(crate) fn make_folder(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(BackupError::disk("create the folder", path))
}

/// Creates a file for its owner only, which must not exist.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a new file for its owner only, durably.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), BackupError> {
    let written = create(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(BackupError::disk("write", path))
}

/// Length and SHA-256 of what was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Reads to the end, and passes on each piece.
fn each_piece(mut from: impl Read, mut pass_on: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Sum> {
    let (mut piece, mut digest, mut bytes) = (vec![0; PIECE], Sha256::new(), 0);
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return Ok(Sum { bytes, sha256: hex(&digest.finalize()) }),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = piece.get(..length).unwrap_or_default();
        digest.update(read);
        bytes += length as u64;
        pass_on(read)?;
    }
}

/// Reads a file. `read` is told how many bytes of it were read.
pub(crate) fn sum(path: &Path, mut read: impl FnMut(u64)) -> Result<Sum, BackupError> {
    let file = File::open(path).map_err(BackupError::disk("read", path))?;
    let summed = each_piece(file, |piece| {
        read(piece.len() as u64);
        Ok(())
    });
    summed.map_err(BackupError::disk("read", path))
}

/// Copies what a file has now into a new file, durably. What is appended meanwhile is left out.
pub(crate) fn copy(from: &File, source: &Path, to: &Path) -> Result<Sum, BackupError> {
    let length = from.metadata().map_err(BackupError::disk("read", source))?.len();
    let mut file = create(to).map_err(BackupError::disk("create", to))?;
    let mut failed = None;
    let copied = each_piece(from.take(length), |piece| {
        file.write_all(piece).map_err(|error| {
            let kind = error.kind();
            failed = Some(error);
            kind.into()
        })
    });
    match (copied, failed) {
        (_, Some(error)) => Err(BackupError::disk("write", to)(error)),
        (Err(error), None) => Err(BackupError::disk("read", source)(error)),
        (Ok(sum), None) => {
            file.sync_all().map_err(BackupError::disk("flush", to))?;
            Ok(sum)
        }
    }
}

/// The files in a folder and in folders of it, `depth` deep, as paths from it with `/`, in order; none if there is no such folder. Files
/// that are being written are left out.
pub(crate) fn listed(folder: &Path, depth: u32) -> Result<Vec<String>, BackupError> {
    let mut found = Vec::new();
    list(folder, "", depth, &mut found)?;
    found.sort();
    Ok(found)
}

fn list(folder: &Path, prefix: &str, depth: u32, found: &mut Vec<String>) -> Result<(), BackupError> {
    let entries = match fs::read_dir(folder) {
        // It may have been removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(BackupError::disk("read the folder", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(BackupError::disk("read the folder", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| BackupError::Name { path: path.clone() })?;
        if name.starts_with(INCOMING) || UNFINISHED.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let name = format!("{prefix}{name}");
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => found.push(name),
            Ok(metadata) if metadata.is_dir() && depth > 0 => {
                list(&path, &format!("{name}/"), depth - 1, found)?;
            }
            // Neither, or it was removed meanwhile.
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_as_deep_as_asked_for_without_those_that_are_being_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b/c", "b/d/e", "f.tmp", ".incoming-1", "b/.incoming-2"] {
            let path = folder.path().join(name);
            make_folder(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        assert_eq!(listed(folder.path(), 0).unwrap(), ["a"]);
        assert_eq!(listed(folder.path(), 1).unwrap(), ["a", "b/c"]);
        assert_eq!(listed(folder.path(), 2).unwrap(), ["a", "b/c", "b/d/e"]);
        assert!(listed(&folder.path().join("nowhere"), 1).unwrap().is_empty());
    }

    #[test]
    fn a_copy_has_the_sum_of_the_file_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::write(&from, vec![7; PIECE + 1]).unwrap();
        let copied = copy(&File::open(&from).unwrap(), &from, &to).unwrap();
        let mut read = 0;
        assert_eq!(copied, sum(&to, |bytes| read += bytes).unwrap());
        assert_eq!((read, copied.bytes), (PIECE as u64 + 1, PIECE as u64 + 1));
        assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap());
        assert!(copy(&File::open(&from).unwrap(), &from, &to).is_err());
    }
}
