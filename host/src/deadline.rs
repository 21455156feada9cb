//! The deadline of a plugin call.

use std::time::Duration;

use wasmtime::UpdateDeadline;

use crate::cpu_time::cpu_time;

/// The deadline of the current call.
///
/// The limit of a call is CPU time, but the engine's epoch counts ticks of wall time: on a busy machine, or on a thread
/// of low priority, a call may be slow only because the operating system did not schedule its thread. So the epoch says
/// when to look at the thread's CPU clock, and the clock decides. Where the clock was not read at the start of the call
/// (it costs as much as a whole check), it is read after half of the limit, and the limit counts from there: such a call
/// is interrupted between one and one and a half limits of CPU time.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    limit: Duration,
    tick: Duration,
    /// The thread's CPU time from which the call's is counted.
    since: Option<Duration>,
    /// Ticks of wall time that passed, or are about to.
    waited: u64,
    /// The ticks of wall time after which the call is interrupted in any case.
    patience: u64,
}

/// The number of limits of wall time after which a call is interrupted in any case, but not before [`LEAST_PATIENCE`].
const PATIENCE: u64 = 20;
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

impl Deadline {
    /// Starts a call that may take `limit`, which is `ticks` of `tick` each. `now` is the thread's CPU time, if it was
    /// read. Returns the number of ticks after which to call [`passed`](Self::passed).
    #[inline]
    pub(crate) fn begin(
        &mut self,
        limit: Duration,
        ticks: u64,
        tick: Duration,
        now: Option<Duration>,
    ) -> u64 {
        self.limit = limit;
        self.tick = tick;
        self.since = now;
        self.patience = ticks.saturating_mul(PATIENCE);
        self.waited = if now.is_some() { ticks } else { ticks.div_ceil(2) };
        self.waited
    }

    /// Decides whether a call that is still running is interrupted.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        self.passed_at(cpu_time())
    }

    /// Whether a call that has ended used more than its limit. It may have passed no point at which it could have been
    /// interrupted: wasmtime runs a bulk instruction, such as a fill of all memory, in one piece.
    pub(crate) fn is_overrun(&self, now: Duration) -> bool {
        self.since.is_some_and(|since| now.saturating_sub(since) >= self.limit)
    }

    fn passed_at(&mut self, now: Duration) -> UpdateDeadline {
        let since = *self.since.get_or_insert(now);
        let Some(left) = self.limit.checked_sub(now.saturating_sub(since)).filter(|left| !left.is_zero())
        else {
            return UpdateDeadline::Interrupt;
        };
        let least = LEAST_PATIENCE.as_nanos() / self.tick.as_nanos().max(1);
        if self.waited >= self.patience.max(u64::try_from(least).unwrap_or(u64::MAX)) {
            return UpdateDeadline::Interrupt;
        }
        let ticks = left.as_nanos().div_ceil(self.tick.as_nanos().max(1));
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX / 2).max(1);
        self.waited = self.waited.saturating_add(ticks);
        UpdateDeadline::Continue(ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn continues(deadline: &mut Deadline, now: Duration) -> Option<u64> {
        match deadline.passed_at(now) {
            UpdateDeadline::Continue(ticks) => Some(ticks),
            _ => None,
        }
    }

    #[test]
    fn a_call_that_computes_throughout_is_interrupted_at_its_limit() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(20 * MS, 20, MS, Some(100 * MS)), 20);
        assert_eq!(continues(&mut deadline, 120 * MS), None);
    }

    #[test]
    fn a_call_that_was_descheduled_goes_on_for_the_rest_of_its_limit() {
        let mut deadline = Deadline::default();
        deadline.begin(20 * MS, 20, MS, Some(100 * MS));
        assert_eq!(continues(&mut deadline, 105 * MS), Some(15));
        assert_eq!(continues(&mut deadline, 119 * MS + MS / 2), Some(1));
        assert_eq!(continues(&mut deadline, 120 * MS), None);
    }

    #[test]
    fn without_a_clock_at_the_start_the_limit_counts_from_its_half() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(20 * MS, 20, MS, None), 10);
        assert!(!deadline.is_overrun(1000 * MS), "nobody knows");
        assert_eq!(continues(&mut deadline, 500 * MS), Some(20));
        assert_eq!(continues(&mut deadline, 520 * MS), None);
    }

    #[test]
    fn a_call_is_interrupted_in_the_end() {
        let mut deadline = Deadline::default();
        deadline.begin(1000 * MS, 1000, MS, Some(MS));
        let asked = (0..).take_while(|_| continues(&mut deadline, MS).is_some()).count();
        assert_eq!(asked, 19, "after twenty limits of wall time");
        deadline.begin(20 * MS, 20, MS, Some(MS));
        let asked = (0..).take_while(|_| continues(&mut deadline, MS).is_some()).count();
        assert_eq!(asked, 249, "after five seconds");
    }

    #[test]
    fn each_call_starts_afresh() {
        let mut deadline = Deadline::default();
        deadline.begin(2 * MS, 2, MS, Some(MS));
        assert!(deadline.is_overrun(3 * MS));
        deadline.begin(2 * MS, 2, MS, Some(100 * MS));
        assert!(!deadline.is_overrun(101 * MS));
    }
}
