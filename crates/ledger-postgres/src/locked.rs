//! A list that is locked, in a transaction.

use std::time::Instant;

use futures_util::future::try_join;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::ListRow;

use crate::Postgres;
use crate::failure::Failure;
use crate::head::{HEAD_LOCKED, Head, locked_head};
use crate::pool::Lent;
use crate::session::Session;

/// An open transaction that holds the lock of a list. The server ends it after two seconds without a statement.
pub(crate) struct Locked<'a> {
    /// `None` once the transaction was ended.
    session: Option<Lent<'a>>,
    pub(crate) head: Head,
}

impl Postgres {
    /// Locks a list, for which nodes queue. Nobody else writes to it then.
    pub(crate) fn lock(&self, list: ListRow, until: Instant) -> Result<Locked<'_>, Failure> {
        let mut session = self.pool.committer(until.saturating_duration_since(Instant::now()))?;
        let head = session.run(async |session| {
            session.prepare(&[HEAD_LOCKED]).await?;
            // Both are sent at once.
            let ((), head) = try_join(session.batch("BEGIN"), locked_head(session, list)).await?;
            Ok(head)
        });
        let head = head.inspect_err(|_| session.discard())?;
        Ok(Locked { session: Some(session), head })
    }
}

impl Locked<'_> {
    /// Runs a call in the transaction.
    pub(crate) fn run<T>(
        &mut self,
        call: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.session.as_mut().ok_or(LedgerError::Defect)?.run(call)
    }

    /// Runs a call that ends the transaction.
    pub(crate) fn end<T>(
        mut self,
        call: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let ended = self.run(call);
        if ended.is_ok() {
            self.session = None;
        }
        ended
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // The connection is kept: the server may have no other.
        if let Some(session) = &mut self.session
            && session.run(async |session| session.batch("ROLLBACK").await).is_err()
        {
            session.discard();
        }
    }
}
