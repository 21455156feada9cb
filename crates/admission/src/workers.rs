//! A bounded pool of threads.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tracing::error;

use crate::priority;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads. Threads start on demand, and end when there was nothing to do for a while.
pub struct Workers {
    name: &'static str,
    most: usize,
    /// The steps by which the threads' priority is lowered.
    niceness: u8,
    linger: Duration,
    state: Mutex<State>,
    queued: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// The threads of a pool of low priority. Several times as many as one tenant takes, and of long reads, more would only hold more
/// answers in memory.
const MOST_OF_LOW_PRIORITY: usize = 64;
/// The steps by which their priority is lowered: ten of them together get about a third of one processor beside a thread of a request. Three
/// more make no difference to others that could be measured.
const NICENESS: u8 = 15;
/// How long such a thread waits for the next job, which is cheaper than to start another.
const LINGER: Duration = Duration::from_secs(10);

impl Workers {
    /// A pool for reloads: each holds a second copy of its tenant's lists. Two threads per processor, so that a plugin which is slow
    /// to fill does not hold up every other tenant.
    pub fn for_reloads() -> Arc<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::new("portcullis-reload", 2 * processors, 0, Duration::ZERO)
    }

    /// A pool for swaps and rollbacks, which take moments, and do not wait until the other pool has filled the lists of other
    /// tenants.
    pub fn for_swaps() -> Arc<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::new("portcullis-swap", 2 * processors, 0, Duration::ZERO)
    }

    /// A pool of low priority for calls of slow plugins: checks of other tenants get nearly all of a busy processor.
    pub fn for_slow_plugins() -> Arc<Self> {
        Self::of_low_priority("portcullis-slow")
    }

    /// A pool of low priority for long reads, and for long bodies.
    pub(crate) fn for_reads() -> Arc<Self> {
        Self::of_low_priority("portcullis-read")
    }

    fn of_low_priority(name: &'static str) -> Arc<Self> {
        Self::new(name, MOST_OF_LOW_PRIORITY, NICENESS, LINGER)
    }

    pub(crate) fn new(name: &'static str, most: usize, niceness: u8, linger: Duration) -> Arc<Self> {
        let (state, queued) = (Mutex::default(), Condvar::new());
        Arc::new(Workers { name, most, niceness, linger, state, queued })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// If the system refuses the first thread. The job is dropped then.
    pub fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.state.lock();
        state.queue.push_back(Box::new(job));
        if state.idle >= state.queue.len() {
            self.queued.notify_one();
            return Ok(());
        }
        if state.threads == self.most {
            return Ok(());
        }
        let workers = Arc::clone(self);
        let thread = thread::Builder::new().name(self.name.to_owned());
        match thread.spawn(move || workers.work()) {
            Ok(_) => {
                state.threads += 1;
                Ok(())
            }
            // Another thread gets to it.
            Err(_) if state.threads > 0 => Ok(()),
            Err(error) => {
                let job = state.queue.pop_back();
                drop(state);
                drop(job);
                Err(error)
            }
        }
    }

    /// Queues work with a result, and returns where to wait for that. The work is not begun if nobody waits any more. If it panics,
    /// there is no result.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn call<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<oneshot::Receiver<R>> {
        let (done, result) = oneshot::channel();
        self.run(move || {
            if !done.is_closed() {
                // Nobody waits for it any more if that fails.
                let _ = done.send(work());
            }
        })?;
        Ok(result)
    }

    fn work(&self) {
        if self.niceness > 0 {
            priority::lower_by(self.niceness);
        }
        loop {
            let job = {
                let mut state = self.state.lock();
                if state.queue.is_empty() && !self.linger.is_zero() {
                    state.idle += 1;
                    self.queued.wait_while_for(&mut state, |state| state.queue.is_empty(), self.linger);
                    state.idle -= 1;
                }
                let Some(job) = state.queue.pop_front() else {
                    state.threads -= 1;
                    return;
                };
                job
            };
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                error!(pool = self.name, "a background job panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn jobs_share_the_threads_and_one_that_panics_does_not_end_its_thread() {
        for linger in [Duration::ZERO, Duration::from_secs(60)] {
            let workers = Workers::new("test", 2, 0, linger);
            let (sender, done) = channel();
            for number in 0..9 {
                let sender = sender.clone();
                workers
                    .run(move || {
                        assert_ne!(number, 4, "on purpose");
                        sender.send(number).unwrap();
                    })
                    .unwrap();
                assert!(workers.state.lock().threads <= 2);
            }
            drop(sender);
            let mut done: Vec<_> = done.iter().collect();
            done.sort_unstable();
            assert_eq!(done, [0, 1, 2, 3, 5, 6, 7, 8]);
        }
    }

    #[test]
    fn an_idle_thread_takes_the_next_job() {
        let workers = Workers::new("test", 2, 0, Duration::from_secs(60));
        let (sender, done) = channel();
        for _ in 0..3 {
            let sender = sender.clone();
            workers.run(move || sender.send(thread::current().id()).unwrap()).unwrap();
            let first = done.recv().unwrap();
            while workers.state.lock().idle == 0 {
                thread::yield_now();
            }
            let sender = channel();
            workers.run(move || sender.0.send(thread::current().id()).unwrap()).unwrap();
            assert_eq!(sender.1.recv().unwrap(), first);
            while workers.state.lock().idle == 0 {
                thread::yield_now();
            }
        }
    }
}
