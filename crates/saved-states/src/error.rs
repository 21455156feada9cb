//! Errors of a saved state.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_keys::SealError;

use crate::record::{CONTENT_BYTES, VERSION};

/// An error of saving or loading a state. Contains no sender and no number.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system reported an error.
    #[error("cannot {doing} {path}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process has the folder of states open.
    #[error("another process uses the folder {}: give each gateway a name or a folder of its own", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file is damaged, or is another list's.
    #[error("the saved state {path} can't be used: {flaw}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A part is larger than plugins may make it.
    #[error("a part of the saved state {path} has {found} bytes, and {CONTENT_BYTES} are allowed")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The part's bytes.
        found: usize,
    },
    /// The system has no randomness for the seal.
    #[error("cannot seal the saved state {path}")]
    Seal {
        /// The file.
        path: PathBuf,
        /// The seal's error.
        source: SealError,
    },
    /// An earlier write failed.
    #[error("writing the saved state {path} failed earlier: start over")]
    GivenUp {
        /// The file.
        path: PathBuf,
    },
}

/// A flaw of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It begins differently.
    #[error("it is not a saved state")]
    NoState,
    /// Another version of Portcullis wrote it.
    #[error("its format has version {found}, and only {VERSION} is supported")]
    OtherVersion {
        /// The file's version.
        found: u8,
    },
    /// It ends before the end of its end record.
    #[error("it ends in record {record}")]
    CutOff {
        /// The record's number, from 0.
        record: u64,
    },
    /// A record can't be opened.
    #[error("its record {record} was changed or moved, or is another list's")]
    Changed {
        /// The record's number, from 0.
        record: u64,
    },
    /// It continues after its end record.
    #[error("it continues after its end")]
    Longer,
}

impl StateError {
    /// Wraps an error of the system, for `map_err`.
    pub(crate) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| StateError::Disk { doing, path: path.to_owned(), source }
    }

    /// Wraps an error of the seal, for `map_err`.
    pub(crate) fn seal(path: &Path) -> impl FnOnce(SealError) -> Self {
        move |source| StateError::Seal { path: path.to_owned(), source }
    }
}
