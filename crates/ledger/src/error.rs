//! Errors of the ledger.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::keys::SealError;

/// An error reported by the storage. It contains no phone numbers.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// An error of the ledger. Unless a variant says otherwise, nothing of the failed call is stored, and the ledger
/// remains usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The ledger's file or its lock file can't be opened or created.
    #[error("cannot open the ledger {path}")]
    Open {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The ledger is open in another process, or in another [`Ledger`](crate::Ledger) of this process.
    #[error(
        "the ledger {path} is in use, and only one gateway may write to it: stop the other one, or use another ledger"
    )]
    InUse {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file is not a ledger, or its first page is damaged.
    #[error("{path} is not a Portcullis ledger")]
    NotALedger {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file was written by a newer version of Portcullis.
    #[error(
        "the ledger {path} has schema version {found}, but this version of Portcullis supports up to {known}: use a newer one"
    )]
    NewerSchema {
        /// The path of the file.
        path: PathBuf,
        /// The file's schema version.
        found: i64,
        /// The newest supported version.
        known: i64,
    },
    /// The file was created with another master key.
    #[error("the master key is not the one that the ledger {path} was created with")]
    WrongMasterKey {
        /// The path of the file.
        path: PathBuf,
    },
    /// The disk is full, or the file has reached its maximum size.
    #[error("the ledger's disk is full")]
    Full(#[source] Cause),
    /// The disk failed. The write in progress may or may not turn out to be stored after a restart.
    #[error("the ledger's disk failed")]
    Io(#[source] Cause),
    /// The file has contents that no ledger writes.
    #[error("the ledger's {what} is damaged")]
    Damaged {
        /// The damaged part.
        what: &'static str,
        /// How the damage was detected.
        #[source]
        source: Option<Cause>,
    },
    /// Encryption failed.
    #[error("cannot encrypt the data to write")]
    Seal(#[source] SealError),
    /// Another error of the storage.
    #[error("the ledger's storage reported an error")]
    Storage(#[source] Cause),
    /// The tenant was [forgotten](crate::Ledger::forget_tenant) since the list was opened, or during the call.
    #[error("the tenant was forgotten meanwhile")]
    TenantForgotten,
    /// A block without a direction, which would block nothing.
    #[error("a block must cover at least one direction")]
    NoDirections,
    /// The tenant's data was deleted, but remains in the write-ahead log, because a read was using the log.
    #[error(
        "the tenant was forgotten, but its data could not be cleared from the log during a read: try again"
    )]
    LogInUse,
    /// A bug in the ledger stopped the call.
    #[error("a bug in the ledger stopped the call")]
    Defect,
    /// The writer thread has ended. Reopen the ledger.
    #[error("the ledger can no longer write: reopen it")]
    Closed,
}

impl LedgerError {
    pub(crate) fn damaged(what: &'static str) -> Self {
        LedgerError::Damaged { what, source: None }
    }

    /// The stored `what` could not be decrypted.
    pub(crate) fn unsealed(what: &'static str, error: SealError) -> Self {
        LedgerError::Damaged { what, source: Some(error.into()) }
    }
}
