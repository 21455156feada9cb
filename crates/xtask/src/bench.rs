//! `cargo xtask bench`: runs all benchmarks, one after the other, and generates the results page.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{cargo, performance};

/// The version of the runner. Must match that of the library that `benches/instructions.rs` is built with.
const GUNGRAUN: &str = "0.20.0";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let target = cargo::target_dir()?;
    match arguments {
        [] => all(&target, false)?,
        [flag] if flag == "--install" => all(&target, true)?,
        [flag] if flag == "--page" => {}
        only => cargo::criterion(&of_criterion(only)?)?,
    }
    performance::write(&cargo::workspace(), &target)
}

/// The arguments for Criterion: names, and what is behind `--`.
fn of_criterion(arguments: &[String]) -> Result<Vec<String>> {
    let (names, others) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let flag = names.iter().find(|name| name.starts_with('-'));
    if let Some(flag) = flag {
        bail!(
            "`cargo xtask bench` has no flag {flag:?}, or not with others: those for Criterion go behind `--`"
        );
    }
    Ok([names, others].concat())
}

fn all(target: &Path, installs: bool) -> Result<()> {
    let measured = target.join("measured");
    std::fs::create_dir_all(&measured).context("can't create the results directory")?;
    cargo::build()?;
    cargo::criterion(&[])?;
    cargo::soak(&[("PORTCULLIS_MEASURED", &path(&measured)?)])?;
    let json = |name: &str| path(&measured.join(name));
    let program = |name: &str| target.join("release").join(name);
    announce("the whole gateway");
    done(Command::new(program("portcullis-whole")).args(["--json", &json("whole.json")?]))?;
    announce("the plugin's memory");
    let sizes = ["1000000", "10000000", "100000000"];
    done(Command::new(program("portcullis-memory")).args(["--json", &json("memory.json")?]).args(sizes))?;
    instructions(target, installs)?;
    for (script, name) in [("check.sh", "check.json"), ("forward.sh", "forward.json")] {
        announce(&format!("benches/peers/{script}"));
        let script = cargo::workspace().join("benches/peers").join(script);
        let install = if installs { &["--install"][..] } else { &[] };
        done(Command::new(script).args(["--json", &json(name)?]).args(install))?;
    }
    Ok(())
}

/// Counts instructions, if valgrind and gungraun's runner are installed.
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
        announce(
            "skipping instruction counts: valgrind or gungraun-runner is not installed; --install installs them",
        );
        return Ok(());
    }
    cargo::instructions(&path(&runner)?)
}

fn done(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("can't run {name}"))?;
    ensure!(status.success(), "{name} failed");
    Ok(())
}

fn path(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

#[expect(clippy::print_stderr, reason = "progress output")]
fn announce(what: &str) {
    eprintln!("measuring: {what}");
}
