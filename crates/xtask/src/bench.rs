//! `cargo xtask bench`: everything that is measured, one after the other, and the page of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cargo, performance};

/// The runner must be of the version of the library that `benches/instructions.rs` is built with.
const GUNGRAUN: &str = "0.20.0";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let target = cargo::target_dir()?;
    match arguments {
        [] => all(&target, false)?,
        [flag] if flag == "--install" => all(&target, true)?,
        [flag] if flag == "--page" => {}
        filter => cargo::criterion(filter)?,
    }
    performance::write(&cargo::workspace(), &target)
}

fn all(target: &Path, installs: bool) -> Result<()> {
    let measured = target.join("measured");
    std::fs::create_dir_all(&measured).context("the folder of results can't be made")?;
    cargo::build()?;
    cargo::criterion(&[])?;
    cargo::soak(&[("PORTCULLIS_MEASURED", &path(&measured)?)])?;
    let json = |name: &str| path(&measured.join(name));
    let program = |name: &str| target.join("release").join(name);
    tell("the whole gateway");
    done(Command::new(program("portcullis-whole")).args(["--json", &json("whole.json")?]))?;
    tell("the plugin's memory");
    let sizes = ["1000000", "10000000", "100000000"];
    done(Command::new(program("portcullis-memory")).args(["--json", &json("memory.json")?]).args(sizes))?;
    instructions(target, installs)?;
    for (script, name) in [("check.sh", "check.json"), ("forward.sh", "forward.json")] {
        tell(&format!("benches/peers/{script}"));
        let script = cargo::workspace().join("benches/peers").join(script);
        let install = if installs { &["--install"][..] } else { &[] };
        done(Command::new(script).args(["--json", &json(name)?]).args(install))?;
    }
    Ok(())
}

/// Instructions, where valgrind and gungraun's runner are.
fn instructions(target: &Path, installs: bool) -> Result<()> {
    let tools = target.join("tools");
    let runner = tools.join("bin/gungraun-runner");
    let has_valgrind = || Command::new("valgrind").arg("--version").output().is_ok();
    if installs {
        if !has_valgrind() {
            let install = ["install", "-y", "--no-install-recommends", "valgrind"];
            done(Command::new("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
        if !runner.exists() {
            let package = ["install", "gungraun-runner", "--version", GUNGRAUN, "--locked", "--root"];
            done(Command::new("cargo").args(package).arg(&tools))?;
        }
    }
    if !has_valgrind() || !runner.exists() {
        tell(
            "instructions are left out: valgrind or gungraun-runner is not installed; --install installs them",
        );
        return Ok(());
    }
    cargo::instructions(&path(&runner)?)
}

fn done(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("{name} can't be run"))?;
    ensure!(status.success(), "{name} failed");
    Ok(())
}

fn path(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not text", path.display()))
}

#[expect(clippy::print_stderr, reason = "what comes next, to whoever waits")]
fn tell(what: &str) {
    eprintln!("measuring: {what}");
}
