//! Which history of a shared ledger a plugin was filled from, and what to do when the ledger has lost some of it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_fleet::journal::{self, Acknowledged};
use portcullis_host::{ErrorChain, FillError};
use portcullis_ledger::{LedgerError, ListId, Mark, Seq, Written};
use tracing::{error, info, warn};

use super::recovery::Priority;
use super::{LiveList, Purpose};
use crate::events::Event;

/// How many records of the trail are read at once, and writes made.
const PAGE: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The most lost writes of a list that the log names one by one.
const MOST_LINES: usize = 100;

/// Whether the ledger has lost changes that the plugin has.
#[derive(Debug, Default)]
pub(super) struct History {
    is_lost: AtomicBool,
    is_rebuilding: AtomicBool,
}

impl LiveList {
    /// The positions up to which the list was read, and that are of the ledger's history unless it has lost some of it. `None` if there
    /// are too many to say.
    pub(crate) fn positions(&self) -> Option<Vec<(ListId, Seq, Mark)>> {
        let id = self.list().id();
        let known = self.entries.positions()?.into_iter().map(|(sequence, mark)| (id, sequence, mark));
        Some(known.collect())
    }

    /// Whether the ledger has lost changes that the plugin has. The plugin can't follow then.
    pub(super) fn has_lost_history(&self) -> bool {
        self.history.is_lost.load(Ordering::SeqCst)
    }

    /// Whether the ledger may have lost changes that the plugin has: it has, or can't be asked. Blocks on a read if the ledger is
    /// shared; others lose nothing while they are open.
    pub(crate) fn may_have_lost_history(&self) -> bool {
        if !self.context.staleness.is_shared() {
            return false;
        }
        let is_whole =
            |positions: Vec<_>| self.context.ledger.forked(&positions).is_ok_and(|lost| lost.is_empty());
        self.has_lost_history() || !self.positions().is_some_and(is_whole)
    }

    /// The ledger has lost changes that the plugin has, as at a failover to a standby that lacked them. Fills the plugin again in the
    /// background, and then calls `done`. Until then the present one answers: it may block more people than the ledger does.
    pub(crate) fn rebuild(self: &Arc<Self>, done: impl FnOnce(&Arc<Self>) + Send + 'static) {
        if !self.history.is_lost.swap(true, Ordering::SeqCst) {
            error!(
                tenant = %self.list().tenant(), list = %self.name(),
                "THE LEDGER HAS LOST CHANGES of the list that were read before, as at a failover to a standby that lacked them: the \
                 plugin is filled again"
            );
            self.context.events.emit(|| Event::HistoryLost {
                tenant: self.list().tenant().clone(),
                scope: self.list().scope().clone(),
            });
        }
        if self.history.is_rebuilding.swap(true, Ordering::SeqCst) {
            return;
        }
        // It is of the lost history, too.
        self.release();
        self.in_its_turn(|list| list.fill_anew(done));
    }

    /// Writes again what this gateway acknowledged and the ledger has lost, in the background, and then calls `done` if there was any. Costs
    /// a read of the last minutes' records if there was none.
    pub(crate) fn restore_writes(self: &Arc<Self>, done: impl FnOnce(&Arc<Self>) + Send + 'static) {
        self.in_its_turn(|list| match list.write_again() {
            Ok(true) => done(list),
            Ok(false) => {}
            Err(_) => list.context.staleness.add_lost(list.list().id()),
        });
    }

    /// Runs a job in the background, after other jobs of the tenant.
    fn in_its_turn(self: &Arc<Self>, job: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let (list, lifecycle) = (Arc::downgrade(self), Arc::clone(&self.context.lifecycle));
        let turn = self.turns.take(Purpose::Recovery);
        drop(self.context.runtime.spawn(async move {
            let turn = turn.await;
            let Ok(operation) = lifecycle.begin() else { return };
            let Some(list) = list.upgrade() else { return };
            let run = move || {
                job(&list);
                // The operation is the last to be dropped: the engine closes the ledger after that.
                drop((list, turn, operation));
            };
            drop(tokio::task::spawn_blocking(run));
        }));
    }

    /// Writes again what this gateway acknowledged in the last minutes and the ledger has lost. Returns whether there was any.
    ///
    /// # Errors
    /// If the ledger can't be asked now.
    fn write_again(&self) -> Result<bool, LedgerError> {
        let id = self.list().id();
        let journal = &self.context.journal;
        let lacking = journal::lacking(journal.of(id), |commits| self.list().lost_positions(commits))?;
        let mut lost = 0;
        for writes in lacking.chunks(PAGE.get()) {
            let made = self.context.ledger.now();
            let again = writes.iter().filter_map(|write| Some((write, write.again(made)?)));
            let (writes_again, again): (Vec<_>, Vec<_>) = again.unzip();
            match self.list().write(again.clone()) {
                Ok(written) => {
                    journal.note(id, made, again, &written, None);
                    let results = writes_again.into_iter().zip(&written);
                    for (write, result) in results.filter(|(write, result)| write.was_lost(result)) {
                        lost += 1;
                        if lost <= MOST_LINES {
                            self.log_lost(write, result);
                        }
                    }
                }
                Err(error) if self.context.staleness.means_away(&error) => return Err(error),
                Err(error) => error!(
                    tenant = %self.list().tenant(), list = %self.name(), writes = writes.len(),
                    error = ErrorChain(&error).to_string(), "WRITES THAT WERE LOST CAN'T BE MADE AGAIN"
                ),
            }
            journal.forget(writes);
        }
        journal.forget_old(id);
        if lost > 0 {
            warn!(
                tenant = %self.list().tenant(), list = %self.name(), writes = lost,
                "acknowledged writes of this gateway were lost by the ledger, and were made again"
            );
            self.context.events.emit(|| Event::WritesLost {
                tenant: self.list().tenant().clone(),
                scope: self.list().scope().clone(),
                writes: lost,
            });
        }
        Ok(!lacking.is_empty())
    }

    fn log_lost(&self, write: &Acknowledged, again: &Written) {
        let entry = again.subject.map(|subject| self.list().public_id(subject).to_string());
        warn!(
            tenant = %self.list().tenant(), list = %self.name(), entry,
            kind = if write.is_block() { "block" } else { "unblock" },
            "an acknowledged write was lost, and is made again"
        );
    }

    fn fill_anew(self: &Arc<Self>, done: impl FnOnce(&Arc<Self>)) {
        self.entries.forget_positions();
        // First, so that the plugin in place, which has them, answers until the next one has them, too.
        let written = self.write_again().map_err(|error| FillError::Source(Box::new(error)));
        // A plugin that is not in memory is filled from the ledger as it is now when it comes back.
        let filled = written.and_then(|_| match self.is_serving() {
            true => self.refill(Priority::LowSoon),
            false => Ok(()),
        });
        self.history.is_rebuilding.store(false, Ordering::SeqCst);
        match filled {
            Err(error) if self.means_away(&error) => {
                // Tried again when the ledger is back.
                self.context.staleness.add_lost(self.list().id());
                return;
            }
            Ok(()) => {
                info!(tenant = %self.list().tenant(), list = %self.name(), "the plugin is filled again");
            }
            Err(error) => self.fail(&self.generation(), &error),
        }
        self.history.is_lost.store(false, Ordering::SeqCst);
        done(self);
    }
}
