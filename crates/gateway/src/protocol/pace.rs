//! How fast a client takes a response over HTTP/2.
//!
//! A client decides for each response how much of it may be sent, so one that opens no window keeps the response in memory while the
//! connection itself is in order. It gets as much time as one that takes nothing from a socket: see
//! [`TimedStream`](crate::connections::TimedStream).

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What a client that is slow must take, in bytes per second.
const LEAST_RATE: u32 = 4096;

/// How fast a client takes a response. It may keep it waiting for `patience` in all, and each 4 KiB that it takes give it another second, up to
/// `patience`.
pub(super) struct Pace {
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    /// How long the response may still wait.
    credit: Duration,
    given: Option<Given>,
}

/// A piece of the response that waits for the client.
struct Given {
    bytes: usize,
    since: Instant,
}

impl Pace {
    pub(super) fn new(patience: Duration) -> Self {
        Pace { patience, state: Mutex::new(State { credit: patience, given: None }) }
    }

    /// The next piece is asked for, so the client has room for the last one.
    pub(super) fn asked(&self) {
        let mut state = self.state.lock();
        if let Some(given) = state.given.take() {
            let earned = Duration::from_secs(u64::try_from(given.bytes).unwrap_or(u64::MAX)) / LEAST_RATE;
            let left = state.credit.saturating_sub(given.since.elapsed());
            state.credit = self.patience.min(left.saturating_add(earned));
        }
    }

    /// A piece of so many bytes is to be sent.
    pub(super) fn gave(&self, bytes: usize) {
        self.state.lock().given = Some(Given { bytes, since: Instant::now() });
    }

    /// When the response has waited for too long. `None` if it does not wait for its client.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.given.as_ref().map(|given| given.since + state.credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_piece_that_waits_for_the_client_has_a_deadline() {
        let patience = Duration::from_secs(30);
        let pace = Pace::new(patience);
        assert_eq!(pace.deadline(), None);
        let before = Instant::now();
        pace.gave(16 << 10);
        let deadline = pace.deadline().unwrap();
        assert!(deadline >= before + patience && deadline <= Instant::now() + patience);
        pace.asked();
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn a_client_earns_time_by_what_it_takes() {
        let pace = Pace::new(Duration::from_secs(30));
        pace.state.lock().credit = Duration::from_secs(1);
        pace.gave(16 << 10);
        pace.asked();
        let credit = pace.state.lock().credit;
        assert!(credit > Duration::from_secs(4) && credit <= Duration::from_secs(5), "{credit:?}");
    }
}
