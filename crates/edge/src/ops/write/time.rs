//! The times in a row.

use jiff::Timestamp;
use portcullis_api::requested::{self, NotThen};

use crate::ops::refusal::RowError;

/// Parses the end of a block, in RFC 3339: a time after `now`.
pub(super) fn end_after(text: &str, now: Timestamp) -> Result<Timestamp, RowError> {
    let end: Timestamp = text.parse().map_err(|_| RowError::NotATime)?;
    if end > now { Ok(end) } else { Err(RowError::InThePast) }
}

/// Parses the time of a person's request, in RFC 3339. A time up to a minute after `now` counts as `now`, because clocks differ.
///
/// # Errors
/// [`RowError::RequestedNotATime`], [`RowError::RequestedInTheFuture`] or, before 1990, [`RowError::RequestedBeforeMessages`].
pub fn requested_until(text: &str, now: Timestamp) -> Result<Timestamp, RowError> {
    let time: Timestamp = text.parse().map_err(|_| RowError::RequestedNotATime)?;
    match requested::check(time, now) {
        Ok(()) => Ok(time.min(now)),
        Err(NotThen::Future) => Err(RowError::RequestedInTheFuture),
        Err(NotThen::BeforeMessages) => Err(RowError::RequestedBeforeMessages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_from_before_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let is = |text: &str| requested_until(text, now).map(|time| time.to_string());
        assert_eq!(is("2025-12-31T23:00:00Z"), Ok("2025-12-31T23:00:00Z".to_owned()));
        assert_eq!(is("2026-01-01T00:00:30Z"), Ok("2026-01-01T00:00:00Z".to_owned()));
        assert_eq!(is("2026-01-01T00:02:00Z"), Err(RowError::RequestedInTheFuture));
        assert_eq!(is("1990-01-01T00:00:00Z"), Ok("1990-01-01T00:00:00Z".to_owned()));
        assert_eq!(is("1980-01-01T00:00:00Z"), Err(RowError::RequestedBeforeMessages));
        for text in ["", "yesterday", "2025-12-31", "1767225600"] {
            assert_eq!(is(text), Err(RowError::RequestedNotATime), "{text}");
        }
    }

    #[test]
    fn an_end_must_be_a_time_that_comes() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(end_after("2026-01-01T01:00:01+01:00", now).is_ok());
        assert_eq!(end_after("2026-01-01T00:00:00Z", now), Err(RowError::InThePast));
        for text in ["", "tomorrow", "2026-01-02", "2026-01-02T00:00:00", "1767225600"] {
            assert_eq!(end_after(text, now), Err(RowError::NotATime), "{text}");
        }
    }
}
