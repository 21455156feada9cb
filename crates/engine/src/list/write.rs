//! Writing entries: on disk, then in the plugin, then acknowledged.

use portcullis_ledger::{Actor, LedgerError, Write, Written};

use super::List;
use super::change::Change;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The ledger refused, or can't be written to.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The runtime is shutting down. What was asked for may be written all the same.
    #[error("the work was cut short")]
    Cancelled,
}

impl List {
    /// Makes changes: all of them, or none. When this returns, they are on disk, and the next check sees them.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write<C: Into<Change>>(
        &self,
        actor: &Actor,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<Vec<Written>, WriteError> {
        let writes = changes.into_iter().map(|change| change.into().into_write(self, actor)).collect();
        let list = self.clone();
        tokio::task::spawn_blocking(move || list.blocking_write(writes))
            .await
            .map_err(|_| WriteError::Cancelled)?
            .map_err(WriteError::from)
    }

    /// As [`write`](Self::write), of what the ledger takes. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// What the ledger's [`List::write`](portcullis_ledger::List::write) reports.
    pub fn blocking_write(&self, writes: Vec<Write>) -> Result<Vec<Written>, LedgerError> {
        self.blocking_write_up_to(u64::MAX, writes)
    }

    /// As [`blocking_write`](Self::blocking_write), but a block that would give the list more than `most` active entries is left
    /// out, with the outcome [`Full`](portcullis_ledger::Outcome::Full).
    ///
    /// # Errors
    /// What the ledger's [`List::write`](portcullis_ledger::List::write) reports.
    pub fn blocking_write_up_to(&self, most: u64, writes: Vec<Write>) -> Result<Vec<Written>, LedgerError> {
        let ends = writes.iter().any(|write| matches!(write, Write::Block(block) if block.expires.is_some()));
        let written = self.own.list().write_up_to(most, writes)?;
        if !written.is_empty() {
            self.tenant.changed([&self.own]);
        }
        if ends {
            self.tenant.context.expiry.notify_one();
        }
        Ok(written)
    }
}
