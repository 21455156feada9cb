//! Errors of the ledger.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use portcullis_keys::{Fingerprint, SealError};
use portcullis_ledger_model::{Inconsistent, Loss};

use crate::witness::LedgerId;

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
    #[error(
        "the master key is not the one that the ledger {path} was created with: put that key in its place, which all gateways that \
         share the ledger have, and which its backup has"
    )]
    WrongMasterKey {
        /// The path of the file.
        path: PathBuf,
    },
    /// The open ledger is under another master key than those that are known here: others that share it have exchanged the key.
    #[error(
        "the ledger is sealed under a master key that this gateway does not have: add it to the key's file"
    )]
    AnotherMasterKey,
    /// The master key is to be exchanged for one that not all gateways have which share the ledger.
    #[error(
        "the new master key {key} is not known to {by}: add it after the one in use there, too, and try again"
    )]
    KeyNotEverywhere {
        /// What the key is called.
        key: Fingerprint,
        /// The gateways that lack it.
        by: String,
    },
    /// Reading a long list or history took more than 10 seconds.
    #[error("reading took more than 10 seconds")]
    TookTooLong,
    /// There is no ledger, or an empty one, but something says that there was one. It may be lost: nothing was created.
    #[error(
        "there is no ledger in {path}, but {evidence} says that there was one: put the ledger back, or restore a backup; to begin \
         with an empty one, in which nobody is blocked, as for the first start with a key of your own, start once with --new-ledger"
    )]
    Lost {
        /// The path of the file.
        path: PathBuf,
        /// What says so: a file or folder, or what [`Opening::expected`](crate::Opening::expected) names.
        evidence: String,
    },
    /// [`Opening::new_ledger`](crate::Opening::new_ledger) was set, but there is a ledger already.
    #[error(
        "there is a ledger in {path} already: start without --new-ledger, which would hide its loss later"
    )]
    NotNew {
        /// The path of the file.
        path: PathBuf,
    },
    /// The ledger is older than it was: commits that may have been acknowledged are missing.
    #[error(
        "the ledger {path} lacks the last {missing} of its commits: it is an older copy, or its log {path}-wal was lost or damaged; \
         put the latest ledger and log back, or, if it was restored from a backup, start once with --restored"
    )]
    Stale {
        /// The path of the file.
        path: PathBuf,
        /// How many commits are missing.
        missing: u64,
    },
    /// The ledger was in use when it was copied, or when its process ended, and its log is missing.
    #[error(
        "the ledger {path} was copied while it was in use, or its log {path}-wal was removed: what stood in the log is missing; put \
         the log back, or, if the ledger was restored from a backup, start once with --restored"
    )]
    WithoutLog {
        /// The path of the file.
        path: PathBuf,
    },
    /// The log beside the ledger is not the ledger's own, or the ledger is older than it. SQLite would merge the two, which
    /// damages both.
    #[error(
        "the log {path}-wal does not belong to the ledger {path}: one of the two was replaced; if the ledger was restored from a \
         backup, move {path}-wal and {path}-shm away, which are of the ledger before, and start once with --restored; otherwise put \
         the ledger back that the log belongs to"
    )]
    ForeignLog {
        /// The path of the ledger.
        path: PathBuf,
    },
    /// The ledger is not the one that its witness was written for.
    #[error(
        "the ledger {path} is not the one that {witness} was written for: put that one back, or, if this one was restored from a \
         backup, start once with --restored"
    )]
    Another {
        /// The path of the file.
        path: PathBuf,
        /// The path of the witness.
        witness: PathBuf,
    },
    /// The witness says nothing, so nobody knows whether the ledger is the latest.
    #[error(
        "the witness {witness} is damaged, so nobody knows whether the ledger beside it is the latest: if you know that it is, start \
         once with --restored"
    )]
    WitnessDamaged {
        /// The path of the witness.
        witness: PathBuf,
    },
    /// There is no witness, although the ledger had one, so nobody knows whether the ledger is the latest.
    #[error(
        "the ledger {path} has no witness, so nobody knows whether it is the latest: put {witness} back, or, if the ledger was \
         restored from a backup, or you know that it is the latest, start once with --restored"
    )]
    WitnessLost {
        /// The path of the file.
        path: PathBuf,
        /// The path of the witness.
        witness: PathBuf,
    },
    /// The witness was removed, replaced or overwritten while the ledger was open. It was created again.
    #[error(
        "the witness {witness} was removed, replaced or overwritten while the ledger was open: it was created again, because without \
         it a loss of the ledger would go unnoticed; find out what did it, and whether the ledger's other files are as they should be"
    )]
    WitnessReplaced {
        /// The path of the witness.
        witness: PathBuf,
    },
    /// The ledger was moved to another place, and is no longer in use.
    #[error(
        "the ledger {path} was moved to {to}, and is no longer in use: set storage.url to that one; or, to go on with this one as it \
         was then, take it back with `portcullis migrate --return`"
    )]
    Left {
        /// The path of the file, or the database.
        path: PathBuf,
        /// Where it went, without a password.
        to: String,
        /// The id of the ledger that it became there.
        ledger: LedgerId,
    },
    /// Moving a ledger here was not finished, so it is not a ledger yet.
    #[error(
        "the ledger {path} is unfinished, because `portcullis migrate` was interrupted: the ledger that it came from is the one in \
         use; run the same `portcullis migrate` again, which starts over"
    )]
    Unfinished {
        /// The path of the file, or the database.
        path: PathBuf,
    },
    /// A ledger is to be moved to where there is one already, or what is left of one.
    #[error(
        "there is a ledger, or what is left of one, in {path} already: move it away, or name an empty database, or a file that does \
         not exist"
    )]
    NotEmpty {
        /// The path of the file, or the database.
        path: PathBuf,
    },
    /// A ledger in a database is to be moved, but gateways are connected to it.
    #[error("the ledger {path} is in use by {by}: stop all of its gateways first")]
    Connected {
        /// The database.
        path: PathBuf,
        /// Who uses it.
        by: String,
    },
    /// The upgrade of a ledger in a database is to be finished, but a gateway of an older version is connected to it.
    #[error(
        "{by}, which is of an older version of Portcullis, uses the ledger {path}: upgrade or stop it first"
    )]
    OlderGateway {
        /// The database.
        path: PathBuf,
        /// The gateway.
        by: String,
    },
    /// The upgrade of the ledger's database was finished while this gateway was running: it is too old to write. Nothing is stored.
    #[error(
        "the ledger's database was upgraded, and this version of Portcullis is too old to write to it: use a newer one"
    )]
    TooOld,
    /// A ledger is to be taken back that was not moved.
    #[error("the ledger {path} was not moved to another place, so there is nothing to take back")]
    NotLeft {
        /// The path of the file, or the database.
        path: PathBuf,
    },
    /// A ledger is to be moved whose schema is of an older version of Portcullis.
    #[error(
        "the ledger {path} is of an older version of Portcullis: start a gateway on it once, which upgrades it, and stop it again"
    )]
    OlderSchema {
        /// The path of the file, or the database.
        path: PathBuf,
    },
    /// [`Opening::restored`](crate::Opening::restored) was set, but nothing is amiss with the ledger.
    #[error(
        "nothing is amiss with the ledger {path}: start without --restored, which would hide a loss later"
    )]
    NotRestored {
        /// The path of the file.
        path: PathBuf,
    },
    /// [`Opening::restored`](crate::Opening::restored) was set for a ledger in a database, which has no witness that would say that it
    /// is older than it was.
    #[error(
        "--restored is for a ledger in a file, and the one in {path} is used as it is: start without --restored"
    )]
    RestoredDatabase {
        /// The database.
        path: PathBuf,
    },
    /// A ledger can't be created in the database, as not all texts can be stored in its encoding.
    #[error("the database {path} has the encoding {found}: create one with the encoding UTF8")]
    Encoding {
        /// The database.
        path: PathBuf,
        /// Its encoding.
        found: String,
    },
    /// The ledger's file, or its log, was removed, replaced or overwritten while it was open. What is written would be lost with the
    /// next restart, so nothing is. The call that found it may have been stored in the removed file.
    #[error("{path} was {loss}")]
    Replaced {
        /// The path of the file.
        path: PathBuf,
        /// How it was lost, which decides what to do.
        loss: Loss,
    },
    /// A copy was to be checked, but this is the ledger itself.
    #[error(
        "{path} is the ledger itself, not a copy: check it without --backup while no gateway runs, or name a backup"
    )]
    NotACopy {
        /// The path of the file.
        path: PathBuf,
    },
    /// The witness can't be read or written.
    #[error(
        "the witness {path} can't be read or written, so a loss of the ledger might go unnoticed: free space on its disk, and let the \
         gateway write the file and its folder"
    )]
    Witness {
        /// The path of the witness.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The disk is full, or the file has reached its maximum size.
    #[error("the ledger's disk is full")]
    Full(#[source] Cause),
    /// The disk failed. The write in progress may or may not turn out to be stored after a restart.
    #[error("the ledger's disk failed")]
    Io(#[source] Cause),
    /// Another program has held the lock of the file for 5 seconds, such as a backup or the shell of SQLite. Nothing is stored.
    #[error("another program holds the lock of the ledger's file")]
    Locked(#[source] Cause),
    /// The file has contents that no ledger writes.
    #[error("the ledger's {what} is damaged{}", advice(what))]
    Damaged {
        /// The damaged part.
        what: &'static str,
        /// How the damage was detected.
        #[source]
        source: Option<Cause>,
    },
    /// The database that stores the ledger can't be reached, or does not accept writes. Nothing is stored.
    #[error("the ledger's database can't be reached")]
    Unavailable(#[source] Cause),
    /// The database did not answer in time, or the connection was lost during a commit. The write may or may not be stored: repeat
    /// it, as writing it twice changes nothing.
    #[error("the ledger's database did not say whether the write is stored")]
    OutcomeUnknown,
    /// The database has lost changes of the list that were read before, as at a failover to a standby that lacked them.
    #[error("the ledger's database has lost changes of the list that were read before")]
    HistoryLost,
    /// Encryption failed.
    #[error("cannot encrypt the data to write")]
    Seal(#[source] SealError),
    /// The ledger is in a database, for which the call is not meant.
    #[error("the ledger is in a database, and not in a file: use the database's own tools")]
    NotAFile,
    /// Another error of the storage.
    #[error("the ledger's storage reported an error")]
    Storage(#[source] Cause),
    /// The tenant was [forgotten](crate::Ledger::forget_tenant) since the list was opened, or during the call.
    #[error("the tenant was forgotten meanwhile")]
    TenantForgotten,
    /// Another process that shares the ledger changed the tenant's settings since they were read. Nothing is stored: read them again, and
    /// decide anew.
    #[error("another gateway changed the tenant's settings meanwhile: try again")]
    SettingsChanged,
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

/// What to do about damage that affects everything.
fn advice(what: &str) -> &'static str {
    match what {
        "file" => ": restore a backup",
        _ => "",
    }
}

impl LedgerError {
    /// The stored `what` is not as a ledger writes it.
    pub const fn damaged(what: &'static str) -> Self {
        LedgerError::Damaged { what, source: None }
    }

    /// Rows of `what` are not as they were written.
    pub(crate) fn altered(what: &'static str, rows: Altered) -> Self {
        LedgerError::Damaged { what, source: Some(rows.into()) }
    }

    /// The stored `what` could not be decrypted.
    pub fn unsealed(what: &'static str, error: SealError) -> Self {
        LedgerError::Damaged { what, source: Some(error.into()) }
    }
}

impl From<Inconsistent> for LedgerError {
    fn from(inconsistent: Inconsistent) -> Self {
        match inconsistent {
            Inconsistent::Stored(what) => LedgerError::damaged(what),
            Inconsistent::NotRead => LedgerError::Defect,
        }
    }
}

/// Rows that are not as they were written: their sum is not the one that was stored with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Altered {
    #[error(
        "part {part} of {parts} is not as it was written: restore a backup; `portcullis verify` tells all"
    )]
    Part { part: i64, parts: i64 },
    #[error("its rows are not as they were written: restore a backup; `portcullis verify` tells all")]
    Rows,
    #[error("its changes are not as they were written: restore a backup; `portcullis verify` tells all")]
    Changes,
}
