//! The command line of `portcullis`, with a module per command.
#![forbid(unsafe_code)]

mod check;
mod client;
mod directions;
mod entries;
mod export;
mod fleet;
mod foreign_text;
mod history;
mod hold;
mod import;
mod lines;
mod list;
mod meters;
mod migrate;
mod numbers;
mod output;
mod plugin;
mod serve;
mod source;
mod time;
mod token;
mod verify;
mod write;

#[doc(hidden)]
pub use import::fuzz;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use client::{BaseUrl, Client, Target, Token};

pub use migrate::{Moved, Options as MigrateOptions};
pub use plugin::{
    ComponentOptions as PluginComponentOptions, FileCommand as PluginFileCommand,
    FileReport as PluginFileReport, InspectOptions as PluginInspectOptions,
    ReplayOptions as PluginReplayOptions, VerifyOptions as PluginVerifyOptions,
};
pub use serve::Options as ServeOptions;
pub use verify::{Options as VerifyOptions, Report};

/// The outcome of a command. A usage error, which clap reports, also exits with 2.
enum Exit {
    /// The command succeeded.
    Good,
    /// The command finished, but `check` found a blocked number, `import` refused a row, `verify` found damage, or `plugin verify` found
    /// something wrong.
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
  0  success; for `check`, every number is allowed
  1  `check` found a blocked number, `import` refused a row, `verify` found damage, or `plugin verify`
     found something wrong
  2  failure; a message on standard error says why and what to do

Results go to standard output, everything else to standard error.";

/// Manages blacklists of message senders and checks numbers against them.
///
/// `portcullis serve` runs the gateway, and `portcullis verify` and `portcullis migrate` check its files
/// and move its ledger while it does not run. `portcullis plugin new` and `plugin verify` are for authors of
/// plugins.
/// All other commands except `token` talk to a running gateway at --url, authenticated by --token
/// (`plugin`, `meters` and `fleet`: by --admin-token).
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
    Check(check::Options),
    Block(write::BlockOptions),
    Unblock(write::UnblockOptions),
    List(list::Options),
    History(history::Options),
    Import(import::Options),
    Export(export::Options),
    Plugin(plugin::Options),
    Meters(meters::Options),
    Fleet(fleet::Options),
    Token(token::Options),
    Verify(verify::Options),
    Migrate(migrate::Options),
}

/// The gateway to talk to, and the token to send.
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

/// Parses this process's command line, runs the command, and returns the exit code.
///
/// Exits the process directly on a usage error (code 2) and on `--help` or `--version` (code 0).
///
/// `serve` runs the gateway, and returns when the gateway has stopped. `verify` checks its files. `migrate` moves its ledger, and says what it
/// is doing, with how many rows of how many. `examine` looks at the file of a plugin.
pub fn main(
    serve: impl FnOnce(&ServeOptions) -> anyhow::Result<()>,
    verify: impl FnOnce(&VerifyOptions) -> anyhow::Result<Report>,
    migrate: impl FnOnce(&MigrateOptions, &mut dyn FnMut(&str, u64, u64)) -> anyhow::Result<Moved>,
    examine: impl FnOnce(&PluginFileCommand) -> anyhow::Result<PluginFileReport>,
) -> ExitCode {
    let exit = run(CommandLine::parse(), serve, verify, migrate, examine).unwrap_or_else(|error| {
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
) -> anyhow::Result<Exit> {
    let client = || Client::new(gateway.url.clone(), gateway.token.as_ref());
    match command {
        Command::Serve(options) => serve(&options).map(|()| Exit::Good),
        Command::Check(options) => check::run(&client()?, options),
        Command::Block(options) => write::block(&client()?, options),
        Command::Unblock(options) => write::unblock(&client()?, options),
        Command::List(options) => list::run(&client()?, options),
        Command::History(options) => history::run(&client()?, options),
        Command::Import(options) => import::run(&client()?, options),
        Command::Export(options) => export::run(&client()?, options),
        Command::Plugin(options) => plugin::run(gateway.url.clone(), options, examine),
        Command::Meters(options) => meters::run(gateway.url.clone(), options),
        Command::Fleet(options) => fleet::run(gateway.url.clone(), options),
        Command::Token(options) => token::run(&options),
        Command::Verify(options) => verify::print(&verify(&options)?),
        Command::Migrate(options) => {
            let mut progress = migrate::Progress::new();
            migrate::print(&migrate(&options, &mut |doing, rows, total| progress.say(doing, rows, total))?)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        CommandLine::command().debug_assert();
    }
}
