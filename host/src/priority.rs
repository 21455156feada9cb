//! Thread priority.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{Builder, scope};
use std::time::Duration;

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

/// Runs `work` on a new thread with [lowered priority](lower_priority) and waits for it. If no thread can be started,
/// runs it on the current thread.
///
/// # Panics
///
/// If `work` panics.
pub fn at_low_priority<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    apart(lower_priority, || {}, work)
}

/// Runs `work` on a new thread and waits for it. If it takes longer than `time`, it goes on with
/// [lowered priority](lower_priority). If no thread can be started, runs it on the current thread.
///
/// # Panics
///
/// If `work` panics.
pub fn at_low_priority_after<R: Send>(time: Duration, work: impl FnOnce() -> R + Send) -> R {
    let (begun, thread) = channel();
    let (done, is_done) = channel::<()>();
    let begin = move || {
        #[cfg(target_os = "linux")]
        let _ = begun.send(rustix::thread::gettid());
        #[cfg(not(target_os = "linux"))]
        let _ = begun.send(());
    };
    let meanwhile = move || {
        let Ok(thread) = thread.recv() else { return };
        if is_done.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            #[cfg(target_os = "linux")]
            let _ = rustix::process::setpriority_process(Some(thread), 19);
            #[cfg(not(target_os = "linux"))]
            let () = thread;
        }
    };
    apart(begin, meanwhile, move || {
        // Dropped also if the work panics.
        let _done = done;
        work()
    })
}

/// Runs `begin` and `work` on a new thread, and `meanwhile` on this one. Runs only `work`, on this one, if no thread can be started.
fn apart<R: Send>(
    begin: impl FnOnce() + Send,
    meanwhile: impl FnOnce(),
    work: impl FnOnce() -> R + Send,
) -> R {
    let mut work = Some(work);
    let done = scope(|scope| {
        let thread = Builder::new().name("portcullis-quiet".to_owned());
        let quiet = thread.spawn_scoped(scope, || {
            begin();
            work.take().map(|work| work())
        });
        let quiet = quiet.ok()?;
        meanwhile();
        quiet.join().unwrap_or_else(|panic| resume_unwind(panic))
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

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_within_the_time_is_propagated() {
        at_low_priority_after(Duration::from_secs(600), || panic!("on purpose"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_that_takes_longer_goes_on_with_low_priority() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        assert_eq!(at_low_priority_after(Duration::from_secs(600), own), before);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        at_low_priority_after(Duration::from_millis(1), || {
            while own() != 19 {
                assert!(std::time::Instant::now() < deadline, "it is still {}", own());
                std::thread::yield_now();
            }
        });
        assert_eq!(own(), before, "the caller's stays");
    }
}
