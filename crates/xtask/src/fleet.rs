//! A fleet on this machine, to try and to break.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cargo;

/// Builds everything, and replaces this process with the script that starts the fleet, so that Ctrl-C stops it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.first() {
        bail!("`cargo xtask fleet` takes no arguments: {unknown:?}");
    }
    cargo::build()?;
    let target = cargo::target_dir()?;
    let script = cargo::workspace().join("crates/xtask/fleet/fleet.sh");
    let failed = Command::new(script).arg(target.join("release/portcullis")).arg(target.join("fleet")).exec();
    Err(failed).context("can't start the fleet")
}
