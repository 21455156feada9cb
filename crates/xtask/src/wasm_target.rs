//! The target that plugins are compiled for, which rustup does not install by itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";

/// Adds the target where it is missing.
pub(crate) fn ensure() -> Result<()> {
    if is_installed()? {
        return Ok(());
    }
    eprintln!("installing the target {TARGET}, which plugins are compiled for");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`rustup target add {TARGET}` failed ({status})"),
        Err(error) => {
            bail!(
                "the target {TARGET} is missing, and rustup can't be run ({error}): install it with your Rust"
            )
        }
    }
}

fn is_installed() -> Result<bool> {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("rustc can't be run")?;
    let folder = String::from_utf8(printed.stdout).context("rustc prints a path")?;
    Ok(printed.status.success() && Path::new(folder.trim()).is_dir())
}
