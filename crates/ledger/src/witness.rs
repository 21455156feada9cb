//! The witness: a small file beside the ledger that says which ledger it is, and how far it was written.
//!
//! A database can't tell that it is older than it was: a copy that was made while it ran lacks what stood in its log, and
//! looks whole. The witness is written after each commit and before the commit is acknowledged. It costs a write of 128
//! bytes into the page cache, not a flush: so it is exact after a crash of the process, and at most a few seconds behind
//! after one of the machine. It is never ahead of the ledger, unless the ledger lost something.
//!
//! It consists of two lines of 128 bytes, which are written in turn: if one is damaged, the other is valid, and one commit
//! older. People can read them:
//!
//! ```text
//! portcullis witness 2 ledger=5f…c3 commit=00000000000000004711 log=0000000042 check=2d…9b
//! ```
//!
//! `log` is how many of the latest commits may stand in the log alone: the file has all commits before them. By that a log is
//! noticed that is not the file's own. Version 1 did not say it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::error::LedgerError;
use crate::files::beside;
use crate::files::sync_folder_of;

const LINE: usize = 128;
const LINES: u64 = 2;
const MAGIC: &str = "portcullis witness 2 ledger=";
/// How a line begins that does not say how much stands in the log.
const WITHOUT_LOG: &str = "portcullis witness 1 ledger=";
/// The most commits in the log that a line can tell.
const MOST_IN_LOG: u64 = 9_999_999_999;
/// How long it is said that the witness was removed or replaced, although it was created again: those who ask for trouble do so
/// each second, or each few.
const SAID_FOR: Duration = Duration::from_secs(10);
/// Digits of the check sum: a line is damaged by chance, not by an attacker, who could as well remove the file.
const CHECK: usize = 16;

/// The random id of a ledger.
pub type LedgerId = [u8; 16];

/// What a witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) ledger: LedgerId,
    /// The number of the latest commit that may have been acknowledged.
    pub(crate) commit: u64,
    /// The number of a commit that the file had before its log began, if that is known.
    pub(crate) base: Option<u64>,
}

/// What is at the path of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Damaged,
    Witness(Statement),
}

/// The witness of an open ledger.
pub(crate) struct Witness {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: Arc<File>,
    /// What the file is to say.
    said: Statement,
    /// Why it does not: the last write failed.
    unwritten: Option<io::ErrorKind>,
    /// The commit on disk.
    flushed: u64,
    /// Why it is not on disk, or was not created again, the last time.
    unkept: Option<io::ErrorKind>,
    /// When it was found to have been removed, replaced or overwritten, the last time.
    lost: Option<Instant>,
}

impl Statement {
    fn line(self) -> [u8; LINE] {
        let id = u128::from_be_bytes(self.ledger);
        let in_log =
            self.base.map(|base| self.commit.saturating_sub(base)).filter(|count| *count <= MOST_IN_LOG);
        let said = match in_log {
            Some(count) => format!("{MAGIC}{id:032x} commit={:020} log={count:010} check=", self.commit),
            None => format!("{WITHOUT_LOG}{id:032x} commit={:020} check=", self.commit),
        };
        let mut line = [b' '; LINE];
        let text =
            said.as_bytes().iter().chain(check(said.as_bytes()).as_bytes()).copied().collect::<Vec<u8>>();
        line[..text.len()].copy_from_slice(&text);
        line[LINE - 1] = b'\n';
        line
    }

    /// `None` if [`line`](Self::line) did not write this.
    fn read(line: &[u8]) -> Option<Self> {
        let text = str::from_utf8(line).ok()?;
        let said = text.strip_prefix(MAGIC).or_else(|| text.strip_prefix(WITHOUT_LOG))?;
        let (id, rest) = said.split_once(" commit=")?;
        let (commit, rest) = rest.split_once(' ')?;
        let commit: u64 = commit.parse().ok()?;
        let in_log = rest.strip_prefix("log=").and_then(|rest| rest.split_once(' ')?.0.parse::<u64>().ok());
        let ledger = u128::from_str_radix(id, 16).ok()?.to_be_bytes();
        let base = in_log.and_then(|count| commit.checked_sub(count));
        let found = Statement { ledger, commit, base };
        (found.line() == line).then_some(found)
    }
}

fn check(said: &[u8]) -> String {
    let mut digits = String::with_capacity(CHECK);
    for byte in Sha256::digest(said).iter().take(CHECK / 2) {
        digits.push_str(&format!("{byte:02x}"));
    }
    digits
}

impl Witness {
    /// The path of a ledger's witness.
    pub(crate) fn path_of(ledger: &Path) -> PathBuf {
        beside(ledger, ".witness")
    }

    /// Reads the witness at this path.
    pub(crate) fn read(path: &Path) -> io::Result<Found> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            read => read?,
        };
        let lines = bytes.chunks_exact(LINE).take(2).filter_map(Statement::read);
        Ok(lines.max_by_key(|said| said.commit).map_or(Found::Damaged, Found::Witness))
    }

    /// Creates the witness durably, or replaces it.
    pub(crate) fn create(path: &Path, said: Statement) -> io::Result<Self> {
        let state = State {
            file: Arc::new(create(path, said)?),
            said,
            unwritten: None,
            flushed: said.commit,
            unkept: None,
            lost: None,
        };
        Ok(Witness { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// Puts back what was at the path before [`create`](Self::create). Best effort, after an error.
    pub(crate) fn put_back(path: &Path, before: Option<&[u8]>) {
        let _ = std::fs::remove_file(beside(path, ".tmp"));
        if std::fs::read(path).ok().as_deref() == before {
            return;
        }
        let _ = match before {
            Some(bytes) => std::fs::write(path, bytes),
            None => std::fs::remove_file(path),
        };
    }

    /// Writes that the ledger has this commit, and that its file had the commit `base` before its log began, without flushing it.
    /// If that fails, [`keep`](Self::keep) tries again, and until then [`trouble`](Self::trouble) says so.
    pub(crate) fn write(&self, commit: u64, base: Option<u64>) -> io::Result<()> {
        let mut state = self.state();
        state.said = Statement { commit, base, ..state.said };
        state.write()
    }

    /// Writes what could not be written, and flushes it. If the file was removed, replaced or overwritten, and `creates` is set, it is
    /// created again. Costs a few microseconds if all is well. Only one thread at a time calls this; one that writes does not wait
    /// for the disk meanwhile.
    pub(crate) fn keep(&self, creates: bool) {
        let kept = self.try_keep(creates);
        self.state().unkept = kept.err().map(|error| error.kind());
    }

    fn try_keep(&self, creates: bool) -> io::Result<()> {
        let mut state = self.state();
        let is_written = state.unwritten.is_none() || state.write().is_ok();
        if creates && (!state.is_at(&self.path) || (is_written && !state.is_said())) {
            state.lost = Some(Instant::now());
            let said = state.said;
            drop(state);
            let file = create(&self.path, said)?;
            state = self.state();
            (state.file, state.flushed) = (Arc::new(file), said.commit);
            // What was written to the other file meanwhile.
            state.write()?;
        }
        let (file, commit) = (Arc::clone(&state.file), state.said.commit);
        if state.unwritten.is_none() && state.flushed < commit {
            drop(state);
            file.sync_data()?;
            self.state().flushed = commit;
        }
        Ok(())
    }

    /// What is wrong with the witness, or was until a moment ago.
    pub(crate) fn trouble(&self) -> Option<LedgerError> {
        let state = self.state();
        if let Some(kind) = state.unwritten.or(state.unkept) {
            return Some(LedgerError::Witness { path: self.path.clone(), source: kind.into() });
        }
        let is_recent = state.lost.is_some_and(|at| at.elapsed() < SAID_FOR);
        is_recent.then(|| LedgerError::WitnessReplaced { witness: self.path.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to this file from now on.
    #[cfg(test)]
    pub(crate) fn write_to(&self, file: File) {
        self.state().file = Arc::new(file);
    }
}

impl State {
    fn write(&mut self) -> io::Result<()> {
        let written = self.file.write_all_at(&self.said.line(), self.place());
        self.unwritten = written.as_ref().err().map(io::Error::kind);
        written
    }

    /// Whether the file says what it is to say.
    fn is_said(&self) -> bool {
        let mut line = [0; LINE];
        self.file.read_exact_at(&mut line, self.place()).is_ok() && line == self.said.line()
    }

    fn place(&self) -> u64 {
        self.said.commit % LINES * LINE as u64
    }

    /// Whether the file is the one at this path, as far as that can be known.
    fn is_at(&self, path: &Path) -> bool {
        match (std::fs::metadata(path), self.file.metadata()) {
            (Ok(there), Ok(own)) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
            (Err(error), _) => error.kind() != io::ErrorKind::NotFound,
            (Ok(_), Err(_)) => true,
        }
    }
}

/// Creates the file of a witness durably, or replaces it.
fn create(path: &Path, said: Statement) -> io::Result<File> {
    let unfinished = beside(path, ".tmp");
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    for _ in 0..LINES {
        file.write_all(&said.line())?;
    }
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_folder_of(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(commit: u64) -> Statement {
        Statement { ledger: [7; 16], commit, base: Some(40) }
    }

    #[test]
    fn the_latest_commit_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db.witness");
        assert_eq!(Witness::read(&path).unwrap(), Found::Nothing);
        let witness = Witness::create(&path, said(41)).unwrap();
        for commit in [42, 43, 99, 100] {
            witness.write(commit, Some(40)).unwrap();
            assert_eq!(Witness::read(&path).unwrap(), Found::Witness(said(commit)));
        }
        witness.keep(true);
        assert!(witness.trouble().is_none());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.starts_with("portcullis witness 2 ledger=0707")), "{text}");
    }

    #[test]
    fn a_witness_need_not_know_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db.witness");
        let said = Statement { base: None, ..said(41) };
        Witness::create(&path, said).unwrap();
        assert_eq!(Witness::read(&path).unwrap(), Found::Witness(said));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("portcullis witness 1 ledger=0707"), "{text}");
    }

    #[test]
    fn a_witness_that_was_removed_replaced_or_overwritten_is_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db.witness");
        for how in ["removed", "replaced", "emptied"] {
            let witness = Witness::create(&path, said(41)).unwrap();
            match how {
                "removed" => std::fs::remove_file(&path).unwrap(),
                "replaced" => {
                    std::fs::copy(&path, folder.path().join("other")).unwrap();
                    std::fs::rename(folder.path().join("other"), &path).unwrap();
                }
                _ => std::fs::write(&path, "").unwrap(),
            }
            witness.write(42, Some(40)).unwrap();
            witness.keep(false);
            assert!(witness.trouble().is_none());
            if how == "emptied" {
                std::fs::write(&path, "").unwrap();
            }
            witness.keep(true);
            assert!(matches!(witness.trouble(), Some(LedgerError::WitnessReplaced { .. })), "{how}");
            assert_eq!(Witness::read(&path).unwrap(), Found::Witness(said(42)), "{how}");
            witness.write(43, Some(40)).unwrap();
            assert_eq!(Witness::read(&path).unwrap(), Found::Witness(said(43)), "{how}");
        }
    }

    #[test]
    fn of_two_lines_one_may_be_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db.witness");
        let witness = Witness::create(&path, said(41)).unwrap();
        witness.write(42, Some(40)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            // The even commit is in the first line.
            let expected = if at < LINE { said(41) } else { said(42) };
            assert_eq!(Witness::read(&path).unwrap(), Found::Witness(expected), "byte {at}");
        }
        for text in [&b""[..], &whole[..LINE - 1], &[0; 256]] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Witness::read(&path).unwrap(), Found::Damaged);
        }
    }
}
