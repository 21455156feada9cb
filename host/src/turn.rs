//! One load of a plugin at a time, each within its time.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::priority::yield_to_checks;

/// Whose turn it is to load a plugin. A load that takes too long is given up by its caller, and ends by itself: until then
/// nobody else's turn comes, so that such loads never add up.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Inner>);

#[derive(Default)]
struct Inner {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// Why a load gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLoaded {
    /// It took too long.
    TookTooLong,
    /// Its turn did not come.
    NoTurn,
    /// It panicked.
    Panicked,
    /// The system starts no thread.
    NoThread,
}

/// As much stack as a program's first thread has: compilers recurse. Only what is used of it takes memory.
pub(crate) const STACK: usize = 8 << 20;

/// Dropped, the next one's turn comes.
struct Turn(Turns);

impl Turns {
    /// Does `work` on a thread of its own, with low priority, and waits for it at most as long as `time`, the wait for its turn
    /// included.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotLoaded> {
        let start = Instant::now();
        let turn = self.take(time)?;
        let (done, wait) = channel();
        let thread = thread::Builder::new().name("portcullis-load".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || {
            let _turn = turn;
            yield_to_checks();
            let _ = done.send(work());
        });
        if thread.is_err() {
            return Err(NotLoaded::NoThread);
        }
        wait.recv_timeout(time.saturating_sub(start.elapsed())).map_err(|error| match error {
            RecvTimeoutError::Timeout => NotLoaded::TookTooLong,
            RecvTimeoutError::Disconnected => NotLoaded::Panicked,
        })
    }

    fn take(&self, time: Duration) -> Result<Turn, NotLoaded> {
        let taken = self.taken();
        let (mut taken, waited) = self
            .0
            .freed
            .wait_timeout_while(taken, time, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && *taken {
            return Err(NotLoaded::NoTurn);
        }
        *taken = true;
        Ok(Turn(self.clone()))
    }

    fn taken(&self) -> MutexGuard<'_, bool> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
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
    fn what_takes_too_long_is_given_up_and_holds_the_turn_until_it_ends() {
        let turns = Turns::default();
        let (end, ended) = channel::<()>();
        let endless = turns.within(Duration::ZERO, move || ended.recv().is_ok());
        assert_eq!(endless, Err(NotLoaded::TookTooLong));
        assert_eq!(turns.within(Duration::ZERO, || 5), Err(NotLoaded::NoTurn));
        drop(end);
        assert_eq!(turns.within(LONG, || 5), Ok(5));
    }

    #[test]
    fn a_panic_is_told_and_ends_the_turn() {
        let turns = Turns::default();
        assert_eq!(turns.within(LONG, || panic!("on purpose")), Err::<(), _>(NotLoaded::Panicked));
        assert_eq!(turns.within(LONG, || 5), Ok(5));
    }
}
