//! Saving a list's state now and then, so that a plugin that failed, or a gateway that starts, need not take it entry by
//! entry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_host::SaveError;
use tracing::{debug, warn};

use super::LiveList;

/// A list shorter than this is filled entry by entry as fast as a file is read.
const WORTH_SAVING: u64 = 2000;
/// A state is saved anew when as many changes came since: replaying them takes a few milliseconds.
const CHANGES: u64 = 1000;
/// Or when a 64th of the list changed: a long list takes longer to save, and to load.
const SHARE: u64 = 64;

/// When a list is to be saved.
#[derive(Default)]
pub(super) struct Saving {
    /// From this sequence number on another state is due.
    due_at: AtomicU64,
    under_way: AtomicBool,
}

impl Saving {
    /// From now on any state is due.
    pub(super) fn forget(&self) {
        self.due_at.store(0, Ordering::Relaxed);
    }
}

impl LiveList {
    /// A state of this sequence number is kept.
    pub(super) fn saved_at(&self, sequence: u64) {
        let entries = self.entry_count();
        self.saving.due_at.store(due_after(sequence, entries), Ordering::Relaxed);
    }

    /// Saves the list in the background, where enough changed since it was saved last. Costs a comparison where not.
    pub(crate) fn save_if_due(self: &Arc<Self>, sequence: u64) {
        if sequence < self.saving.due_at.load(Ordering::Relaxed)
            || !self.is_serving()
            || self.saving.under_way.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let gate = Arc::clone(self);
        drop(self.context.runtime.spawn_blocking(move || {
            gate.save();
            gate.saving.under_way.store(false, Ordering::SeqCst);
        }));
    }

    fn save(self: &Arc<Self>) {
        let generation = self.generation();
        let entries = self.entry_count();
        if entries < WORTH_SAVING {
            let sequence = generation.sequence();
            self.saving.due_at.store(sequence + (WORTH_SAVING - entries), Ordering::Relaxed);
            return;
        }
        let (tenant, list) = (self.list().tenant(), self.name());
        match generation.save(self.state()) {
            Ok(Some(header)) => {
                self.saved_at(header.sequence);
                debug!(%tenant, list, sequence = header.sequence, "the list's state is saved");
            }
            Ok(None) => self.saving.due_at.store(u64::MAX, Ordering::Relaxed),
            Err(error) => {
                // Not again at once: whatever was wrong may well be so still.
                self.saving.due_at.store(due_after(generation.sequence(), entries), Ordering::Relaxed);
                let kind = match &error {
                    SaveError::Plugin(fault) => fault.kind(),
                    SaveError::Store(_) => "store",
                    _ => "endless",
                };
                warn!(%tenant, list, kind, "the list's state could not be saved");
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
