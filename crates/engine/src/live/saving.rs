//! Saving a list's state now and then, so that a restart or a recovery need not fill the plugin entry by entry.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_host::{ErrorChain, SaveError};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::{LiveList, Purpose};

/// A shorter list is filled entry by entry as fast as a file is read.
const WORTH_SAVING: u64 = 2000;
/// A state is due after this many changes: replaying them takes a few milliseconds.
const CHANGES: u64 = 1000;
/// A state of a long list, which takes longer to save and to load, is due after a 64th of it changed.
const SHARE: u64 = 64;
/// After a state was saved, the next one waits for this many times as long as that took, and at most for so long: an import changes
/// a list faster than its states can be saved, and they would take the disk and the ledger's writer from it.
const PAUSE: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// When a list is saved.
#[derive(Default)]
pub(super) struct Saving {
    /// The sequence number from which on another state is due.
    due_at: AtomicU64,
    is_queued: AtomicBool,
    /// When the next state may be saved.
    not_before: Mutex<Option<Instant>>,
    /// Held while a state is saved.
    running: Mutex<()>,
}

/// Clears `is_queued` when the background task ends, or is dropped because its runtime shuts down.
struct Queued(Weak<LiveList>);

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(list) = self.0.upgrade() {
            list.saving.is_queued.store(false, Ordering::SeqCst);
        }
    }
}

impl Saving {
    /// Any state is due from now on.
    pub(super) fn reset(&self) {
        self.due_at.store(0, Ordering::Relaxed);
    }

    /// Waits for a state that is being saved.
    pub(super) fn wait(&self) {
        drop(self.running.lock());
    }

    fn is_due(&self, sequence: u64) -> bool {
        sequence >= self.due_at.load(Ordering::Relaxed)
    }
}

impl LiveList {
    /// A state of this sequence number is saved.
    pub(super) fn saved_at(&self, sequence: u64) {
        let entries = self.entry_count();
        self.saving.due_at.store(due_after(sequence, entries), Ordering::Relaxed);
    }

    /// Saves the list in the background if a state is due. Costs a comparison if not.
    pub(crate) fn save_if_due(self: &Arc<Self>, sequence: u64) {
        if !self.saving.is_due(sequence)
            || !self.is_serving()
            || self.saving.is_queued.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let (queued, lifecycle) = (Queued(Arc::downgrade(self)), Arc::clone(&self.context.lifecycle));
        let (turns, not_before) = (Arc::clone(&self.turns), *self.saving.not_before.lock());
        drop(self.context.runtime.spawn(async move {
            if let Some(not_before) = not_before {
                sleep_until(not_before).await;
            }
            let turn = turns.take(Purpose::Save).await;
            // Otherwise the engine is closing, which saves what is due.
            let Ok(operation) = lifecycle.begin() else { return };
            drop(tokio::task::spawn_blocking(move || {
                // The operation is the last to be dropped: the engine closes the ledger after that.
                let _operation = operation;
                let (_turn, queued) = (turn, queued);
                if let Some(list) = queued.0.upgrade() {
                    list.save();
                }
            }));
        }));
    }

    /// Saves the list if a state is due. The caller has made sure that the list is not written any more.
    pub(crate) fn save_before_closing(self: &Arc<Self>) {
        if self.saving.is_due(self.generation().sequence()) {
            self.save();
        }
    }

    fn save(self: &Arc<Self>) {
        let _running = self.saving.running.lock();
        if !self.is_serving() {
            return;
        }
        let generation = self.generation();
        let entries = self.entry_count();
        if entries < WORTH_SAVING {
            let sequence = generation.sequence();
            self.saving.due_at.store(sequence + (WORTH_SAVING - entries), Ordering::Relaxed);
            return;
        }
        let (tenant, list) = (self.list().tenant(), self.name());
        let start = Instant::now();
        let saved = generation.save(self.state(), entries);
        let end = Instant::now();
        *self.saving.not_before.lock() = Some(end + ((end - start) * PAUSE).min(LONGEST_PAUSE));
        match saved {
            Ok(Some(header)) => {
                self.saved_at(header.sequence);
                debug!(%tenant, list, sequence = header.sequence, "the list's state is saved");
            }
            // The plugin saves no states.
            Ok(None) => self.saving.due_at.store(u64::MAX, Ordering::Relaxed),
            // It was evicted, or removed, between two parts.
            Err(_) if !self.is_serving() => {}
            Err(error) => {
                // Not at once: the cause may well persist.
                self.saving.due_at.store(due_after(generation.sequence(), entries), Ordering::Relaxed);
                let (kind, why) = match &error {
                    SaveError::Plugin(fault) => (fault.kind(), fault.reason()),
                    SaveError::Store(_) => ("store", ErrorChain(&error).to_string()),
                    error => ("endless", error.to_string()),
                };
                warn!(%tenant, list, kind, error = why, "the list's state can't be saved");
                if let SaveError::Plugin(fault) = &error {
                    self.fault(fault);
                }
            }
        }
    }
}

fn due_after(sequence: u64, entries: u64) -> u64 {
    sequence + CHANGES.max(entries / SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_due_when_replaying_the_changes_would_take_a_while() {
        assert_eq!(due_after(5, 2000), 1005);
        assert_eq!(due_after(5, 1_000_000), 15_630);
    }
}
