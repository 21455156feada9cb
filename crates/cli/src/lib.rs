//! The command line of `portcullis`, with a module per command.
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!(
    "the command line keeps secret keys in files with modes of Unix. Build on Linux; on Windows, in WSL"
);

mod backup;
mod check;
mod client;
mod completions;
mod config;
mod directions;
mod entries;
mod export;
mod fleet;
mod foreign_text;
mod history;
mod hold;
mod import;
mod key;
mod lines;
mod list;
mod manual;
mod meters;
mod migrate;
mod numbers;
mod output;
mod plugin;
mod progress;
mod restore;
mod sender;
mod serve;
mod settings_input;
mod source;
mod status;
mod tenant;
mod time;
mod token;
mod verify;
mod write;

#[doc(hidden)]
pub use import::fuzz;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use client::{BaseUrl, Client, Target, Token};

pub use backup::{
    Report as BackupReport, TakeOptions as BackupOptions, Task as BackupTask,
    VerifyOptions as BackupVerifyOptions,
};
pub use config::{Command as ConfigCommand, Report as ConfigReport};
pub use migrate::{Moved, Options as MigrateOptions};
pub use plugin::{
    ComponentOptions as PluginComponentOptions, FileCommand as PluginFileCommand,
    FileReport as PluginFileReport, InspectOptions as PluginInspectOptions,
    ReplayOptions as PluginReplayOptions, VerifyOptions as PluginVerifyOptions,
};
pub use restore::Options as RestoreOptions;
pub use serve::Options as ServeOptions;
pub use verify::{Options as VerifyOptions, Report};

/// The outcome of a command. A usage error, which clap reports, also exits with 2.
enum Exit {
    /// The command succeeded.
    Good,
    /// The command finished, but `check` found a blocked number, `import` refused a row, `verify`, `backup` or `backup verify` found
    /// damage, `plugin verify` found something wrong, or `status` a gateway that is not ready or degraded.
    NotAll,
    /// The command failed.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Good => 0,
            Exit::NotAll => 1,
            Exit::Failed => 2,
        })
    }
}

const EXIT_CODES: &str = "\
Exit codes follow grep:
  0  success; for `check`, every number is allowed; for `status`, the gateway is ready
  1  `check` found a blocked number, `import` refused a row, `verify`, `backup` or `backup verify`
     found damage, `plugin verify` found something wrong, or `status` a gateway that is not ready
     or degraded
  2  failure; a message on standard error says why and what to do; for `config check`, the file
     is not valid

Results go to standard output, everything else to standard error.";

/// Manages blacklists of message senders and checks numbers against them.
///
/// `portcullis serve` runs the gateway, and `portcullis verify` and `portcullis migrate` check its files
/// and move its ledger while it does not run. `portcullis backup` copies what it has on disk, whether it
/// runs or not, and `portcullis restore` puts that back. `portcullis config` checks and prints
/// configuration files. `portcullis plugin new` and `plugin verify` are for authors of
/// plugins.
/// All other commands except `token new` and `completions` talk to a running gateway at --url, authenticated by --token, or
/// by --admin-token if they are the administrator's.
#[derive(Parser)]
#[command(name = "portcullis", version, max_term_width = 100, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(flatten)]
    gateway: GatewayOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Options),
    Status(status::Options),
    Check(check::Options),
    Block(write::BlockOptions),
    Unblock(write::UnblockOptions),
    List(list::Options),
    History(history::Options),
    Import(import::Options),
    Export(export::Options),
    Tenant(tenant::Options),
    Sender(sender::Options),
    Token(token::Options),
    Plugin(plugin::Options),
    Meters(meters::Options),
    Fleet(fleet::Options),
    Key(key::Options),
    Verify(verify::Options),
    Migrate(migrate::Options),
    Backup(backup::BackupCommand),
    Restore(restore::Options),
    Config(config::Options),
    Completions(completions::Options),
    // For those who make packages.
    #[command(hide = true)]
    Manual(manual::Options),
}

/// The gateway to talk to, the token to send, and the form of results.
#[derive(Args)]
#[command(next_help_heading = "Gateway")]
struct GatewayOptions {
    /// Base URL of the gateway: http:// or https://, with a path if a proxy adds one
    ///
    /// Certificates are verified against the operating system's roots, or those in SSL_CERT_FILE.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PORTCULLIS_URL",
        default_value = "http://127.0.0.1:8480"
    )]
    url: BaseUrl,

    /// Token of the tenant, or of the sender that the command is about
    ///
    /// Prefer the environment variable: other users of the machine can see a process's arguments.
    #[arg(long, global = true, value_name = "TOKEN", env = "PORTCULLIS_TOKEN", hide_env_values = true)]
    token: Option<Token>,

    /// Token of the administrator, for `tenant`, `sender`, `token`, `plugin`, `meters`, `fleet` and `key`
    ///
    /// Prefer the environment variable, as for --token.
    #[arg(long, global = true, value_name = "TOKEN", env = "PORTCULLIS_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Token>,

    /// Print results as JSON: one object, or one object per line where there may be many
    #[arg(long, global = true)]
    json: bool,
}

impl GatewayOptions {
    /// A client that sends a tenant's or sender's token.
    fn client(&self) -> Result<Client, client::Error> {
        Client::new(self.url.clone(), self.token.as_ref())
    }

    /// A client that sends the administrator's token.
    fn administrator(&self) -> Result<Client, client::Error> {
        Client::of_administrator(self.url.clone(), self.admin_token.as_ref())
    }
}

/// The list that a command is about.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct TargetOptions {
    /// Use the list of this sender
    #[arg(long, short, value_name = "ID")]
    sender: Option<String>,

    /// Use the tenant-wide list, which applies to all senders
    #[arg(long)]
    tenant_wide: bool,
}

impl TargetOptions {
    fn target(self) -> Target {
        // The group requires exactly one of the two.
        self.sender.map_or(Target::TenantWide, Target::Sender)
    }
}

/// The definition of the command line, from which help, manual and completions are made.
pub fn command() -> clap::Command {
    CommandLine::command()
}

/// Parses this process's command line, runs the command, and returns the exit code.
///
/// Exits the process directly on a usage error (code 2) and on `--help` or `--version` (code 0).
///
/// `serve` runs the gateway, and returns when the gateway has stopped. `verify` checks its files. `migrate` moves its ledger, and says what it
/// is doing, with how many rows of how many. `examine` looks at the file of a plugin. `backup` makes, checks or restores a backup, and says
/// what it is doing, with how many bytes of how many. `config` checks, prints or describes configuration files.
pub fn main(
    serve: impl FnOnce(&ServeOptions) -> anyhow::Result<()>,
    verify: impl FnOnce(&VerifyOptions) -> anyhow::Result<Report>,
    migrate: impl FnOnce(&MigrateOptions, &mut dyn FnMut(&str, u64, u64)) -> anyhow::Result<Moved>,
    examine: impl FnOnce(&PluginFileCommand) -> anyhow::Result<PluginFileReport>,
    backup: impl FnOnce(&BackupTask, &mut dyn FnMut(&str, u64, u64)) -> anyhow::Result<BackupReport>,
    config: impl FnOnce(&ConfigCommand) -> anyhow::Result<ConfigReport>,
) -> ExitCode {
    let exit =
        run(CommandLine::parse(), serve, verify, migrate, examine, backup, config).unwrap_or_else(|error| {
            if output::reader_is_gone(&error) {
                // As in `portcullis list | head`: the reader has what it wants.
                return Exit::Good;
            }
            output::note(format_args!("portcullis: {error:#}"));
            Exit::Failed
        });
    exit.into()
}

fn run(
    CommandLine { gateway, command }: CommandLine,
    serve: impl FnOnce(&ServeOptions) -> anyhow::Result<()>,
    verify: impl FnOnce(&VerifyOptions) -> anyhow::Result<Report>,
    migrate: impl FnOnce(&MigrateOptions, &mut dyn FnMut(&str, u64, u64)) -> anyhow::Result<Moved>,
    examine: impl FnOnce(&PluginFileCommand) -> anyhow::Result<PluginFileReport>,
    backup: impl FnOnce(&BackupTask, &mut dyn FnMut(&str, u64, u64)) -> anyhow::Result<BackupReport>,
    config: impl FnOnce(&ConfigCommand) -> anyhow::Result<ConfigReport>,
) -> anyhow::Result<Exit> {
    let json = gateway.json;
    match command {
        Command::Serve(options) => serve(&options).map(|()| Exit::Good),
        Command::Status(options) => status::run(&gateway, &options),
        Command::Check(options) => check::run(&gateway, options),
        Command::Block(options) => write::block(&gateway, options),
        Command::Unblock(options) => write::unblock(&gateway, options),
        Command::List(options) => list::run(&gateway, options),
        Command::History(options) => history::run(&gateway, options),
        Command::Import(options) => import::run(&gateway, options),
        Command::Export(options) => export::run(&gateway, options),
        Command::Tenant(options) => tenant::run(&gateway, options),
        Command::Sender(options) => sender::run(&gateway, options),
        Command::Token(options) => token::run(&gateway, &options),
        Command::Plugin(options) => plugin::run(&gateway, options, examine),
        Command::Meters(options) => meters::run(&gateway, &options),
        Command::Fleet(options) => fleet::run(&gateway, options),
        Command::Key(options) => key::run(&gateway, &options),
        Command::Verify(options) => verify::print(&verify(&options)?, json),
        Command::Migrate(options) => {
            let mut progress = migrate::progress();
            migrate::print(
                &migrate(&options, &mut |doing, rows, total| progress.say(doing, rows, total))?,
                json,
            )
        }
        Command::Backup(options) => backup::run(json, &options.task(), backup),
        Command::Restore(options) => backup::run(json, &BackupTask::Restore(options), backup),
        Command::Config(options) => config::print(&config(&options.command)?, json),
        Command::Completions(options) => completions::run(&options, self::command()),
        Command::Manual(options) => manual::run(&options, self::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        command().debug_assert();
    }
}
