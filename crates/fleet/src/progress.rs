//! How far this gateway has followed, as the others are told.

use std::time::Instant;

use portcullis_ledger::{FeedPosition, Ledger, ListId};

use crate::TELL_EVERY;

/// What the others were told last of how far this gateway has followed.
#[derive(Debug, Default)]
pub struct Progress {
    told: Option<Instant>,
    behind: Vec<ListId>,
}

impl Progress {
    /// Tells the others how far this gateway has followed, all lists but those that are `behind`, in order and each once: at once if that
    /// may be awaited.
    pub fn tell(&mut self, ledger: &Ledger, position: &FeedPosition, behind: Vec<ListId>, is_awaited: bool) {
        let is_recent = self.told.is_some_and(|told| told.elapsed() < TELL_EVERY);
        if !is_awaited && self.behind == behind && is_recent {
            return;
        }
        // If it fails, the next look tells why.
        if ledger.report_progress(position, &behind).is_ok() {
            *self = Progress { told: Some(Instant::now()), behind };
        }
    }
}
