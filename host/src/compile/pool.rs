//! The thread pool for compiling plugins.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPoolBuilder;

use super::turns::{NoTurn, STACK};

/// The number of threads that compile a plugin. They exist only during a compilation, and inherit the caller's
/// priority.
#[derive(Clone)]
pub(crate) struct Pool(Arc<AtomicUsize>);

impl Pool {
    pub(crate) fn set(&self, threads: NonZeroUsize) {
        self.0.store(threads.get(), Ordering::Relaxed);
    }

    /// Runs `work` in a pool of that many threads, which wasmtime uses for parallel compilation.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NoTurn> {
        let threads = ThreadPoolBuilder::new()
            .num_threads(self.0.load(Ordering::Relaxed))
            .thread_name(|_| "portcullis-compile".to_owned())
            .stack_size(STACK);
        Ok(threads.build().map_err(|_| NoTurn::NoThread)?.install(work))
    }
}

impl Default for Pool {
    fn default() -> Self {
        Pool(Arc::new(AtomicUsize::new(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_the_configured_number_of_threads() {
        let pool = Pool::default();
        assert_eq!(pool.run(rayon::current_num_threads), Ok(1));
        pool.clone().set(NonZeroUsize::new(3).unwrap());
        assert_eq!(pool.run(rayon::current_num_threads), Ok(3));
    }
}
