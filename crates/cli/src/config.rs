//! `portcullis config`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::Exit;
use crate::output;

/// Check, print and describe configuration files
///
/// These commands start nothing, and need no ledger and no gateway. The options --url and --token have no
/// effect.
#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What is to be done.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Check a configuration file, with the files and variables that it names
    ///
    /// Prints `FILE:LINE: setting: what is wrong; what to do` for everything that would keep a gateway
    /// from starting. If nothing does, it prints warnings: a file with secrets that others can read,
    /// settings without effect, plugins that are not there, and a missing last line `# end`.
    ///
    /// Exits with 0 if the file is valid, with warnings or without, and with 2 if not.
    Check {
        /// Configuration file (TOML)
        #[arg(value_name = "FILE", default_value = "portcullis.toml")]
        file: PathBuf,
    },
    /// Print the whole configuration that a file means, with all defaults
    ///
    /// Prints TOML, or JSON with --json. Secrets are shown as `(set)`, wherever they come from. A value
    /// from the environment is shown as it is written, such as ${NAME}.
    Print {
        /// Configuration file (TOML)
        #[arg(value_name = "FILE", default_value = "portcullis.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of configuration files, for editors
    ///
    /// Editors with Taplo, such as VS Code with Even Better TOML, complete and check a file that begins
    /// with the line `#:schema ./portcullis.schema.json`.
    Schema,
}

/// What a command found, or made.
pub struct Report {
    /// For standard output.
    pub text: String,
    /// The same as JSON.
    pub json: Value,
    /// For people, on standard error; may be empty.
    pub summary: String,
    /// Whether the file is valid.
    pub is_valid: bool,
}

pub(super) fn print(report: &Report, as_json: bool) -> anyhow::Result<Exit> {
    output::print(as_json, &report.json, |results| results.write_all(report.text.as_bytes()))?;
    if !as_json && !report.summary.is_empty() {
        output::note(&report.summary);
    }
    Ok(if report.is_valid { Exit::Good } else { Exit::Failed })
}
