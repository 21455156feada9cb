//! A bounded pool of threads for reloads.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tracing::error;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads for reloads. More would compete for the same processors, and each reload holds a second copy of its
/// tenant's lists. Threads start on demand and end when the queue is empty.
pub(crate) struct Workers {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
}

impl Workers {
    /// Two threads per processor, so that a plugin which is slow to fill does not hold up every other tenant.
    pub(crate) fn for_this_machine() -> Arc<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Workers { most: 2 * processors, state: Mutex::default() })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// If the system refuses the first thread. The job is dropped then.
    pub(crate) fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.state.lock();
        state.queue.push_back(Box::new(job));
        if state.threads == self.most {
            return Ok(());
        }
        let workers = Arc::clone(self);
        let thread = thread::Builder::new().name("portcullis-reload".to_owned());
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

    fn work(&self) {
        loop {
            let job = {
                let mut state = self.state.lock();
                let Some(job) = state.queue.pop_front() else {
                    state.threads -= 1;
                    return;
                };
                job
            };
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                error!("a reload panicked");
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
        let workers = Arc::new(Workers { most: 2, state: Mutex::default() });
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
