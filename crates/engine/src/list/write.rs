//! Writes: to the ledger, then to the plugin, then acknowledged.

use std::time::Instant;

use portcullis_ledger::{Actor, Committed, LedgerError, Write, Written};
use tracing::info_span;

use super::List;
use super::change::Change;
use crate::error::WriteError;

impl List {
    /// Makes changes: all of them, or none. When this returns, they are on disk, and the next check sees them: that of this engine, or that
    /// of each engine which shares the ledger, as the spec [says](crate::TenantSpec::acknowledge()).
    ///
    /// Costs one flush of the disk, which concurrent writes share. If the future is dropped, the write continues in the background.
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
        self.runtime()
            .spawn_blocking(move || list.blocking_write(writes))
            .await
            .unwrap_or(Err(WriteError::Cancelled))
    }

    /// The blocking form of [`write`](Self::write), with the ledger's own types.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn blocking_write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        self.blocking_write_up_to(u64::MAX, writes)
    }

    /// Like [`blocking_write`](Self::blocking_write), but skips blocks that would give the list more than `most` active entries.
    /// Their outcome is [`Full`](portcullis_ledger::Outcome::Full).
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn blocking_write_up_to(
        &self,
        most: u64,
        mut writes: Vec<Write>,
    ) -> Result<Vec<Written>, WriteError> {
        let began = Instant::now();
        let expires =
            writes.iter().any(|write| matches!(write, Write::Block(block) if block.expires.is_some()));
        let context = &self.tenant.context;
        let lineage = context.ledger.lineage();
        if context.staleness.is_shared() && context.journal.is_after_loss(lineage) {
            writes.iter_mut().filter(|write| write.requested().is_none()).for_each(Write::set_after_loss);
        }
        let journaled = context.staleness.is_shared().then(|| (context.ledger.now(), writes.clone()));
        let (written, sequence, is_seen) = {
            let _serving = self.tenant.serving(&self.own)?;
            let commit = || self.own.list().commit(most, writes);
            let committed = info_span!(target: "portcullis_trace", "ledger.commit").in_scope(commit);
            if let Some((made, writes)) = journaled {
                // Before it is acknowledged: what nobody was told of may be written again, too.
                match &committed {
                    Ok(Committed { written, span }) => {
                        let commit = span.as_ref().and_then(|span| Some((span.sequence, span.mark?)));
                        context.journal.note(self.own.list().id(), made, writes, written, commit);
                    }
                    Err(LedgerError::OutcomeUnknown) => {
                        context.journal.note_unknown(self.own.list().id(), made, writes);
                    }
                    Err(_) => {}
                }
            }
            let Committed { written, span } = committed?;
            // The journal may have been compared with what another server has before this write was noted, which an old one may have taken.
            let is_of_server = context.ledger.lineage() == lineage;
            // Also if nothing changed: another write that made it so may not be in the plugin yet.
            let sequence = written.iter().map(|written| written.sequence).max();
            let is_seen = sequence.is_none_or(|sequence| {
                let update = || self.own.catch_up_with(Some(sequence), span.as_deref());
                info_span!(target: "portcullis_trace", "plugin.update").in_scope(update).is_seen()
                    && is_of_server
            });
            (written, sequence, is_seen)
        };
        if expires {
            context.expiry.notify_one();
        }
        if !is_seen {
            return Err(WriteError::Unseen(written));
        }
        if !written.is_empty() {
            self.tenant.announce([&self.own]);
        }
        if let Some(sequence) = sequence
            && !self.tenant.wait_for_others(began, &[(self.own.list().id(), sequence)])
        {
            return Err(WriteError::NotEverywhere(written));
        }
        Ok(written)
    }

    /// Waits until each engine that shares the ledger has what was written to the list so far, if the spec
    /// [says](crate::TenantSpec::acknowledge()) that writes do: for a caller that repeats a write and finds it done. Blocks.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn blocking_wait_for_others(&self) -> Result<(), WriteError> {
        if !self.tenant.waits_for_others() {
            return Ok(());
        }
        let began = Instant::now();
        let list = self.in_ledger()?;
        match self.tenant.wait_for_others(began, &[(list.id(), list.sequence()?)]) {
            true => Ok(()),
            false => Err(WriteError::NotEverywhere(Vec::new())),
        }
    }
}
