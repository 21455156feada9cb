//! Builds, tests and benchmarks. All use the release profile, so that wasmtime is compiled only once.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

/// Builds the gateway, and writes the plugins to files.
pub(crate) fn build() -> Result<()> {
    // Builds all programs of the workspace, as the tests do. With fewer packages, cargo would choose other features for
    // their dependencies, and compile wasmtime again.
    cargo(&["build", "--release", "--workspace", "--bins"], &[])?;
    let plugins = target_dir()?.join("plugins");
    let mut bundle = Command::new(target_dir()?.join("release/portcullis-plugin-bundle"));
    let status = bundle.arg(&plugins).status().context("can't run the plugin bundle")?;
    ensure!(status.success(), "can't write the plugins to {}", plugins.display());
    print_versions(&plugins)
}

/// Prints the version of each plugin in the folder: the digest of the component, by which gateways know it.
#[expect(clippy::print_stdout, reason = "output for the terminal")]
pub(crate) fn print_versions(plugins: &Path) -> Result<()> {
    let read = || format!("can't read {}", plugins.display());
    let mut files =
        std::fs::read_dir(plugins).and_then(Iterator::collect::<io::Result<Vec<_>>>).with_context(read)?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files.iter().filter(|file| file.path().extension().is_some_and(|wasm| wasm == "wasm")) {
        let digest = Sha256::digest(std::fs::read(file.path()).with_context(read)?);
        println!("sha256:{}  {}", base16ct::lower::encode_string(&digest), file.file_name().display());
    }
    Ok(())
}

pub(crate) fn test(arguments: &[String]) -> Result<()> {
    cargo(&["test", "--release", "--workspace"], arguments)
}

/// Runs the long forms of tests, with their measurements.
pub(crate) fn soak(environment: &[(&str, &str)]) -> Result<()> {
    let command = ["test", "--release", "--workspace", "--test", "reload"];
    let arguments = ["--", "--nocapture", "--test-threads=1"].map(str::to_owned);
    cargo_with(&command, &arguments, &[environment, &[("PORTCULLIS_SOAK", "1")]].concat())
}

/// Runs the long forms of the tests that no blocked message reaches the Graph API: 100,000 random requests, and 5,000
/// to the real program.
pub(crate) fn soak_gate() -> Result<()> {
    // All packages, like the tests: see `build`.
    let command = ["test", "--release", "--workspace", "--lib", "--test", "server"];
    let arguments = ["--", "traffic::outbound::tests", "traffic::gate"].map(str::to_owned);
    cargo_with(&command, &arguments, &[("PORTCULLIS_SOAK", "1")])
}

/// Kills the primary of a fleet's database 20 times with a synchronous standby, and 20 times with one that lags; and compares three gateways
/// after a million commits.
pub(crate) fn soak_fleet() -> Result<()> {
    // All packages, like the tests: see `build`.
    let command = ["test", "--release", "--workspace", "--test", "fleet"];
    let arguments = ["--", "failover::", "commits::", "--test-threads=1"].map(str::to_owned);
    cargo_with(&command, &arguments, &[("PORTCULLIS_SOAK", "1"), ("PORTCULLIS_REQUIRE_POSTGRES", "1")])
}

/// Runs Criterion's benchmarks with these arguments.
pub(crate) fn criterion(arguments: &[String]) -> Result<()> {
    // All packages, like the tests: see `build`.
    let command = ["bench", "--workspace", "--bench", "check", "--bench", "change"];
    let separator = ["--".to_owned()];
    cargo(&command, &[&separator[..], arguments].concat())
}

/// Runs the benchmarks under valgrind, with gungraun's runner.
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
        .context("can't run cargo")?;
    ensure!(status.success(), "`cargo {}` failed", command.join(" "));
    Ok(())
}

/// A command that runs cargo in the workspace.
pub(crate) fn command() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    // What `cargo run` tells this program about itself. Build scripts watch some of it, ring's for one: a cargo that has it and one that
    // has not would each compile anew what the other has compiled, and all that depends on it.
    for (name, _) in std::env::vars_os() {
        let of_package = name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_"));
        if of_package || name == "CARGO_MANIFEST_DIR" || name == "CARGO_MANIFEST_PATH" {
            cargo.env_remove(name);
        }
    }
    cargo
}

pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Cargo's target directory. This program is in `TARGET/PROFILE/`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("can't find the path of this program")?;
    let target = program.ancestors().nth(2).context("this program is not in a target directory")?;
    Ok(target.to_owned())
}

/// Removes a folder, if there is one.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
