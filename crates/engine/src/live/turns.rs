//! The turns of one tenant's lists at threads in the background.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of one tenant's lists at threads in the background. The pool of threads that block is everybody's, so a tenant takes a few of
/// them, however many lists it has, and however long its plugin keeps them.
pub(crate) struct Turns {
    recoveries: Arc<Semaphore>,
    repeated: Arc<Semaphore>,
    saves: Arc<Semaphore>,
    follows: Arc<Semaphore>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// What a list waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be filled after a fault, the first in a while.
    Recovery,
    /// To be filled after a plugin failed again.
    RepeatedRecovery,
    /// To be saved.
    Save,
    /// To follow the ledger, other than after a write of its own.
    Follow,
}

/// The lists that recover at the same time.
const RECOVERIES: usize = 3;

impl Default for Turns {
    fn default() -> Self {
        let of = |turns| Arc::new(Semaphore::new(turns));
        Turns { recoveries: of(RECOVERIES), repeated: of(1), saves: of(1), follows: of(1) }
    }
}

impl Turns {
    /// Waits for a turn, in order. Does not keep a list in memory meanwhile.
    pub(crate) fn take(&self, purpose: Purpose) -> impl Future<Output = Turn> + use<> {
        let turns = match purpose {
            Purpose::Recovery => &self.recoveries,
            Purpose::RepeatedRecovery => &self.repeated,
            Purpose::Save => &self.saves,
            Purpose::Follow => &self.follows,
        };
        let turn = Arc::clone(turns).acquire_owned();
        // It is never closed.
        async move { Turn { _permit: turn.await.ok() } }
    }
}
