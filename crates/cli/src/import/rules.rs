//! How rows of an import are interpreted, as set by the command line.

use anyhow::bail;

use super::super::hold;
use super::super::source;
use super::column::{Columns, Name};
use super::date::DateReader;
use super::sign::Sign;
use portcullis_api::GivenSource;
use portcullis_api::HoldKind;

/// The change that an import makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Block,
    Unblock,
}

/// How rows are interpreted. What a row says takes precedence.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) change: Change,
    /// The hold to set or lift.
    pub(super) hold: Option<HoldKind>,
    pub(super) source: Option<GivenSource>,
    /// The column with the number.
    pub(super) column: Option<Name>,
    /// The column with the date of the person's request.
    pub(super) date_column: Option<Name>,
    /// Columns to ignore.
    pub(super) ignored: Vec<Name>,
    pub(super) dates: DateReader,
    /// The sign in the file name that the file contains opt-outs.
    pub(super) file_sign: Option<Sign>,
}

impl Rules {
    /// The hold that the command line sets for rows with neither a hold nor a source.
    pub(super) fn common_hold(&self) -> Option<HoldKind> {
        self.hold.or(self.source.and_then(source::implied_hold))
    }

    /// The hold that a row with this hold and source sets.
    pub(super) fn hold_of(&self, hold: Option<HoldKind>, source: Option<GivenSource>) -> HoldKind {
        let implied = |source: Option<GivenSource>| source.and_then(source::implied_hold);
        hold.or(implied(source))
            .or(self.hold)
            .or(implied(source.or(self.source)))
            .unwrap_or(HoldKind::Operator)
    }

    /// Whether rows of a file with these columns may set opt-out or marketing holds.
    pub(super) fn may_make_wishes(&self, names: &[Name]) -> bool {
        let says_hold = |name: &Name| ["hold", "source"].contains(&name.key()) && !self.ignores(name);
        self.change == Change::Block
            && (self.common_hold().is_some_and(hold::is_wish) || names.iter().any(says_hold))
    }

    pub(super) fn ignores(&self, name: &Name) -> bool {
        self.ignored.iter().any(|ignored| ignored.is(name))
    }

    /// Whether each row of a file with these columns must set `hold` or `source`: the file seems to contain opt-outs, and the
    /// command line does not say which holds to set.
    ///
    /// # Errors
    ///
    /// If there is no such column, either.
    pub(super) fn rows_must_say_hold(&self, names: &[Name], columns: &Columns) -> anyhow::Result<bool> {
        if self.change == Change::Unblock || self.hold.is_some() || self.source.is_some() {
            return Ok(false);
        }
        let of_columns = || names.iter().filter(|name| !self.ignores(name)).find_map(Sign::of_column);
        let Some(sign) = self.file_sign.clone().or_else(of_columns) else { return Ok(false) };
        if columns.hold.is_none() && columns.source.is_none() {
            bail!(
                "the file seems to contain opt-outs (because of {sign}), and nothing says which holds to set; add --hold \
                 opt-out for people's own opt-outs, which a plain `unblock` does not lift, or --hold operator for the \
                 business's blocks"
            );
        }
        Ok(true)
    }
}

#[cfg(test)]
impl Default for Rules {
    fn default() -> Self {
        Rules {
            change: Change::Block,
            hold: None,
            source: None,
            column: None,
            date_column: None,
            ignored: Vec::new(),
            dates: DateReader {
                format: None,
                offset: jiff::tz::Offset::UTC,
                of_opt_ins: false,
                now: "2026-06-15T12:00:00Z".parse().unwrap(),
            },
            file_sign: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_row_goes_before_the_command_line_and_a_hold_before_a_source() {
        use HoldKind::{Marketing, Operator, OptOut};
        for (row, flags, expected) in [
            ((None, None), (None, None), Operator),
            ((None, None), (Some(OptOut), None), OptOut),
            ((None, None), (None, Some(GivenSource::OptOut)), OptOut),
            ((None, None), (Some(Operator), Some(GivenSource::OptOut)), Operator),
            ((Some(Marketing), Some(GivenSource::OptOut)), (Some(Operator), None), Marketing),
            ((None, Some(GivenSource::OptOut)), (Some(Operator), None), OptOut),
            // The source `import` does not imply a hold.
            ((None, Some(GivenSource::Import)), (Some(OptOut), None), OptOut),
            ((None, Some(GivenSource::Manual)), (None, Some(GivenSource::OptOut)), Operator),
        ] {
            let rules = Rules { hold: flags.0, source: flags.1, ..Rules::default() };
            assert_eq!(rules.hold_of(row.0, row.1), expected, "{row:?} {flags:?}");
        }
    }

    fn must_say(header: &str, file: &str, change: impl FnOnce(&mut Rules)) -> Result<bool, String> {
        let names: Vec<Name> = header.split(',').map(Name::new).collect();
        let mut rules = Rules { file_sign: Sign::of_file(Path::new(file)), ..Rules::default() };
        change(&mut rules);
        let columns = Columns::find(&names, &rules).unwrap();
        rules.rows_must_say_hold(&names, &columns).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_of_opt_outs_has_to_say_whose_hold_it_makes() {
        for (header, file, sign) in [
            ("number,Opted Out At", "a.csv", "its column `Opted Out At`"),
            ("number,name", "Opt-outs.csv", "its name"),
        ] {
            let error = must_say(header, file, |_| {}).unwrap_err();
            assert!(error.contains(sign) && error.contains("--hold opt-out"), "{error}");
            for said in [HoldKind::Operator, HoldKind::OptOut] {
                assert_eq!(must_say(header, file, |rules| rules.hold = Some(said)), Ok(false));
            }
            assert_eq!(must_say(header, file, |rules| rules.source = Some(GivenSource::Import)), Ok(false));
            assert_eq!(must_say(header, file, |rules| rules.change = Change::Unblock), Ok(false));
            assert_eq!(must_say(&format!("{header},hold"), file, |_| {}), Ok(true), "each row has to");
            assert!(
                must_say(&format!("{header},hold"), file, |rules| rules.ignored = vec![Name::new("hold")])
                    .is_err()
            );
        }
        assert_eq!(must_say("number,name", "customers.csv", |_| {}), Ok(false));
        let ignored = |rules: &mut Rules| rules.ignored = vec![Name::new("opted_out_at")];
        assert_eq!(must_say("number,opted_out_at", "a.csv", ignored), Ok(false));
    }
}
