//! Points in time, as spelled on the command line and in the API.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// A point in time, parsed from and displayed as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(Timestamp);

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Time(timestamp)
    }
}

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        text.parse().map(Time).map_err(|_| "write it in RFC 3339, such as 2030-12-31T23:59:59Z")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc() {
        let time: Time = "2030-01-01T01:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2030-01-01T00:00:00Z");
        for text in ["", "tomorrow", "2030-01-01", "2030-01-01T00:00:00"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
