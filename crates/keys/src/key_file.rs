//! The file of a master key that is in use.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::master::{KeyError, KeyOrigin, MasterKey};
use crate::replace::{beside, replace};
use crate::ring::Fingerprint;

/// The file of a master key that is in use. Tells whether it still holds the key: if it does not, what is written from then on can
/// be read only as long as the process has the key in memory.
///
/// While the key is exchanged for another one, the file holds both, one a line: that in use, and then the new one.
///
/// Keeps the file open.
pub struct KeyFile {
    path: PathBuf,
    key: MasterKey,
    /// The file that held the key. If it is removed, it can still be copied.
    held: Option<File>,
    /// How it was then, and which key was in use. If that is so, it need not be read again.
    settled: Option<(Stamp, Fingerprint)>,
}

/// The file of the key that was in use before, beside that of the key in use.
const PREVIOUS: &str = ".previous";

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
        KeyFile { path, key: key.clone(), held: None, settled: None }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks whether the file holds the key in use, so that it can be loaded again. If it holds another one besides, that is known
    /// from then on. Costs a call of the system unless the file changed lately. A pipe is not read again.
    ///
    /// # Errors
    /// [`KeyError::Another`], or why the key can't be loaded from the file.
    pub fn check(&mut self) -> Result<(), KeyError> {
        // Before the file is read: the next call notices a change in between.
        let found = fs::metadata(&self.path).ok();
        let in_use = self.key.in_use();
        if found.as_ref().is_some_and(|found| Some((stamp(found), in_use)) == self.settled) {
            return Ok(());
        }
        if found.as_ref().is_some_and(|found| !found.is_file() && !found.is_dir()) {
            // A pipe can be read only once.
            return Ok(());
        }
        let (file, key) = MasterKey::open(&self.path)?;
        if !self.key.hold(&key) {
            return Err(KeyError::Another { path: self.path.clone() });
        }
        self.held = Some(file);
        self.settled = found.filter(is_settled).map(|found| (stamp(&found), in_use));
        Ok(())
    }

    /// The key that the one in use is to be exchanged for: the last one in the file, or else a new one, which is stored there
    /// durably, after the one in use. Both are known then. After a crash, the file opens the ledger whether the exchange was
    /// committed or not.
    ///
    /// # Errors
    /// [`KeyError::NotInUse`], [`KeyError::Replace`], or why the file can't be read. Nothing was exchanged.
    pub fn prepare(&mut self) -> Result<Fingerprint, KeyError> {
        let found = self.read_again()?;
        if let Some(next) = found.held().last().copied().filter(|last| *last != self.key.in_use()) {
            return Ok(next);
        }
        let new = MasterKey::random().map_err(KeyError::Random)?;
        let text = Zeroizing::new([self.key.to_hex().as_str(), new.to_hex().as_str()].concat());
        self.put(&self.path, &text)?;
        self.read_again()?;
        Ok(new.in_use())
    }

    /// Whether the file holds keys before the one in use: an exchange was committed, and then cut short.
    ///
    /// # Errors
    /// [`KeyError::NotInUse`], or why the file can't be read.
    pub fn has_old(&mut self) -> Result<bool, KeyError> {
        let in_use = self.key.in_use();
        Ok(self.read_again()?.held().iter().position(|key| *key == in_use).is_some_and(|place| place > 0))
    }

    /// Takes other keys than the one in use out of the file, after an exchange. The one before is stored beside it durably, with
    /// `.previous` after its name: backups that were made before the exchange need it.
    ///
    /// # Errors
    /// [`KeyError::Replace`], or why the file can't be read. The file opens the ledger all the same.
    pub fn finish(&mut self) -> Result<(), KeyError> {
        let found = self.read_again()?;
        let in_use = self.key.in_use();
        let before = found.held().into_iter().filter(|key| *key != in_use);
        let mut is_alone = true;
        for digits in before.filter_map(|key| found.hex_of(key)) {
            self.put(&beside(&self.path, PREVIOUS), &digits)?;
            is_alone = false;
        }
        if is_alone {
            return Ok(());
        }
        self.put(&self.path, &self.key.to_hex())?;
        self.read_again().map(drop)
    }

    fn read_again(&mut self) -> Result<MasterKey, KeyError> {
        let failed = |source| KeyError::Read { path: self.path.clone(), source };
        if fs::metadata(&self.path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            // A pipe would not end.
            return Err(failed(io::ErrorKind::Unsupported.into()));
        }
        let (file, found) = MasterKey::open(&self.path)?;
        if !self.key.hold(&found) {
            return Err(KeyError::NotInUse { origin: KeyOrigin::File(self.path.clone()) });
        }
        (self.held, self.settled) = (Some(file), None);
        Ok(found)
    }

    fn put(&self, path: &Path, text: &str) -> Result<(), KeyError> {
        replace(path, text).map_err(|source| KeyError::Replace { path: path.into(), source })
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
        (key.held().contains(&self.key.in_use()) && from.exists()).then(|| (from, self.path.clone()))
    }
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

    #[test]
    fn a_new_key_stands_after_the_one_in_use_until_that_is_exchanged() {
        let (folder, path, mut file) = files();
        let old = fs::read_to_string(&path).unwrap();
        let next = file.prepare().unwrap();
        let both = fs::read_to_string(&path).unwrap();
        assert!(both.starts_with(&old) && both.lines().count() == 2, "the order says which is new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A crash before the exchange: another attempt goes on with the same key.
        assert_eq!(file.prepare().unwrap(), next);
        assert_eq!(fs::read_to_string(&path).unwrap(), both);
        file.check().unwrap();

        let rewrap = file.key.seal().rewrap_to(next).unwrap();
        assert!(file.key.seal().adopt(&rewrap.check().unwrap()));
        file.check().unwrap();
        let previous = folder.path().join("master.key.previous");
        for _ in 0..2 {
            file.finish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), both.lines().nth(1).unwrap().to_owned() + "\n");
            assert_eq!(fs::read_to_string(&previous).unwrap(), old);
            assert_eq!(fs::metadata(&previous).unwrap().permissions().mode() & 0o777, 0o600);
            file.check().unwrap();
        }
        assert!(!folder.path().join("master.key.writing").exists());
        // The one before opens nothing that a start reads.
        let (key, _) = MasterKey::from_env_or_file(None, &path, false).unwrap();
        assert_eq!(key.held(), [next]);
    }

    #[test]
    fn a_file_without_the_key_in_use_is_not_prepared() {
        let (folder, path, mut file) = files();
        fs::rename(folder.path().join("other.key"), &path).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        assert!(matches!(file.prepare(), Err(KeyError::NotInUse { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
