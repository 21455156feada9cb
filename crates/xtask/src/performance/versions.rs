//! What was measured with: the machine, and the versions of what is compared.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// The libraries whose versions a reader asks for.
const LIBRARIES: [&str; 7] =
    ["wasmtime", "roaring", "hashbrown", "redb", "libsqlite3-sys", "axum", "criterion"];
/// The servers beside, and how each tells its version.
const SERVERS: [(&str, &str); 5] = [
    ("nginx", "-v"),
    ("haproxy", "-v"),
    ("redis-server", "--version"),
    ("postgres", "--version"),
    ("wrk", "-v"),
];

pub(super) fn told(workspace: &Path) -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let lock = std::fs::read_to_string(workspace.join("Cargo.lock")).context("Cargo.lock can't be read")?;
    let libraries: Vec<String> = LIBRARIES.iter().filter_map(|name| locked(&lock, name)).collect();
    let servers: Vec<String> = SERVERS.iter().filter_map(|(name, flag)| installed(name, flag)).collect();
    let mut told = format!(
        "{}, {count} processors, Linux {}; {}; {}.",
        model.unwrap_or("a processor without a name"),
        kernel.trim(),
        installed("rustc", "--version").unwrap_or_default(),
        libraries.join(", ")
    );
    if !servers.is_empty() {
        told.push_str(&format!(" Beside them, where they are named: {}.", servers.join("; ")));
    }
    Ok(told)
}

/// Name and version of the newest package of that name.
fn locked(lock: &str, name: &str) -> Option<String> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.rsplit_once(&entry)?;
    Some(format!("{name} {}", rest.split_once('"')?.0))
}

/// The first line of what a program says of its version. Debian keeps some of them where only root looks.
fn installed(name: &str, flag: &str) -> Option<String> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("PATH=\"$PATH:$(printf '%s:' /usr/lib/postgresql/*/bin)\" exec {name} {flag} 2>&1"),
        ])
        .env("PATH", path)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    // A shell that found no such program says so.
    (!line.starts_with("sh:")).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_told() {
        let lock = "name = \"a\"\nversion = \"1.0\"\n\nname = \"a\"\nversion = \"2.0\"\n\nname = \"b\"\n";
        assert_eq!(locked(lock, "a").as_deref(), Some("a 2.0"));
        assert_eq!(locked(lock, "c"), None);
        assert_eq!(installed("no-such-program", "--version"), None);
    }
}
