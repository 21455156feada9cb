//! What can go wrong with a ledger.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::keys::SealError;

/// What the storage itself reported. It names no number.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// What can go wrong with a ledger. After a failed call nothing of it is stored, and the ledger can
/// be used on, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The ledger's file, or its lock file, could not be opened or created.
    #[error("cannot open the ledger {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process, or another [`Ledger`](crate::Ledger) of this one, has it open.
    #[error(
        "the ledger {path} is in use: only one gateway may write to it. Stop the other one, or give this one a ledger of its own"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else than a ledger, or its first page is damaged.
    #[error("{path} is not a Portcullis ledger")]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A newer Portcullis wrote the file.
    #[error(
        "the ledger {path} has schema version {found}, this Portcullis knows versions up to {known}: use a newer one"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest version that is understood.
        known: i64,
    },
    /// The file was made under another master key.
    #[error("the master key is not the one that the ledger {path} was made with")]
    WrongMasterKey {
        /// The file.
        path: PathBuf,
    },
    /// The disk (or the file, as far as it may grow) is full.
    #[error("the disk that the ledger is on is full")]
    Full(#[source] Cause),
    /// The disk failed. What was being written may or may not be found stored after a restart.
    #[error("the disk that the ledger is on failed")]
    Io(#[source] Cause),
    /// The file holds what no ledger writes.
    #[error("the ledger's {what} is damaged")]
    Damaged {
        /// Which part.
        what: &'static str,
        /// What was noticed.
        #[source]
        source: Option<Cause>,
    },
    /// Something could not be encrypted.
    #[error("cannot seal what is to be written")]
    Seal(#[source] SealError),
    /// Another complaint of the storage.
    #[error("the ledger's storage refused")]
    Storage(#[source] Cause),
    /// The tenant was [forgotten](crate::Ledger::forget_tenant) since the list was opened, or while
    /// the call was under way.
    #[error("the tenant was forgotten meanwhile")]
    TenantForgotten,
    /// A block without a direction, which would block nothing.
    #[error("a block must cover at least one direction")]
    NoDirections,
    /// The tenant is gone, but the log could not be cleared of what it held, as it is being read.
    #[error("the tenant is forgotten, but the log could not be cleared while it is read: ask again")]
    LogInUse,
    /// A defect of the ledger stopped this call.
    #[error("a defect of the ledger stopped this call")]
    Defect,
    /// The thread that writes has ended. The ledger must be opened anew.
    #[error("the ledger no longer writes: open it anew")]
    Closed,
}

impl LedgerError {
    pub(crate) fn damaged(what: &'static str) -> Self {
        LedgerError::Damaged { what, source: None }
    }

    /// A seal that does not open in the stored `what`.
    pub(crate) fn unsealed(what: &'static str, error: SealError) -> Self {
        LedgerError::Damaged { what, source: Some(error.into()) }
    }
}
