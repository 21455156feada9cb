//! `portcullis status`.

use std::io::{self, Write as _};

use clap::Args;
use portcullis_api::{Degraded, Health, HealthAnswer, KeyHealth, LedgerHealth};

use super::client::health_of;
use super::output::{self, Results};
use super::{Exit, GatewayOptions};

/// Show whether the gateway answers requests, and what does not work
///
/// Asks /readyz, which needs no token. Exits with 0 if the gateway is ready, with 1 if it is starting, stopping or
/// degraded, and with 2 if it can't be reached.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis status
  portcullis status --quiet || restart-it")]
pub(super) struct Options {
    /// Print nothing; the exit code is the answer
    #[arg(long, short)]
    quiet: bool,
    /// Exit with 0 while the gateway answers requests, also if something does not work
    #[arg(long)]
    degraded_is_ready: bool,
}

pub(super) fn run(gateway: &GatewayOptions, options: &Options) -> anyhow::Result<Exit> {
    let answer = health_of(&gateway.url)?;
    if !options.quiet {
        output::print(gateway.json, &answer, |results| show(results, &answer))?;
    }
    Ok(match answer.status {
        Health::Ready | Health::Ok => Exit::Good,
        Health::Degraded if options.degraded_is_ready => Exit::Good,
        Health::Degraded | Health::Starting | Health::Stopping => Exit::NotAll,
    })
}

fn show(results: &mut Results, HealthAnswer { status, degraded }: &HealthAnswer) -> io::Result<()> {
    let state = match status {
        Health::Ready | Health::Ok => "ready",
        Health::Degraded => "degraded: requests are answered, but not everything works",
        Health::Starting => "starting: the lists are being loaded",
        Health::Stopping => "stopping",
    };
    writeln!(results, "{state}")?;
    let Some(degraded) = degraded else { return Ok(()) };
    let Degraded { lists, lists_out, rules_out, user_ids_out, ledger, master_key, staleness_ms } = degraded;
    for (count, what) in [
        (lists_out, format!("of {lists} lists are out of service: `portcullis plugin status` says why")),
        (rules_out, "rules are out of service".to_owned()),
        (user_ids_out, "tenants have damaged user ids".to_owned()),
    ] {
        if *count > 0 {
            writeln!(results, "{count} {what}")?;
        }
    }
    let ledger = match ledger {
        LedgerHealth::Ok => None,
        LedgerHealth::Lost => Some("a file of it was removed or replaced: nothing can be written"),
        LedgerHealth::Failing => Some("the last write failed: is the disk full?"),
        LedgerHealth::Unwitnessed => Some("its witness can't be written"),
        LedgerHealth::Unreachable => Some("the database can't be reached: nothing can be written"),
    };
    if let Some(ledger) = ledger {
        writeln!(results, "ledger: {ledger}")?;
    }
    if *master_key == KeyHealth::Lost {
        writeln!(
            results,
            "master key: its file does not hold it any more: the ledger can't be opened again"
        )?;
    }
    if let Some(age) = staleness_ms {
        writeln!(results, "knew everything {age} ms ago")?;
    }
    Ok(())
}
