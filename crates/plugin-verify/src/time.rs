//! Points in time, in words.

use jiff::Timestamp;

/// Milliseconds since 1970 in UTC, as RFC 3339 has them.
pub(crate) fn in_words(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| format!("{millis} ms after 1970"), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_if_there_is_one() {
        assert_eq!(in_words(1_809_743_281_351), "2027-05-08T02:28:01.351Z");
        assert_eq!(in_words(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(in_words(u64::MAX), "18446744073709551615 ms after 1970");
    }
}
