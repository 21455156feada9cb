//! The log of an open ledger, compared with what SQLite knows of it.
//!
//! SQLite appends to its log without reading it again: that it was cut off or overwritten shows only at the next start, when
//! what was acknowledged is gone. But the index beside it (`-shm`) says how the log is salted, how many frames were committed,
//! and the checksum of the last one (<https://www.sqlite.org/walformat.html>). Each frame's checksum covers all frames before
//! it. All programs that write to the log through SQLite update the index, and nothing else does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::files::beside;

const LOG_HEADER: usize = 32;
/// Bytes before each page: its number, the size of the file after a commit, the salts, and the checksum.
const FRAME_HEADER: usize = 24;
/// The index begins with two copies of its header, which differ while it is written.
const INDEX_HEADER: usize = 48;

/// The log and its index. Drop it after all connections of this process: closing the index releases SQLite's locks.
pub(super) struct LogFile {
    log: File,
    index: File,
}

/// What the index says of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Said {
    salts: [u8; 8],
    page: usize,
    frames: u64,
    /// Of the last frame.
    checksum: [u32; 2],
}

impl LogFile {
    pub(super) fn open(ledger: &Path) -> io::Result<Self> {
        Ok(LogFile { log: File::open(beside(ledger, "-wal"))?, index: File::open(beside(ledger, "-shm"))? })
    }

    /// When SQLite begins its log anew, it salts it anew.
    pub(super) fn salts(&self) -> Option<[u8; 8]> {
        Some(part(&self.read::<LOG_HEADER>(0).ok()?, 16))
    }

    /// Whether header and last frame are those of the log. Costs four calls of the system.
    pub(super) fn is_current(&self) -> bool {
        self.is_as_said(|said| self.is_current_as(said))
    }

    /// Whether the log is whole. Reads all of it: about 25 ms for the 32 MiB at which it is moved into the file.
    pub(super) fn is_whole(&self) -> bool {
        self.is_as_said(|said| self.is_whole_as(said))
    }

    /// If the index changes meanwhile, the program that wrote to the log checks it after that.
    fn is_as_said(&self, is_so: impl FnOnce(&Said) -> io::Result<bool>) -> bool {
        let Some(said) = self.said().filter(|said| said.frames > 0) else { return true };
        match is_so(&said) {
            Ok(true) => true,
            // Other errors say nothing about the log.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => true,
            _ => self.said() != Some(said),
        }
    }

    /// `None` while it changes.
    fn said(&self) -> Option<Said> {
        let copies: [u8; 2 * INDEX_HEADER] = read(&self.index, 0).ok()?;
        let (header, other) = copies.split_at(INDEX_HEADER);
        let page = usize::from(u16::from_ne_bytes(part(header, 14)));
        let word = |at| u32::from_ne_bytes(part(header, at));
        let is_written = header == other && header[12] != 0;
        is_written.then(|| Said {
            salts: part(header, 32),
            // 65,536 is stored as 1.
            page: (page & 0xfe00) + ((page & 1) << 16),
            frames: word(16).into(),
            checksum: [word(24), word(28)],
        })
    }

    fn is_current_as(&self, said: &Said) -> io::Result<bool> {
        let frame = (FRAME_HEADER + said.page) as u64;
        let end = LOG_HEADER as u64 + said.frames * frame;
        let header: [u8; LOG_HEADER] = self.read(0)?;
        let last: [u8; FRAME_HEADER] = self.read(end - frame)?;
        Ok(self.log.metadata()?.len() >= end
            && part(&header, 16) == said.salts
            && stored(&header, 24) == sum([0; 2], &header[..24], is_big_endian(&header))
            && part(&last, 8) == said.salts
            && stored(&last, 16) == said.checksum)
    }

    fn is_whole_as(&self, said: &Said) -> io::Result<bool> {
        if !self.is_current_as(said)? {
            return Ok(false);
        }
        let header: [u8; LOG_HEADER] = self.read(0)?;
        let is_big_endian = is_big_endian(&header);
        let mut checksum = stored(&header, 24);
        let mut frame = vec![0; FRAME_HEADER + said.page];
        let starts = (LOG_HEADER as u64..).step_by(frame.len());
        for (start, _) in starts.zip(0..said.frames) {
            self.log.read_exact_at(&mut frame, start)?;
            checksum = sum(checksum, &frame[..8], is_big_endian);
            checksum = sum(checksum, &frame[FRAME_HEADER..], is_big_endian);
            if part(&frame, 8) != said.salts || stored(&frame, 16) != checksum {
                return Ok(false);
            }
        }
        Ok(checksum == said.checksum)
    }

    fn read<const N: usize>(&self, at: u64) -> io::Result<[u8; N]> {
        read(&self.log, at)
    }
}

fn read<const N: usize>(file: &File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, at).map(|()| bytes)
}

/// The bytes at a place, which must be there.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|place| bytes[at + place])
}

/// A checksum as the log stores it.
fn stored(bytes: &[u8], at: usize) -> [u32; 2] {
    [u32::from_be_bytes(part(bytes, at)), u32::from_be_bytes(part(bytes, at + 4))]
}

/// Whether checksums are of big-endian words: the last bit of the magic number.
fn is_big_endian(header: &[u8; LOG_HEADER]) -> bool {
    header[3] & 1 == 1
}

/// Continues a checksum.
fn sum(before: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    let word = |bytes: &[u8], at| match is_big_endian {
        true => u32::from_be_bytes(part(bytes, at)),
        false => u32::from_le_bytes(part(bytes, at)),
    };
    bytes.as_chunks::<8>().0.iter().fold(before, |[one, two], words| {
        let one = one.wrapping_add(word(words, 0)).wrapping_add(two);
        [one, two.wrapping_add(word(words, 4)).wrapping_add(one)]
    })
}
