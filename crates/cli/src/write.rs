//! `portcullis block` and `portcullis unblock`.

use std::borrow::Cow;
use std::io::Write as _;

use anyhow::bail;
use clap::Args;
use portcullis_api::{
    BlockRequest, GivenSource, HoldKind, LiftedHold, NumberText, UnblockRequest, WriteAnswer,
};

use super::client::MOST_NUMBERS;
use super::directions::Directions;
use super::numbers::{Given, NumberOptions, explained};
use super::output::Results;
use super::source;
use super::time::Time;
use super::{Exit, GatewayOptions, TargetOptions};

/// Block numbers
///
/// Prints one line per number: the number in E.164, a tab, and the outcome: `added`, `already`,
/// `widened`, `updated` or `reactivated`. Once the line is printed, the entry is on disk and the next
/// check uses it. If any number is invalid, none is blocked. `portcullis import` skips
/// invalid numbers instead, and has no limit of 10,000 numbers.
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

    /// Direction to block
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Reason, at most 500 characters, stored encrypted
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Hold to set [default: operator; opt-out with --source opt-out]
    #[arg(long, ignore_case = true)]
    hold: Option<HoldKind>,

    /// Where the block comes from
    #[arg(long, ignore_case = true, default_value = "manual")]
    source: GivenSource,

    /// When the block expires, in RFC 3339; omit for never
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
}

/// Unblock numbers
///
/// Prints one line per number: the number in E.164, a tab, and the outcome: `removed`, `narrowed` (the
/// other direction stays blocked), `lifted` (another hold still blocks), `held` (only a hold of another
/// kind blocks: see --hold) or `absent`. If any number is invalid, none is unblocked.
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

    /// Direction to unblock
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Hold to lift. By default, what a person asked for stays
    #[arg(long, ignore_case = true, default_value = "operator")]
    hold: LiftedHold,
}

pub(super) fn block(gateway: &GatewayOptions, options: BlockOptions) -> anyhow::Result<Exit> {
    let Some(numbers) = read(options.numbers)? else { return Ok(Exit::Good) };
    let body = BlockRequest {
        numbers: Some(texts(&numbers)),
        directions: Some(options.direction.list()),
        reason: options.reason.map(Cow::from),
        source: Some(options.source),
        hold: options.hold.or(source::implied_hold(options.source)),
        expires: options.expires.map(|time| time.to_string().into()),
        ..BlockRequest::default()
    };
    let answer = gateway.client()?.block(&options.target.target(), &body);
    print(gateway.json, answer.map_err(|error| explained(&numbers, error))?)
}

pub(super) fn unblock(gateway: &GatewayOptions, options: UnblockOptions) -> anyhow::Result<Exit> {
    let Some(numbers) = read(options.numbers)? else { return Ok(Exit::Good) };
    let body = UnblockRequest {
        numbers: Some(texts(&numbers)),
        directions: Some(options.direction.list()),
        hold: options.hold,
        ..UnblockRequest::default()
    };
    let answer = gateway.client()?.unblock(&options.target.target(), &body);
    print(gateway.json, answer.map_err(|error| explained(&numbers, error))?)
}

/// Reads all numbers. Returns `None` if there are none.
fn read(numbers: NumberOptions) -> anyhow::Result<Option<Vec<Given>>> {
    // All or none, so they must fit into one request.
    let numbers = numbers.read().take(MOST_NUMBERS + 1).collect::<anyhow::Result<Vec<_>>>()?;
    if numbers.len() > MOST_NUMBERS {
        bail!("more than {MOST_NUMBERS} numbers; use `portcullis import`, which has no limit");
    }
    Ok((!numbers.is_empty()).then_some(numbers))
}

fn texts(numbers: &[Given]) -> Vec<NumberText<'_>> {
    numbers.iter().map(|number| NumberText::from(number.text.as_str())).collect()
}

fn print(json: bool, answer: WriteAnswer) -> anyhow::Result<Exit> {
    let mut results = Results::open();
    for result in answer.results.into_iter().flatten() {
        match json {
            true => writeln!(results, "{}", serde_json::to_string(&result)?)?,
            false => writeln!(results, "{}\t{}", result.number, result.outcome)?,
        }
    }
    results.flush()?;
    Ok(Exit::Good)
}
