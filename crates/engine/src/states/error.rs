//! What can go wrong with a saved state.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_ledger::SealError;

use super::record::{CONTENT_BYTES, VERSION};

/// Why a state can't be saved or is of no use. Names no sender and no number.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// What the operating system reported.
    #[error("cannot {doing} {path}")]
    Disk { doing: &'static str, path: PathBuf, source: io::Error },
    /// The file is not what was written, or is not this list's.
    #[error("the saved state {path} is of no use: {flaw}")]
    Unusable { path: PathBuf, flaw: Flaw },
    /// More than a plugin may answer at once.
    #[error("the saved state {path} can't take {found} bytes at once, but at most {CONTENT_BYTES}")]
    TooLong { path: PathBuf, found: usize },
    /// There is no randomness for the seal.
    #[error("cannot seal the saved state {path}")]
    Seal { path: PathBuf, source: SealError },
    /// Writing failed before.
    #[error("the saved state {path} was given up when writing to it failed: begin anew")]
    GivenUp { path: PathBuf },
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// It begins differently.
    #[error("it does not begin as a saved state does")]
    NoState,
    /// Another Portcullis wrote it.
    #[error("its format has version {found}, and only {VERSION} is known here")]
    OtherVersion { found: u8 },
    /// It ends before its end record, or in it.
    #[error("it is cut off in record {record}")]
    CutOff { record: u64 },
    /// A record does not open, or is no record.
    #[error("its record {record} was changed, is in the wrong place, or is another list's")]
    Changed { record: u64 },
    /// There is more than the end.
    #[error("it goes on after its end")]
    Longer,
}

impl StateError {
    /// What makes an error of an operating system's, for `map_err`.
    pub(super) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| StateError::Disk { doing, path: path.to_owned(), source }
    }
    /// What makes an error of a seal's, for `map_err`.
    pub(super) fn seal(path: &Path) -> impl FnOnce(SealError) -> Self {
        move |source| StateError::Seal { path: path.to_owned(), source }
    }
}
