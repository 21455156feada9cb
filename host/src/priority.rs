//! Who goes first where processors are few.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Lowers this thread's priority for good, where the system can do that for a single thread (Linux): for threads that compile,
/// fill and prove plugins, so that a check is not delayed by them however busy the machine is.
///
/// Not for a thread that puts a generation in place: writes wait for that. Nor for one that starts others: they inherit it.
pub fn yield_to_checks() {
    // Where it can't be lowered, everything works as well, only not as evenly.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}

/// Does work on a thread of its own that [yields to checks](yield_to_checks), and waits for it; here, where there is no
/// thread to be had.
///
/// # Panics
///
/// Where the work does.
pub fn quietly<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let mut work = Some(work);
    let done = scope(|scope| {
        let thread = Builder::new().name("portcullis-quiet".to_owned());
        let quiet = thread.spawn_scoped(scope, || {
            yield_to_checks();
            work.take().map(|work| work())
        });
        quiet.ok().and_then(|quiet| quiet.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    match (done, work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("work that was taken is done, or panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_elsewhere_with_what_is_here() {
        let (here, numbers) = (std::thread::current().id(), vec![1, 2, 3]);
        let (there, sum) = quietly(|| (std::thread::current().id(), numbers.iter().sum::<i32>()));
        assert_ne!(here, there);
        assert_eq!(sum, 6);
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_comes_back() {
        quietly(|| panic!("on purpose"));
    }
}
