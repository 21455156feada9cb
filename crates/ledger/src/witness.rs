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
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::files::beside;
use crate::files::sync_folder_of;

const LINE: usize = 128;
const LINES: u64 = 2;
const MAGIC: &str = "portcullis witness 2 ledger=";
/// How a line begins that does not say how much stands in the log.
const WITHOUT_LOG: &str = "portcullis witness 1 ledger=";
/// The most commits in the log that a line can tell.
const MOST_IN_LOG: u64 = 9_999_999_999;
/// Digits of the check sum: a line is damaged by chance, not by an attacker, who could as well remove the file.
const CHECK: usize = 16;

/// The random id of a ledger.
pub(crate) type LedgerId = [u8; 16];

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
    file: File,
    ledger: LedgerId,
    /// The commit in the file.
    written: AtomicU64,
    /// The commit on disk.
    flushed: AtomicU64,
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
        let unfinished = beside(path, ".tmp");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        for _ in 0..LINES {
            file.write_all(&said.line())?;
        }
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        sync_folder_of(path)?;
        let commit = said.commit;
        Ok(Witness {
            file,
            ledger: said.ledger,
            written: AtomicU64::new(commit),
            flushed: AtomicU64::new(commit),
        })
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
    /// Only one thread calls this.
    pub(crate) fn write(&self, commit: u64, base: Option<u64>) -> io::Result<()> {
        let line = Statement { ledger: self.ledger, commit, base }.line();
        self.file.write_all_at(&line, commit % LINES * LINE as u64)?;
        self.written.store(commit, Ordering::Release);
        Ok(())
    }

    /// Flushes what was written. Costs a comparison if that is on disk already.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let written = self.written.load(Ordering::Acquire);
        if self.flushed.load(Ordering::Relaxed) < written {
            self.file.sync_data()?;
            self.flushed.store(written, Ordering::Relaxed);
        }
        Ok(())
    }
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
        witness.flush().unwrap();
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
