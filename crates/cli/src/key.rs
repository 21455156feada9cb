//! `portcullis key`.

use std::io::Write as _;

use clap::{Args, Subcommand};
use portcullis_api::{MasterKeyAnswer, RotatedAnswer};

use super::foreign_text::ForeignText;
use super::output;
use super::{Exit, GatewayOptions};

/// Show and rotate the master key
///
/// Requires the administrator's token (--admin-token). The key itself is never shown, but its fingerprint.
#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show which master key is in use, and since when
    Status,
    /// Encrypt all tenants' keys under the next master key, while the gateway serves
    ///
    /// The next key is the last one in the key's file, or a new one, which is stored there first; or the last one that
    /// the key command prints. In a fleet, give all gateways both keys before.
    Rotate,
}

pub(super) fn run(gateway: &GatewayOptions, options: &Options) -> anyhow::Result<Exit> {
    let client = gateway.administrator()?;
    match options.command {
        Command::Status => {
            let answer = client.master_key()?;
            output::print(gateway.json, &answer, |results| {
                let MasterKeyAnswer { fingerprint, rotated, others } = &answer;
                let since = match rotated {
                    Some(rotated) => format!("since {}", ForeignText(rotated)),
                    None => "since the ledger was created".to_owned(),
                };
                writeln!(results, "master key {}, in use {since}", ForeignText(fingerprint))?;
                others.iter().try_for_each(|other| {
                    writeln!(results, "this gateway has another one, too: {}", ForeignText(other))
                })
            })
        }
        Command::Rotate => {
            let rotated = client.rotate_master_key()?;
            let exit = output::print(gateway.json, &rotated, |results| {
                let RotatedAnswer { from, to, .. } = &rotated;
                let (from, to) = (ForeignText(from), ForeignText(to));
                writeln!(results, "the master key was rotated from {from} to {to}")
            })?;
            if let Some(why) = &rotated.unfinished {
                output::note(format_args!("the key's file still has both keys: {}", ForeignText(why)));
            }
            Ok(exit)
        }
    }
}
