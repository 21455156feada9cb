//! Measurement of what calls cost, without costing the fast ones anything that matters.

use std::time::{Duration, Instant};

use crate::cpu_time::cpu_time;

/// Measures calls of one instance.
///
/// The CPU clock costs as much as a check, so it is read only for suspects. One call in [`SAMPLE`] is timed by the wall
/// clock, and the engine's ticks, which cost nothing, show every call that takes longer than one: either makes the next
/// calls suspects.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    calls: u32,
    /// How many more calls are measured by the CPU clock.
    suspects: u32,
}

/// A call that is being measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Started {
    /// By ticks only.
    Unmeasured,
    /// By wall time.
    Sampled(Instant),
    /// By the thread's CPU time at its start.
    Measured(Duration),
}

/// One call in so many is timed.
const SAMPLE: u32 = 64;
/// So many calls after a slow one are measured.
const SUSPECTS: u32 = 64;

impl Stopwatch {
    /// Starts a call. `heavy` calls are always measured.
    #[inline]
    pub(crate) fn start(&mut self, heavy: bool) -> Started {
        if heavy || self.suspects > 0 {
            self.suspects = self.suspects.saturating_sub(1);
            return Started::Measured(cpu_time());
        }
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(SAMPLE) { Started::Sampled(Instant::now()) } else { Started::Unmeasured }
    }

    /// Ends a call that should take at most `allowed`. `ticked` says whether the engine's clock ticked meanwhile more than
    /// once. Returns the CPU time of a call that took longer.
    #[inline]
    pub(crate) fn stop(&mut self, started: Started, ticked: bool, allowed: Duration) -> Option<Duration> {
        match started {
            Started::Unmeasured if !ticked => None,
            started => self.judge(started, allowed),
        }
    }

    #[cold]
    fn judge(&mut self, started: Started, allowed: Duration) -> Option<Duration> {
        match started {
            Started::Unmeasured => {
                self.suspects = SUSPECTS;
                None
            }
            Started::Sampled(start) => {
                if start.elapsed() > allowed {
                    self.suspects = SUSPECTS;
                }
                None
            }
            Started::Measured(start) => {
                let used = cpu_time().saturating_sub(start);
                if used <= allowed {
                    return None;
                }
                self.suspects = SUSPECTS;
                Some(used)
            }
        }
    }
}

impl Started {
    /// The thread's CPU time at the start, if it was read.
    #[inline]
    pub(crate) fn cpu_time(self) -> Option<Duration> {
        match self {
            Started::Measured(start) => Some(start),
            Started::Unmeasured | Started::Sampled(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Duration = Duration::from_secs(1);

    #[test]
    fn fast_calls_are_rarely_timed_and_never_charged() {
        let mut watch = Stopwatch::default();
        let mut sampled = 0;
        for _ in 0..10 * SAMPLE {
            let started = watch.start(false);
            sampled += u32::from(matches!(started, Started::Sampled(_)));
            assert!(!matches!(started, Started::Measured(_)));
            assert_eq!(watch.stop(started, false, ALLOWED), None);
        }
        assert_eq!(sampled, 10);
    }

    #[test]
    fn the_calls_after_a_long_one_are_measured() {
        let mut watch = Stopwatch::default();
        let started = watch.start(false);
        assert_eq!(watch.stop(started, true, ALLOWED), None);
        for _ in 0..SUSPECTS {
            let started = watch.start(false);
            assert!(matches!(started, Started::Measured(_)));
            assert_eq!(watch.stop(started, false, ALLOWED), None);
        }
        assert!(!matches!(watch.start(false), Started::Measured(_)));
    }

    #[test]
    fn a_measured_call_that_took_long_is_charged_and_stays_a_suspect() {
        let mut watch = Stopwatch::default();
        let started = watch.start(true);
        let mut work = 0_u64;
        while cpu_time().saturating_sub(started.cpu_time().unwrap()) < Duration::from_millis(1) {
            work = std::hint::black_box(work + 1);
        }
        let used = watch.stop(started, false, Duration::from_micros(20));
        assert!(used.is_some_and(|used| used >= Duration::from_millis(1)));
        assert!(matches!(watch.start(false), Started::Measured(_)));
    }
}
