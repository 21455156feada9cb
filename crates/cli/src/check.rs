//! `portcullis check`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::num::NonZeroU16;

use clap::Args;
use portcullis_api::{
    AnsweredBy, Channel, CheckRequest, Direction, Purpose, StopAnswer, StoppedAnswer, Verdict,
};
use serde::Serialize;

use super::client::MOST_NUMBERS;
use super::directions::direction_parser;
use super::foreign_text::ForeignText;
use super::numbers::{NumberOptions, explained};
use super::output::{self, Results};
use super::{Exit, GatewayOptions, TargetOptions};

/// Check whether numbers are blocked
///
/// Prints one line per number: the number as given, a tab, and `allow`, `block` or `later`. If a rule of
/// the tenant decides, the rule and its reason follow, and after `later` the time to ask again. With
/// --sender, both the sender's list and the tenant-wide list are checked; with --tenant-wide, only the
/// latter.
///
/// Exits with 0 if all numbers are allowed, 1 if any is not, and 2 if the check failed.
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

    /// How the message goes, for the tenant's rules
    #[arg(long, value_enum, default_value_t)]
    channel: Channel,
    /// What the message is for, for the tenant's rules
    #[arg(long, value_enum, default_value_t)]
    purpose: Purpose,
    /// Parts that the message is charged as, for the tenant's rules
    #[arg(long, value_name = "COUNT", default_value_t = NonZeroU16::MIN)]
    segments: NonZeroU16,
    /// When the message is to go, for the tenant's rules: what they would say then [default: now]
    #[arg(long, value_name = "RFC3339")]
    at: Option<String>,

    /// Print no results; the exit code is the answer
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let client = gateway.client()?;
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
        let message = CheckRequest {
            number: None,
            numbers: None,
            direction: options.direction,
            channel: options.channel,
            purpose: options.purpose,
            segments: options.segments,
            at: options.at.as_deref().map(Cow::Borrowed),
        };
        let checked = client.check(&target, &texts, message).map_err(|error| explained(&batch, error))?;
        let stopped: HashMap<&str, &StoppedAnswer<'_>> =
            checked.stopped.iter().map(|stopped| (&*stopped.number, stopped)).collect();
        let blocked: HashSet<&str> = checked.blocked.iter().map(AsRef::as_ref).collect();
        if !blocked.is_empty() {
            exit = Exit::NotAll;
        }
        if !options.quiet {
            for text in texts {
                if gateway.json {
                    let line = Line::of(text, stopped.get(text).copied(), blocked.contains(text));
                    writeln!(results, "{}", serde_json::to_string(&line)?)?;
                    continue;
                }
                match stopped.get(text) {
                    Some(stopped) => writeln!(results, "{text}\t{}", by_rule(stopped))?,
                    None if blocked.contains(text) => writeln!(results, "{text}\tblock")?,
                    None => writeln!(results, "{text}\tallow")?,
                }
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

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    /// As given.
    number: &'a str,
    verdict: Verdict,
    /// Which rule stops the message, and why, if one does.
    #[serde(flatten)]
    stop: Option<&'a StopAnswer>,
}

impl<'a> Line<'a> {
    fn of(number: &'a str, stopped: Option<&'a StoppedAnswer<'_>>, is_blocked: bool) -> Self {
        let verdict = match (stopped, is_blocked) {
            (Some(stopped), _) => stopped.verdict,
            (None, true) => Verdict::Block,
            (None, false) => Verdict::Allow,
        };
        Line { number, verdict, stop: stopped.map(|stopped| &stopped.stop) }
    }
}

fn by_rule(StoppedAnswer { verdict, stop, .. }: &StoppedAnswer<'_>) -> String {
    let word = if *verdict == Verdict::Later { "later" } else { "block" };
    let reason = stop.reason.as_deref().unwrap_or("it failed");
    let until = stop.until.as_ref().map(|until| format!("\t{}", ForeignText(until))).unwrap_or_default();
    format!("{word}\t{}: {}{until}", ForeignText(&stop.rule), ForeignText(reason))
}
