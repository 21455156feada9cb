//! Time as meters count it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment of a [`Clock`], in milliseconds since about 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

impl Time {
    /// The latest: far beyond any clock, and far from where arithmetic would overflow.
    const LATEST: u64 = 1 << 48;

    /// So many milliseconds after 1970. One beyond the year 10,000 is taken as that.
    pub const fn from_millis(millis: u64) -> Self {
        if millis < Self::LATEST { Time(millis) } else { Time(Self::LATEST) }
    }

    /// Milliseconds after 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    pub(crate) fn later(self, millis: u64) -> Self {
        Time::from_millis(self.0.saturating_add(millis))
    }
}

/// A clock that nobody sets: it starts at the system's time and then counts by itself.
///
/// The system's clock may be set back or ahead while the process runs. A counter that followed it would forget what it had counted, or
/// not forget it for as long as the clock was wrong.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Time,
    started: Instant,
}

impl Clock {
    /// A clock that starts now, at the system's time.
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock::start_at(Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(Time::LATEST)))
    }

    /// A clock that starts now, at `start`.
    pub fn start_at(start: Time) -> Self {
        Clock { start, started: Instant::now() }
    }

    /// The time. Costs about 30 ns: read it once for all meters of a message, or from a tick.
    pub fn now(&self) -> Time {
        self.start.later(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(Time::LATEST))
    }
}
