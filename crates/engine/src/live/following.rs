//! Following the ledger in turn: entries that expired, and what other gateways wrote.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_admission::Operation;
use portcullis_ledger::{Position, Seq};
use tokio::sync::futures::Notified;

use super::turns::{Purpose, Turn};
use super::{LiveList, Phase};

/// How a plugin stands to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has what was written up to there, or is no longer served.
    There,
    /// It will have it when it has followed.
    Behind,
    /// It is filled first.
    Evicted,
    /// It does not answer, or it is of another history, or the ledger is.
    Unknown,
}

/// A list whose turn it is. The operation is the last to be dropped: the engine closes the ledger after that.
struct Following<F> {
    list: Arc<LiveList>,
    done: F,
    _turn: Turn,
    _operation: Operation,
}

impl<F: Fn(&Arc<LiveList>)> Following<F> {
    fn run(&self) {
        self.list.is_following.store(false, Ordering::SeqCst);
        if self.list.catch_up().is_seen() {
            (self.done)(&self.list);
        }
    }
}

impl LiveList {
    /// Whether the plugin answers checks without this change, as far as is known without waiting.
    pub(crate) fn lacks(&self, sequence: Seq) -> bool {
        if self.is_serving() && !self.has_lost_history() && self.sequence() >= sequence.get() {
            return false;
        }
        // Held by the one that brings it up to date, or puts it in service.
        let Some(_slot) = self.slot.try_lock() else { return true };
        self.is_serving() && (self.has_lost_history() || self.sequence() < sequence.get())
    }

    /// How the plugin stands to a position.
    pub(crate) fn reach(&self, position: &Position) -> Reach {
        match self.phase() {
            Phase::Evicted => Reach::Evicted,
            // A check finds out why.
            Phase::Detached => Reach::There,
            // The failure policy would answer, which knows nothing of what was written.
            Phase::Failed => Reach::Unknown,
            Phase::Serving => {
                let is_same = self.context.staleness.server() == position.server && !self.has_lost_history();
                match self.sequence() >= position.sequence.get() {
                    true if is_same => Reach::There,
                    // Nobody else writes what it would have to wait for.
                    false if is_same && self.context.staleness.is_shared() => Reach::Behind,
                    _ => Reach::Unknown,
                }
            }
        }
    }

    /// Waits until the plugin is brought up to date the next time after this call, not only after the future is polled.
    pub(crate) fn followed(&self) -> Notified<'_> {
        self.followed.notified()
    }

    /// Brings the plugin up to date when it is the tenant's turn, on a thread that others do not wait for, and then calls `done`. A
    /// plugin that hangs does not delay the lists of other tenants.
    pub(crate) fn follow_in_turn(self: &Arc<Self>, done: impl Fn(&Arc<Self>) + Send + Sync + 'static) {
        if self.is_following.swap(true, Ordering::SeqCst) {
            // It has yet to begin, and will find these changes, too.
            return;
        }
        let (list, lifecycle) = (Arc::downgrade(self), Arc::clone(&self.context.lifecycle));
        let turn = self.turns.take(Purpose::Follow);
        drop(self.context.runtime.spawn(async move {
            let turn = turn.await;
            // Otherwise the engine is closing, and the next one fills the plugin with what is in force then.
            let Ok(operation) = lifecycle.begin() else { return };
            let Some(list) = list.upgrade() else { return };
            let (is_slow, slow) = (list.is_slow(), Arc::clone(&list.context.slow));
            let following = Arc::new(Following { list, done, _turn: turn, _operation: operation });
            let job = Arc::clone(&following);
            // What is known to be slow gets low priority, if the system has a thread for it.
            if !is_slow || slow.run(move || job.run()).is_err() {
                drop(tokio::task::spawn_blocking(move || following.run()));
            }
        }));
    }
}
