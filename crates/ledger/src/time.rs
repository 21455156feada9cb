//! Times as the ledger keeps them: whole milliseconds since the epoch.

use std::cmp::Ordering;

use jiff::Timestamp;

/// The time now, in the precision that is kept.
pub(crate) fn now() -> Timestamp {
    whole_milliseconds(Timestamp::now())
}

/// `time` without what the ledger does not keep of it.
pub(crate) fn whole_milliseconds(time: Timestamp) -> Timestamp {
    // In range: it is between `time` and the epoch.
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// Whether a wish came before another one.
///
/// Vendors tell the time of a message in whole seconds, so of times in one second only those that both have a fraction of it
/// can be told apart.
pub(crate) fn is_older(time: Timestamp, than: Timestamp) -> bool {
    let has_fraction = |time: Timestamp| time.subsec_nanosecond() != 0;
    match time.as_second().cmp(&than.as_second()) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal => has_fraction(time) && has_fraction(than) && time < than,
    }
}
