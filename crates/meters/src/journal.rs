//! The counts of a tenant on disk: all of them, and what changed since.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use portcullis_keys::{Seal, SealError};
use tempfile::NamedTempFile;

use crate::clock::Time;
use crate::meters::{Changes, Meters, Position};

/// What a file begins with. The last byte is the version.
const MAGIC: &[u8; 8] = b"PCMETER\x01";
const FILE_ID: usize = 16;
const PREAMBLE: usize = MAGIC.len() + FILE_ID;
/// A frame's length stands before it.
const LENGTH: usize = 4;

/// Changes are appended until they take as much as all counts did, and at least this. Then the file is written anew.
const APPENDED: u64 = 1 << 20;

/// A file that is longer is not read: three times what the counters of 4 GiB of memory take.
const LONGEST: u64 = 4 << 30;

/// The end of the names of files that are being written. One may remain if the machine stops meanwhile.
const UNFINISHED: &str = ".unfinished";

/// The file that a tenant's counts are saved in, sealed.
///
/// It begins with all counts. What changed is appended, until that takes as much again; then another file replaces it. So it is at most
/// twice as long as all counts, or 1 MiB longer, and each change is written about twice.
///
/// A process that is killed loses what it has not saved: save once a second. A machine that stops also loses what the system has not
/// written, which is about 30 seconds on Linux if nobody calls [`sync`](Self::sync). What is torn at the end is cut off.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<Appending>,
    position: Position,
}

/// A file that changes are appended to.
#[derive(Debug)]
struct Appending {
    file: File,
    id: [u8; FILE_ID],
    frames: u64,
    /// The length of what is whole.
    length: u64,
    /// The length with all counts and no changes.
    base: u64,
    /// Whether an append failed: the file may be longer than what is whole.
    is_torn: bool,
}

/// What a journal had.
#[derive(Debug, Default)]
pub struct Saved {
    /// For [`Meters::restore`].
    pub changes: Vec<Vec<u8>>,
    /// How many bytes at the end could not be read: what was being written when the process was killed, or damage.
    pub lost_bytes: u64,
}

/// Why counts can't be read or saved.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk.
    #[error("can't {action} the counts in {path:?}")]
    Disk {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is no such file.
    #[error("{path:?} has no counts that this version can read: move it away to count from 0")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is longer than any that was written.
    #[error("{path:?} is {found} bytes long, and {LONGEST} is the most: move it away to count from 0")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// They could not be sealed.
    #[error("can't seal the counts for {path:?}")]
    Seal {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: SealError,
    },
}

impl Journal {
    /// Reads the counts that were saved in a file. There are none if there is no file.
    ///
    /// # Errors
    /// [`JournalError`]. A file that was sealed under another key has nothing that can be read: all of it is lost bytes.
    pub fn open(path: &Path, seal: &Seal) -> Result<(Self, Saved), JournalError> {
        let journal = Journal { path: path.to_owned(), file: None, position: Position::START };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((journal, Saved::default())),
            Err(error) => return Err(journal.disk("open", error)),
        };
        let found = file.metadata().map_err(|error| journal.disk("read", error))?.len();
        if found > LONGEST {
            return Err(JournalError::TooLong { path: path.to_owned(), found });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| journal.disk("read", error))?;
        let saved = read(&bytes, seal).ok_or_else(|| JournalError::Foreign { path: path.to_owned() })?;
        Ok((journal, saved))
    }

    /// Saves what changed since the last time: for the process, not for the machine. See [`sync`](Self::sync).
    ///
    /// The first call writes all counts, and flushes the disk; so does one after changes that took as much. If this fails, the next call
    /// saves what this one should have.
    ///
    /// # Errors
    /// [`JournalError::Disk`] or [`JournalError::Seal`].
    pub fn save(&mut self, meters: &Meters, seal: &Seal, now: Time) -> Result<(), JournalError> {
        let Some(file) = self.file.as_mut().filter(|file| file.length < file.base + file.base.max(APPENDED))
        else {
            return self.replace(&meters.changes_since(Position::START, now), seal);
        };
        let changes = meters.changes_since(self.position, now);
        if changes.is_all {
            return self.replace(&changes, seal);
        }
        if changes.counters > 0 {
            match file.append(&changes.bytes, seal) {
                Ok(()) => {}
                Err(Failure::Disk(error)) => return Err(self.disk("append to", error)),
                Err(Failure::Seal(source)) => {
                    return Err(JournalError::Seal { path: self.path.clone(), source });
                }
            }
        }
        self.position = changes.next;
        Ok(())
    }

    /// Flushes to the disk what was saved, so that it outlives a power failure.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn sync(&self) -> Result<(), JournalError> {
        match &self.file {
            Some(appending) => appending.file.sync_data().map_err(|error| self.disk("flush", error)),
            None => Ok(()),
        }
    }

    /// Writes another file with all counts, which replaces this one when it is whole and on disk.
    fn replace(&mut self, all: &Changes, seal: &Seal) -> Result<(), JournalError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let written = || -> Result<Appending, Failure> {
            std::fs::create_dir_all(folder)?;
            // Its mode is 0600.
            let unfinished = tempfile::Builder::new().suffix(UNFINISHED).tempfile_in(folder)?;
            let mut appending = Appending::begin(&unfinished)?;
            appending.append(&all.bytes, seal)?;
            appending.base = appending.length;
            appending.file.sync_all()?;
            unfinished.persist(&self.path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()?;
            Ok(appending)
        }();
        match written {
            Ok(appending) => {
                self.file = Some(appending);
                self.position = all.next;
                Ok(())
            }
            Err(Failure::Disk(error)) => Err(self.disk("write", error)),
            Err(Failure::Seal(source)) => Err(JournalError::Seal { path: self.path.clone(), source }),
        }
    }

    fn disk(&self, action: &'static str, source: io::Error) -> JournalError {
        JournalError::Disk { action, path: self.path.clone(), source }
    }
}

enum Failure {
    Disk(io::Error),
    Seal(SealError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Disk(error)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Failure::Seal(error)
    }
}

impl Appending {
    fn begin(unfinished: &NamedTempFile) -> Result<Self, Failure> {
        let mut id = [0; FILE_ID];
        getrandom::fill(&mut id).map_err(SealError::NoRandomness)?;
        let mut file = OpenOptions::new().write(true).open(unfinished.path())?;
        file.write_all(MAGIC)?;
        file.write_all(&id)?;
        let length = PREAMBLE as u64;
        Ok(Appending { file, id, frames: 0, length, base: length, is_torn: false })
    }

    fn append(&mut self, plain: &[u8], seal: &Seal) -> Result<(), Failure> {
        let sealed = seal.seal(&context(&self.id, self.frames), plain)?;
        let length = u32::try_from(sealed.len()).map_err(|_| SealError::TooLong)?;
        let frame = [&length.to_le_bytes(), sealed.as_slice()].concat();
        if self.is_torn {
            self.file.set_len(self.length)?;
        }
        self.is_torn = true;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&frame)?;
        self.is_torn = false;
        self.frames += 1;
        self.length += frame.len() as u64;
        Ok(())
    }
}

/// What a frame is sealed with: it stays in its file, and in its place there.
fn context(id: &[u8; FILE_ID], frame: u64) -> Vec<u8> {
    [b"portcullis meters".as_slice(), id, &frame.to_le_bytes()].concat()
}

/// The frames of a file, up to the first that can't be read. `None` if it is no such file.
fn read(bytes: &[u8], seal: &Seal) -> Option<Saved> {
    let (magic, rest) = bytes.split_first_chunk::<{ MAGIC.len() }>()?;
    if magic != MAGIC {
        return None;
    }
    let (id, mut rest) = rest.split_first_chunk::<FILE_ID>()?;
    let mut changes = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((sealed, after)) = after.split_at_checked(length) else { break };
        let Ok(plain) = seal.open(&context(id, changes.len() as u64), sealed) else { break };
        changes.push(plain);
        rest = after;
    }
    Some(Saved { changes, lost_bytes: rest.len() as u64 })
}
