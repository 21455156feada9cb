//! The threads that compile a plugin.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPoolBuilder;

use crate::turn::{NotLoaded, STACK};

/// How many threads compile a plugin. They are there only while one is compiled, with the priority of whom they work for.
#[derive(Clone)]
pub(crate) struct Compilers(Arc<AtomicUsize>);

impl Compilers {
    pub(crate) fn set(&self, threads: NonZeroUsize) {
        self.0.store(threads.get(), Ordering::Relaxed);
    }

    /// Does `work`, with the threads for what wasmtime splits up of it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NotLoaded> {
        let threads = ThreadPoolBuilder::new()
            .num_threads(self.0.load(Ordering::Relaxed))
            .thread_name(|_| "portcullis-compile".to_owned())
            .stack_size(STACK);
        Ok(threads.build().map_err(|_| NotLoaded::NoThread)?.install(work))
    }
}

impl Default for Compilers {
    fn default() -> Self {
        Compilers(Arc::new(AtomicUsize::new(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_has_as_many_threads_as_were_set() {
        let compilers = Compilers::default();
        assert_eq!(compilers.run(rayon::current_num_threads), Ok(1));
        compilers.clone().set(NonZeroUsize::new(3).unwrap());
        assert_eq!(compilers.run(rayon::current_num_threads), Ok(3));
    }
}
