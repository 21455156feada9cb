//! Serializes plugin loads, with a timeout.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::priority::lower_priority;

/// The slot for loading plugins, one at a time.
///
/// A load that exceeds its timeout is abandoned by its caller but can't be interrupted. It occupies the slot until it
/// ends, so abandoned loads never accumulate.
#[derive(Clone, Default)]
pub(crate) struct CompileSlot(Arc<Inner>);

#[derive(Default)]
struct Inner {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// Why a load returned no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLoaded {
    /// It exceeded its timeout.
    TimedOut,
    /// The slot was still occupied at the timeout.
    Busy,
    /// It panicked.
    Panicked,
    /// The operating system refused to start a thread.
    NoThread,
}

/// The stack size of a program's first thread: compilers recurse. Only the part that is used takes memory.
pub(crate) const STACK: usize = 8 << 20;

/// Occupies the slot until dropped.
struct Occupied(CompileSlot);

impl CompileSlot {
    /// Runs `work` on a new thread with low priority, and waits for it for at most `time`, including the wait for the
    /// slot.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotLoaded> {
        let start = Instant::now();
        let occupied = self.take(time)?;
        let (done, wait) = channel();
        let thread = thread::Builder::new().name("portcullis-load".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || {
            let _occupied = occupied;
            lower_priority();
            let _ = done.send(work());
        });
        if thread.is_err() {
            return Err(NotLoaded::NoThread);
        }
        wait.recv_timeout(time.saturating_sub(start.elapsed())).map_err(|error| match error {
            RecvTimeoutError::Timeout => NotLoaded::TimedOut,
            RecvTimeoutError::Disconnected => NotLoaded::Panicked,
        })
    }

    fn take(&self, time: Duration) -> Result<Occupied, NotLoaded> {
        let taken = self.taken();
        let (mut taken, waited) = self
            .0
            .freed
            .wait_timeout_while(taken, time, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && *taken {
            return Err(NotLoaded::Busy);
        }
        *taken = true;
        Ok(Occupied(self.clone()))
    }

    fn taken(&self) -> MutexGuard<'_, bool> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        *self.0.taken() = false;
        self.0.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_load_that_times_out_occupies_the_slot_until_it_ends() {
        let slot = CompileSlot::default();
        let (end, ended) = channel::<()>();
        let endless = slot.within(Duration::ZERO, move || ended.recv().is_ok());
        assert_eq!(endless, Err(NotLoaded::TimedOut));
        assert_eq!(slot.within(Duration::ZERO, || 5), Err(NotLoaded::Busy));
        drop(end);
        assert_eq!(slot.within(LONG, || 5), Ok(5));
    }

    #[test]
    fn a_panic_is_reported_and_frees_the_slot() {
        let slot = CompileSlot::default();
        assert_eq!(slot.within(LONG, || panic!("on purpose")), Err::<(), _>(NotLoaded::Panicked));
        assert_eq!(slot.within(LONG, || 5), Ok(5));
    }
}
