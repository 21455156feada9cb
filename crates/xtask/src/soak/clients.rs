//! Clients that nobody knows: a million refused requests, and what they leave in the log.

use anyhow::Result;

use crate::cargo;

/// Sends a million requests that are refused to the real program, and measures its log.
pub(super) fn run() -> Result<()> {
    // All packages, like the tests: see `cargo::build`.
    let command = ["test", "--release", "--workspace", "--test", "server"];
    let arguments = ["--", "floods"].map(str::to_owned);
    cargo::cargo_with(&command, &arguments, &[("PORTCULLIS_SOAK", "1")])
}
