//! Runs the gateway's executable in a directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// The beginning of all configurations.
pub(crate) const SERVER: &str = r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
lame_duck_seconds = 0
[storage]
url = "sqlite://portcullis.db"
[plugins]
dir = "plugins"
"#;

/// A tenant with one sender.
pub(crate) const TENANT: &str = r#"
[[tenants]]
id = "acme"
tokens = ["acme-secret"]
memory_limit_bytes = 4000000000
[[tenants.senders]]
id = "support"
"#;

/// The most clients that wait at the same time for a gateway, each with a connection that it keeps.
const CLIENTS: usize = 64;

/// The timeout of all waits.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A running gateway.
pub(crate) struct Gateway {
    process: Child,
    url: String,
    agent: ureq::Agent,
}

/// The path of the gateway's executable, in the same directory as this one.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("can't find the path of this program")?;
    let program = this.with_file_name("portcullis");
    ensure!(program.exists(), "{} does not exist: run `cargo xtask build`", program.display());
    Ok(program)
}

/// Writes a gateway's configuration.
pub(crate) fn configure(folder: &Path, config: &str) -> anyhow::Result<()> {
    std::fs::write(folder.join("portcullis.toml"), config).context("can't write the configuration")
}

impl Gateway {
    /// Starts a gateway in a directory with a configuration. It then listens, but may not be ready yet.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(program()?)
            .args(["serve", "--config", "portcullis.toml"])
            .args(options)
            .current_dir(folder)
            .env_remove("PORTCULLIS_MASTER_KEY")
            .env("PORTCULLIS_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("can't start the gateway")?;
        let mut line = String::new();
        let output = process.stdout.take().context("the gateway has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let url =
            line.trim().strip_prefix("listening on ").context("the gateway does not listen")?.to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_idle_connections(CLIENTS)
            .max_idle_connections_per_host(CLIENTS)
            .build()
            .new_agent();
        Ok(Gateway { process, url, agent })
    }

    /// Like [`start`](Self::start), but waits until the gateway is ready.
    pub(crate) fn ready(folder: &Path) -> anyhow::Result<Self> {
        Self::ready_with(folder, &[])
    }

    /// Like [`ready`](Self::ready), with further options.
    pub(crate) fn ready_with(folder: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let gateway = Self::start_with(folder, options)?;
        gateway.until("ready", || gateway.is_ready())?;
        Ok(gateway)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.agent.get(format!("{}/readyz", self.url)).call().is_ok_and(|answer| answer.status() == 200)
    }

    /// Polls until a condition is true.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !is_so() {
            ensure!(start.elapsed() < TIMEOUT, "the gateway was not {what} within {TIMEOUT:?}");
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The verdict on a number, `block` or `allow`; `None` if the plugin does not answer yet.
    pub(crate) fn verdict(&self, token: &str, number: &str) -> Option<String> {
        let body = json!({ "number": number, "direction": "outbound" });
        let path = format!("{}/portcullis/v1/senders/support/check", self.url);
        let request = self.agent.post(path).header("authorization", format!("Bearer {token}"));
        let mut answer = request.content_type("application/json").send(body.to_string()).ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        (answer["source"] == "plugin").then(|| answer["verdict"].as_str().unwrap_or_default().to_owned())
    }

    /// How many of the numbers from the `first` on a sender's list blocks; `None` if a check failed.
    pub(crate) fn blocked_of(&self, token: &str, sender: &str, first: u64, count: u64) -> Option<u64> {
        let numbers: Vec<String> = (first..first + count).map(crate::record::number).collect();
        let body = json!({ "numbers": numbers, "direction": "outbound" });
        let path = format!("{}/portcullis/v1/senders/{sender}/check", self.url);
        let request = self.agent.post(path).header("authorization", format!("Bearer {token}"));
        let mut answer = request.content_type("application/json").send(body.to_string()).ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        Some(answer["blocked"].as_array()?.len() as u64)
    }

    /// Blocks or unblocks a number. Returns whether that succeeded.
    pub(crate) fn set(&self, token: &str, number: &str, blocked: bool) -> bool {
        self.set_of(token, "support", number, blocked)
    }

    /// Like [`set`](Self::set), on another sender's list.
    pub(crate) fn set_of(&self, token: &str, sender: &str, number: &str, blocked: bool) -> bool {
        let path = format!("{}/portcullis/v1/senders/{sender}/entries", self.url);
        let request = ureq::http::Request::builder()
            .method(if blocked { "POST" } else { "DELETE" })
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(json!({ "numbers": [number] }).to_string());
        let Ok(mut answer) = request.map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
        else {
            return false;
        };
        // To the end: only then is the connection used again.
        answer.body_mut().read_to_vec().is_ok() && answer.status() == 200
    }

    /// The version of the plugin that serves the tenant acme.
    pub(crate) fn version(&self) -> Option<String> {
        let path = format!("{}/portcullis/v1/admin/tenants/acme/plugin", self.url);
        let request = self.agent.get(path).header("authorization", "Bearer admin-secret");
        let text = request.call().ok()?.body_mut().read_to_string().ok()?;
        let answer: Value = serde_json::from_str(&text).ok()?;
        Some(answer["serving"]["version"].as_str()?.to_owned())
    }

    /// The resident memory of the gateway in bytes.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024.0)
    }

    /// Waits until the gateway has exited by itself.
    pub(crate) fn ends(mut self) -> anyhow::Result<()> {
        // With its connections, which it would wait for.
        self.agent = ureq::Agent::new_with_defaults();
        ensure!(self.process.wait()?.success(), "the gateway exited with an error");
        Ok(())
    }

    /// Sends SIGTERM, and waits until the gateway has exited.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let id = self.process.id().to_string();
        ensure!(
            Command::new("kill").args(["-TERM", &id]).status()?.success(),
            "the gateway has already exited"
        );
        ensure!(self.process.wait()?.success(), "the gateway exited with an error");
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
