//! Who goes first where processors are few.

/// Lowers this thread's priority for good, where the system can do that for a single thread (Linux): for threads that compile,
/// fill and prove plugins, so that a check is not delayed by them however busy the machine is.
pub fn yield_to_checks() {
    // Where it can't be lowered, everything works as well, only not as evenly.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}
