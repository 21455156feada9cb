//! Reports of a plugin that becomes slow, and of one that is fast again.

use std::sync::atomic::Ordering;

use tracing::{info, warn};

use super::LiveList;

impl LiveList {
    /// Whether the plugin is slow: see [`Generation::is_slow`](portcullis_host::Generation::is_slow).
    pub(crate) fn is_slow(&self) -> bool {
        self.generation().is_slow()
    }

    /// Logs if the plugin has become slow.
    #[cold]
    pub(super) fn note_busy(&self) {
        if self.is_slow() && !self.was_slow.swap(true, Ordering::Relaxed) {
            warn!(
                tenant = %self.list().tenant(), list = self.name(),
                "the plugin is slow: its checks wait for other threads, and the tenant's policy answers those that wait too long"
            );
        }
    }

    /// Logs if a plugin that was slow is fast again. It answered a check.
    #[cold]
    pub(super) fn note_answered(&self) {
        if !self.is_slow() && self.was_slow.swap(false, Ordering::Relaxed) {
            info!(tenant = %self.list().tenant(), list = self.name(), "the plugin is fast again");
        }
    }
}
