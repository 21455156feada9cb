//! `portcullis sender`.

use std::io::Write as _;

use anyhow::bail;
use clap::{Args, Subcommand};
use portcullis_api::settings::Sender;

use super::foreign_text::ForeignText;
use super::output;
use super::settings_input::SettingsInput;
use super::{Exit, GatewayOptions, tenant};

/// Show, add, change and remove senders of a tenant
///
/// Requires the administrator's token (--admin-token). Settings are those of docs/configuration.md, as JSON.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis sender list --tenant acme
  echo '{\"number\": \"+46700000001\"}' | portcullis sender put support --tenant acme
  echo '{\"active\": false}' | portcullis sender change support --tenant acme")]
pub(super) struct Options {
    /// Id of the tenant
    #[arg(long, short, global = true, value_name = "ID")]
    tenant: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the senders of the tenant, with their numbers
    List,
    /// Print a sender's settings as JSON, with `(set)` in place of secrets
    Show {
        /// Id of the sender
        sender: String,
    },
    /// Add a sender, or replace all settings of one; entries and secrets that are left out stay
    Put {
        /// Id of the sender
        sender: String,
        #[command(flatten)]
        settings: SettingsInput,
    },
    /// Change some settings of a sender: those in the input; `null` resets one to its default
    Change {
        /// Id of the sender
        sender: String,
        #[command(flatten)]
        settings: SettingsInput,
    },
    /// Remove a sender; its entries stay, and are in force again if it is added again
    Remove {
        /// Id of the sender
        sender: String,
    },
}

pub(super) fn run(gateway: &GatewayOptions, Options { tenant, command }: Options) -> anyhow::Result<Exit> {
    let Some(tenant) = tenant else { bail!("name the tenant of the sender with --tenant ID") };
    let client = gateway.administrator()?;
    match command {
        Command::List => {
            let senders = client.tenant(&tenant)?.settings.senders;
            output::print(gateway.json, &senders, |results| {
                senders.iter().try_for_each(|Sender { id, number, active, .. }| {
                    let number = number.as_deref().unwrap_or("-");
                    let state = if *active { "active" } else { "inactive" };
                    writeln!(results, "{}\t{}\t{state}", ForeignText(id), ForeignText(number))
                })
            })
        }
        Command::Show { sender } => {
            let senders = client.tenant(&tenant)?.settings.senders;
            let Some(found) = senders.iter().find(|found| found.id == sender) else {
                bail!(
                    "the tenant has no sender of this name: `portcullis sender list` shows those that it has"
                );
            };
            let text = serde_json::to_string_pretty(found)?;
            output::print(gateway.json, found, |results| writeln!(results, "{text}"))
        }
        Command::Put { sender, settings } => {
            tenant::done(gateway, &client.put_sender(&tenant, &sender, &settings.read()?)?)
        }
        Command::Change { sender, settings } => {
            tenant::done(gateway, &client.patch_sender(&tenant, &sender, &settings.read()?)?)
        }
        Command::Remove { sender } => {
            let removed = client.remove_sender(&tenant, &sender)?;
            output::print(gateway.json, &removed, |results| {
                writeln!(results, "{}\tremoved", ForeignText(&removed.removed))
            })
        }
    }
}
