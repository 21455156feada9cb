//! `portcullis plugin`.

use std::io::Write as _;

use clap::{Args, Subcommand};
use portcullis_api::{
    DisagreementAnswer, ExchangeRequest, ListAnswer, PluginStatus, ShadowAnswer, ShadowRequest,
};
use serde_json::{Map, Value};

use super::client::Client;
use super::output::Results;
use super::{Exit, client};

/// See and exchange the plugin of a tenant, while messages flow
///
/// For the gateway's administrator: with --admin-token.
#[derive(Args)]
pub(super) struct Options {
    /// The administrator's token, as it stands in the gateway's configuration
    #[arg(long, global = true, value_name = "TOKEN", env = "PORTCULLIS_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<client::Token>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what serves a tenant, and how the last exchange went
    Status {
        #[command(flatten)]
        tenant: Tenant,
        /// Print all that is known, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Exchange a tenant's plugin: for its newest version, unless another plugin, version or options are named
    ///
    /// Ends when the new one serves on all of the tenant's lists, or was refused on all; what served before goes on until
    /// then.
    Reload {
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        choice: PluginChoice,
    },
    /// Have a new plugin answer live checks beside the one that serves, heard by nobody
    ///
    /// Ends when the run has begun: `status` says how it goes. After --checks or --seconds the new plugin is promoted, unless
    /// it disagreed too often; with neither it waits for `promote` or `rollback`.
    Shadow {
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        choice: PluginChoice,
        #[command(flatten)]
        terms: Terms,
    },
    /// End a shadow run: the new plugin serves
    Promote {
        #[command(flatten)]
        tenant: Tenant,
    },
    /// Go back to what served before, or give up what is under way
    Rollback {
        #[command(flatten)]
        tenant: Tenant,
    },
}

#[derive(Args)]
struct Tenant {
    /// The tenant whose plugin is meant, by its id
    #[arg(long, short, value_name = "ID")]
    tenant: String,
}

/// What the plugin is to be.
#[derive(Args)]
struct PluginChoice {
    /// Another plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// One version to stay with: its digest, or at least the first 8 digits of it
    #[arg(long, value_name = "DIGEST")]
    version: Option<String>,
    /// The plugin's options, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    options: Option<Map<String, Value>>,
}

/// When a shadow run is over.
#[derive(Args)]
struct Terms {
    /// After so many checks
    #[arg(long, value_name = "COUNT")]
    checks: Option<u64>,
    /// After so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// With more disagreements the new plugin is discarded
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    max_disagreements: u64,
}

impl PluginChoice {
    fn request(self, shadow: Option<Terms>) -> ExchangeRequest {
        let PluginChoice { plugin, version, options } = self;
        let shadow = shadow.map(|Terms { checks, seconds, max_disagreements }| ShadowRequest {
            checks,
            seconds,
            max_disagreements,
        });
        ExchangeRequest { plugin, version, options, shadow }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

pub(super) fn run(base: client::BaseUrl, options: Options) -> anyhow::Result<Exit> {
    let Options { admin_token, command } = options;
    let client = Client::new(base, admin_token.as_ref()).map_err(|error| match error {
        client::Error::NoToken => client::Error::NoAdminToken,
        error => error,
    })?;
    let exchange = |tenant: Tenant, request| client.exchange_plugin(&tenant.tenant, &request);
    let (status, as_json) = match command {
        Command::Status { tenant, json } => (client.plugin_status(&tenant.tenant)?, json),
        Command::Reload { tenant, choice } => (exchange(tenant, choice.request(None))?, false),
        Command::Shadow { tenant, choice, terms } => (exchange(tenant, choice.request(Some(terms)))?, false),
        Command::Promote { tenant } => (client.act_on_plugin(&tenant.tenant, "promote")?, false),
        Command::Rollback { tenant } => (client.act_on_plugin(&tenant.tenant, "rollback")?, false),
    };
    let mut results = Results::open();
    if as_json {
        writeln!(results, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        show(&mut results, status)?;
    }
    results.flush()?;
    Ok(Exit::Good)
}

fn show(results: &mut Results, status: PluginStatus) -> std::io::Result<()> {
    let PluginStatus { summary, stage, shadow, lists, .. } = status;
    writeln!(results, "{summary}")?;
    if stage != "resting" {
        writeln!(results, "stage: {stage}")?;
    }
    if let Some(ShadowAnswer { compared, skipped, disagreements, latest, .. }) = shadow {
        writeln!(
            results,
            "shadow run: {compared} checks compared, {disagreements} disagreements, {skipped} skipped"
        )?;
        for DisagreementAnswer { list, number, direction, serving } in latest {
            writeln!(
                results,
                "  {list}: {number} {direction}: {serving}, and the new plugin says the other"
            )?;
        }
    }
    for ListAnswer { list, serving, resting, generation, replicas, breaker, recoveries, .. } in lists {
        let state = match (serving, resting) {
            (true, false) => "serving",
            (true, true) => "at rest until it is asked",
            (false, _) => "out of service: the tenant's policy answers",
        };
        writeln!(
            results,
            "{list}: {state}, generation {generation}, instances {replicas}, breaker {breaker}, recoveries {recoveries}"
        )?;
    }
    Ok(())
}
