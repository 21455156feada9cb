//! Times in the ledger's precision: whole milliseconds since the Unix epoch.

use std::cmp::Ordering;

use jiff::Timestamp;

/// The current time in the ledger's precision.
pub fn now() -> Timestamp {
    whole_milliseconds(Timestamp::now())
}

/// Rounds `time` towards the epoch, to whole milliseconds.
pub fn whole_milliseconds(time: Timestamp) -> Timestamp {
    // In range: it is between `time` and the epoch.
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// Whether a request was made before another.
///
/// Vendors report message times in whole seconds, so times within a second are ordered only if both have a fraction.
pub fn is_older(time: Timestamp, than: Timestamp) -> bool {
    let has_fraction = |time: Timestamp| time.subsec_nanosecond() != 0;
    match time.as_second().cmp(&than.as_second()) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal => has_fraction(time) && has_fraction(than) && time < than,
    }
}
