//! Hours of the day in which messages may go, by the person's clock.

use super::contract::{Decision, Message};

/// A time of day, by the person's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// Minutes since midnight, below 1,440.
    minutes: u16,
}

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

impl TimeOfDay {
    /// Midnight.
    pub const MIDNIGHT: TimeOfDay = TimeOfDay { minutes: 0 };

    /// Creates a time of day: `hour` is 0 to 23, `minute` 0 to 59; 24:00 is midnight. Returns `None` otherwise.
    pub const fn new(hour: u16, minute: u16) -> Option<Self> {
        match (hour, minute) {
            (0..=23, 0..=59) => Some(TimeOfDay { minutes: 60 * hour + minute }),
            (24, 0) => Some(Self::MIDNIGHT),
            _ => None,
        }
    }

    /// Reads `HH:MM`, from `00:00` to `24:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| -> Option<u16> {
            let are_two = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
            if are_two { text.parse().ok() } else { None }
        };
        let (hour, minute) = text.split_once(':')?;
        Self::new(digits(hour)?, digits(minute)?)
    }

    /// Minutes since midnight, below 1,440.
    pub const fn minutes(self) -> u16 {
        self.minutes
    }

    fn millis(self) -> u64 {
        u64::from(self.minutes) * MINUTE
    }
}

/// Until when it is not within the hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Until {
    /// Until this time, in milliseconds since 1970 in UTC: at most a day after the message's.
    Time(u64),
    /// Forever: the person's clock may differ by more than the hours last, so there is no time at which it surely is within
    /// them.
    Never,
}

impl Until {
    /// Postpones a message for this reason, or blocks it if there is no time to postpone it to.
    pub fn or_block(self, reason: u16) -> Decision {
        match self {
            Until::Time(until) => Decision::Later { reason, until },
            Until::Never => Decision::Block { reason },
        }
    }
}

impl Message {
    /// Whether it is `from` or later, and earlier than `to`, by the person's clock, which may have any of the message's
    /// [`offsets`](Message::offsets): it must be so for all of them.
    ///
    /// The hours may span midnight, as from 22:00 to 06:00. From a time to the same time is the whole day.
    ///
    /// The obvious code, which compares the local time at the least and at the greatest offset, is wrong where these are
    /// far apart: with nothing known of the zone they are 26 hours apart, and both may be within the hours while most of
    /// the people in between are asleep.
    ///
    /// # Errors
    ///
    /// Otherwise: the first time from which it is so, by the offsets of now. Ask again then, because a clock may have been
    /// changed in between.
    pub fn within(&self, from: TimeOfDay, to: TimeOfDay) -> Result<(), Until> {
        let length = (to.millis() + DAY - from.millis()) % DAY;
        if length == 0 {
            return Ok(());
        }
        // All differences are of a whole number of minutes, and so is the time outside of the hours: no offset between two
        // that are within them on the same day is outside.
        let (min, max) = (i64::from(self.offsets.min()), i64::from(self.offsets.max()));
        let width = (max - min).unsigned_abs() * MINUTE;
        let local = (self.time % DAY).cast_signed() + min * MINUTE.cast_signed();
        let since = (local - from.millis().cast_signed()).rem_euclid(DAY.cast_signed()).unsigned_abs();
        match since + width < length {
            true => Ok(()),
            false if width < length => Err(Until::Time(self.time + (DAY - since))),
            false => Err(Until::Never),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::Offsets;

    fn at(time: u64, min: i16, max: i16) -> Message {
        Message { offsets: Offsets::new(min, max).unwrap(), ..Message::at(time) }
    }

    fn hour(hour: u16) -> TimeOfDay {
        TimeOfDay::new(hour, 0).unwrap()
    }

    /// Whether it is within the hours at each offset, one after the other.
    fn holds(message: &Message, from: TimeOfDay, to: TimeOfDay) -> bool {
        (message.offsets.min()..=message.offsets.max()).all(|offset| {
            let local = message.time.cast_signed() + i64::from(offset) * 60_000;
            let minutes = u16::try_from(local.div_euclid(60_000).rem_euclid(1440)).unwrap();
            match from.minutes() < to.minutes() {
                true => (from.minutes()..to.minutes()).contains(&minutes),
                false => minutes >= from.minutes() || minutes < to.minutes(),
            }
        })
    }

    #[test]
    fn a_zone_that_is_known() {
        // 2026-05-28T20:26:40Z.
        let message = at(1_780_000_000_000, 120, 120);
        assert_eq!(message.within(hour(8), hour(23)), Ok(()));
        let next = 1_780_000_000_000 + (9 * 60 + 33) * 60_000 + 20_000;
        assert_eq!(message.within(hour(8), hour(21)), Err(Until::Time(next)));
        assert_eq!(at(next, 120, 120).within(hour(8), hour(21)), Ok(()));
        assert_eq!(at(next - 1, 120, 120).within(hour(8), hour(21)), Err(Until::Time(next)));
        assert_eq!(message.within(hour(22), hour(6)), Ok(()));
    }

    #[test]
    fn no_time_is_right_for_everybody_on_earth() {
        for time in (0..2880).map(|minute| minute * 60_000) {
            assert_eq!(Message::at(time).within(hour(8), hour(21)), Err(Until::Never));
            assert_eq!(Message::at(time).within(hour(8), hour(8)), Ok(()));
        }
    }

    #[test]
    fn times_of_day_are_read_exactly() {
        assert_eq!(TimeOfDay::parse("08:05").map(TimeOfDay::minutes), Some(485));
        assert_eq!(TimeOfDay::parse("24:00"), Some(TimeOfDay::MIDNIGHT));
        for wrong in ["8:05", "08:60", "24:01", "25:00", "08.05", "+8:05", "08:5", "", "08:05:00", "０8:05"]
        {
            assert_eq!(TimeOfDay::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn it_is_within_the_hours_exactly_if_it_is_so_at_each_offset(
            time in 0..1_u64 << 48,
            (min, max) in (-1080..=1080_i16).prop_flat_map(|min| (Just(min), min..=1080)),
            from in 0..1440_u16,
            to in 0..1440_u16,
            is_narrow: bool,
        ) {
            let max = if is_narrow { max.min(min + 300) } else { max };
            let (from, to) = (TimeOfDay { minutes: from }, TimeOfDay { minutes: to });
            let message = at(time, min, max);
            match message.within(from, to) {
                Ok(()) => prop_assert!(holds(&message, from, to)),
                Err(Until::Never) => {
                    for minute in 0..1440 {
                        prop_assert!(!holds(&at(time + minute * 60_000, min, max), from, to));
                    }
                }
                Err(Until::Time(until)) => {
                    prop_assert!(time < until && until <= time + DAY);
                    prop_assert!(holds(&at(until, min, max), from, to));
                    prop_assert!(!holds(&at(until - 1, min, max), from, to));
                    let mut before = time;
                    while before < until {
                        prop_assert!(!holds(&at(before, min, max), from, to));
                        before += 60_000;
                    }
                }
            }
        }
    }
}
