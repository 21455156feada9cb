//! How far an import is: shown on a terminal, counted for the end.

use std::fmt::{self, Write as _};
use std::io::Read;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output;
use super::batch::{Applied, Batch, Plan};
use super::rules::Change;

/// The bar on standard error. Hidden where that is no terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `size` is that of the input in bytes, where it is known.
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

    /// Counts what is read of `input`.
    pub(super) fn watch<R: Read>(&self, input: R) -> impl Read + use<R> {
        self.0.wrap_read(input)
    }

    /// Says what became of rows that were answered, and which were refused.
    pub(super) fn answered(&self, batch: &Batch, applied: &Applied, tally: &Tally) {
        let mut refused = batch.refused(applied).peekable();
        if refused.peek().is_some() {
            self.0.suspend(|| {
                for (line, refusal) in refused {
                    output::note(format_args!("line {line}: {refusal}"));
                }
            });
        }
        self.0.set_message(format!("{} rows", tally.rows));
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// What became of the rows.
#[derive(Debug, Default)]
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

    /// The line at the end: `6035 rows: 6001 added, 30 already there, 4 refused`. Rarer ends are told where there are any.
    pub(super) fn summary(&self, wish: &Plan) -> impl fmt::Display {
        let Tally { rows, changed, unchanged, outdated, taken_back, refused } = self;
        let row = if *rows == 1 { "row" } else { "rows" };
        if wish.dry_run {
            return format!(
                "{rows} {row}: {} good, {refused} refused; nothing was changed, as this was a dry run",
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
            "6038 rows: 6034 good, 4 refused; nothing was changed, as this was a dry run"
        );
    }
}
