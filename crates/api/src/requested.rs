//! The times at which a person can have made a request. The APIs and the import of files apply the same limits.

use jiff::{SignedDuration, Timestamp};

/// 1 January 1990, UTC: the earliest time of a request. Nobody sent text messages before, so an earlier time is a
/// placeholder or a mistake.
pub const EARLIEST: Timestamp = Timestamp::constant(631_152_000, 0);

/// How far a client's clock may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Why a person can't have made a request at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotThen {
    /// The time is more than a minute ahead.
    Future,
    /// The time is before [`EARLIEST`].
    BeforeMessages,
}

/// Checks that a person can have made a request at `time`, as seen at `now`. A time up to one minute after `now` is
/// accepted, because clocks differ.
///
/// # Errors
/// [`NotThen::Future`] if `time` is later than that, [`NotThen::BeforeMessages`] if it is before [`EARLIEST`].
pub fn check(time: Timestamp, now: Timestamp) -> Result<(), NotThen> {
    if time > now + CLOCK_SKEW {
        Err(NotThen::Future)
    } else if time < EARLIEST {
        Err(NotThen::BeforeMessages)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_asked_since_there_are_messages_and_until_now() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-01-01T00:00:00Z");
        for (time, expected) in [
            ("1989-12-31T23:59:59.999Z", Err(NotThen::BeforeMessages)),
            ("1990-01-01T00:00:00Z", Ok(())),
            ("2026-01-01T00:01:00Z", Ok(())),
            ("2026-01-01T00:01:00.001Z", Err(NotThen::Future)),
            ("-009999-01-02T01:59:59Z", Err(NotThen::BeforeMessages)),
            ("9999-12-30T22:00:00Z", Err(NotThen::Future)),
        ] {
            assert_eq!(check(at(time), now), expected, "{time}");
        }
    }
}
