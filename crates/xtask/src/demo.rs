//! A gateway with a demo tenant, and three commands to try.
#![allow(clippy::print_stdout, reason = "output for the terminal")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;

/// Builds everything, and replaces this process with the gateway, so that a signal to it stops the gateway.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let listen = match arguments {
        [] => "127.0.0.1:8480",
        [flag, address] if flag == "--listen" => address,
        _ => bail!("usage: cargo xtask run [--listen ADDRESS:PORT]"),
    };
    ensure!(
        TcpListener::bind(listen).is_ok(),
        "{listen} is in use, perhaps by another demo: stop that one, or choose another address with --listen"
    );
    cargo::build()?;
    let target = cargo::target_dir()?;
    let folder = target.join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    let config = folder.join("portcullis.toml");
    fs::write(&config, configuration(listen)).with_context(|| format!("can't write {}", config.display()))?;

    Command::new(std::env::current_exe().context("can't find the path of this program")?)
        .args(["invite", listen])
        .arg(&config)
        .spawn()
        .context("can't start the program that prints what to try")?;
    let mut gateway = Command::new(target.join("release/portcullis"));
    let failed = gateway.args(["serve", "--config"]).arg(&config).exec();
    Err(failed).context("can't start the gateway")
}

/// Waits until the gateway is ready, then prints commands to try.
pub(crate) fn invite(arguments: &[String]) -> Result<()> {
    let [listen, config] = arguments else { bail!("`invite` is an internal command of `cargo xtask run`") };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_ready(listen).unwrap_or(false) {
        ensure!(Instant::now() < deadline, "the gateway was not ready within a minute");
        thread::sleep(Duration::from_millis(20));
    }
    println!("{}", invitation(listen, config));
    Ok(())
}

fn is_ready(listen: &str) -> Result<bool> {
    let mut connection = TcpStream::connect(listen)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(connection, "GET /readyz HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn configuration(listen: &str) -> String {
    format!(
        r#"# Written by `cargo xtask run` at each start. The data next to it is kept until you remove it.
[server]
listen = "{listen}"
admin_token = "demo-admin-secret"
# Nobody balances requests between this gateway and others.
lame_duck_seconds = 0

[storage]
url = "sqlite://portcullis.db"

[plugins]
dir = "plugins"

[[tenants]]
id = "demo"
plugin = "exact"
tokens = ["demo-secret"]
default_region = "SE"
sid = "HXDEMO"

[[tenants.senders]]
id = "support"
number = "46700000001"
bot_id = "demobot"
phone_number_id = "106540352242922"
"#
    )
}

fn invitation(listen: &str, config: &str) -> String {
    let call = format!(
        "curl -sS -w '\\n' -H 'Authorization: Bearer demo-secret' -H 'Content-Type: application/json' \
         http://{listen}/portcullis/v1/senders/support"
    );
    format!(
        r#"
The configuration of the demo tenant is {config}. Block a number, check it, and list the blocked numbers:

{call}/entries -d '{{"number":"+46 73-200 11 22","reason":"asked us to stop"}}'
{call}/check -d '{{"number":"46732001122","direction":"outbound"}}'
{call}/entries
"#
    )
}
