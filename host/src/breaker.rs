//! The breaker: how often a plugin that fails is given another chance.

use std::time::{Duration, Instant};

/// Keeps a plugin that always fails from burning the machine: each chance comes twice as late as the one before.
///
/// A plain value without a clock of its own, so that whoever holds it decides what time it is.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Faults in a row, each before the plugin had proved itself since the one before.
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

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// The plugin is trusted.
    Closed,
    /// It failed, and does not serve.
    Open,
    /// It serves again, and has yet to prove itself.
    Probation,
}

impl BreakerState {
    /// Its name: `closed`, `open` or `probation`.
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::Probation => "probation",
        }
    }
}

impl Breaker {
    /// A plugin that served this long since its last fault is trusted again.
    pub const STEADY: Duration = Duration::from_secs(60);
    /// The wait before the second chance; before the first there is none.
    pub const FIRST_WAIT: Duration = Duration::from_millis(50);
    /// No wait is longer.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

    /// The plugin failed, in service or while it was filled: opens, and says how long to wait before it gets another chance.
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

    /// The plugin serves again.
    pub fn serve(&mut self, now: Instant) {
        if matches!(self.state, State::Open) {
            self.state = State::Probation { since: now };
        }
    }

    /// Another plugin serves now, with a record of its own.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// How it stands.
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
    fn the_first_chance_comes_at_once_and_later_ones_ever_less_often() {
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
    fn a_plugin_that_proved_itself_is_trusted_again() {
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
    fn time_out_of_service_proves_nothing() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        breaker.fault(start);
        assert_eq!(breaker.fault(start + 10 * Breaker::STEADY), Breaker::FIRST_WAIT);
    }

    #[test]
    fn serving_without_a_fault_before_is_no_probation() {
        let mut breaker = Breaker::default();
        breaker.serve(Instant::now());
        assert_eq!(breaker.state(Instant::now()), BreakerState::Closed);
    }
}
