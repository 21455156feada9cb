//! The command line: what `portcullis` understands, and which module does it.
#![forbid(unsafe_code)]

mod check;
mod client;
mod directions;
mod entries;
mod export;
mod history;
mod hold;
mod import;
mod lines;
mod list;
mod numbers;
mod output;
mod plugin;
mod serve;
mod source;
mod time;
mod token;
mod write;

#[doc(hidden)]
pub use import::fuzz;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use client::{BaseUrl, Client, Target, Token};

/// How a command ended. What clap refuses ends with 2, too.
enum Exit {
    /// It did its work, and there is nothing to object to.
    Good,
    /// It did its work, but `check` met a blocked number, or `import` a row that it could not take.
    NotAll,
    /// It could not do its work.
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
Exit codes, as those of grep:
  0  done; for `check`, every number is allowed
  1  done, but: `check` found a blocked number, or `import` refused a row
  2  failed; a message on standard error says why and what to do

Results go to standard output, everything else to standard error.";

/// Keeps blacklists for message senders, and answers whether a number may pass.
///
/// `portcullis serve` runs the gateway. The other commands talk to a running one, at --url, as the
/// tenant that --token belongs to.
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
    Token(token::Options),
}

/// Which gateway to talk to, and as whom.
#[derive(Args)]
#[command(next_help_heading = "Gateway")]
struct GatewayOptions {
    /// Where the gateway is: http:// or https://, and a path where it stands behind a proxy
    ///
    /// A certificate is checked against the certificates that the operating system trusts;
    /// SSL_CERT_FILE names others.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PORTCULLIS_URL",
        default_value = "http://127.0.0.1:8480"
    )]
    url: BaseUrl,

    /// The tenant's token, as it stands in the gateway's configuration
    ///
    /// Better given by the environment variable: other users of the machine can see the arguments
    /// of a process.
    #[arg(long, global = true, value_name = "TOKEN", env = "PORTCULLIS_TOKEN", hide_env_values = true)]
    token: Option<Token>,
}

/// Which of the tenant's blacklists.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct TargetOptions {
    /// The sender whose blacklist is meant, by its id
    #[arg(long, short, value_name = "ID")]
    sender: Option<String>,

    /// The tenant's own list, which holds for all of its senders
    #[arg(long)]
    tenant_wide: bool,
}

impl TargetOptions {
    fn target(self) -> Target {
        // The group lets through exactly one of both.
        self.sender.map_or(Target::TenantWide, Target::Sender)
    }
}

/// Reads the command line of this process, does what it says, and says how that went.
///
/// Ends the process itself, with exit code 2 or 0, where the command line is wrong or asks for
/// help.
///
/// `serve` runs the gateway with the configuration file at a path, until it is told to stop.
pub fn main(serve: impl FnOnce(&Path) -> anyhow::Result<()>) -> ExitCode {
    let exit = run(CommandLine::parse(), serve).unwrap_or_else(|error| {
        if output::reader_is_gone(&error) {
            // As with `portcullis list | head`: whoever reads has seen enough.
            return Exit::Good;
        }
        output::note(format_args!("portcullis: {error:#}"));
        Exit::Failed
    });
    exit.into()
}

fn run(
    CommandLine { gateway, command }: CommandLine,
    serve: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let client = || Client::new(gateway.url.clone(), gateway.token.as_ref());
    match command {
        Command::Serve(options) => serve(&options.config).map(|()| Exit::Good),
        Command::Check(options) => check::run(&client()?, options),
        Command::Block(options) => write::block(&client()?, options),
        Command::Unblock(options) => write::unblock(&client()?, options),
        Command::List(options) => list::run(&client()?, options),
        Command::History(options) => history::run(&client()?, options),
        Command::Import(options) => import::run(&client()?, options),
        Command::Export(options) => export::run(&client()?, options),
        Command::Plugin(options) => plugin::run(gateway.url.clone(), options),
        Command::Token(options) => token::run(&options),
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
