//! The master key of a ledger that is open: where it is from, what is wrong with its file, and its exchange for another one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::key_file::KeyFile;
use crate::master::{KeyError, KeyOrigin, MasterKey};
use crate::ring::Fingerprint;

/// Reads the master key again from where it is from. Blocks.
pub type KeyProvider = Arc<dyn Fn() -> Result<MasterKey, KeyError> + Send + Sync>;

/// Where the key is from.
enum Source {
    File(KeyFile),
    Provider(KeyProvider),
    /// It was set, and is not read again. These are its keys, in their order.
    Fixed(Vec<Fingerprint>),
}

/// The master key of a ledger that is open. Its methods block, except for [`trouble`](Self::trouble) and [`status`](Self::status).
pub struct KeyInUse {
    key: MasterKey,
    /// Locked during an exchange, so that there is one at a time.
    source: Mutex<Source>,
    trouble: Mutex<Option<Arc<KeyError>>>,
}

/// Which master key is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key in use.
    pub in_use: Fingerprint,
    /// Since when it is; `None` since the ledger was created.
    pub rotated: Option<SystemTime>,
    /// Other keys that its source has.
    pub others: Vec<Fingerprint>,
}

/// The outcome of an exchange of the master key.
#[derive(Debug)]
pub struct Rotated {
    /// The key that was in use before.
    pub from: Fingerprint,
    /// The key in use.
    pub to: Fingerprint,
    /// Why the key's file still holds both, which does no harm; `None` if it holds the new one, or the key is not from a file.
    pub unfinished: Option<KeyError>,
}

impl KeyInUse {
    /// The key, which was loaded from this file.
    pub fn of_file(key: MasterKey, file: KeyFile) -> Self {
        Self::of(key, Source::File(file))
    }

    /// The key, which is read again by this provider when it is to be exchanged, or not at all.
    pub fn provided(key: MasterKey, provider: Option<KeyProvider>) -> Self {
        let source = provider.map_or_else(|| Source::Fixed(key.held()), Source::Provider);
        Self::of(key, source)
    }

    fn of(key: MasterKey, source: Source) -> Self {
        KeyInUse { key, source: Mutex::new(source), trouble: Mutex::default() }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was wrong with the key's file at the last look. Always `None` if the key is not from a file.
    pub fn trouble(&self) -> Option<Arc<KeyError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the file. `find` asks the ledger which key it is sealed under, which others that share it may have exchanged.
    pub fn look(&self, find: impl FnOnce()) {
        let Source::File(file) = &mut *self.source() else { return };
        let mut checked = file.check();
        if let Err(KeyError::Another { .. }) = checked {
            find();
            checked = file.check();
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = checked.err().map(Arc::new);
    }

    /// The command that copies the file back, as long as this process runs; empty if there is none, or during an exchange, for which
    /// this does not wait.
    pub fn rescue(&self) -> String {
        let Ok(source) = self.source.try_lock() else { return String::new() };
        let Source::File(file) = &*source else { return String::new() };
        let rescue = file.rescue();
        rescue.map_or_else(String::new, |(from, to)| format!("cp {} {}", from.display(), to.display()))
    }

    /// Which key is in use.
    pub fn status(&self) -> KeyStatus {
        let in_use = self.key.in_use();
        let others = self.key.held().into_iter().filter(|key| *key != in_use).collect();
        KeyStatus { in_use, rotated: self.key.rotated(), others }
    }

    /// Exchanges the key in use for the one after it in its source, or, if the key is from a file that has none, for a new one.
    ///
    /// `find` asks the ledger which key it is sealed under. `exchange` seals the ledger under another one in one transaction. The new
    /// key is stored durably before it is called, and the one before is kept until it says that it was done: if this process ends in
    /// between, the next start opens the ledger whether it was or not.
    ///
    /// # Errors
    /// [`KeyError::NoNext`], [`KeyError::NotInUse`], [`KeyError::Replace`], or another error of the source; or that of `find` or
    /// `exchange`. The source has both keys then, and another call goes on.
    pub fn rotate<E: From<KeyError>>(
        &self,
        find: impl Fn() -> Result<(), E>,
        exchange: impl FnOnce(Fingerprint) -> Result<(), E>,
    ) -> Result<Rotated, E> {
        let source = &mut *self.source();
        find()?;
        let from = self.key.in_use();
        let next = |found: &[Fingerprint], origin: KeyOrigin| match found {
            [.., last] if *last != from && found.contains(&from) => Ok(*last),
            found if found.contains(&from) => Err(KeyError::NoNext { origin }),
            _ => Err(KeyError::NotInUse { origin }),
        };
        let to = match source {
            Source::File(file) => {
                // What an exchange that was cut short has left.
                if file.has_old()? {
                    file.finish()?;
                }
                file.prepare()?
            }
            Source::Provider(provider) => {
                let found = provider()?;
                self.key.hold(&found);
                next(&found.held(), KeyOrigin::Provider)?
            }
            Source::Fixed(found) => next(found, KeyOrigin::Provider)?,
        };
        exchange(to)?;
        find()?;
        let unfinished = match source {
            Source::File(file) => file.finish().err(),
            _ => None,
        };
        Ok(Rotated { from, to, unfinished })
    }
}

impl fmt::Debug for KeyInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyInUse").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Failure {
        Key(KeyError),
        Ledger,
    }

    impl From<KeyError> for Failure {
        fn from(error: KeyError) -> Self {
            Failure::Key(error)
        }
    }

    /// What a ledger says of its key, and what happens to it during exchanges.
    struct Stored(Mutex<Vec<u8>>);

    impl Stored {
        fn of(key: &MasterKey) -> Self {
            Stored(Mutex::new(key.seal().check_of_new().unwrap()))
        }

        fn find(&self, key: &MasterKey) -> Result<(), Failure> {
            assert!(key.seal().adopt(&self.0.lock().unwrap()), "the ledger can't be opened");
            Ok(())
        }

        fn exchange(&self, key: &MasterKey, to: Fingerprint) -> Result<(), Failure> {
            *self.0.lock().unwrap() = key.seal().rewrap_to(to).unwrap().check().unwrap();
            Ok(())
        }
    }

    fn loaded(path: &std::path::Path) -> (MasterKey, KeyInUse) {
        let (key, _) = MasterKey::from_file_or_new(path, false).unwrap();
        (key.clone(), KeyInUse::of_file(key.clone(), KeyFile::new(path, &key)))
    }

    #[test]
    fn an_exchange_that_is_cut_short_goes_on_whether_it_was_committed_or_not() {
        for is_committed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("master.key");
            MasterKey::from_env_or_file(None, &path, true).unwrap();
            let (key, in_use) = loaded(&path);
            let (first, stored) = (key.in_use(), Stored::of(&key));
            let cut = in_use.rotate(
                || stored.find(&key),
                |to| {
                    if is_committed {
                        stored.exchange(&key, to)?;
                    }
                    Err(Failure::Ledger)
                },
            );
            assert!(matches!(cut, Err(Failure::Ledger)));

            // The next start.
            let (key, in_use) = loaded(&path);
            assert_eq!(key.held().len(), 2);
            stored.find(&key).unwrap();
            assert_eq!(key.in_use() != first, is_committed);
            let before = key.in_use();
            let rotated = in_use.rotate(|| stored.find(&key), |to| stored.exchange(&key, to)).unwrap();
            assert_eq!((rotated.from, rotated.to), (before, key.in_use()));
            assert!(rotated.unfinished.is_none() && rotated.to != first);
            let (key, _) = loaded(&path);
            stored.find(&key).unwrap();
            assert_eq!(key.held(), [rotated.to]);
            assert!(key.rotated().is_some());
        }
    }

    #[test]
    fn a_key_that_is_provided_is_exchanged_for_the_one_after_it() {
        let both =
            || MasterKey::parse(&format!("{}{}", *one().to_hex(), *other().to_hex()), &KeyOrigin::Provider);
        let (key, printed) = (one(), Arc::new(Mutex::new(Vec::new())));
        let printing = Arc::clone(&printed);
        let provider: KeyProvider = Arc::new(move || printing.lock().unwrap().pop().unwrap());
        let in_use = KeyInUse::provided(key.clone(), Some(provider));
        let stored = Stored::of(&key);
        let rotate = || in_use.rotate(|| stored.find(&key), |to| stored.exchange(&key, to));
        printed.lock().unwrap().extend([Ok(other()), Ok(one())]);
        assert!(matches!(rotate(), Err(Failure::Key(KeyError::NoNext { .. }))));
        assert!(matches!(rotate(), Err(Failure::Key(KeyError::NotInUse { .. }))));
        printed.lock().unwrap().extend([both(), both()]);
        assert_eq!(rotate().unwrap().to, other().in_use());
        assert!(matches!(rotate(), Err(Failure::Key(KeyError::NoNext { .. }))), "it is not exchanged back");

        let key = both().unwrap();
        let in_use = KeyInUse::provided(key.clone(), None);
        let stored = Stored::of(&key);
        let rotate = || in_use.rotate(|| stored.find(&key), |to| stored.exchange(&key, to));
        assert_eq!(rotate().unwrap().to, other().in_use());
        assert!(matches!(rotate(), Err(Failure::Key(KeyError::NoNext { .. }))), "it is not exchanged back");
    }

    #[test]
    fn what_does_not_change_with_the_key_is_the_same_after_an_exchange() {
        let key = one();
        let stored = Stored::of(&key);
        let before = (key.sums(), key.admissions(), key.nodes());
        let sealed = key.seal().seal(b"context", b"text").unwrap();
        assert!(
            key.hold(
                &MasterKey::parse(
                    &format!("{}{}", *one().to_hex(), *other().to_hex()),
                    &KeyOrigin::Environment
                )
                .unwrap()
            )
        );
        let rewrap = key.seal().rewrap_to(other().in_use()).unwrap();
        let anew = rewrap.rewrap(b"context", &sealed).unwrap();
        stored.exchange(&key, other().in_use()).unwrap();
        // Another process, which has only the new key.
        let fresh = other();
        stored.find(&fresh).unwrap();
        assert_eq!((fresh.sums(), fresh.admissions(), fresh.nodes()), before);
        assert_ne!(other().sums(), before.0);
        assert_eq!(fresh.seal().open(b"context", &anew).unwrap(), b"text");
        assert!(fresh.seal().open(b"context", &sealed).is_err());
        assert!(!one().seal().adopt(&stored.0.lock().unwrap()), "the old key opens nothing");
        assert!(one().seal().open(b"context", &anew).is_err());
        // This one has both.
        stored.find(&key).unwrap();
        assert_eq!(key.in_use(), other().in_use());
        assert_eq!(key.seal().open(b"context", &sealed).unwrap(), b"text", "of a read that began before");
    }

    fn one() -> MasterKey {
        MasterKey::from_bytes([1; 32])
    }

    fn other() -> MasterKey {
        MasterKey::from_bytes([2; 32])
    }
}
