//! `portcullis history`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use portcullis_api::{Actor, RecordAnswer};

use super::foreign_text::ForeignText;
use super::output::Results;
use super::{Exit, GatewayOptions, TargetOptions};

/// Print who changed what, when and why
///
/// Changes are printed newest first. Each line has tab-separated fields: time, number, outcome,
/// directions blocked after the change, actor (token, address, interface), and reason.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis history +46700000001 --sender support
  portcullis history --tenant-wide --limit 1000 --format ndjson")]
pub(super) struct Options {
    /// Print the history of this number only; omit for the whole list
    number: Option<String>,

    #[command(flatten)]
    target: TargetOptions,

    /// Print at most this many changes
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,

    /// Output format [default: plain, or ndjson with --json]
    #[arg(long, short)]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One change per line
    Plain,
    /// One JSON object per line, as the API returns it
    Ndjson,
}

/// Changes per request, the most that the gateway returns.
const PART: usize = 1000;

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let client = gateway.client()?;
    let format = options.format.unwrap_or(if gateway.json { Format::Ndjson } else { Format::Plain });
    let target = options.target.target();
    let mut results = Results::open();
    let (mut left, mut before) = (options.limit, None);
    while left > 0 {
        let part = client.history(&target, options.number.as_deref(), before, left.min(PART))?;
        for record in part.records.iter().take(left) {
            match format {
                Format::Plain => writeln!(results, "{}", line(record))?,
                Format::Ndjson => writeln!(results, "{}", serde_json::to_string(record)?)?,
            }
        }
        left = left.saturating_sub(part.records.len());
        match part.older {
            Some(older) if !part.records.is_empty() => before = Some(older),
            _ => break,
        }
    }
    results.flush()?;
    Ok(Exit::Good)
}

fn line(record: &RecordAnswer) -> String {
    let blocked = match record.after.directions[..] {
        [] => "nothing",
        [one] => one.as_str(),
        _ => "both",
    };
    let Actor { name, address, interface } = &record.actor;
    let who: Vec<&str> = [Some(name), address.as_ref(), interface.as_ref()]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect();
    // A reason may contain line breaks and tabs; each change must stay on one line.
    let reason = record.reason.iter().flat_map(|reason| reason.chars());
    let reason: String = reason.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = ForeignText(&reason).to_string();
    let number = record.number.as_deref().unwrap_or_default();
    [&record.at, number, record.outcome.as_str(), blocked, &who.join(" "), &reason].join("\t")
}
