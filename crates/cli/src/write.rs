//! `portcullis block` and `portcullis unblock`.

use std::io::Write as _;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::client::{Change, ChangeBody, Client, MOST_NUMBERS};
use super::directions::Directions;
use super::hold::Hold;
use super::numbers::{NumberOptions, explained};
use super::output::Results;
use super::source::Source;
use super::time::Time;
use super::{Exit, TargetOptions};

/// Block numbers
///
/// Prints a line for each: the number in E.164, a tab, and what came of it: `added`, `already`,
/// `widened`, `updated`, `reactivated`. When the line is there, the entry is on disk and the next
/// check knows of it. A number that can't be read refuses them all; `portcullis import` takes the
/// others, and more than 10,000.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis block +46700000001 --sender support
  portcullis block +46700000001 --tenant-wide --direction outbound --reason 'rude on the phone'
  portcullis block +46700000001 --sender support --hold opt-out --reason 'asked on the phone'
  portcullis block +46700000001 --sender support --expires 2030-12-31T00:00:00Z")]
pub(super) struct BlockOptions {
    #[command(flatten)]
    numbers: NumberOptions,
    #[command(flatten)]
    target: TargetOptions,

    /// Which ways to block
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Why: at most 500 characters, stored encrypted
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Whose will it is [default: operator; opt-out with --source opt-out]
    #[arg(long, ignore_case = true)]
    hold: Option<Hold>,

    /// How it came about
    #[arg(long, ignore_case = true, default_value = "manual")]
    source: Source,

    /// When the block ends by itself, in RFC 3339; never, where it is left out
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
}

/// Lift blocks
///
/// Prints a line for each number: the number in E.164, a tab, and what came of it: `removed`,
/// `narrowed` (the other direction stays blocked), `lifted` (this hold is gone, another blocks as
/// before), `held` (only a hold of another kind blocks: see --hold) or `absent`. A number that can't
/// be read refuses them all.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis unblock +46700000001 --sender support
  portcullis list --sender old | portcullis unblock - --sender new")]
pub(super) struct UnblockOptions {
    #[command(flatten)]
    numbers: NumberOptions,
    #[command(flatten)]
    target: TargetOptions,

    /// Which ways to unblock
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Which hold to lift. What a person asked for stays unless it is named
    #[arg(long, ignore_case = true, default_value = "operator")]
    hold: LiftedHold,
}

/// Which of the independent reasons for which a number is blocked is to be lifted.
#[derive(Clone, Copy, ValueEnum)]
enum LiftedHold {
    /// The business's own
    Operator,
    /// The person's opt-out
    #[value(aliases = ["opt_out", "optout"])]
    OptOut,
    /// The person's opt-out from marketing
    Marketing,
    /// Every one
    All,
}

impl LiftedHold {
    /// As the gateway calls it.
    fn name(self) -> &'static str {
        match self {
            LiftedHold::Operator => Hold::Operator.name(),
            LiftedHold::OptOut => Hold::OptOut.name(),
            LiftedHold::Marketing => Hold::Marketing.name(),
            LiftedHold::All => "all",
        }
    }
}

pub(super) fn block(client: &Client, options: BlockOptions) -> anyhow::Result<Exit> {
    let body = ChangeBody {
        directions: Some(options.direction),
        reason: options.reason.as_deref(),
        source: Some(options.source),
        hold: options.hold.or(options.source.implied_hold()).map(Hold::name),
        expires: options.expires,
        ..ChangeBody::default()
    };
    change(client, Change::Block, options.numbers, options.target, body)
}

pub(super) fn unblock(client: &Client, options: UnblockOptions) -> anyhow::Result<Exit> {
    let (directions, hold) = (Some(options.direction), Some(options.hold.name()));
    let body = ChangeBody { directions, hold, ..ChangeBody::default() };
    change(client, Change::Unblock, options.numbers, options.target, body)
}

fn change(
    client: &Client,
    change: Change,
    numbers: NumberOptions,
    target: TargetOptions,
    body: ChangeBody<'_>,
) -> anyhow::Result<Exit> {
    // All or none: so all have to fit into one request.
    let numbers = numbers.read().take(MOST_NUMBERS + 1).collect::<anyhow::Result<Vec<_>>>()?;
    if numbers.is_empty() {
        return Ok(Exit::Good);
    }
    if numbers.len() > MOST_NUMBERS {
        bail!("these are more than {MOST_NUMBERS} numbers: `portcullis import` takes any count");
    }
    let texts = numbers.iter().map(|number| number.text.as_str()).collect();
    let changed = client
        .change(&target.target(), change, &ChangeBody { numbers: Some(texts), ..body })
        .map_err(|error| explained(&numbers, error))?;
    let mut results = Results::open();
    for result in changed.results {
        writeln!(results, "{}\t{}", result.number, result.outcome)?;
    }
    results.flush()?;
    Ok(Exit::Good)
}
