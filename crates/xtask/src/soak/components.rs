//! Random components against the compiler: none may take more than its time and memory.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cargo;

/// How long to search, in minutes. `PORTCULLIS_SOAK_MINUTES` sets another time.
const MINUTES: &str = "30";

/// Searches for that many minutes.
pub(super) fn run() -> Result<()> {
    let minutes = std::env::var("PORTCULLIS_SOAK_MINUTES").unwrap_or_else(|_| MINUTES.to_owned());
    cargo::build()?;
    let program = cargo::target_dir()?.join("release/hostile-components");
    let status = Command::new(program).arg(minutes).status().context("can't run the search")?;
    ensure!(status.success(), "a component took too much: see above");
    Ok(())
}
