//! The deadline of a plugin call.

use std::time::Duration;

use wasmtime::UpdateDeadline;

/// The deadline of the current call.
///
/// The engine's epoch counts ticks of wall time, but on a busy machine a call may be slow only because the operating
/// system did not schedule its thread. So only half of the deadline is set at first. If the call is still running then,
/// the CPU time used from that point decides. A call that computes throughout is interrupted at its deadline; a call
/// that was descheduled continues until it has used its CPU time, or until [`PATIENCE`] deadlines of wall time have
/// passed.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    /// Half of the deadline, in ticks.
    half: u64,
    tick: Duration,
    /// The thread's CPU time at the end of the first half.
    observed: Option<Duration>,
    extensions: u32,
}

/// The number of deadlines of wall time after which a call is interrupted in any case.
const PATIENCE: u32 = 20;

impl Deadline {
    /// Starts a call that may take `ticks` of `tick` each. Returns the number of ticks after which to call
    /// [`passed`](Self::passed).
    #[inline]
    pub(crate) fn begin(&mut self, ticks: u64, tick: Duration) -> u64 {
        self.half = ticks.div_ceil(2);
        self.tick = tick;
        self.observed = None;
        self.extensions = 0;
        self.half
    }

    /// Decides whether a call that is still running is interrupted.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        self.passed_at(processor_time())
    }

    fn passed_at(&mut self, now: Duration) -> UpdateDeadline {
        let Some(observed) = self.observed else {
            self.observed = Some(now);
            return UpdateDeadline::Continue(self.half);
        };
        // Half of the half: ticks are inexact, and a fair share of a busy CPU suffices.
        let enough = self.tick.saturating_mul(u32::try_from(self.half).unwrap_or(u32::MAX)) / 2;
        self.extensions += 1;
        if now.saturating_sub(observed) >= enough || self.extensions >= 2 * PATIENCE {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(self.half)
        }
    }
}

/// The CPU time used by this thread.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}

/// A fallback for platforms without per-thread CPU time: wall time.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn interrupts(deadline: &mut Deadline, now: Duration) -> bool {
        matches!(deadline.passed_at(now), UpdateDeadline::Interrupt)
    }

    #[test]
    fn a_call_that_computes_throughout_is_interrupted_at_its_deadline() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(20, MS), 10);
        assert!(!interrupts(&mut deadline, 10 * MS), "half of the deadline has passed");
        assert!(interrupts(&mut deadline, 20 * MS));
    }

    #[test]
    fn a_call_that_was_descheduled_continues_until_it_has_used_its_time() {
        let mut deadline = Deadline::default();
        deadline.begin(20, MS);
        assert!(!interrupts(&mut deadline, MS));
        assert!(!interrupts(&mut deadline, 2 * MS));
        assert!(!interrupts(&mut deadline, 5 * MS));
        assert!(interrupts(&mut deadline, 6 * MS));
    }

    #[test]
    fn a_call_is_interrupted_in_the_end() {
        let mut deadline = Deadline::default();
        deadline.begin(20, MS);
        let asked = (0..).take_while(|_| !interrupts(&mut deadline, MS)).count();
        assert_eq!(asked, 40, "twenty deadlines with two halves each");
    }

    #[test]
    fn each_call_starts_afresh() {
        let mut deadline = Deadline::default();
        deadline.begin(2, MS);
        assert!(!interrupts(&mut deadline, MS));
        deadline.begin(2, MS);
        assert!(!interrupts(&mut deadline, 100 * MS));
    }
}
