//! A circuit breaker with exponential backoff for plugins that fail.

use std::time::{Duration, Instant};

/// Limits how often a failing plugin is restarted: the delay doubles with each consecutive fault.
///
/// A plain value without a clock: the caller passes the time in.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Consecutive faults, each before the plugin left probation.
    faults: u32,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open,
    Probation {
        since: Instant,
    },
}

/// The state of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// The plugin is healthy.
    Closed,
    /// The plugin failed and does not serve.
    Open,
    /// The plugin serves again, but has not yet run for [`Breaker::STEADY`] without a fault.
    Probation,
}

impl BreakerState {
    /// The state's name in logs, metrics and the API: `closed`, `open` or `probation`.
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::Probation => "probation",
        }
    }
}

impl Breaker {
    /// How long a plugin must serve without a fault to leave probation.
    pub const STEADY: Duration = Duration::from_secs(60);
    /// The delay before the second restart. The first restart has no delay.
    pub const FIRST_WAIT: Duration = Duration::from_millis(50);
    /// The longest delay.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

    /// Records a fault, in service or during filling. Opens the breaker and returns the delay before the next restart.
    pub fn fault(&mut self, now: Instant) -> Duration {
        if self.state(now) == BreakerState::Closed {
            self.faults = 0;
        }
        self.faults = self.faults.saturating_add(1);
        self.state = State::Open;
        match self.faults.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => {
                Self::FIRST_WAIT.saturating_mul(1 << doublings.min(16)).min(Self::LONGEST_WAIT)
            }
        }
    }

    /// Records that the plugin serves again.
    pub fn serve(&mut self, now: Instant) {
        if matches!(self.state, State::Open) {
            self.state = State::Probation { since: now };
        }
    }

    /// Clears the history, because a different plugin serves now.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Returns the state at `now`.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open => BreakerState::Open,
            State::Probation { since } if now.saturating_duration_since(since) >= Self::STEADY => {
                BreakerState::Closed
            }
            State::Probation { .. } => BreakerState::Probation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_has_no_delay_and_later_delays_double() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let waits: Vec<_> = (0..14)
            .map(|_| {
                let wait = breaker.fault(now);
                breaker.serve(now);
                wait.as_millis()
            })
            .collect();
        assert_eq!(waits[..5], [0, 50, 100, 200, 400]);
        assert_eq!(waits[13], 30_000);
    }

    #[test]
    fn a_plugin_that_serves_long_enough_leaves_probation() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        breaker.fault(start);
        assert_eq!(breaker.fault(start), Breaker::FIRST_WAIT);
        assert_eq!(breaker.state(start), BreakerState::Open);
        breaker.serve(start);
        let almost = start + Breaker::STEADY - Duration::from_millis(1);
        assert_eq!(breaker.state(almost), BreakerState::Probation);
        assert_eq!(breaker.state(start + Breaker::STEADY), BreakerState::Closed);
        assert_eq!(breaker.fault(start + Breaker::STEADY), Duration::ZERO);
    }

    #[test]
    fn time_out_of_service_does_not_count_as_steady() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        breaker.fault(start);
        assert_eq!(breaker.fault(start + 10 * Breaker::STEADY), Breaker::FIRST_WAIT);
    }

    #[test]
    fn serving_without_an_earlier_fault_is_not_probation() {
        let mut breaker = Breaker::default();
        breaker.serve(Instant::now());
        assert_eq!(breaker.state(Instant::now()), BreakerState::Closed);
    }
}
