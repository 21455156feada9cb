//! Writes that are acknowledged once all engines that share the ledger have them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use portcullis_ledger::{ListId, Seq};

/// How long a write may take that waits for other engines.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// A wait that takes longer says that another engine lags.
const LONG: Duration = Duration::from_secs(1);

/// A change: a list, and its sequence number.
pub type Change = (ListId, Seq);

/// Changes that writes wait for.
#[derive(Debug, Default)]
pub struct Acknowledgements {
    state: Mutex<State>,
    /// Notified when a change is known to all engines, and when this one is closed.
    progress: Condvar,
    /// Whether the last wait took long.
    is_lagging: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    awaited: HashMap<u64, Change>,
    next: u64,
    is_closed: bool,
}

impl State {
    fn await_change(&mut self, change: Change) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.awaited.insert(ticket, change);
        ticket
    }
}

impl Acknowledgements {
    /// Blocks until all engines have these changes. Returns `false` if that is not so by the deadline.
    #[must_use]
    pub fn wait(&self, changes: &[Change], deadline: Instant) -> bool {
        let began = Instant::now();
        let are_known = self.wait_until(changes, deadline);
        self.is_lagging.store(began.elapsed() > LONG, Ordering::Relaxed);
        are_known
    }

    /// Whether the last wait took more than a second, as it does while another engine is gone, or lags. Bound how many wait then: each holds a
    /// thread.
    pub fn is_lagging(&self) -> bool {
        self.is_lagging.load(Ordering::Relaxed)
    }

    fn wait_until(&self, changes: &[Change], deadline: Instant) -> bool {
        let mut state = self.state.lock();
        let tickets: Vec<u64> = changes.iter().map(|change| state.await_change(*change)).collect();
        loop {
            if !tickets.iter().any(|ticket| state.awaited.contains_key(ticket)) {
                return true;
            }
            if state.is_closed || self.progress.wait_until(&mut state, deadline).timed_out() {
                let left = tickets.iter().filter(|ticket| state.awaited.remove(ticket).is_some()).count();
                return left == 0;
            }
        }
    }

    /// The changes that are waited for, each once.
    pub fn awaited(&self) -> Vec<Change> {
        let state = self.state.lock();
        let mut awaited: Vec<Change> = state.awaited.values().copied().collect();
        awaited.sort_unstable();
        awaited.dedup();
        awaited
    }

    /// All engines have these changes.
    pub fn are_known(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        self.state.lock().awaited.retain(|_, change| !changes.contains(change));
        self.progress.notify_all();
    }

    /// Ends all waiting, for good.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.progress.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn change(list: i64, sequence: u64) -> Change {
        (ListId(list), Seq::new(sequence))
    }

    #[test]
    fn a_write_waits_until_its_change_is_known_to_all() {
        let acknowledgements = Acknowledgements::default();
        thread::scope(|scope| {
            let shared = &acknowledgements;
            let waits = |change| scope.spawn(move || shared.wait(&[change], Instant::now() + MINUTE));
            let (one, same, other) = (waits(change(1, 1)), waits(change(1, 1)), waits(change(1, 2)));
            while acknowledgements.state.lock().awaited.len() < 3 {
                thread::yield_now();
            }
            assert_eq!(acknowledgements.awaited(), [change(1, 1), change(1, 2)]);
            acknowledgements.are_known(&[change(1, 1), change(2, 2)]);
            assert!(one.join().unwrap() && same.join().unwrap());
            assert_eq!(acknowledgements.awaited(), [change(1, 2)]);
            acknowledgements.close();
            assert!(!other.join().unwrap());
        });
        assert!(acknowledgements.awaited().is_empty());
    }

    #[test]
    fn a_write_waits_for_all_of_its_changes() {
        let acknowledgements = Acknowledgements::default();
        thread::scope(|scope| {
            let shared = &acknowledgements;
            let both =
                scope.spawn(move || shared.wait(&[change(1, 1), change(2, 1)], Instant::now() + MINUTE));
            while acknowledgements.awaited().len() < 2 {
                thread::yield_now();
            }
            acknowledgements.are_known(&[change(2, 1)]);
            assert_eq!(acknowledgements.awaited(), [change(1, 1)]);
            assert!(!both.is_finished());
            acknowledgements.are_known(&[change(1, 1)]);
            assert!(both.join().unwrap());
        });
        assert!(acknowledgements.wait(&[], Instant::now()));
    }

    #[test]
    fn nobody_waits_after_the_deadline() {
        let acknowledgements = Acknowledgements::default();
        assert!(!acknowledgements.wait(&[change(1, 1)], Instant::now()));
        assert!(acknowledgements.awaited().is_empty());
    }
}
