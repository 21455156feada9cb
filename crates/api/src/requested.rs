//! When people can have asked for something: the same for APIs, and for files that a list is exported to and imported from.

use jiff::{SignedDuration, Timestamp};

/// There were no text messages before: a time before that stands for none.
pub const EARLIEST: Timestamp = Timestamp::constant(631_152_000, 0);

/// How far ahead of this one another clock may be.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Why nobody can have asked at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotThen {
    Future,
    BeforeMessages,
}

/// Whether somebody can have asked at this time.
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
