//! `portcullis plugin push`, `list` and `remove`: the plugins that a gateway has.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use portcullis_api::{PluginAnswer, PluginPutAnswer, PluginsAnswer, VersionAnswer};
use portcullis_plugin_registry::{Destination, ReferenceError, Registry};
use portcullis_plugin_trust::Signature;

use super::{component, sign};
use crate::Exit;
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
    #[arg(long = "as", value_name = "NAME", conflicts_with = "to")]
    name: Option<String>,
    /// Push it to an OCI registry instead, and print its name there with its digest
    ///
    /// Write it like oci://registry.example/acme/rule:1.2.0. Needs no gateway. Credentials are those of
    /// `docker login`.
    #[arg(long, value_name = "OCI", value_parser = destination)]
    to: Option<Destination>,
}

fn destination(text: &str) -> Result<Destination, String> {
    text.parse().map_err(|error: ReferenceError| error.to_string())
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

/// The signature beside a file, if there is one.
fn signature_of(file: &Path) -> anyhow::Result<Option<Signature>> {
    let beside = sign::beside(file);
    let text = match fs::read(&beside) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", beside.display())),
    };
    let signature = Signature::parse(&text).with_context(|| format!("can't use {}", beside.display()))?;
    Ok(Some(signature))
}

/// `client` connects to the gateway.
pub(super) fn push(
    client: impl FnOnce() -> anyhow::Result<Client>,
    options: PushOptions,
) -> anyhow::Result<()> {
    let PushOptions { file, name, to } = options;
    let signature = signature_of(&file)?;
    if let Some(to) = to {
        return push_to_registry(&file, &to, signature.as_ref());
    }
    let stem = || file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let name = name.or_else(stem).context("the file has no name: give it one with --as")?;
    let component = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
    let PluginPutAnswer { plugin, version, own_version, tenants, remark, .. } =
        client()?.put_plugin(&name, &component, signature.as_ref().map(Signature::text))?;
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

fn push_to_registry(file: &Path, to: &Destination, signature: Option<&Signature>) -> anyhow::Result<()> {
    let component = component::read(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("can't start the async runtime")?;
    let pinned = runtime.block_on(Registry::new().push(to, component, signature))?;
    let mut results = Results::open();
    writeln!(results, "{pinned}")?;
    results.flush()?;
    output::note(match signature {
        Some(_) => "pushed with its signature: put this name into plugins.sources of the gateway",
        None => {
            "pushed without a signature, as there is no .minisig file beside it: put this name into plugins.sources of the gateway"
        }
    });
    Ok(())
}

pub(super) fn list(client: &Client, as_json: bool) -> anyhow::Result<Exit> {
    let answer = client.plugins()?;
    output::print(as_json, &answer.clone(), |results| show(results, answer))
}

fn show(results: &mut Results, answer: PluginsAnswer) -> io::Result<()> {
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
        for VersionAnswer { version, own_version, bytes, since, newest, signed_by } in versions {
            let own = own_version.unwrap_or_else(|| "-".to_owned());
            let since = since.unwrap_or_else(|| "-".to_owned());
            let newest = if newest { " newest" } else { "" };
            let signed = signed_by.map(|by| format!(" signed by {}", ForeignText(&by))).unwrap_or_default();
            let digest = version.get(..SHORT).unwrap_or(&version);
            writeln!(
                results,
                "  {digest} {} {bytes} bytes since {since}{newest}{signed}",
                ForeignText(&own)
            )?;
        }
    }
    Ok(())
}

pub(super) fn remove(client: &Client, options: &RemoveOptions) -> anyhow::Result<()> {
    let removed = client.remove_plugin_version(&options.plugin, &options.version)?;
    output::note(format_args!("removed {} {}", ForeignText(&removed.plugin), removed.version));
    Ok(())
}
