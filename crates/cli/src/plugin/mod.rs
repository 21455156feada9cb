//! `portcullis plugin`.

use std::io::Write as _;

use clap::{Args, Subcommand};
use portcullis_api::{
    AttemptAnswer, DisagreementAnswer, ExchangeRequest, ListAnswer, PluginStatus, RuleAnswer,
    RuleExchangeRequest, RuleShadowAnswer, RuleShadowRequest, ShadowAnswer, ShadowRequest,
};
use serde_json::{Map, Value};

use super::client::Client;
use super::foreign_text::ForeignText;
use super::output::{self, Results};
use super::{Exit, GatewayOptions};

mod component;
mod file;
mod new;
mod record;
mod sign;
mod versions;

pub use file::{ComponentOptions, FileCommand, FileReport, InspectOptions, ReplayOptions, VerifyOptions};

/// Write, verify and deploy plugins, and show or replace that of a tenant while messages flow
///
/// `new`, `verify`, `inspect`, `component`, `replay`, `keygen`, `sign` and `push --to` need no gateway. All others require the administrator's token
/// (--admin-token).
#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a folder with a plugin to begin with, and what it takes to build and test it
    New(new::NewOptions),
    #[command(flatten)]
    File(FileCommand),
    /// Make a key pair to sign plugins with
    Keygen(sign::KeygenOptions),
    /// Sign a plugin, so that gateways which trust the key admit it
    Sign(sign::SignOptions),
    /// Upload a plugin, or a new version of one, to a gateway or to a registry
    ///
    /// Tenants that have the plugin, and are not pinned to a version, are offered it while messages flow. A
    /// signature beside the file, such as rule.wasm.minisig, goes along.
    Push(versions::PushOptions),
    /// List the plugins of the gateway and their versions
    List,
    /// Remove an old version of a plugin: one that no tenant uses, and that is not the newest
    Remove(versions::RemoveOptions),
    /// Record the messages that a tenant's rules are asked about, for `replay`
    ///
    /// Prints a line of JSON for each message, from now on. Messages have no numbers, but pseudonyms under
    /// the tenant's key.
    Record(record::RecordOptions),
    #[command(flatten)]
    Tenant(TenantCommand),
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Show the plugin that serves a tenant, and the result of the last reload
    Status {
        #[command(flatten)]
        tenant: Tenant,
    },
    /// Reload a tenant's plugin, or replace it by another plugin or version or with other options
    ///
    /// Without options, loads the newest version. Returns when the new plugin serves all of the tenant's
    /// lists, or has been refused for all of them. The old plugin serves until then.
    Reload {
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        choice: PluginChoice,
    },
    /// Start a shadow run: compare a new plugin's answers to live checks with those of the serving one
    ///
    /// Returns once the run has started; `status` shows its progress. After --checks or --seconds the new
    /// plugin is promoted, unless it disagreed more than --max-disagreements times. Without both options
    /// the run waits for `promote` or `rollback`. A new version of a rule may disagree as often as it does,
    /// unless --max-disagreements is given: it is there to stop messages.
    Shadow {
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        choice: PluginChoice,
        #[command(flatten)]
        terms: Terms,
    },
    /// End a shadow run and let the new plugin serve
    Promote {
        #[command(flatten)]
        tenant: Tenant,
        /// A rules plugin of the tenant, instead of the plugin of its lists
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
    },
    /// Return to the previous plugin, or cancel a reload or shadow run in progress
    ///
    /// A shadow run that `status` calls over is not in progress any more. What is returned to is printed.
    Rollback {
        #[command(flatten)]
        tenant: Tenant,
        /// A rules plugin of the tenant, instead of the plugin of its lists
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
    },
}

#[derive(Args)]
struct Tenant {
    /// Id of the tenant
    #[arg(long, short, value_name = "ID")]
    tenant: String,
}

/// The plugin to load.
#[derive(Args)]
struct PluginChoice {
    /// Name of the plugin; omit to keep the tenant's
    #[arg(long, value_name = "NAME", conflicts_with = "rule")]
    plugin: Option<String>,
    /// A rules plugin of the tenant, which is reloaded instead of the one of its lists
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Pin this version: its digest, or at least the first 8 digits
    #[arg(long, value_name = "DIGEST")]
    version: Option<String>,
    /// Options of the plugin, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    options: Option<Map<String, Value>>,
}

/// When a shadow run ends.
#[derive(Args)]
struct Terms {
    /// End the run after this many checks
    #[arg(long, value_name = "COUNT")]
    checks: Option<u64>,
    /// End the run after this many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Discard the new plugin if it disagrees more often than this [default: 0, and for a rule any number]
    #[arg(long, value_name = "COUNT")]
    max_disagreements: Option<u64>,
}

/// Exchanges a tenant's plugin, or one of its rules.
fn exchange(
    client: &Client,
    tenant: &str,
    choice: PluginChoice,
    shadow: Option<Terms>,
) -> anyhow::Result<PluginStatus> {
    let PluginChoice { plugin, rule, version, options } = choice;
    Ok(match rule {
        Some(rule) => {
            let shadow = shadow.map(|Terms { checks, seconds, max_disagreements }| RuleShadowRequest {
                checks,
                seconds,
                max_disagreements,
            });
            client.exchange_rule(tenant, &rule, &RuleExchangeRequest { version, options, shadow })?
        }
        None => {
            let shadow = shadow.map(|Terms { checks, seconds, max_disagreements }| ShadowRequest {
                checks,
                seconds,
                max_disagreements: max_disagreements.unwrap_or_default(),
            });
            client.exchange_plugin(tenant, &ExchangeRequest { plugin, version, options, shadow })?
        }
    })
}

fn act(client: &Client, tenant: &str, rule: Option<&str>, action: &str) -> anyhow::Result<PluginStatus> {
    Ok(match rule {
        Some(rule) => client.act_on_rule(tenant, rule, action)?,
        None => client.act_on_plugin(tenant, action)?,
    })
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

/// `examine` carries out what concerns a file.
pub(super) fn run(
    gateway: &GatewayOptions,
    options: Options,
    examine: impl FnOnce(&FileCommand) -> anyhow::Result<FileReport>,
) -> anyhow::Result<Exit> {
    let client = || gateway.administrator();
    let json = gateway.json;
    match options.command {
        Command::New(options) => new::create(options).map(|()| Exit::Good),
        Command::File(command) => file::print(json, &examine(&command)?),
        Command::Keygen(options) => sign::keygen(&options).map(|()| Exit::Good),
        Command::Sign(options) => sign::sign(&options).map(|()| Exit::Good),
        Command::Push(options) => versions::push(|| Ok(client()?), options).map(|()| Exit::Good),
        Command::List => versions::list(&client()?, json),
        Command::Remove(options) => versions::remove(&client()?, &options).map(|()| Exit::Good),
        Command::Record(options) => record::record(&client()?, &options).map(|()| Exit::Good),
        Command::Tenant(command) => of_tenant(&client()?, command, json),
    }
}

fn of_tenant(client: &Client, command: TenantCommand, json: bool) -> anyhow::Result<Exit> {
    let act =
        |tenant: Tenant, rule: Option<String>, action| act(client, &tenant.tenant, rule.as_deref(), action);
    let status = match command {
        TenantCommand::Status { tenant } => client.plugin_status(&tenant.tenant)?,
        TenantCommand::Reload { tenant, choice } => exchange(client, &tenant.tenant, choice, None)?,
        TenantCommand::Shadow { tenant, choice, terms } => {
            exchange(client, &tenant.tenant, choice, Some(terms))?
        }
        TenantCommand::Promote { tenant, rule } => act(tenant, rule, "promote")?,
        TenantCommand::Rollback { tenant, rule } => act(tenant, rule, "rollback")?,
    };
    output::print(json, &status.clone(), |results| show(results, status))
}

fn show(results: &mut Results, status: PluginStatus) -> std::io::Result<()> {
    let PluginStatus {
        summary,
        stage,
        shadow,
        lists,
        rules,
        memory_bytes,
        memory_limit_bytes,
        memory_warning,
        ..
    } = status;
    writeln!(results, "{}", ForeignText(&summary))?;
    if stage != "resting" {
        writeln!(results, "stage: {}", ForeignText(&stage))?;
    }
    if let Some(ShadowAnswer { compared, skipped, disagreements, latest, .. }) = shadow {
        writeln!(
            results,
            "shadow run: {compared} checks compared, {disagreements} disagreements, {skipped} skipped"
        )?;
        for DisagreementAnswer { list, number, direction, serving } in latest {
            writeln!(results, "  {list}: {number} {direction}: {serving}; the new plugin disagrees")?;
        }
    }
    // A gateway of an earlier version says nothing of it.
    if memory_limit_bytes > 0 {
        writeln!(results, "memory: {} of {}", in_mib(memory_bytes), in_mib(memory_limit_bytes))?;
    }
    if let Some(warning) = memory_warning {
        writeln!(results, "warning: {}", ForeignText(&warning))?;
    }
    for answer in lists {
        let ListAnswer { list, serving, slow, resting, generation, replicas, breaker, recoveries, .. } =
            answer;
        let state = match (serving, resting, slow) {
            (true, false, false) => "serving",
            (true, false, true) => "slow, the on_failure policy answers checks that would wait too long",
            (true, true, _) => "unloaded until the next check",
            (false, ..) => "out of service, the on_failure policy answers",
        };
        writeln!(
            results,
            "{list}: {state}, generation {generation}, instances {replicas}, breaker {breaker}, recoveries {recoveries}"
        )?;
        if let Some(fault) = answer.last_fault {
            writeln!(results, "  it failed last because: {}", ForeignText(&fault))?;
        }
    }
    rules.into_iter().try_for_each(|rule| show_rule(results, rule))
}

fn show_rule(results: &mut Results, rule: RuleAnswer) -> std::io::Result<()> {
    let RuleAnswer {
        plugin,
        own_version,
        problem,
        options,
        instances,
        faults,
        last_fault,
        last_fault_at,
        slow,
        meters,
        last,
        shadow,
        ..
    } = rule;
    let state = state_of_rule(problem.as_deref(), instances, slow);
    let (plugin, version) = (ForeignText(&plugin), own_version.unwrap_or_default());
    writeln!(
        results,
        "rule {plugin} {}: {state}, instances {instances}, faults {faults}, meters {meters}",
        ForeignText(&version)
    )?;
    if let Some(fault) = last_fault {
        let at = last_fault_at.unwrap_or_default();
        writeln!(results, "  it failed last at {} because: {}", ForeignText(&at), ForeignText(&fault))?;
    }
    if !options.is_empty() {
        writeln!(results, "  options: {}", ForeignText(&Value::from(options).to_string()))?;
    }
    if let Some(AttemptAnswer { to, why: Some(why), .. }) = last {
        writeln!(results, "  the last exchange, to {}: {}", ForeignText(&to), ForeignText(&why))?;
    }
    let Some(shadow) = shadow else { return Ok(()) };
    let state = state_of_run(&shadow);
    let RuleShadowAnswer { compared, skipped, stopped, stopped_share, disagreements, reasons, .. } = shadow;
    writeln!(
        results,
        "  shadow run, {state}: {compared} messages, of which it would have stopped {stopped} ({:.2} %), {disagreements} disagreements, \
         {skipped} skipped",
        stopped_share * 100.0
    )?;
    reasons.iter().try_for_each(|(reason, count)| writeln!(results, "    {}: {count}", ForeignText(reason)))
}

/// What a rule does with messages.
fn state_of_rule(problem: Option<&str>, instances: usize, is_slow: bool) -> String {
    match (problem, instances, is_slow) {
        (Some(problem), ..) => {
            format!("out of service, the on_failure policy answers: {}", ForeignText(problem))
        }
        (None, 0, _) => "out of service, the on_failure policy answers".to_owned(),
        (None, _, true) => "slow, messages wait for their turn".to_owned(),
        (None, _, false) => "deciding".to_owned(),
    }
}

/// Whether a shadow run of a rule goes on, or how it ended.
fn state_of_run(run: &RuleShadowAnswer) -> &'static str {
    match (run.running, run.ended.as_deref()) {
        (true, _) => "under way",
        (false, Some("served")) => "over, and the new version decides",
        (false, Some("refused")) => "over, and the new version was discarded",
        (false, Some("rolled_back")) => "over, ended by an administrator",
        (false, _) => "over, as the rule or the tenant's settings were changed",
    }
}

/// Bytes as MiB with one decimal, rounded down.
fn in_mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_instances_does_not_decide() {
        assert_eq!(state_of_rule(None, 1, false), "deciding");
        assert_eq!(state_of_rule(None, 0, false), "out of service, the on_failure policy answers");
        assert_eq!(state_of_rule(None, 0, true), "out of service, the on_failure policy answers");
        assert!(state_of_rule(Some("it is gone"), 0, false).ends_with("answers: it is gone"));
    }
}
