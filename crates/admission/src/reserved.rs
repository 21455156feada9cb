//! Memory that was reserved.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::owner::Account;

/// Bytes of a [`Budget`], given back on drop.
pub struct Reserved {
    budget: Arc<Budget>,
    account: Account,
    bytes: usize,
    /// How much longer it waits for bytes that others hold.
    patience: Duration,
}

/// How long a request waits for memory that others hold, in all: those who hold some and wait for more keep others from theirs.
const PATIENCE: Duration = Duration::from_secs(2);

impl Reserved {
    pub(crate) fn nothing_yet(budget: &Arc<Budget>, account: Account) -> Self {
        Reserved { budget: Arc::clone(budget), account, bytes: 0, patience: PATIENCE }
    }

    /// How many bytes are reserved.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the owner could have so many bytes if nobody else had any.
    pub fn can_be(&self, bytes: usize) -> bool {
        self.budget.allows(&self.account, bytes)
    }

    /// Reserves more bytes, if they are free now. Returns whether it got them.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let is_taken = self.budget.take(&self.account, bytes);
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }

    /// Reserves more bytes, and waits for them, up to 2 seconds in all. Returns whether it got them.
    pub async fn grow(&mut self, bytes: usize) -> bool {
        if self.try_grow(bytes) {
            return true;
        }
        if !self.can_be(self.bytes + bytes) {
            return false;
        }
        let Reserved { budget, account, .. } = &*self;
        let waiting = async {
            loop {
                // Waits from before the attempt on, so that no release in between is missed.
                let mut freed = pin!(budget.freed.notified());
                freed.as_mut().enable();
                if budget.take(account, bytes) {
                    return;
                }
                freed.await;
            }
        };
        let start = Instant::now();
        let is_taken = tokio::time::timeout(self.patience, waiting).await.is_ok();
        self.patience = self.patience.saturating_sub(start.elapsed());
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }

    /// Gives back what is more than this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(surplus) = self.bytes.checked_sub(bytes).filter(|surplus| *surplus > 0) {
            self.bytes = bytes;
            self.budget.give_back(&self.account, surplus);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}
