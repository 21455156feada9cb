//! A gateway with a demo tenant, and three lines to try it with.
#![allow(clippy::print_stdout, reason = "what a person at a terminal asked for")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let listen = match arguments {
        [] => "127.0.0.1:8480",
        [flag, address] if flag == "--listen" => address,
        _ => bail!("usage: cargo xtask run [--listen ADDRESS]"),
    };
    let target = cargo::target_dir()?;
    let folder = target.join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let config = folder.join("portcullis.toml");
    fs::write(&config, configuration(listen))
        .with_context(|| format!("{} can't be written", config.display()))?;

    let mut gateway = Command::new(target.join("release/portcullis"))
        .args(["serve", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .spawn()
        .context("the gateway can't be started")?;
    let stdout = gateway.stdout.take().context("the gateway's output is piped")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("the gateway's output can't be read")?;
        println!("{line}");
        if let Some(url) = line.strip_prefix("listening on ") {
            println!("{}", invitation(url, &config));
        }
    }
    // Ctrl-C reaches the gateway as well as this program, and the gateway then ends by itself.
    let status = gateway.wait().context("the gateway can't be waited for")?;
    ensure!(status.success(), "the gateway ended: {status}");
    Ok(())
}

fn configuration(listen: &str) -> String {
    format!(
        r#"# Made by `cargo xtask run`, anew at each start. Its data stays beside it until you remove it.
[server]
listen = "{listen}"
admin_token = "demo-admin-secret"

[storage]
url = "sqlite://portcullis.db"

[plugins]
dir = "plugins"

[[tenants]]
id = "demo"
plugin = "exact"
tokens = ["demo-secret"]
default_region = "SE"

[[tenants.senders]]
id = "support"
number = "46700000001"
"#
    )
}

fn invitation(url: &str, config: &Path) -> String {
    let call = format!(
        "curl -sS -H 'Authorization: Bearer demo-secret' -H 'Content-Type: application/json' {url}/portcullis/v1/senders/support"
    );
    format!(
        r#"
The demo tenant's configuration is {config}. Block a number, ask about it, list what is blocked:

{call}/entries -d '{{"number":"+46 73-200 11 22","reason":"asked us to stop"}}'
{call}/check -d '{{"number":"46732001122","direction":"outbound"}}'
{call}/entries
"#,
        config = config.display()
    )
}
