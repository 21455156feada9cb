//! Guards an open ledger: whether its files are still the ones that it opened, whether it can be written, and what its
//! witness says.
//!
//! A file that another program overwrites in place stays the same file. But only the writer changes the ledger's file, and
//! only while it moves the log into it. So if its length or its time of modification is another one than the writer left,
//! the file is read by itself, without its log: it must be the same ledger, and as far as it was. A copy that somebody
//! put over it is not, unless it is as recent.
//!
//! The log changes with each commit. So its end is compared with what SQLite says of it before each commit is acknowledged, and
//! all of it if somebody else wrote to it, once a second, and before it is moved into the file.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use portcullis_ledger_model::{Loss, ServerRun};

use super::examine::Description;
use super::log_file::LogFile;
use super::{connect_alone, failure::is_of_the_moment};
use crate::error::LedgerError;
use crate::files::beside;
use crate::witness::{LedgerId, Witness};

/// How often the files are looked at while nobody writes, and the witness is looked at and flushed.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait for another program that is writing to the ledger's file, before the file is read again.
const SETTLES: Duration = Duration::from_millis(50);
/// How often to do so.
const TIMES: u32 = 40;

/// The files of an open ledger, and its witness.
pub(super) struct Guard {
    ledger: Watched,
    log: Watched,
    log_file: LogFile,
    /// The log as the writer left it, or found it whole.
    left_log: Mutex<Option<Stamp>>,
    /// Where the log began.
    beginning: Mutex<Beginning>,
    id: LedgerId,
    /// The ledger's file as the writer left it. Locked while the writer moves the log into it.
    left: Mutex<Left>,
    witness: Witness,
    /// The file that was lost first, and how. From then on nothing is written: a restart would not find it.
    lost: OnceLock<(PathBuf, Loss)>,
    /// Why the last write failed, if the disk was the reason.
    failing: Mutex<Option<Failure>>,
    /// Whether another process may have the ledger open: from then on this one writes nothing.
    is_given_up: AtomicBool,
}

/// When SQLite begins its log anew, it salts it anew, and the file has all commits until then.
struct Beginning {
    salts: Option<[u8; 8]>,
    /// A commit that the file had before, if one is known.
    base: Option<u64>,
}

/// A path, and the file that is there as long as nobody tampers with it.
struct Watched {
    path: PathBuf,
    file: (u64, u64),
}

/// How a file was left.
struct Left {
    stamp: Stamp,
    /// A commit that it has by itself, without its log.
    commit: u64,
}

/// By this it is noticed that somebody wrote to a file: its length, and when it was modified.
type Stamp = (u64, i64, i64);

/// A failure of the disk.
struct Failure {
    is_full: bool,
    cause: String,
}

impl Watched {
    fn new(path: PathBuf) -> io::Result<Self> {
        let file = identity(&fs::metadata(&path)?);
        Ok(Watched { path, file })
    }

    fn loss(&self) -> Option<Loss> {
        match fs::metadata(&self.path) {
            Ok(metadata) => (identity(&metadata) != self.file).then_some(Loss::Replaced),
            // Other errors, such as a lack of memory, say nothing about the file.
            Err(error) => (error.kind() == io::ErrorKind::NotFound).then_some(Loss::Removed),
        }
    }

    /// Where a lost file can still be read: this process has it open.
    fn still_open(&self) -> Option<PathBuf> {
        let fds = fs::read_dir("/proc/self/fd").ok()?;
        let fd = fds
            .flatten()
            .find(|fd| fs::metadata(fd.path()).is_ok_and(|metadata| identity(&metadata) == self.file))?;
        Some(Path::new("/proc").join(std::process::id().to_string()).join("fd").join(fd.file_name()))
    }
}

/// The device and number of a file.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

impl Guard {
    /// Call it once the log exists. `id` is the ledger's, `in_file` a commit that its file has without the log, and `base` the
    /// commit that it had before the log began, if that is known.
    pub(super) fn new(
        ledger: &Path,
        id: LedgerId,
        in_file: u64,
        witness: Witness,
        base: Option<u64>,
    ) -> io::Result<Self> {
        let log = Watched::new(beside(ledger, "-wal"))?;
        let log_file = LogFile::open(ledger)?;
        Ok(Guard {
            ledger: Watched::new(ledger.to_owned())?,
            beginning: Mutex::new(Beginning { salts: log_file.salts(), base }),
            log,
            log_file,
            left_log: Mutex::default(),
            id,
            left: Mutex::new(Left { stamp: stamp(ledger)?, commit: in_file }),
            witness,
            lost: OnceLock::new(),
            failing: Mutex::default(),
            is_given_up: AtomicBool::new(false),
        })
    }

    /// Looks whether the files are still the ones that were opened. Costs seven calls of the system, about four microseconds,
    /// unless somebody wrote to the ledger's file. Does not wait while the writer moves the log.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`], from the first time on.
    pub(super) fn look(&self) -> Result<(), LedgerError> {
        let left = match self.left.try_lock() {
            Ok(left) => Some(left),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        };
        self.look_at(left)
    }

    fn look_at(&self, left: Option<MutexGuard<'_, Left>>) -> Result<(), LedgerError> {
        self.intact()?;
        for watched in [&self.ledger, &self.log] {
            if let Some(loss) = watched.loss() {
                let _ = self.lost.set((watched.path.clone(), loss));
            }
        }
        self.intact()?;
        if !self.log_file.is_current() {
            let _ = self.lost.set((self.log.path.clone(), Loss::Overwritten));
        }
        self.intact()?;
        if let Some(mut left) = left
            && stamp(&self.ledger.path).is_ok_and(|stamp| stamp != left.stamp)
            && !self.is_still_whole(&mut left)
        {
            let _ = self.lost.set((self.ledger.path.clone(), Loss::Overwritten));
        }
        self.intact()
    }

    /// Like [`look`](Self::look). Also reads all of the log, unless it is as it was when `known` was set. For what is about to
    /// write to the log, or to move it into the file.
    fn look_through(&self, known: &mut Option<Stamp>) -> Result<(), LedgerError> {
        self.look()?;
        // Before it is read: what is written meanwhile is noticed the next time.
        let found = stamp(&self.log.path).ok();
        if found.is_none() || found != *known {
            if !self.log_file.is_whole() {
                let _ = self.lost.set((self.log.path.clone(), Loss::Overwritten));
            }
            *known = found;
        }
        self.intact()
    }

    /// The writer calls it before it writes: its commit would hide what somebody else wrote to the log.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`].
    pub(super) fn before_write(&self) -> Result<(), LedgerError> {
        self.look_through(&mut self.left_log())
    }

    /// The writer calls it before the log is moved into the file. Reads all of the log.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`].
    pub(super) fn before_moving_log(&self) -> Result<(), LedgerError> {
        self.look_through(&mut None)
    }

    fn left_log(&self) -> MutexGuard<'_, Option<Stamp>> {
        self.left_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file that somebody wrote to. It may be that a program that uses SQLite moved the log into it.
    fn is_still_whole(&self, left: &mut Left) -> bool {
        let mut bad = None;
        for _ in 0..TIMES {
            let Ok(before) = stamp(&self.ledger.path) else { return true };
            let found = connect_alone(&self.ledger.path)
                .map_err(LedgerError::from)
                .and_then(|connection| Description::read(&connection));
            let is_whole = match found {
                Ok(found) => found.id == self.id && found.commit >= left.commit,
                // It could not be read. The next look tries again.
                Err(error) if is_of_the_moment(&error) => return true,
                Err(_) => false,
            };
            if stamp(&self.ledger.path).is_ok_and(|after| after == before) {
                if is_whole {
                    left.stamp = before;
                    return true;
                }
                if bad == Some(before) {
                    return false;
                }
                bad = Some(before);
            }
            thread::sleep(SETTLES);
        }
        false
    }

    /// Passes on what moves the log into the ledger's file. If all of it was moved, `work` returns the latest commit.
    pub(super) fn moves_log<T>(&self, work: impl FnOnce() -> (T, Option<u64>)) -> T {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, commit) = work();
        left.commit = commit.unwrap_or(left.commit);
        if let Ok(stamp) = stamp(&self.ledger.path) {
            left.stamp = stamp;
        }
        done
    }

    /// Another one for a ledger that was restored.
    pub(super) fn line(&self) -> ServerRun {
        ServerRun::of_file(self.id)
    }

    /// Where the lost files are to be copied from, and to, as long as this process runs.
    pub(super) fn rescue(&self) -> Vec<(PathBuf, PathBuf)> {
        let lost = [&self.ledger, &self.log].into_iter().filter(|watched| watched.loss().is_some());
        lost.filter_map(|watched| Some((watched.still_open()?, watched.path.clone()))).collect()
    }

    /// Renames the log if it does not belong to what is in the ledger's file now: SQLite would mix the two.
    pub(super) fn put_log_aside(&self) {
        if let Some((_, Loss::Overwritten)) = self.lost.get() {
            // If it fails, the sums of lists tell.
            let _ = fs::rename(&self.log.path, beside(&self.log.path, ".lost"));
        }
    }

    /// Lets nothing be written from now on, and looks at the files no more: they are another process's.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
    }

    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// Like [`look`](Self::look), without looking again.
    pub(super) fn intact(&self) -> Result<(), LedgerError> {
        if self.is_given_up() {
            return Err(LedgerError::Closed);
        }
        match self.lost.get() {
            None => Ok(()),
            Some((path, loss)) => Err(LedgerError::Replaced { path: path.clone(), loss: *loss }),
        }
    }

    /// Call it after each commit, before it is acknowledged.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`]: the commit is in a file that a restart would not find.
    pub(super) fn acknowledge(&self, commit: u64) -> Result<(), LedgerError> {
        *self.left_log() = stamp(&self.log.path).ok();
        self.look_at(Some(self.left.lock().unwrap_or_else(PoisonError::into_inner)))?;
        *self.failing() = None;
        // The commit is on disk: without the witness it is only less certain that its loss would be noticed.
        // It remembers whether it could not be written.
        let _ = self.witness.write(commit, self.base(commit));
        Ok(())
    }

    /// A commit that the file had before its log began, if one is known. `commit` is the latest one.
    fn base(&self, commit: u64) -> Option<u64> {
        let mut beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let salts = self.log_file.salts();
        if salts.is_some() && salts != beginning.salts {
            *beginning = Beginning { salts, base: commit.checked_sub(1) };
        }
        beginning.base
    }

    fn failing(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that a write failed, if the disk was the reason.
    pub(super) fn failed(&self, error: &LedgerError) {
        if let LedgerError::Full(cause) | LedgerError::Io(cause) = error {
            let is_full = matches!(error, LedgerError::Full(_));
            *self.failing() = Some(Failure { is_full, cause: cause.to_string() });
        }
    }

    /// Whether the last write failed.
    fn is_failing(&self) -> bool {
        self.failing().is_some()
    }

    /// Flushes the witness, and creates it again if it was removed: without it, the next start would not know that the ledger is the
    /// latest.
    pub(super) fn keep_witness(&self) {
        // What is beside a ledger that was lost may be of the one that replaced it.
        if !self.is_given_up() {
            self.witness.keep(self.intact().is_ok());
        }
    }

    /// What is wrong with the files.
    pub(super) fn trouble(&self) -> Option<LedgerError> {
        if self.is_given_up() {
            return None;
        }
        if let Err(error) = self.intact() {
            return Some(error);
        }
        if let Some(Failure { is_full, cause }) = &*self.failing() {
            let cause = cause.clone().into();
            return Some(if *is_full { LedgerError::Full(cause) } else { LedgerError::Io(cause) });
        }
        self.witness.trouble()
    }
}

/// The thread that looks at the files. It ends when this is dropped.
pub(super) struct Patrol {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Patrol {
    /// `probe` makes a small write. It is called while writes fail.
    pub(super) fn start(guard: Arc<Guard>, probe: impl Fn() + Send + 'static) -> Result<Self, LedgerError> {
        let stop = Arc::<(Mutex<bool>, Condvar)>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("ledger-patrol".into())
            .spawn(move || {
                let (stopped, changed) = &*stopped;
                let mut known = None;
                let mut now = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                while !*now {
                    now = changed.wait_timeout(now, EVERY).unwrap_or_else(PoisonError::into_inner).0;
                    // The writer reports what was found, as does `trouble`.
                    let is_intact = guard.look_through(&mut known).is_ok();
                    if is_intact && guard.is_failing() && !*now {
                        probe();
                    }
                    guard.keep_witness();
                }
            })
            .map_err(|error| LedgerError::Io(error.into()))?;
        Ok(Patrol { stop, thread: Some(thread) })
    }
}

impl Drop for Patrol {
    fn drop(&mut self) {
        let (stopped, changed) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::witness::{Found, Statement};

    /// The guard of what looks like a ledger, in this folder.
    fn guard(folder: &Path) -> Guard {
        let path = folder.join("ledger.db");
        for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            fs::write(file, "x").unwrap();
        }
        let said = Statement { ledger: [7; 16], commit: 1, base: None };
        let witness = Witness::create(&Witness::path_of(&path), said).unwrap();
        Guard::new(&path, said.ledger, 1, witness, None).unwrap()
    }

    #[test]
    fn a_ledger_whose_disk_failed_is_in_trouble_until_a_write_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(folder.path());
        guard.failed(&LedgerError::TenantForgotten);
        assert!(guard.trouble().is_none());
        guard.failed(&LedgerError::Full("no room".into()));
        assert!(matches!(guard.trouble(), Some(LedgerError::Full(_))));
        guard.failed(&LedgerError::Io("read-only".into()));
        assert!(matches!(guard.trouble(), Some(LedgerError::Io(_))));
        guard.acknowledge(2).unwrap();
        assert!(guard.trouble().is_none());
    }

    #[test]
    fn a_witness_that_could_not_be_written_is_in_trouble_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(folder.path());
        let path = folder.path().join("ledger.db.witness");
        let is_unwitnessed = || matches!(guard.trouble(), Some(LedgerError::Witness { .. }));
        let commit = || match Witness::read(&path).unwrap() {
            Found::Witness(said) => said.commit,
            found => panic!("{found:?}"),
        };
        guard.witness.write_to(File::open(&path).unwrap());
        guard.acknowledge(2).unwrap();
        for _ in 0..3 {
            assert!(is_unwitnessed() && commit() == 1);
            guard.keep_witness();
        }
        guard.witness.write_to(File::options().read(true).write(true).open(&path).unwrap());
        assert!(is_unwitnessed());
        // Nobody writes, and it is written all the same.
        guard.keep_witness();
        assert!(guard.trouble().is_none());
        assert_eq!(commit(), 2);
    }
}
