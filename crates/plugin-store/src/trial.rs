//! Versions on trial.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::version::PluginVersion;

/// An uploaded version that is tried here, before it is the newest one for all who share the ledger.
///
/// Those who try it hold clones of its `Arc`. When all of them have dropped theirs, it is over. The version is released if anybody has
/// [passed](Self::pass) it, and otherwise stays what it is: one that can be requested.
#[derive(Debug)]
pub struct Trial {
    /// The version.
    pub version: Arc<PluginVersion>,
    is_passed: AtomicBool,
}

impl Trial {
    pub(crate) fn new(version: Arc<PluginVersion>) -> Arc<Self> {
        Arc::new(Trial { version, is_passed: AtomicBool::new(false) })
    }

    /// The version has served as it should, or there is nobody to try it.
    pub fn pass(&self) {
        self.is_passed.store(true, Ordering::Release);
    }

    /// Whether it was passed, if everybody but the caller has dropped it.
    pub(crate) fn verdict(self: &Arc<Self>) -> Option<bool> {
        (Arc::strong_count(self) == 1).then(|| self.is_passed.load(Ordering::Acquire))
    }
}
