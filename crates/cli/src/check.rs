//! `portcullis check`.

use std::collections::HashSet;
use std::io::Write as _;

use clap::Args;
use portcullis_api::{AnsweredBy, Direction};

use super::client::{Client, MOST_NUMBERS};
use super::directions::direction_parser;
use super::numbers::{NumberOptions, explained};
use super::output::{self, Results};
use super::{Exit, TargetOptions};

/// Check whether numbers are blocked
///
/// Prints one line per number: the number as given, a tab, and `allow` or `block`. With --sender, both
/// the sender's list and the tenant-wide list are checked; with --tenant-wide, only the latter.
///
/// Exits with 0 if all numbers are allowed, 1 if any is blocked, and 2 if the check failed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis check +46700000001 --sender support --direction outbound
  portcullis check - --sender support --direction inbound < numbers.txt
  portcullis check -q +46700000001 --sender support --direction outbound && send-it")]
pub(super) struct Options {
    #[command(flatten)]
    numbers: NumberOptions,
    #[command(flatten)]
    target: TargetOptions,

    /// Direction of the message
    #[arg(long, short, value_parser = direction_parser())]
    direction: Direction,

    /// Print no results; the exit code is the answer
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(client: &Client, options: Options) -> anyhow::Result<Exit> {
    let target = options.target.target();
    let mut numbers = options.numbers.read();
    let mut results = Results::open();
    let mut exit = Exit::Good;
    let mut stand_in = false;
    loop {
        let batch = numbers.by_ref().take(MOST_NUMBERS).collect::<anyhow::Result<Vec<_>>>()?;
        if batch.is_empty() {
            break;
        }
        let texts: Vec<&str> = batch.iter().map(|number| number.text.as_str()).collect();
        let checked =
            client.check(&target, &texts, options.direction).map_err(|error| explained(&batch, error))?;
        let blocked: HashSet<&str> = checked.blocked.iter().map(AsRef::as_ref).collect();
        if !blocked.is_empty() {
            exit = Exit::NotAll;
        }
        if !options.quiet {
            for text in texts {
                let verdict = if blocked.contains(text) { "block" } else { "allow" };
                writeln!(results, "{text}\t{verdict}")?;
            }
            results.flush()?;
        }
        if checked.source != AnsweredBy::Plugin && !stand_in {
            stand_in = true;
            output::note(format_args!(
                "portcullis: the plugin is not available; the {} answered instead",
                checked.source
            ));
        }
    }
    Ok(exit)
}
