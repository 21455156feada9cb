//! Times as the ledger keeps them: whole milliseconds since the epoch.

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
