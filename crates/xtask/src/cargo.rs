//! Builds, tests and benchmarks, all in the release profile: so wasmtime is compiled once for all of them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The gateway, and the plugins as files.
pub(crate) fn build() -> Result<()> {
    // All of the workspace's programs, as the tests build them: with fewer packages, cargo would choose other features of what
    // they depend on, and compile wasmtime again.
    cargo(&["build", "--release", "--workspace", "--bins"], &[])?;
    let plugins = target_dir()?.join("plugins");
    let mut bundle = Command::new(target_dir()?.join("release/portcullis-plugin-bundle"));
    let status = bundle.arg(&plugins).status().context("the plugin bundle can't be run")?;
    ensure!(status.success(), "the plugins can't be written to {}", plugins.display());
    Ok(())
}

pub(crate) fn test(arguments: &[String]) -> Result<()> {
    cargo(&["test", "--release", "--workspace"], arguments)
}

/// The long forms of the tests that have one, with what they measure.
pub(crate) fn soak(environment: &[(&str, &str)]) -> Result<()> {
    let command = ["test", "--release", "--workspace", "--test", "reload"];
    let arguments = ["--", "--nocapture", "--test-threads=1"].map(str::to_owned);
    cargo_with(&command, &arguments, &[environment, &[("PORTCULLIS_SOAK", "1")]].concat())
}

/// The long form of the tests of what passes to the Graph API: 100,000 requests at random, and 5,000 at the real program.
pub(crate) fn soak_gate() -> Result<()> {
    // All packages, as the tests are built: see `build`.
    let command = ["test", "--release", "--workspace", "--lib", "--test", "server"];
    let arguments = ["--", "traffic::outbound::tests", "traffic::gate"].map(str::to_owned);
    cargo_with(&command, &arguments, &[("PORTCULLIS_SOAK", "1")])
}

/// Criterion's benchmarks; `arguments` go to it.
pub(crate) fn criterion(arguments: &[String]) -> Result<()> {
    // All packages, as the tests are built: see `build`.
    let command = ["bench", "--workspace", "--bench", "check", "--bench", "change"];
    let separator = ["--".to_owned()];
    cargo(&command, &[&separator[..], arguments].concat())
}

/// The benchmarks that valgrind counts, by gungraun's runner.
pub(crate) fn instructions(runner: &str) -> Result<()> {
    let command = ["bench", "--workspace", "--bench", "instructions"];
    let arguments = ["--", "--save-summary=json"].map(str::to_owned);
    cargo_with(&command, &arguments, &[("GUNGRAUN_RUNNER", runner)])
}

fn cargo(command: &[&str], arguments: &[String]) -> Result<()> {
    cargo_with(command, arguments, &[])
}

/// Runs cargo in the workspace.
pub(crate) fn cargo_with(command: &[&str], arguments: &[String], environment: &[(&str, &str)]) -> Result<()> {
    let status = self::command()
        .args(command)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cargo can't be run")?;
    ensure!(status.success(), "`cargo {}` failed", command.join(" "));
    Ok(())
}

/// Cargo, in the workspace.
pub(crate) fn command() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where cargo builds to: this program lies in `TARGET/PROFILE/`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program has no path")?;
    let target = program.ancestors().nth(2).context("this program does not lie in a target folder")?;
    Ok(target.to_owned())
}
