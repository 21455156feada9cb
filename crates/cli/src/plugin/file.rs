//! `portcullis plugin verify`, `inspect`, `component` and `replay`: a plugin's file, without a gateway.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::Exit;
use crate::output::Results;

/// A command about a plugin's file, which the program carries out.
#[derive(Subcommand)]
#[allow(missing_docs, reason = "documented where the options are, from which clap takes the help")]
pub enum FileCommand {
    Verify(VerifyOptions),
    Inspect(InspectOptions),
    Component(ComponentOptions),
    Replay(ReplayOptions),
}

/// Say all that is wrong with a plugin, before it is deployed
///
/// Compares what the file contains with all bounds, the interface with its contract, and what the plugin
/// does with a model of the contract, by random sequences of operations. Needs no gateway; the options
/// --url and --admin-token have no effect.
///
/// Exits with 0 if the plugin can serve, with 1 if something is wrong with it, and with 2 if it can't be
/// read.
#[derive(Args)]
pub struct VerifyOptions {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Options of the plugin, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = super::object, default_value = "{}")]
    pub options: serde_json::Map<String, Value>,

    /// Measure time and memory per call, beside the plugin `exact`
    #[arg(long)]
    pub bench: bool,

    /// Allow more of something, as [plugins.limits] of the gateway does; repeat for several
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = limit)]
    pub limits: Vec<(String, u64)>,
}

/// Show what a plugin contains: interfaces, imports, sizes, sections, and what it was made with
#[derive(Args)]
pub struct InspectOptions {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Make a component of a core module, such as clang's
///
/// The module exports the functions of the contract, as the bindings of `portcullis plugin new --lang c` do.
#[derive(Args)]
pub struct ComponentOptions {
    /// The core module
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,

    /// Where to write the component
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// Show what a rules plugin would have stopped of recorded messages
///
/// `portcullis plugin record` makes the recording. The plugin decides about its messages in their order, at
/// their times, with counts of what it lets pass itself, beginning with nothing counted. Counts by prefix
/// count each person alone, as a recording has no numbers. Needs no gateway; the options --url and
/// --admin-token have no effect.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis plugin record --tenant acme --seconds 3600 > hour.ndjson
  portcullis plugin replay hour.ndjson --plugin policy --options '{\"caps\": [{\"per_day\": 2}]}'")]
pub struct ReplayOptions {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The rules plugin: the name of a built-in one, or a component's file
    #[arg(long, value_name = "NAME|FILE")]
    pub plugin: String,

    /// Options of the plugin, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = super::object, default_value = "{}")]
    pub options: serde_json::Map<String, Value>,
}

/// What the program found about a file.
pub struct FileReport {
    /// For people.
    pub lines: Vec<String>,
    /// The same for programs. `Null` if there is nothing to say.
    pub json: Value,
    /// Whether nothing is wrong with the plugin.
    pub is_good: bool,
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("write it like nesting=500")?;
    let value = value.parse().map_err(|error| format!("{error}: write it like nesting=500"))?;
    Ok((name.to_owned(), value))
}

pub(super) fn print(as_json: bool, report: &FileReport) -> anyhow::Result<Exit> {
    let mut results = Results::open();
    match as_json {
        true => writeln!(results, "{}", serde_json::to_string_pretty(&report.json)?)?,
        false => report.lines.iter().try_for_each(|line| writeln!(results, "{line}"))?,
    }
    results.flush()?;
    Ok(if report.is_good { Exit::Good } else { Exit::NotAll })
}
