//! The priority of threads.

/// Lowers the priority of the current thread for good by some steps of niceness, of which there are 19, on systems that support this
/// per thread (Linux). Each makes a busy thread's share of a processor smaller by about a fifth.
pub(crate) fn lower_by(steps: u8) {
    // A failure is harmless: everything still works, with less even latencies.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(i32::from(steps.min(19)));
    #[cfg(not(target_os = "linux"))]
    let _ = steps;
}
