//! When a call has taken long enough to be cut off.

use std::time::Duration;

use wasmtime::UpdateDeadline;

/// The deadline of the call under way.
///
/// The engine's clock counts ticks of wall time, but a thread that the operating system did not let run is no plugin's
/// fault: on a busy machine, the best plugin would be cut off now and then. So half of the deadline is set first; where
/// a call is still at work then, the processor time of the second half is what decides. A call that computes all the time is cut off
/// at its deadline; one that was held up goes on until it has had its time, or [`PATIENCE`] deadlines have passed.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    /// Half of the deadline, in ticks.
    half: u64,
    tick: Duration,
    /// The thread's processor time when the first half was over.
    observed: Option<Duration>,
    extensions: u32,
}

/// After so many deadlines of wall time a call is cut off in any case.
const PATIENCE: u32 = 20;

impl Deadline {
    /// Begins a call that may take `ticks` of `tick` each. Returns the ticks after which [`passed`](Self::passed) is to be asked.
    #[inline]
    pub(crate) fn begin(&mut self, ticks: u64, tick: Duration) -> u64 {
        self.half = ticks.div_ceil(2);
        self.tick = tick;
        self.observed = None;
        self.extensions = 0;
        self.half
    }

    /// What is to become of a call that is still at work.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        self.passed_at(processor_time())
    }

    fn passed_at(&mut self, now: Duration) -> UpdateDeadline {
        let Some(observed) = self.observed else {
            self.observed = Some(now);
            return UpdateDeadline::Continue(self.half);
        };
        // Half of the half: ticks are not exact, and what a fair share of a busy processor gives is enough.
        let enough = self.tick.saturating_mul(u32::try_from(self.half).unwrap_or(u32::MAX)) / 2;
        self.extensions += 1;
        if now.saturating_sub(observed) >= enough || self.extensions >= 2 * PATIENCE {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(self.half)
        }
    }
}

/// The processor time that this thread has had.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}

/// Elsewhere wall time has to do.
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
    fn a_call_that_computes_all_the_time_is_cut_off_at_its_deadline() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(20, MS), 10);
        assert!(!interrupts(&mut deadline, 10 * MS), "half of it is over");
        assert!(interrupts(&mut deadline, 20 * MS));
    }

    #[test]
    fn a_call_that_is_held_up_goes_on_until_it_has_had_its_time() {
        let mut deadline = Deadline::default();
        deadline.begin(20, MS);
        assert!(!interrupts(&mut deadline, MS));
        assert!(!interrupts(&mut deadline, 2 * MS));
        assert!(!interrupts(&mut deadline, 5 * MS));
        assert!(interrupts(&mut deadline, 6 * MS));
    }

    #[test]
    fn patience_ends() {
        let mut deadline = Deadline::default();
        deadline.begin(20, MS);
        let asked = (0..).take_while(|_| !interrupts(&mut deadline, MS)).count();
        assert_eq!(asked, 40, "twenty deadlines of two halves each");
    }

    #[test]
    fn each_call_begins_anew() {
        let mut deadline = Deadline::default();
        deadline.begin(2, MS);
        assert!(!interrupts(&mut deadline, MS));
        deadline.begin(2, MS);
        assert!(!interrupts(&mut deadline, 100 * MS));
    }
}
