//! How long a connection has had no request under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whether a connection has a request under way. Clones are of one connection.
///
/// A timer that is set for each request, as hyper's own for the time a head may take, costs a fiftieth of a check: this one
/// looks a few times while a connection lasts.
#[derive(Clone, Default)]
pub(crate) struct Idleness(Arc<AtomicU64>);

/// A request is under way while it is there.
pub(crate) struct Interruption(Idleness);

/// How often is looked, while a connection may be idle.
const LOOKS: u32 = 15;

impl Idleness {
    /// A request is under way until what is returned is dropped.
    pub(crate) fn interrupted(&self) -> Interruption {
        self.0.fetch_add(1, Ordering::Relaxed);
        Interruption(self.clone())
    }

    /// Waits until no request has been under way for so long, or a fifteenth less.
    pub(crate) async fn lasts(&self, patience: Duration) {
        let mut look = Look::default();
        while look.at(self.0.load(Ordering::Relaxed)) < LOOKS {
            tokio::time::sleep(patience / LOOKS).await;
        }
    }
}

/// What was seen at the last look.
#[derive(Default)]
struct Look {
    changes: u64,
    idle: u32,
}

impl Look {
    /// How many looks after the first have found the same, and no request under way.
    fn at(&mut self, changes: u64) -> u32 {
        // Of one connection's requests, each ends before the next begins: an odd number of changes is one under way.
        self.idle = if changes == self.changes && changes.is_multiple_of(2) { self.idle + 1 } else { 0 };
        self.changes = changes;
        self.idle
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_without_a_request_is_idle() {
        let idleness = Idleness::default();
        let mut look = Look::default();
        let mut look = || look.at(idleness.0.load(Ordering::Relaxed));
        assert_eq!([look(), look()], [1, 2]);
        let request = idleness.interrupted();
        assert_eq!([look(), look()], [0, 0], "a request is under way");
        drop(request);
        assert_eq!([look(), look()], [0, 1], "it is only just over");
        drop(idleness.interrupted());
        assert_eq!([look(), look()], [0, 1], "there was one between two looks");
    }
}
