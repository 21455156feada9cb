//! `portcullis plugin push`, `list` and `remove`: the plugins that a gateway has.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use portcullis_api::{PluginAnswer, PluginPutAnswer, VersionAnswer};

use crate::client::Client;
use crate::foreign_text::ForeignText;
use crate::output::{self, Results};

/// The digits of a digest that are shown.
const SHORT: usize = "sha256:".len() + 12;

#[derive(Args)]
pub(super) struct PushOptions {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name under which tenants have it; the file's stem by default
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
}

#[derive(Args)]
pub(super) struct RemoveOptions {
    /// Name of the plugin
    #[arg(value_name = "NAME")]
    plugin: String,
    /// The version: its digest, or at least the first 8 digits
    #[arg(value_name = "DIGEST")]
    version: String,
}

pub(super) fn push(client: &Client, options: PushOptions) -> anyhow::Result<()> {
    let PushOptions { file, name } = options;
    let stem = || file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let name = name.or_else(stem).context("the file has no name: give it one with --as")?;
    let component = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
    let PluginPutAnswer { plugin, version, own_version, tenants, remark, .. } =
        client.put_plugin(&name, &component)?;
    let mut results = Results::open();
    writeln!(results, "{plugin} {} {version}", ForeignText(&own_version))?;
    results.flush()?;
    let offered = match tenants {
        0 => "no tenant has this plugin yet".to_owned(),
        1 => "offered to the tenant that has it: `portcullis plugin status` says what became of that"
            .to_owned(),
        _ => format!(
            "offered to {tenants} tenants that have it: `portcullis plugin status` says what became of that"
        ),
    };
    output::note(offered);
    if let Some(remark) = remark {
        output::note(format_args!("note: {}", ForeignText(&remark)));
    }
    Ok(())
}

pub(super) fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let answer = client.plugins()?;
    let mut results = Results::open();
    if as_json {
        writeln!(results, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(results.flush()?);
    }
    for PluginAnswer { plugin, problem, remark, versions, tenants } in answer.plugins {
        let tenants = match tenants.is_empty() {
            true => "no tenant has it".to_owned(),
            false => format!("tenants: {}", tenants.join(", ")),
        };
        writeln!(results, "{}: {tenants}", ForeignText(&plugin))?;
        for (word, text) in [("wrong", problem), ("note", remark)] {
            if let Some(text) = text {
                writeln!(results, "  {word}: {}", ForeignText(&text))?;
            }
        }
        for VersionAnswer { version, own_version, bytes, since, newest } in versions {
            let own = own_version.unwrap_or_else(|| "-".to_owned());
            let since = since.unwrap_or_else(|| "-".to_owned());
            let newest = if newest { " newest" } else { "" };
            let digest = version.get(..SHORT).unwrap_or(&version);
            writeln!(results, "  {digest} {} {bytes} bytes since {since}{newest}", ForeignText(&own))?;
        }
    }
    Ok(results.flush()?)
}

pub(super) fn remove(client: &Client, options: &RemoveOptions) -> anyhow::Result<()> {
    let removed = client.remove_plugin_version(&options.plugin, &options.version)?;
    output::note(format_args!("removed {} {}", ForeignText(&removed.plugin), removed.version));
    Ok(())
}
