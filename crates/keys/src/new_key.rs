//! The file of a key that no ledger is sealed under yet.
//!
//! A key file says that there is a ledger: without one, a gateway does not start. So a new key is first stored beside its path,
//! with `.new` after its name, and gets its name when the ledger is complete. A process that is killed in between leaves only
//! that file, from which the next start goes on. So there is never a key file that is incomplete, or without a ledger.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::master::{KeyError, KeyOrigin, MasterKey};
use crate::replace::sync_folder_of;

/// Where the key for this path is stored until it is kept.
fn new_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

impl MasterKey {
    /// Loads the key from its file, or else the new key that was stored for it, or else creates one if `create` is true. A new key
    /// gets its file only by [`keep`](Self::keep): call it when there is a ledger. Otherwise like
    /// [`from_env_or_file`](Self::from_env_or_file).
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_file_or_new(path: &Path, create: bool) -> Result<(Self, KeyOrigin), KeyError> {
        let there = |key| (key, KeyOrigin::File(path.into()));
        match Self::open(path) {
            Err(KeyError::Missing { .. }) => {}
            found => return Ok(there(found?.1)),
        }
        let new = new_file(path);
        if !create {
            // If it is incomplete, there is no ledger of it.
            let missing = |_| KeyError::Missing { path: path.into() };
            return Ok(there(Self::open(&new).map_err(missing)?.1));
        }
        let failed = |source| KeyError::Create { path: path.into(), source };
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&new).map_err(failed)?;
            // Another process may be about to write it. It may also have kept or discarded it.
            file.lock().map_err(failed)?;
            if let Ok((_, key)) = Self::open(path) {
                return Ok(there(key));
            }
            let own = file.metadata().map_err(failed)?;
            if !fs::metadata(&new).is_ok_and(|found| is_same(&found, &own)) {
                continue;
            }
            if let Ok((_, key)) = Self::open(&new) {
                return Ok(there(key));
            }
            // It is empty, or the process that wrote it was killed.
            let key = Self::random().map_err(KeyError::Random)?;
            write(&file, &key).and_then(|()| sync_folder_of(path)).map_err(failed)?;
            return Ok((key, KeyOrigin::NewFile(path.into())));
        }
    }

    /// Gives the new key for this path, if there is one, its file: durably, and never in place of another one.
    ///
    /// # Errors
    /// [`KeyError::Create`].
    pub fn keep(path: &Path) -> Result<(), KeyError> {
        let new = new_file(path);
        let kept = match fs::hard_link(&new, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // The file system may have no links.
            Err(_) if !path.exists() => fs::rename(&new, path),
            // A process may have been killed in between. Another key is not this one's file.
            Err(_) => match (fs::metadata(&new), fs::metadata(path)) {
                (Ok(new_found), Ok(found)) if is_same(&new_found, &found) => fs::remove_file(&new),
                _ => return Ok(()),
            },
            Ok(()) => fs::remove_file(&new),
        };
        let kept = match kept {
            // Another process did the same at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
            kept => kept,
        };
        let failed = |source| KeyError::Create { path: path.into(), source };
        kept.and_then(|()| sync_folder_of(path)).map_err(failed)
    }

    /// Removes the new key for this path, if there is one. Best effort: no ledger is sealed under it.
    pub fn discard(path: &Path) {
        let _ = fs::remove_file(new_file(path));
    }
}

fn write(mut file: &File, key: &MasterKey) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(key.to_hex().as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_has_its_file_only_once_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let missing = MasterKey::from_file_or_new(&path, false);
        assert!(matches!(missing, Err(KeyError::Missing { .. })));
        let (made, origin) = MasterKey::from_file_or_new(&path, true).unwrap();
        assert_eq!(origin, KeyOrigin::NewFile(path.clone()));
        assert!(!path.exists());
        assert_eq!(fs::metadata(new_file(&path)).unwrap().permissions().mode() & 0o777, 0o600);
        for create in [true, false] {
            let (key, origin) = MasterKey::from_file_or_new(&path, create).unwrap();
            assert_eq!((key.to_hex(), origin), (made.to_hex(), KeyOrigin::File(path.clone())));
        }
        for _ in 0..2 {
            MasterKey::keep(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), *made.to_hex());
            assert!(!new_file(&path).exists());
        }
    }

    #[test]
    fn a_new_key_that_was_written_in_part_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        for part in ["", "0123"] {
            fs::write(new_file(&path), part).unwrap();
            let missing = MasterKey::from_file_or_new(&path, false);
            assert!(matches!(missing, Err(KeyError::Missing { .. })));
            let (made, _) = MasterKey::from_file_or_new(&path, true).unwrap();
            assert_eq!(fs::read_to_string(new_file(&path)).unwrap(), *made.to_hex());
            assert_eq!(fs::metadata(new_file(&path)).unwrap().permissions().mode() & 0o777, 0o600);
            MasterKey::discard(&path);
            assert!(!new_file(&path).exists());
        }
    }

    #[test]
    fn a_key_is_never_kept_in_place_of_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::from_file_or_new(&path, true).unwrap();
        fs::write(&path, "another").unwrap();
        MasterKey::keep(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        assert!(new_file(&path).exists());
    }

    #[test]
    fn a_process_that_was_killed_while_it_kept_a_key_leaves_no_copy_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::from_file_or_new(&path, true).unwrap();
        fs::hard_link(new_file(&path), &path).unwrap();
        MasterKey::keep(&path).unwrap();
        assert!(path.exists() && !new_file(&path).exists());
    }

    #[test]
    fn processes_that_make_a_key_at_the_same_time_have_the_same_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let keys: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let (key, _) = MasterKey::from_env_or_file(None, &path, true).unwrap();
                        key.to_hex().to_string()
                    })
                })
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_to_string(&path).unwrap(), keys[0]);
    }
}
