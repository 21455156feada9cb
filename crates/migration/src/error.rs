//! Why a ledger was not moved.

use portcullis_ledger::{LedgerError, StorageUrlError};
use portcullis_ledger_postgres::PostgresUrlError;

/// Why a ledger was not moved. Contains no number and no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// The URL of a ledger can't be read.
    #[error(transparent)]
    Url(#[from] StorageUrlError),
    /// The URL of a database can't be used.
    #[error(transparent)]
    DatabaseUrl(#[from] PostgresUrlError),
    /// This program knows no store of this kind.
    #[error("this kind of storage is unknown: use sqlite:// or postgres://")]
    UnknownStore,
    /// The ledger that is moved.
    #[error("the ledger to move")]
    Source(#[source] LedgerError),
    /// Where it is moved to.
    #[error("where to move it")]
    Target(#[source] LedgerError),
    /// The two differ.
    #[error(
        "{what} did not arrive as they are in the ledger to move, which is still the one in use: check the disks of both, and run the \
         same command again, which starts over"
    )]
    Differs {
        /// What differs.
        what: String,
    },
    /// A counter of the ledger is not what its rows say.
    #[error("{what}: the ledger to move is damaged, and is still the one in use; restore a backup")]
    Miscounted {
        /// What is wrong with what.
        what: String,
    },
    /// The upgrade of a ledger in a file is to be finished.
    #[error(
        "a ledger in a file is upgraded by the gateway that opens it, and nothing has to be finished: name a ledger in a database"
    )]
    NoUpgrade,
    /// The upgrade could not be finished, or not yet.
    #[error("the ledger whose upgrade is to be finished")]
    Upgrade(#[source] LedgerError),
    /// An earlier move was interrupted at its very end.
    #[error(
        "an earlier move was interrupted when everything was copied: run it again, without --dry-run, and it starts over"
    )]
    Interrupted,
    /// Everything was copied, and the ledger was marked as moved, but not put into service where it went.
    #[error(
        "everything was copied, and the ledger is marked as moved, but it could not be seen that it is in service where it went: run the same \
         command again, which starts over. If that says that there is a ledger already, it is in service: set storage.url to it"
    )]
    Finish(#[source] LedgerError),
}
