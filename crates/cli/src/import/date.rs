//! Parses dates as other systems write them.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::rfc2822;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::{DateTimeParser, Pieces};
use jiff::tz::{Offset, TimeZone};

use portcullis_api::requested::{self, NotThen};

/// Parses the dates of one import.
#[derive(Clone, Debug)]
pub(super) struct DateReader {
    /// The format given by --date-format.
    pub(super) format: Option<DateFormat>,
    /// The UTC offset of times without one.
    pub(super) offset: Offset,
    /// Whether these are dates of opt-ins rather than opt-outs.
    pub(super) of_opt_ins: bool,
    pub(super) now: Timestamp,
}

/// Why a date is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateError {
    Unreadable,
    Future,
    BeforeMessages,
}

impl From<NotThen> for DateError {
    fn from(why: NotThen) -> Self {
        match why {
            NotThen::Future => DateError::Future,
            NotThen::BeforeMessages => DateError::BeforeMessages,
        }
    }
}

/// A parsed date, as precise as the text.
#[derive(Clone, Copy)]
enum Moment {
    Exact(Timestamp),
    /// Without a time zone.
    Local(DateTime),
    Day(Date),
}

impl DateReader {
    /// Parses a date in the user's format or, without one, in RFC 3339 and similar formats (`2024-03-31 12:00:00 UTC`,
    /// `2024-03-31T12:00`, `20240331T120000`), as a day (`2024-03-31`, `2024/03/31`, `20240331`), in RFC 2822, or as Unix time in
    /// seconds (10 digits, with an optional fraction) or milliseconds (13 digits).
    ///
    /// `03/04/2024` is ambiguous, and refused.
    ///
    /// For an opt-out a day means its end, and for an opt-in its beginning, so that a person who did both on one day counts as
    /// opted out.
    pub(super) fn read(&self, text: &str) -> Result<Timestamp, DateError> {
        let text = text.trim();
        let moment = match &self.format {
            Some(format) => format.read(text),
            None => read(text),
        };
        let (begin, end) = self.span(moment.ok_or(DateError::Unreadable)?).ok_or(DateError::Unreadable)?;
        requested::check(begin, self.now)?;
        // The day may not be over yet, and clocks may differ.
        Ok(if self.of_opt_ins { begin } else { end }.min(self.now))
    }

    fn span(&self, moment: Moment) -> Option<(Timestamp, Timestamp)> {
        let at = |local: DateTime| self.offset.to_timestamp(local).ok();
        Some(match moment {
            Moment::Exact(time) => (time, time),
            Moment::Local(local) => (at(local)?, at(local)?),
            Moment::Day(day) => (at(day.to_datetime(Time::midnight()))?, at(day.at(23, 59, 59, 0))?),
        })
    }
}

fn read(text: &str) -> Option<Moment> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return read_digits(text);
    }
    let iso = iso(text);
    if let Ok(pieces) = Pieces::parse(iso.as_str()) {
        let Some(time) = pieces.time() else { return Some(Moment::Day(pieces.date())) };
        let local = pieces.date().to_datetime(time);
        return match pieces.to_numeric_offset() {
            Some(offset) => offset.to_timestamp(local).ok().map(Moment::Exact),
            // A named time zone would require the time zone database.
            None if pieces.time_zone_annotation().is_some() => None,
            None => Some(Moment::Local(local)),
        };
    }
    rfc2822::parse(text).ok().map(|time| Moment::Exact(time.timestamp()))
}

/// Converts formats close to RFC 3339, as written by Ruby, by PostgreSQL and in Japan, to RFC 3339.
fn iso(text: &str) -> String {
    let utc = [" UTC", " GMT", " Z"].iter().find_map(|zone| text.strip_suffix(zone));
    let text = utc.map_or_else(|| text.replace(" +", "+").replace(" -", "-"), |text| format!("{text}Z"));
    if text.as_bytes().get(4) == Some(&b'/') { text.replacen('/', "-", 2) } else { text }
}

fn read_digits(text: &str) -> Option<Moment> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match (whole.len(), fraction.is_empty()) {
        (8, true) => Pieces::parse(whole).ok().map(|pieces| Moment::Day(pieces.date())),
        // Fractions of a second are ignored.
        (10, _) => Timestamp::from_second(whole.parse().ok()?).ok().map(Moment::Exact),
        (13, _) => Timestamp::from_millisecond(whole.parse().ok()?).ok().map(Moment::Exact),
        _ => None,
    }
}

/// A strptime format given by the user, such as `%d/%m/%Y %H:%M`.
#[derive(Clone, Debug)]
pub(super) struct DateFormat(String);

impl DateFormat {
    fn read(&self, text: &str) -> Option<Moment> {
        let time = BrokenDownTime::parse(&self.0, text).ok()?;
        if let Ok(exact) = time.to_timestamp() {
            return Some(Moment::Exact(exact));
        }
        if time.hour().is_some() {
            return time.to_datetime().ok().map(Moment::Local);
        }
        time.to_date().ok().map(Moment::Day)
    }
}

impl FromStr for DateFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let format = DateFormat(text.to_owned());
        // A usable format can parse what it formats.
        let sample = BrokenDownTime::from(&requested::EARLIEST.to_zoned(TimeZone::UTC)).to_string(text);
        match sample.ok().and_then(|sample| format.read(&sample)) {
            Some(_) => Ok(format),
            None => Err("use %Y, %m and %d, and %H, %M and %S for a time, such as '%d/%m/%Y %H:%M'"),
        }
    }
}

/// The offset of local time from UTC, such as `+02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UtcOffset(pub(super) Offset);

impl FromStr for UtcOffset {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") {
            return Ok(UtcOffset(Offset::UTC));
        }
        let zone = text.starts_with(['+', '-']).then(|| DateTimeParser::new().parse_time_zone(text));
        let offset = zone.and_then(Result::ok).and_then(|zone| zone.to_fixed_offset().ok());
        offset.map(UtcOffset).ok_or("write it like +02:00 or -06:00")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(format: Option<&str>, offset: &str) -> DateReader {
        DateReader {
            format: format.map(|format| format.parse().unwrap()),
            offset: offset.parse::<UtcOffset>().unwrap().0,
            of_opt_ins: false,
            now: "2026-06-15T12:00:00Z".parse().unwrap(),
        }
    }

    fn read(text: &str) -> Result<String, DateError> {
        reader(None, "utc").read(text).map(|time| time.to_string())
    }

    #[test]
    fn times_are_read_as_systems_write_them() {
        for (text, expected) in [
            ("2024-03-31T12:00:00Z", "2024-03-31T12:00:00Z"),
            ("2024-03-31T12:00:00.123Z", "2024-03-31T12:00:00.123Z"),
            ("2024-03-31t14:00:00+02:00", "2024-03-31T12:00:00Z"),
            ("2024-03-31 12:00:00+00", "2024-03-31T12:00:00Z"),
            ("2024-03-31 14:00:00 +0200", "2024-03-31T12:00:00Z"),
            ("2024-03-31 06:00:00 -0600", "2024-03-31T12:00:00Z"),
            ("2024-03-31 12:00:00 UTC", "2024-03-31T12:00:00Z"),
            // Mailchimp, Telnyx, MailUp.
            (" 2024-03-31 12:00:00 ", "2024-03-31T12:00:00Z"),
            ("2024-03-31 12:00:00.631252", "2024-03-31T12:00:00.631252Z"),
            ("20240331T120000", "2024-03-31T12:00:00Z"),
            ("2024/03/31 12:00", "2024-03-31T12:00:00Z"),
            // Twilio's API.
            ("Sun, 31 Mar 2024 12:00:00 +0000", "2024-03-31T12:00:00Z"),
            // Amazon's API.
            ("1711886400", "2024-03-31T12:00:00Z"),
            ("1711886400.631", "2024-03-31T12:00:00Z"),
            ("1711886400000", "2024-03-31T12:00:00Z"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_day_lasts_until_its_end_or_until_now() {
        for text in ["2024-03-31", "2024/03/31", "20240331"] {
            assert_eq!(read(text), Ok("2024-03-31T23:59:59Z".to_owned()), "{text}");
        }
        assert_eq!(read("2026-06-15"), Ok("2026-06-15T12:00:00Z".to_owned()));
        assert_eq!(read("2026-06-16"), Err(DateError::Future));
        let west = reader(None, "-06:00").read("2024-03-31").unwrap();
        assert_eq!(west.to_string(), "2024-04-01T05:59:59Z");
        let of_opt_ins = DateReader { of_opt_ins: true, ..reader(None, "utc") };
        assert_eq!(of_opt_ins.read("2024-03-31").unwrap().to_string(), "2024-03-31T00:00:00Z");
    }

    #[test]
    fn what_may_be_another_day_is_not_read() {
        for text in [
            "03/04/2024",
            "31.12.2023",
            "1/2/24",
            "yesterday",
            "2024-13-01",
            "0000-00-00 00:00:00",
            "45382",
            "45382.5",
            "123456789012345",
            "2024-03-31T12:00:00[Europe/Stockholm]",
            ".",
            "",
        ] {
            assert_eq!(read(text), Err(DateError::Unreadable), "{text}");
        }
    }

    #[test]
    fn the_future_and_what_stands_for_no_date_are_refused() {
        assert_eq!(read("2026-06-15T12:00:59Z"), Ok("2026-06-15T12:00:00Z".to_owned()), "clocks differ");
        assert_eq!(read("2026-06-15T12:01:01Z"), Err(DateError::Future));
        for text in ["1970-01-01", "0001-01-01T00:00:00", "1900-01-01 00:00:00", "1989-12-31"] {
            assert_eq!(read(text), Err(DateError::BeforeMessages), "{text}");
        }
    }

    #[test]
    fn times_without_a_zone_are_of_the_offset_and_others_are_not() {
        let local = |text: &str| reader(None, "+02:00").read(text).unwrap().to_string();
        assert_eq!(local("2024-03-31 14:00:00"), "2024-03-31T12:00:00Z");
        assert_eq!(local("2024-03-31T12:00:00Z"), "2024-03-31T12:00:00Z");
        assert_eq!(local("1711886400"), "2024-03-31T12:00:00Z");
    }

    #[test]
    fn the_user_may_say_how_dates_are_written() {
        for (format, text, expected) in [
            ("%d/%m/%Y", "03/04/2024", Ok("2024-04-03T23:59:59Z")),
            ("%m/%d/%Y", "03/04/2024", Ok("2024-03-04T23:59:59Z")),
            ("%m/%d/%Y %I:%M %p", "03/04/2024 02:05 PM", Ok("2024-03-04T14:05:00Z")),
            ("%d.%m.%Y %H:%M:%S %z", "03.04.2024 10:00:00 +0200", Ok("2024-04-03T08:00:00Z")),
            ("%s", "1711886400", Ok("2024-03-31T12:00:00Z")),
            // No other format is accepted then.
            ("%d/%m/%Y", "2024-04-03", Err(DateError::Unreadable)),
            ("%d/%m/%Y", "13/13/2024", Err(DateError::Unreadable)),
            ("%d/%m/%Y", "03/04/2024 10:00", Err(DateError::Unreadable)),
        ] {
            let read = reader(Some(format), "utc").read(text).map(|time| time.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{format} {text}");
        }
        for format in ["", "%H:%M", "%d/%m", "%Q", "day", "%"] {
            assert!(format.parse::<DateFormat>().is_err(), "{format}");
        }
    }

    #[test]
    fn an_offset_has_a_sign() {
        for (text, seconds) in
            [("+02:00", 7200), ("-0600", -21_600), ("+05:30", 19_800), ("UTC", 0), ("z", 0)]
        {
            assert_eq!(text.parse::<UtcOffset>().unwrap().0.seconds(), seconds, "{text}");
        }
        for text in ["", "2", "02:00", "+99:00", "CST", "Europe/Stockholm"] {
            assert!(text.parse::<UtcOffset>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_gateway_writes_is_read_again(milliseconds in 631_152_000_000..1_781_524_800_000_i64) {
            let time = Timestamp::from_millisecond(milliseconds).unwrap();
            prop_assert_eq!(reader(None, "+09:00").read(&format!("{time:.3}")), Ok(time));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}|[0-9 :/.TZ+-]{0,30}") {
            _ = reader(None, "utc").read(&text);
            _ = reader(Some("%d/%m/%Y"), "utc").read(&text);
            _ = text.parse::<DateFormat>();
            _ = text.parse::<UtcOffset>();
        }
    }
}
