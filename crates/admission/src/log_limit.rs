//! Bounded rates of log lines that clients can cause.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets a bounded number of log lines of one kind through, and counts the others.
///
/// A client that can cause a line at will could otherwise fill the disk, and hide every other line.
pub struct LogLimit {
    /// The window's number in the upper half, the lines in it in the lower half.
    window: AtomicU64,
    suppressed: AtomicU64,
    lines: u32,
}

/// The length of a window, in seconds.
const WINDOW: u64 = 10;

/// Windows are counted from here.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl LogLimit {
    /// Creates a limit of this many lines in 10 seconds.
    pub const fn new(lines: u32) -> Self {
        LogLimit { window: AtomicU64::new(0), suppressed: AtomicU64::new(0), lines }
    }

    /// Whether to write a line now. Counts it as suppressed otherwise. Does not block.
    pub fn admits(&self) -> bool {
        self.admits_at(START.elapsed().as_secs() / WINDOW)
    }

    fn admits_at(&self, now: u64) -> bool {
        let counted = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            let lines =
                if window >> 32 == now & u64::from(u32::MAX) { window & u64::from(u32::MAX) } else { 0 };
            (lines < u64::from(self.lines)).then_some(now << 32 | (lines + 1))
        });
        if counted.is_err() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
        counted.is_ok()
    }

    /// The number of lines suppressed since the last call.
    pub fn suppressed(&self) -> u64 {
        self.suppressed.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_pass_in_a_window_and_the_rest_is_counted() {
        let limit = LogLimit::new(3);
        let passed = |now| (0..10).filter(|_| limit.admits_at(now)).count();
        assert_eq!((passed(0), passed(0)), (3, 0));
        assert_eq!(limit.suppressed(), 17);
        assert_eq!((passed(1), limit.suppressed()), (3, 7));
        assert_eq!(limit.suppressed(), 0);
    }
}
