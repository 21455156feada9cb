//! Rows of an import: the change that one line or record asks for.

use std::borrow::Cow;

use portcullis_api::{BlockEntry, NumberText};
use portcullis_msisdn::{Msisdn, ParseError};

use super::super::directions::Directions;
use super::super::hold;
use super::super::source;
use super::super::time::Time;
use super::column::{DateColumn, Name};
use super::date::DateError;
use super::refusal::Refusal;
use super::rules::Change;
use super::rules::Rules;
use super::spelling;
use portcullis_api::GivenSource;
use portcullis_api::HoldKind;
use portcullis_api::USER_PREFIX;

/// The longest reason that the gateway accepts, in characters.
pub(super) const LONGEST_REASON: usize = 500;

/// A row, and the line on which it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) wanted: Result<Wanted, Refusal>,
}

/// An entry to block or unblock, as sent to the API. Fields that the row does not set are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The number as written, without what spreadsheets add. The gateway parses it.
    pub(super) number: String,
    pub(super) directions: Option<Directions>,
    pub(super) reason: Option<String>,
    pub(super) source: Option<GivenSource>,
    pub(super) hold: Option<HoldKind>,
    pub(super) expires: Option<Time>,
    /// When the person made the request.
    pub(super) requested: Option<Time>,
    /// Whether the row says that the person withdrew `hold`. It then lifts that hold, even in an import that blocks.
    pub(super) taken_back: bool,
}

/// The text of each field of a row, empty if the row does not set it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) number: &'a str,
    pub(super) directions: &'a str,
    pub(super) reason: &'a str,
    pub(super) source: &'a str,
    pub(super) hold: &'a str,
    pub(super) expires: &'a str,
    pub(super) status: &'a str,
    pub(super) display: &'a str,
    pub(super) date: Option<(&'a DateColumn, &'a str)>,
    /// The column that says whether the person opted out, and its text.
    pub(super) flag: Option<(&'a Name, &'a str)>,
    /// Whether the row is refused if it sets neither `hold` nor `source`.
    pub(super) must_say_hold: bool,
}

impl Wanted {
    /// Converts the row to an entry of a block request.
    pub(super) fn entry(&self) -> BlockEntry<'_> {
        BlockEntry {
            number: NumberText::from(self.number.as_str()),
            directions: self.directions.map(Directions::list),
            reason: self.reason.as_deref().map(Cow::from),
            source: self.source,
            hold: self.hold,
            expires: self.expires.map(|time| time.to_string().into()),
            requested: self.requested.map(|time| time.to_string().into()),
        }
    }

    pub(super) fn read(fields: Fields<'_>, rules: &Rules) -> Result<Self, Refusal> {
        let number = number(fields)?;
        let hold = filled(fields.hold).map(|hold| hold::from_name(hold).ok_or(Refusal::Hold)).transpose()?;
        let source = filled(fields.source)
            .map(|source| source::from_name(source).ok_or(Refusal::Source))
            .transpose()?;
        let is_inactive = fields.status.trim().eq_ignore_ascii_case("inactive");
        match rules.change {
            Change::Block => Self::to_block(fields, rules, number, hold, source, is_inactive),
            Change::Unblock if is_inactive => Err(Refusal::Inactive),
            Change::Unblock => {
                let about = hold.or(source.and_then(source::implied_hold));
                let lifted = rules.hold.unwrap_or(HoldKind::Operator);
                if let Some(other) = about.filter(|about| *about != lifted) {
                    return Err(Refusal::OtherHold(other));
                }
                Ok(Wanted {
                    number,
                    directions: filled(fields.directions).map(directions).transpose()?,
                    requested: requested(fields, rules, false)?,
                    ..Wanted::default()
                })
            }
        }
    }

    fn to_block(
        fields: Fields<'_>,
        rules: &Rules,
        number: String,
        hold: Option<HoldKind>,
        source: Option<GivenSource>,
        is_inactive: bool,
    ) -> Result<Self, Refusal> {
        if fields.must_say_hold && hold.is_none() && source.is_none() {
            return Err(Refusal::HoldUnsaid);
        }
        let about = rules.hold_of(hold, source);
        let requested = requested(fields, rules, hold::is_wish(about))?;
        if is_inactive {
            // A withdrawal with a time is sent, so that an older opt-out does not take effect.
            return match hold.filter(|hold| hold::is_wish(*hold) && requested.is_some()) {
                Some(hold) => {
                    Ok(Wanted { number, hold: Some(hold), requested, taken_back: true, ..Wanted::default() })
                }
                None => Err(Refusal::Inactive),
            };
        }
        refuse_opted_in(fields, hold::is_wish(about))?;
        let reason = Some(fields.reason).filter(|reason| !reason.trim().is_empty());
        if reason.is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            return Err(Refusal::ReasonTooLong);
        }
        Ok(Wanted {
            number,
            directions: filled(fields.directions).map(directions).transpose()?,
            reason: reason.map(str::to_owned),
            source,
            // Set explicitly: given a source alone, the gateway would derive the hold from it, ignoring --hold.
            hold: (hold.is_some() || source.is_some()).then_some(about),
            expires: filled(fields.expires)
                .map(|time| time.parse().map_err(|_| Refusal::Expires))
                .transpose()?,
            requested,
            taken_back: false,
        })
    }

    /// Whether the row sets more than the number and directions.
    pub(super) fn has_details(&self) -> bool {
        self.reason.is_some()
            || self.source.is_some()
            || self.hold.is_some()
            || self.expires.is_some()
            || self.requested.is_some()
    }

    /// The approximate size of the row as JSON, in bytes.
    pub(super) fn weight(&self) -> usize {
        160 + self.number.len() + self.reason.as_deref().map_or(0, str::len)
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn number(fields: Fields<'_>) -> Result<String, Refusal> {
    let number = spelling::read(fields.number)?;
    if number.is_empty() {
        return Err(Refusal::NoNumber);
    }
    // The gateway would refuse it as well, but only after all of it had been sent.
    if number.len() > Msisdn::MAX_TEXT && !number.starts_with(USER_PREFIX) {
        return Err(Refusal::Number(ParseError::TextTooLong));
    }
    // An export contains both. A spelling with a plus means the same number everywhere, so it is preserved.
    let display = fields.display.trim();
    if display.starts_with('+') && Msisdn::parse(display).is_ok_and(|same| Msisdn::parse(number) == Ok(same))
    {
        return Ok(display.to_owned());
    }
    Ok(number.to_owned())
}

/// Parses names of directions, separated by anything but letters and digits: `inbound`, `inbound,outbound`, `both`.
fn directions(text: &str) -> Result<Directions, Refusal> {
    let names = text.split(|between: char| !between.is_alphanumeric()).filter(|name| !name.is_empty());
    Directions::from_names(names).ok_or(Refusal::Directions)
}

/// When the person made the request. The date of a record is ignored unless the row sets an opt-out or marketing hold.
fn requested(fields: Fields<'_>, rules: &Rules, is_wish: bool) -> Result<Option<Time>, Refusal> {
    let date =
        fields.date.filter(|(column, text)| (column.is_explicit || is_wish) && !text.trim().is_empty());
    let Some((column, text)) = date else { return Ok(None) };
    let name = || column.name.clone();
    rules.dates.read(text).map(|time| Some(time.into())).map_err(|error| match error {
        DateError::Unreadable => Refusal::Date(name()),
        DateError::Future => Refusal::FutureDate(name()),
        DateError::BeforeMessages => Refusal::PlaceholderDate(name()),
    })
}

/// Refuses rows of people who did not opt out, because exports of contacts contain everyone.
///
/// A `status` such as `subscribed` refuses any row. A column that says whether the person opted out is ignored for blocks of the
/// business's own.
fn refuse_opted_in(fields: Fields<'_>, is_wish: bool) -> Result<(), Refusal> {
    let word = |text: &str| Name::new(text).key().to_owned();
    if ["optin", "optedin", "subscribed", "resubscribed"].contains(&&*word(fields.status)) {
        return Err(Refusal::OptedIn);
    }
    if let Some((name, text)) = fields.flag.filter(|_| is_wish)
        && ["", "0", "false", "f", "no", "n", "none", "null", "optin", "optedin", "subscribed"]
            .contains(&&*word(text))
    {
        return Err(Refusal::NotOptedOut(name.clone()));
    }
    Ok(())
}

/// A source of rows.
pub(super) trait Rows {
    /// The next row, or `None` at the end. A row that can't be read is returned as a [`Refusal`] inside [`Row`].
    ///
    /// # Errors
    ///
    /// If the input as a whole can't be read.
    fn next(&mut self) -> anyhow::Result<Option<Row>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_by(rules: &Rules, change: impl FnOnce(&mut Fields<'static>)) -> Result<Wanted, Refusal> {
        let mut fields = Fields { number: "+46700000001", ..Fields::default() };
        change(&mut fields);
        Wanted::read(fields, rules)
    }

    fn read(change: impl FnOnce(&mut Fields<'static>)) -> Result<Wanted, Refusal> {
        read_by(&Rules::default(), change)
    }

    fn opt_outs() -> Rules {
        Rules { hold: Some(HoldKind::OptOut), ..Rules::default() }
    }

    fn lifting(hold: Option<HoldKind>) -> Rules {
        Rules { change: Change::Unblock, hold, ..Rules::default() }
    }

    fn date(name: &str, is_explicit: bool) -> &'static DateColumn {
        Box::leak(Box::new(DateColumn { index: 1, name: Name::new(name), is_explicit }))
    }

    fn time(text: &str) -> Option<Time> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn fields_are_trimmed_and_empty_ones_say_nothing() {
        let wanted = read(|fields| {
            fields.number = " +46700000001\t";
            fields.reason = "  ";
            fields.directions = "";
            fields.hold = " ";
            fields.date = Some((date("requested", true), " "));
        });
        assert_eq!(wanted, Ok(Wanted { number: "+46700000001".to_owned(), ..Wanted::default() }));
        let wanted = read(|fields| fields.reason = " as it was written\n");
        assert_eq!(wanted.unwrap().reason.unwrap(), " as it was written\n");
    }

    #[test]
    fn directions_are_names_with_anything_between() {
        for (text, expected) in [
            ("inbound", Ok(Directions::Inbound)),
            ("OUTBOUND", Ok(Directions::Outbound)),
            ("inbound, outbound", Ok(Directions::Both)),
            ("inbound|outbound", Ok(Directions::Both)),
            ("[\"outbound\"]", Ok(Directions::Outbound)),
            ("both", Ok(Directions::Both)),
            ("none", Err(Refusal::Directions)),
            ("inbound,x", Err(Refusal::Directions)),
            (",", Err(Refusal::Directions)),
        ] {
            let wanted = read(|fields| fields.directions = text);
            assert_eq!(wanted.map(|wanted| wanted.directions), expected.map(Some), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_taken_is_refused_for_its_reason() {
        let long = "1".repeat(65);
        for (fields, expected) in [
            (Fields { number: " ", ..Fields::default() }, Refusal::NoNumber),
            (Fields { number: "=\"\"", ..Fields::default() }, Refusal::NoNumber),
            (Fields { number: &long, ..Fields::default() }, Refusal::Number(ParseError::TextTooLong)),
            (Fields { number: "4.6732E+10", ..Fields::default() }, Refusal::Scientific),
            (Fields { number: "1", expires: "31.12.2030", ..Fields::default() }, Refusal::Expires),
            (Fields { number: "1", reason: &"å".repeat(501), ..Fields::default() }, Refusal::ReasonTooLong),
            (Fields { number: "1", status: "inactive", ..Fields::default() }, Refusal::Inactive),
            (Fields { number: "1", source: "facebook", ..Fields::default() }, Refusal::Source),
            (Fields { number: "1", hold: "customer", ..Fields::default() }, Refusal::Hold),
            (Fields { number: "1", must_say_hold: true, ..Fields::default() }, Refusal::HoldUnsaid),
        ] {
            assert_eq!(Wanted::read(fields, &Rules::default()), Err(expected));
        }
        assert!(read(|fields| fields.reason = "as long as it may be").is_ok());
    }

    #[test]
    fn a_row_that_names_a_source_names_its_hold() {
        for (rules, source, hold, expected) in [
            (Rules::default(), "opt-out", "", Some(HoldKind::OptOut)),
            (Rules::default(), "OPT_OUT", "operator", Some(HoldKind::Operator)),
            (Rules::default(), "manual", "", Some(HoldKind::Operator)),
            (Rules::default(), "", "marketing", Some(HoldKind::Marketing)),
            (Rules::default(), "", "", None),
            (opt_outs(), "manual", "", Some(HoldKind::OptOut)),
            (opt_outs(), "", "", None),
        ] {
            let wanted = read_by(&rules, |fields| (fields.source, fields.hold) = (source, hold)).unwrap();
            assert_eq!(
                (wanted.source, wanted.hold),
                (source::from_name(source), expected),
                "{source} {hold}"
            );
        }
        let said = read(|fields| (fields.must_say_hold, fields.source) = (true, "import"));
        assert_eq!(said.unwrap().hold, Some(HoldKind::Operator));
    }

    #[test]
    fn an_opt_outs_date_is_when_the_person_asked() {
        let of_record =
            |text| move |fields: &mut Fields<'static>| fields.date = Some((date("created", false), text));
        let wanted = read_by(&opt_outs(), of_record("2024-03-31 12:00:00"));
        assert_eq!(wanted.unwrap().requested, time("2024-03-31T12:00:00Z"));
        // For the business's own blocks such a date is ignored.
        assert_eq!(read(of_record("03/04/2024")).unwrap().requested, None);
        for (text, expected) in [
            ("03/04/2024", Refusal::Date(Name::new("created"))),
            ("2027-01-01", Refusal::FutureDate(Name::new("created"))),
            ("1970-01-01", Refusal::PlaceholderDate(Name::new("created"))),
        ] {
            assert_eq!(read_by(&opt_outs(), of_record(text)), Err(expected));
        }
        let wanted = read(|fields| fields.date = Some((date("requested", true), "2024-03-31T12:00:00Z")));
        assert_eq!(wanted.unwrap().requested, time("2024-03-31T12:00:00Z"));
    }

    #[test]
    fn who_did_not_opt_out_is_not_blocked_as_if_they_had() {
        let flag = |text| {
            move |fields: &mut Fields<'static>| {
                fields.flag = Some((Box::leak(Box::new(Name::new("Opted out"))), text));
            }
        };
        for text in ["", "No", "false", "0", "n"] {
            let refused = Err(Refusal::NotOptedOut(Name::new("Opted out")));
            assert_eq!(read_by(&opt_outs(), flag(text)), refused, "{text}");
            assert!(read(flag(text)).is_ok(), "the business may block whom it will: {text}");
        }
        for text in ["Yes", "true", "1", "x", "2024-03-31"] {
            assert!(read_by(&opt_outs(), flag(text)).is_ok(), "{text}");
        }
        for (status, taken) in [("opt-in", false), ("Subscribed", false), ("opt-out", true), ("active", true)]
        {
            let operators = Rules { hold: Some(HoldKind::Operator), ..Rules::default() };
            for rules in [opt_outs(), operators, Rules::default()] {
                assert_eq!(read_by(&rules, |fields| fields.status = status).is_ok(), taken, "{status}");
            }
            assert!(read_by(&lifting(None), |fields| fields.status = status).is_ok(), "{status}");
        }
    }

    #[test]
    fn a_wish_that_was_taken_back_is_told_on_with_its_time() {
        let row = |hold, text| {
            read(|fields| {
                (fields.status, fields.hold, fields.directions) = ("inactive", hold, "none");
                fields.date = Some((date("requested", true), text));
            })
        };
        let wanted = row("opt_out", "2024-03-31T12:00:00Z").unwrap();
        assert!(wanted.taken_back);
        assert_eq!((wanted.hold, wanted.requested), (Some(HoldKind::OptOut), time("2024-03-31T12:00:00Z")));
        assert_eq!(row("opt_out", ""), Err(Refusal::Inactive));
        assert_eq!(row("operator", "2024-03-31T12:00:00Z"), Err(Refusal::Inactive));
    }

    #[test]
    fn to_lift_what_a_person_asked_for_it_has_to_be_named() {
        let row = |rules: Rules, source, hold| {
            read_by(&rules, |fields| (fields.source, fields.hold) = (source, hold))
        };
        assert_eq!(row(lifting(None), "", "opt_out"), Err(Refusal::OtherHold(HoldKind::OptOut)));
        assert_eq!(row(lifting(None), "opt_out", ""), Err(Refusal::OtherHold(HoldKind::OptOut)));
        assert_eq!(
            row(lifting(Some(HoldKind::OptOut)), "", "operator"),
            Err(Refusal::OtherHold(HoldKind::Operator))
        );
        for (hold, name) in [
            (None, "operator"),
            (None, ""),
            (Some(HoldKind::OptOut), "opt_out"),
            (Some(HoldKind::OptOut), ""),
        ] {
            assert!(row(lifting(hold), "", name).is_ok(), "{hold:?} {name}");
        }
        // The date of the opt-out is not the date of the opt-in.
        let wanted = read_by(&lifting(Some(HoldKind::OptOut)), |fields| {
            fields.date = Some((date("opted_out_at", false), "2024-03-31"));
        });
        assert_eq!(wanted.unwrap().requested, None);
    }

    #[test]
    fn how_a_number_was_written_is_told_on_where_it_is_the_same_number() {
        for (display, expected) in [
            ("+46 70-000 00 01", "+46 70-000 00 01"),
            ("+46 70-000 00 02", "+46700000001"),
            ("070-000 00 01", "+46700000001"),
            ("Anna", "+46700000001"),
            ("", "+46700000001"),
        ] {
            assert_eq!(read(|fields| fields.display = display).unwrap().number, expected, "{display}");
        }
    }
}
