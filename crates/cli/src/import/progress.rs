//! The progress bar and the final summary of an import.

use std::fmt::{self, Write as _};
use std::io::Read;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::foreign_text::ForeignText;
use super::super::output;
use super::batch::{Applied, Batch, Plan};
use super::rules::Change;

/// A progress bar on standard error. Hidden if that is not a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Creates a bar. `size` is the size of the input in bytes, if known.
    pub(super) fn new(size: Option<u64>) -> Self {
        let (bar, template) = match size {
            Some(size) => (ProgressBar::new(size), "{wide_bar} {bytes}/{total_bytes} {msg} {eta}"),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg} {elapsed}"),
        };
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Progress(bar)
    }

    /// Wraps `input` so that the bar counts the bytes read.
    pub(super) fn watch<R: Read>(&self, input: R) -> impl Read + use<R> {
        self.0.wrap_read(input)
    }

    /// Prints the refused rows of a batch, and updates the bar.
    pub(super) fn answered(&self, batch: &Batch, applied: &Applied, tally: &Tally) {
        let mut refused = batch.refused(applied).peekable();
        if refused.peek().is_some() {
            self.0.suspend(|| {
                for (line, refusal) in refused {
                    output::note(format_args!("line {line}: {}", ForeignText(&refusal.to_string())));
                }
            });
        }
        self.0.set_message(format!("{} rows", tally.rows));
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// The number of rows, by result.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    pub(super) outdated: u64,
    pub(super) taken_back: u64,
    pub(super) refused: u64,
}

impl Tally {
    pub(super) fn add(&mut self, batch: &Batch, applied: &Applied) {
        self.rows += batch.count();
        self.changed += applied.changed;
        self.unchanged += applied.unchanged;
        self.outdated += applied.outdated;
        self.taken_back += applied.taken_back;
        self.refused += batch.refused(applied).count() as u64;
    }

    /// The summary line, such as `6035 rows: 6001 added, 30 already there, 4 refused`. Rare results are listed if there are any.
    pub(super) fn summary(&self, wish: &Plan) -> impl fmt::Display {
        let Tally { rows, changed, unchanged, outdated, taken_back, refused } = self;
        let row = if *rows == 1 { "row" } else { "rows" };
        if wish.dry_run {
            return format!(
                "{rows} {row}: {} valid, {refused} refused; dry run, nothing was changed",
                rows - refused
            );
        }
        let (done, there) = match wish.change {
            Change::Block => ("added", "already there"),
            Change::Unblock => ("removed", "not there"),
        };
        let mut summary = format!("{rows} {row}: {changed} {done}, {unchanged} {there}");
        for (count, what) in [(taken_back, "taken back"), (outdated, "older than what is on record")] {
            if *count > 0 {
                _ = write!(summary, ", {count} {what}");
            }
        }
        _ = write!(summary, ", {refused} refused");
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::directions::Directions;
    use super::*;
    use portcullis_api::GivenSource;

    #[test]
    fn the_summary_adds_up() {
        let mut wish = Plan {
            change: Change::Block,
            directions: Directions::Both,
            hold: None,
            source: GivenSource::Import,
            reason: None,
            dry_run: false,
        };
        let mut tally = Tally { rows: 6035, changed: 6001, unchanged: 30, refused: 4, ..Tally::default() };
        assert_eq!(tally.summary(&wish).to_string(), "6035 rows: 6001 added, 30 already there, 4 refused");
        wish.change = Change::Unblock;
        assert_eq!(tally.summary(&wish).to_string(), "6035 rows: 6001 removed, 30 not there, 4 refused");
        tally = Tally { rows: 6038, outdated: 2, taken_back: 1, ..tally };
        assert_eq!(
            tally.summary(&wish).to_string(),
            "6038 rows: 6001 removed, 30 not there, 1 taken back, 2 older than what is on record, 4 refused"
        );
        wish.dry_run = true;
        assert_eq!(
            tally.summary(&wish).to_string(),
            "6038 rows: 6034 valid, 4 refused; dry run, nothing was changed"
        );
    }
}
