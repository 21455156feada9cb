//! The database's clock, by which all nodes of a ledger go.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_ledger::LedgerError;
use portcullis_ledger_model::time::whole_milliseconds;

use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;

/// Two clocks drift apart by less than this part of the time that passes. Usual ones do by a tenth of it.
const DRIFT: u32 = 1_000;

/// What the database's clock shows now, as far as its answers tell.
///
/// Between answers, this machine's monotonic clock is added, so that it makes no difference what the machine takes the time of day
/// to be, and whether somebody sets it.
#[derive(Default)]
pub(crate) struct Clock(Mutex<State>);

#[derive(Default)]
struct State {
    reading: Option<Reading>,
    /// The latest time that was told, which the next one is not before.
    told: Timestamp,
}

/// What the database's clock showed.
#[derive(Clone, Copy)]
struct Reading {
    /// The middle of the call that asked it.
    at: Instant,
    time: Timestamp,
    /// How much earlier or later than the middle it was read, at most.
    error: Duration,
}

impl Reading {
    /// What the clock shows at another moment.
    fn shows_at(&self, moment: Instant) -> Timestamp {
        let time = match moment.checked_duration_since(self.at) {
            Some(since) => self.time.checked_add(since),
            None => self.time.checked_sub(self.at.saturating_duration_since(moment)),
        };
        time.unwrap_or(self.time)
    }
}

impl Clock {
    /// Asks the database.
    pub(crate) async fn read(&self, session: &Session) -> Result<(), Failure> {
        const SQL: &str = "SELECT clock_timestamp()";
        session.prepare(&[SQL]).await?;
        let began = Instant::now();
        let row = session.query_opt(SQL, &[]).await?.ok_or(LedgerError::Defect)?;
        self.note(began, Instant::now(), Columns::of(&row).time()?);
        Ok(())
    }

    /// Notes what the database's clock showed at some moment of a call.
    pub(crate) fn note(&self, began: Instant, ended: Instant, time: Timestamp) {
        let error = ended.saturating_duration_since(began) / 2;
        let reading = Reading { at: began + error, time, error };
        let mut state = self.0.lock();
        if let Some(known) = state.reading {
            let known_error = known.error + reading.at.saturating_duration_since(known.at) / DRIFT;
            let apart = time.duration_since(known.shows_at(reading.at)).unsigned_abs();
            if apart <= known_error + error {
                if error <= known_error {
                    state.reading = Some(reading);
                }
                return;
            }
        }
        // Nothing was known, somebody set the clock, or it is that of another server.
        *state = State { reading: Some(reading), told: Timestamp::MIN };
    }

    /// What the database's clock shows, in whole milliseconds. This machine's own time before the database was asked.
    pub(crate) fn now(&self) -> Timestamp {
        let mut state = self.0.lock();
        let now = state.reading.map_or_else(Timestamp::now, |reading| reading.shows_at(Instant::now()));
        state.told = state.told.max(whole_milliseconds(now));
        state.told
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    const QUICK: Duration = Duration::from_millis(2);

    fn far_from_ours() -> Timestamp {
        Timestamp::now() - 1000.hours()
    }

    /// Whether the clock shows this time, to a second.
    fn shows(clock: &Clock, time: Timestamp) -> bool {
        clock.now().duration_since(time).unsigned_abs() < Duration::from_secs(1)
    }

    #[test]
    fn the_databases_clock_counts_and_not_ours() {
        let clock = Clock::default();
        assert!(shows(&clock, Timestamp::now()), "nothing is known yet");
        let (time, began) = (far_from_ours(), Instant::now());
        clock.note(began, began + QUICK, time);
        assert!(shows(&clock, time));
    }

    #[test]
    fn a_clock_that_is_set_is_followed_at_once_in_both_directions() {
        let clock = Clock::default();
        for hours in [0, 1, -1] {
            let (time, began) = (far_from_ours() + hours.hours(), Instant::now());
            clock.note(began, began + QUICK, time);
            assert!(shows(&clock, time), "{hours}");
        }
    }

    #[test]
    fn a_slow_answer_is_not_believed_more_than_a_quick_one() {
        let clock = Clock::default();
        let (time, began) = (far_from_ours(), Instant::now());
        clock.note(began, began + QUICK, time);
        // It was read at the end of four seconds, and not in their middle.
        clock.note(began, began + Duration::from_secs(4), time + 4.seconds());
        assert!(shows(&clock, time));
    }

    #[test]
    fn time_does_not_go_back_by_what_answers_differ() {
        let clock = Clock::default();
        let (time, began) = (far_from_ours(), Instant::now());
        clock.note(began, began + 10 * QUICK, time + 19.milliseconds());
        let before = clock.now();
        clock.note(began, began + QUICK, time);
        assert!(clock.now() >= before);
    }
}
