//! The file of a master key that is in use.

use std::fs::{self, File, Metadata};
use std::io::Seek as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::master::{KeyError, MasterKey};

/// The file of a master key that is in use. Tells whether it still holds the key: if it does not, what is written from then on can
/// be read only as long as the process has the key in memory.
///
/// Does not keep the key, but what is derived from it, and the file open.
pub struct KeyFile {
    path: PathBuf,
    /// By this the key is known again.
    print: Zeroizing<[u8; 32]>,
    /// The file that held the key. If it is removed, it can still be copied.
    held: Option<File>,
    /// How it was then. If it is that way, it need not be read again.
    settled: Option<Stamp>,
}

/// By this it is noticed that a file was replaced or written to, or that its mode was changed: its device, number and length, and
/// when it was changed.
type Stamp = (u64, u64, u64, i64, i64);

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec())
}

/// Whether a later change has another time: the clock of a file system may tick some milliseconds apart, or seconds.
fn is_settled(metadata: &Metadata) -> bool {
    let changed = u64::try_from(metadata.ctime()).unwrap_or_default();
    SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|now| now.as_secs() > changed + 2)
}

impl KeyFile {
    /// The file at this path, from which the key was loaded.
    pub fn new(path: &Path, key: &MasterKey) -> Self {
        // The working directory may change.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        KeyFile { path, print: print(key), held: None, settled: None }
    }

    /// Checks whether the file holds the key, so that it can be loaded again. Costs a call of the system unless the
    /// file changed lately. A pipe is not read again.
    ///
    /// # Errors
    /// [`KeyError::Another`], or why the key can't be loaded from the file.
    pub fn check(&mut self) -> Result<(), KeyError> {
        // Before the file is read: the next call notices a change in between.
        let found = fs::metadata(&self.path).ok();
        if found.as_ref().is_some_and(|found| Some(stamp(found)) == self.settled) {
            return Ok(());
        }
        if found.as_ref().is_some_and(|found| !found.is_file() && !found.is_dir()) {
            // A pipe can be read only once.
            return Ok(());
        }
        let (file, key) = MasterKey::open(&self.path)?;
        if print(&key) != self.print {
            return Err(KeyError::Another { path: self.path.clone() });
        }
        self.held = Some(file);
        self.settled = found.filter(is_settled).map(|found| stamp(&found));
        Ok(())
    }

    /// Where the key can still be copied from as long as this process runs, and to, if the file was removed or replaced. Under
    /// Linux, a process finds the files that it has open in `/proc`.
    pub fn rescue(&self) -> Option<(PathBuf, PathBuf)> {
        let mut file = self.held.as_ref()?;
        let own = file.metadata().ok()?;
        if fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            return None;
        }
        // Somebody may have written to it before it was removed.
        file.rewind().ok()?;
        let key = MasterKey::read(file, &self.path).ok()?;
        let from = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        (print(&key) == self.print && from.exists()).then(|| (from, self.path.clone()))
    }
}

fn print(key: &MasterKey) -> Zeroizing<[u8; 32]> {
    key.derive("key file")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    /// A new key file in a folder, and another one.
    fn files() -> (TempDir, PathBuf, KeyFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let (key, _) = MasterKey::from_env_or_file(None, &path, true).unwrap();
        MasterKey::from_env_or_file(None, &folder.path().join("other.key"), true).unwrap();
        let mut file = KeyFile::new(&path, &key);
        file.check().unwrap();
        assert_eq!(file.rescue(), None);
        (folder, path, file)
    }

    #[test]
    fn a_file_that_was_removed_or_replaced_is_noticed_and_can_be_copied_back() {
        for replaces in [false, true] {
            let (folder, path, mut file) = files();
            match replaces {
                false => fs::remove_file(&path).unwrap(),
                true => fs::rename(folder.path().join("other.key"), &path).unwrap(),
            }
            for _ in 0..2 {
                match file.check() {
                    Err(KeyError::Missing { .. }) => assert!(!replaces),
                    Err(KeyError::Another { .. }) => assert!(replaces),
                    checked => panic!("{checked:?}"),
                }
            }
            let (from, to) = file.rescue().unwrap();
            let copy = fs::read(from).unwrap();
            // It is new, and so is kept to its owner.
            fs::remove_file(&to).unwrap_or_default();
            fs::write(&to, copy).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
            file.check().unwrap();
            assert_eq!(file.rescue(), None);
        }
    }

    #[test]
    fn a_file_that_was_altered_in_place_is_noticed_and_is_no_rescue() {
        let (folder, path, mut file) = files();
        let before = fs::read(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(matches!(file.check(), Err(KeyError::Length { found: 0, .. })));
        fs::write(&path, fs::read(folder.path().join("other.key")).unwrap()).unwrap();
        assert!(matches!(file.check(), Err(KeyError::Another { .. })));
        assert_eq!(file.rescue(), None);
        fs::rename(&path, folder.path().join("aside.key")).unwrap();
        assert!(matches!(file.check(), Err(KeyError::Missing { .. })));
        assert_eq!(file.rescue(), None, "it holds another key");
        fs::rename(folder.path().join("aside.key"), &path).unwrap();
        fs::write(&path, before).unwrap();
        file.check().unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(file.check(), Err(KeyError::Exposed { .. })), "a start would refuse it");
    }
}
