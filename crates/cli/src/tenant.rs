//! `portcullis tenant`.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use portcullis_api::{ManagedBy, TenantAnswer};

use super::foreign_text::ForeignText;
use super::output::{self, Results};
use super::settings_input::SettingsInput;
use super::{Exit, GatewayOptions};

/// Show, add, change and delete tenants
///
/// Requires the administrator's token (--admin-token). Settings are those of docs/configuration.md, as JSON. Tenants
/// of the configuration file can be shown only.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis tenant list
  echo '{\"default_region\": \"SE\", \"senders\": [{\"id\": \"support\"}]}' | portcullis tenant put acme
  echo '{\"on_failure\": \"open\", \"default_region\": null}' | portcullis tenant change acme
  portcullis tenant show acme")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List all tenants, with their plugins and numbers of senders
    List,
    /// Print a tenant's settings as JSON, with `(set)` in place of secrets
    Show {
        /// Id of the tenant
        tenant: String,
    },
    /// Add a tenant, or replace all settings of one; entries and secrets that are left out stay
    Put {
        /// Id of the tenant
        tenant: String,
        #[command(flatten)]
        settings: SettingsInput,
    },
    /// Change some settings of a tenant: those in the input; `null` resets one to its default
    Change {
        /// Id of the tenant
        tenant: String,
        #[command(flatten)]
        settings: SettingsInput,
    },
    /// Delete a tenant with its entries and its key, which makes all copies of its data unreadable
    Forget {
        /// Id of the tenant
        tenant: String,
        /// Id of the tenant, repeated as a confirmation
        #[arg(long, value_name = "ID")]
        confirm: String,
    },
}

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let client = gateway.administrator()?;
    match options.command {
        Command::List => {
            let answer = client.tenants()?;
            output::print(gateway.json, &answer, |results| {
                answer.tenants.iter().try_for_each(|tenant| line(results, tenant))
            })
        }
        Command::Show { tenant } => settings(gateway, &client.tenant(&tenant)?),
        Command::Put { tenant, settings: input } => {
            done(gateway, &client.put_tenant(&tenant, &input.read()?)?)
        }
        Command::Change { tenant, settings: input } => {
            done(gateway, &client.patch_tenant(&tenant, &input.read()?)?)
        }
        Command::Forget { tenant, confirm } => {
            let removed = client.forget_tenant(&tenant, &confirm)?;
            output::print(gateway.json, &removed, |results| {
                writeln!(results, "{}\tdeleted", ForeignText(&removed.removed))
            })
        }
    }
}

fn line(results: &mut Results, tenant: &TenantAnswer) -> io::Result<()> {
    let TenantAnswer { id, managed_by, settings, .. } = tenant;
    let origin = match managed_by {
        ManagedBy::File => "file",
        ManagedBy::Api => "api",
    };
    let (plugin, senders) = (ForeignText(&settings.plugin), settings.senders.len());
    writeln!(results, "{}\t{origin}\t{plugin}\t{senders} senders", ForeignText(id))
}

/// Prints a tenant's settings. They are the same for people and programs.
pub(super) fn settings(gateway: &GatewayOptions, tenant: &TenantAnswer) -> anyhow::Result<Exit> {
    let text = serde_json::to_string_pretty(&tenant.settings)?;
    output::print(gateway.json, tenant, |results| writeln!(results, "{text}"))
}

/// Says that a tenant was changed.
pub(super) fn done(gateway: &GatewayOptions, tenant: &TenantAnswer) -> anyhow::Result<Exit> {
    output::print(gateway.json, tenant, |results| line(results, tenant))
}
