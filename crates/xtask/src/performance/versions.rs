//! The environment of the measurements: the machine, and the versions of the software.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// The libraries whose versions are listed.
const LIBRARIES: [&str; 7] =
    ["wasmtime", "roaring", "hashbrown", "redb", "libsqlite3-sys", "axum", "criterion"];
/// The servers whose versions are listed, and the option that prints the version.
const SERVERS: [(&str, &str); 5] = [
    ("nginx", "-v"),
    ("haproxy", "-v"),
    ("redis-server", "--version"),
    ("postgres", "--version"),
    ("wrk", "-v"),
];

pub(super) fn summary(workspace: &Path) -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let lock = std::fs::read_to_string(workspace.join("Cargo.lock")).context("can't read Cargo.lock")?;
    let libraries: Vec<String> = LIBRARIES.iter().filter_map(|name| locked(&lock, name)).collect();
    let servers: Vec<String> = SERVERS.iter().filter_map(|(name, flag)| installed(name, flag)).collect();
    let mut summary = format!(
        "{}, {count} CPUs, Linux {}; {}; {}.",
        model.unwrap_or("an unknown CPU"),
        kernel.trim(),
        installed("rustc", "--version").unwrap_or_default(),
        libraries.join(", ")
    );
    if !servers.is_empty() {
        summary.push_str(&format!(" Compared with: {}.", servers.join("; ")));
    }
    Ok(summary)
}

/// The name and version of the newest package with this name.
fn locked(lock: &str, name: &str) -> Option<String> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.rsplit_once(&entry)?;
    Some(format!("{name} {}", rest.split_once('"')?.0))
}

/// The first line of a program's version output. Some of Debian's programs are outside of a normal user's path.
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
    // A shell reports a missing program like this.
    (!line.starts_with("sh:")).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found() {
        let lock = "name = \"a\"\nversion = \"1.0\"\n\nname = \"a\"\nversion = \"2.0\"\n\nname = \"b\"\n";
        assert_eq!(locked(lock, "a").as_deref(), Some("a 2.0"));
        assert_eq!(locked(lock, "c"), None);
        assert_eq!(installed("no-such-program", "--version"), None);
    }
}
