//! Thread priority.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Lowers the priority of the current thread for good, on systems that support this per thread (Linux).
///
/// For threads that compile, fill and verify plugins, so that they don't delay checks on a busy machine. Don't call it
/// on a thread that swaps generations, because writes wait for the swap, or on one that starts other threads, because
/// they inherit the priority.
pub fn lower_priority() {
    // A failure is harmless: everything still works, with less even latencies.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}

/// Lowers the priority of the current thread for good by some steps of niceness, of which there are 19. Each makes a busy
/// thread's share of a processor smaller by about a fifth.
///
/// For threads that call slow plugins.
pub fn lower_priority_by(steps: u8) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(i32::from(steps.min(19)));
    #[cfg(not(target_os = "linux"))]
    let _ = steps;
}

/// Runs `work` on a new thread with [lowered priority](lower_priority) and waits for it. If no thread can be started,
/// runs it on the current thread.
///
/// # Panics
///
/// If `work` panics.
pub fn at_low_priority<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let mut work = Some(work);
    let done = scope(|scope| {
        let thread = Builder::new().name("portcullis-quiet".to_owned());
        let quiet = thread.spawn_scoped(scope, || {
            lower_priority();
            work.take().map(|work| work())
        });
        quiet.ok().and_then(|quiet| quiet.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    match (done, work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the thread that took the work has returned its result or panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_another_thread_and_may_borrow() {
        let (here, numbers) = (std::thread::current().id(), vec![1, 2, 3]);
        let (there, sum) = at_low_priority(|| (std::thread::current().id(), numbers.iter().sum::<i32>()));
        assert_ne!(here, there);
        assert_eq!(sum, 6);
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_is_propagated() {
        at_low_priority(|| panic!("on purpose"));
    }
}
