//! The compilation target for plugins, which rustup does not install by default.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";

/// Installs the target if it is missing.
pub(crate) fn ensure() -> Result<()> {
    if is_installed()? {
        return Ok(());
    }
    eprintln!("installing the target {TARGET} for compiling plugins");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`rustup target add {TARGET}` failed ({status})"),
        Err(error) => {
            bail!(
                "the target {TARGET} is missing, and rustup can't be run ({error}): install the target for your Rust toolchain"
            )
        }
    }
}

fn is_installed() -> Result<bool> {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("can't run rustc")?;
    let folder = String::from_utf8(printed.stdout).context("the output of rustc is not UTF-8")?;
    Ok(printed.status.success() && Path::new(folder.trim()).is_dir())
}
