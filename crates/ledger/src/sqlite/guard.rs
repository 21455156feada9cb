//! Guards an open ledger: whether its files are still the ones that it opened, and what its witness says.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::LedgerError;
use crate::files::beside;
use crate::witness::Witness;

/// How often the files are looked at while nobody writes, and the witness is flushed.
const EVERY: Duration = Duration::from_secs(1);

/// The files of an open ledger, and its witness.
pub(super) struct Guard {
    ledger: Watched,
    log: Watched,
    log_file: File,
    /// Where the log began.
    beginning: Mutex<Beginning>,
    witness: Witness,
    /// The file that was removed or replaced first. From then on nothing is written: a restart would not find it.
    lost: OnceLock<PathBuf>,
    /// Whether the witness could not be written or flushed the last time.
    unwitnessed: Mutex<Option<io::ErrorKind>>,
}

/// When SQLite begins its log anew, it salts it anew, and the file has all commits until then.
struct Beginning {
    salts: Option<[u8; 8]>,
    /// A commit that the file had before, if one is known.
    base: Option<u64>,
}

/// The place of the salts in the log.
const SALTS: u64 = 16;

fn salts(log: &File) -> Option<[u8; 8]> {
    let mut salts = [0; 8];
    log.read_exact_at(&mut salts, SALTS).ok().map(|()| salts)
}

/// A path, and the file that is there as long as nobody tampers with it.
struct Watched {
    path: PathBuf,
    file: (u64, u64),
}

impl Watched {
    fn new(path: PathBuf) -> io::Result<Self> {
        let file = identity(&fs::metadata(&path)?);
        Ok(Watched { path, file })
    }

    fn is_there(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(metadata) => identity(&metadata) == self.file,
            // Other errors, such as a lack of memory, say nothing about the file.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// The device and number of a file.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Guard {
    /// Call it once the log exists. The file had the commit `base` before the log began, if that is known.
    pub(super) fn new(ledger: &Path, witness: Witness, base: Option<u64>) -> io::Result<Self> {
        let log = Watched::new(beside(ledger, "-wal"))?;
        // SQLite locks no ranges of it, which closing it would release.
        let log_file = File::open(&log.path)?;
        Ok(Guard {
            ledger: Watched::new(ledger.to_owned())?,
            beginning: Mutex::new(Beginning { salts: salts(&log_file), base }),
            log,
            log_file,
            witness,
            lost: OnceLock::new(),
            unwitnessed: Mutex::default(),
        })
    }

    /// Looks whether the files are still the ones that were opened. Costs two calls of the system, about a microsecond.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`], from the first time on.
    pub(super) fn look(&self) -> Result<(), LedgerError> {
        self.intact()?;
        for watched in [&self.ledger, &self.log] {
            if !watched.is_there() {
                let _ = self.lost.set(watched.path.clone());
            }
        }
        self.intact()
    }

    /// Like [`look`](Self::look), without looking again.
    pub(super) fn intact(&self) -> Result<(), LedgerError> {
        match self.lost.get() {
            None => Ok(()),
            Some(path) => Err(LedgerError::Replaced { path: path.clone() }),
        }
    }

    /// Call it after each commit, before it is acknowledged.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`]: the commit is in a file that a restart would not find.
    pub(super) fn acknowledge(&self, commit: u64) -> Result<(), LedgerError> {
        self.look()?;
        // The commit is on disk: without the witness it is only less certain that its loss would be noticed.
        self.note(self.witness.write(commit, self.base(commit)));
        Ok(())
    }

    /// A commit that the file had before its log began, if one is known. `commit` is the latest one.
    fn base(&self, commit: u64) -> Option<u64> {
        let mut beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let salts = salts(&self.log_file);
        if salts.is_some() && salts != beginning.salts {
            *beginning = Beginning { salts, base: commit.checked_sub(1) };
        }
        beginning.base
    }

    /// Flushes the witness.
    pub(super) fn flush(&self) {
        self.note(self.witness.flush());
    }

    fn note(&self, done: io::Result<()>) {
        let mut unwitnessed = self.unwitnessed.lock().unwrap_or_else(PoisonError::into_inner);
        *unwitnessed = done.err().map(|error| error.kind());
    }

    /// What is wrong with the files.
    pub(super) fn trouble(&self) -> Option<LedgerError> {
        if let Err(error) = self.intact() {
            return Some(error);
        }
        let unwitnessed = *self.unwitnessed.lock().unwrap_or_else(PoisonError::into_inner);
        unwitnessed.map(|kind| LedgerError::Witness {
            path: Witness::path_of(&self.ledger.path),
            source: kind.into(),
        })
    }
}

/// The thread that looks at the files. It ends when this is dropped.
pub(super) struct Patrol {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Patrol {
    pub(super) fn start(guard: Arc<Guard>) -> Result<Self, LedgerError> {
        let stop = Arc::<(Mutex<bool>, Condvar)>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("ledger-patrol".into())
            .spawn(move || {
                let (stopped, changed) = &*stopped;
                let mut now = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                while !*now {
                    now = changed.wait_timeout(now, EVERY).unwrap_or_else(PoisonError::into_inner).0;
                    // The writer reports what was found, as does `trouble`.
                    let _ = guard.look();
                    guard.flush();
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
