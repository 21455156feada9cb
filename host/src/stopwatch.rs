//! Measurement of what calls cost, without costing the fast ones anything that matters.

use std::time::{Duration, Instant};

use crate::cpu_time::cpu_time;
use crate::pace::Pace;
use crate::random::Xorshift;

/// Measures calls of one instance.
///
/// The CPU clock costs as much as a check, so it is read only for suspects. The first call is timed by the wall clock, and
/// then one in [`SAMPLE`] which the plugin can't predict. The engine's ticks, which cost nothing, show every call that takes
/// longer than one. Either makes the next calls suspects, those of this instance and those of the plugin's other ones.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    /// How many more calls are not timed.
    untimed: u32,
    /// Draws that number.
    random: Xorshift,
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

/// One call in so many is timed, on average.
const SAMPLE: u32 = 64;
/// So many calls after a slow one are measured.
const SUSPECTS: u32 = 64;

impl Stopwatch {
    /// Starts a call. `heavy` calls are always measured.
    #[inline]
    pub(crate) fn start(&mut self, heavy: bool, pace: &Pace) -> Started {
        if heavy || self.suspects > 0 || pace.is_suspect() {
            self.suspects = self.suspects.saturating_sub(1);
            return Started::Measured(cpu_time());
        }
        match self.untimed.checked_sub(1) {
            Some(left) => {
                self.untimed = left;
                Started::Unmeasured
            }
            None => self.sample(),
        }
    }

    /// Has the next call timed.
    pub(crate) fn sample_next(&mut self) {
        self.untimed = 0;
    }

    #[cold]
    fn sample(&mut self) -> Started {
        self.untimed = self.random.below(2 * SAMPLE - 1);
        Started::Sampled(Instant::now())
    }

    /// Ends a call that should take at most `allowed`. `ticked` says whether the engine's clock ticked meanwhile more than
    /// once. Returns the CPU time of a call that took longer.
    #[inline]
    pub(crate) fn stop(
        &mut self,
        started: Started,
        ticked: bool,
        allowed: Duration,
        pace: &Pace,
    ) -> Option<Duration> {
        match started {
            Started::Unmeasured if !ticked => None,
            started => self.judge(started, allowed, pace),
        }
    }

    #[cold]
    fn judge(&mut self, started: Started, allowed: Duration, pace: &Pace) -> Option<Duration> {
        let used = match started {
            Started::Sampled(start) if start.elapsed() <= allowed => return None,
            Started::Unmeasured | Started::Sampled(_) => None,
            Started::Measured(start) => {
                let used = cpu_time().saturating_sub(start);
                if used <= allowed {
                    return None;
                }
                Some(used)
            }
        };
        self.suspects = SUSPECTS;
        pace.suspect();
        used
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
        let (mut watch, pace) = (Stopwatch::default(), Pace::default());
        let mut sampled = 0;
        for _ in 0..100 * SAMPLE {
            let started = watch.start(false, &pace);
            sampled += u32::from(matches!(started, Started::Sampled(_)));
            assert!(!matches!(started, Started::Measured(_)));
            assert_eq!(watch.stop(started, false, ALLOWED, &pace), None);
        }
        assert!((50..=200).contains(&sampled), "{sampled}");
    }

    #[test]
    fn the_first_call_is_timed() {
        let (mut watch, pace) = (Stopwatch::default(), Pace::default());
        assert!(matches!(watch.start(false, &pace), Started::Sampled(_)));
        while matches!(watch.start(false, &pace), Started::Sampled(_)) {}
        watch.sample_next();
        assert!(matches!(watch.start(false, &pace), Started::Sampled(_)));
    }

    #[test]
    fn the_calls_after_a_long_one_are_measured_also_on_other_instances() {
        let (mut watch, mut other, pace) = (Stopwatch::default(), Stopwatch::default(), Pace::default());
        assert_eq!(watch.stop(Started::Unmeasured, true, ALLOWED, &pace), None);
        for watch in [&mut watch, &mut other] {
            for _ in 0..SUSPECTS {
                let started = watch.start(false, &pace);
                assert!(matches!(started, Started::Measured(_)));
                assert_eq!(watch.stop(started, false, ALLOWED, &pace), None);
            }
        }
        assert!(!matches!(watch.start(false, &pace), Started::Measured(_)));
    }

    #[test]
    fn a_measured_call_that_took_long_is_charged_and_stays_a_suspect() {
        let (mut watch, pace) = (Stopwatch::default(), Pace::default());
        let started = watch.start(true, &pace);
        let mut work = 0_u64;
        while cpu_time().saturating_sub(started.cpu_time().unwrap()) < Duration::from_millis(1) {
            work = std::hint::black_box(work + 1);
        }
        let used = watch.stop(started, false, Duration::from_micros(20), &pace);
        assert!(used.is_some_and(|used| used >= Duration::from_millis(1)));
        assert!(matches!(watch.start(false, &pace), Started::Measured(_)));
    }
}
