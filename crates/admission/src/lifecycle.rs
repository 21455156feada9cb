//! Whether a service is open, and how many operations are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

/// Whether a service is open, and how many operations are under way.
#[derive(Default)]
pub struct Lifecycle {
    closed: AtomicBool,
    running: Mutex<usize>,
    idle: Condvar,
}

/// The service is closed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is closed")]
pub struct Closed;

/// An operation that [`Lifecycle::wait_until_idle`] waits for. It ends when this is dropped.
pub struct Operation(Arc<Lifecycle>);

impl Lifecycle {
    /// Starts an operation.
    ///
    /// # Errors
    /// If the service is closed.
    pub fn begin(self: &Arc<Self>) -> Result<Operation, Closed> {
        let mut running = self.running.lock();
        if self.is_closed() {
            return Err(Closed);
        }
        *running += 1;
        Ok(Operation(Arc::clone(self)))
    }

    /// Whether it is closed, so that no operation starts any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether operations can start.
    ///
    /// # Errors
    /// If the service is closed.
    pub fn check(&self) -> Result<(), Closed> {
        if self.is_closed() { Err(Closed) } else { Ok(()) }
    }

    /// Lets no operation start from now on.
    pub fn close(&self) {
        // Under the lock, so that an operation either started before this, and is waited for, or does not start.
        let _running = self.running.lock();
        self.closed.store(true, Ordering::Release);
    }

    /// Blocks until no operation is under way.
    pub fn wait_until_idle(&self) {
        let mut running = self.running.lock();
        while *running > 0 {
            self.idle.wait(&mut running);
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let mut running = self.0.running.lock();
        *running -= 1;
        if *running == 0 {
            self.0.idle.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn closing_waits_for_operations_and_lets_none_start() {
        let lifecycle = Arc::<Lifecycle>::default();
        let operation = lifecycle.begin().unwrap();
        lifecycle.close();
        assert!(lifecycle.begin().is_err());
        let waiting = Arc::clone(&lifecycle);
        let waiter = thread::spawn(move || waiting.wait_until_idle());
        assert!(!waiter.is_finished());
        drop(operation);
        waiter.join().unwrap();
    }
}
