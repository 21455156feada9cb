//! Whether writes fail because the database's disk is full or broken.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_ledger::LedgerError;

use crate::{Postgres, read_on};

/// How often a failing disk is tried at most.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How long that may take: this node's sign of life waits for it.
const TRY_WITHIN: Duration = Duration::from_secs(1);

/// The state of the database's disk, as far as writes have shown it.
#[derive(Default)]
pub(crate) struct Disk(Mutex<Option<Failing>>);

/// A write failed, and none that takes room has succeeded since.
struct Failing {
    is_full: bool,
    cause: String,
    tried: Instant,
}

impl Disk {
    /// Notes why a write failed, if that was the disk. Returns the same error.
    pub(crate) fn noting(&self, error: LedgerError) -> LedgerError {
        if let LedgerError::Full(cause) | LedgerError::Io(cause) = &error {
            let is_full = matches!(error, LedgerError::Full(_));
            *self.0.lock() = Some(Failing { is_full, cause: cause.to_string(), tried: Instant::now() });
        }
        error
    }

    /// What is wrong with it.
    pub(crate) fn trouble(&self) -> Option<LedgerError> {
        self.0.lock().as_ref().map(|Failing { is_full, cause, .. }| {
            let cause = cause.clone().into();
            if *is_full { LedgerError::Full(cause) } else { LedgerError::Io(cause) }
        })
    }

    /// Whether it fails, and was not tried for a while.
    fn is_to_be_tried(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|failing| failing.tried.elapsed() >= TRY_EVERY)
    }
}

impl Postgres {
    /// Tries whether a disk that failed has room again. A small write says nothing: pages that are there already may have room for it.
    pub(crate) fn try_disk(&self) {
        // A megabyte, which is gone again at the end.
        const SQL: &str = "
            CREATE TEMPORARY TABLE portcullis_room ON COMMIT DROP AS
            SELECT repeat(md5(n::text), 60) FROM generate_series(1, 500) n";
        if !self.disk.is_to_be_tried() {
            return;
        }
        match read_on(self.pool.writer(TRY_WITHIN), async |session| session.batch(SQL).await) {
            // If it is not allowed, the next write says whether there is room.
            Ok(()) | Err(LedgerError::Storage(_)) => *self.disk.0.lock() = None,
            Err(error) => drop(self.disk.noting(error)),
        }
    }
}
