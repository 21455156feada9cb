//! What packages of the gateway have besides the program: manual, completions, licences. And the Debian package itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo;
use crate::third_party;

/// The folder with what is generated, in the workspace. `[package.metadata.deb]` of the gateway names it.
const FOLDER: &str = "packaging/dist";

/// The scripts that complete commands: the shell, and the name by which it looks for the file.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "portcullis"), ("zsh", "_portcullis"), ("fish", "portcullis.fish")];

/// Builds the gateway, writes what packages need, and makes the Debian package.
pub(crate) fn dist(arguments: &[String]) -> Result<()> {
    let build = match arguments {
        [] => true,
        [argument] if argument == "--no-build" => false,
        _ => bail!("`cargo xtask dist` takes nothing but --no-build: {arguments:?}"),
    };
    if build {
        cargo::build()?;
    }
    let folder = generate()?;
    eprintln!("the manual, completions and licences are in {}", folder.display());
    debian_package()
}

/// Writes the manual, the completions and the licences. Returns their folder.
fn generate() -> Result<PathBuf> {
    let folder = cargo::workspace().join(FOLDER);
    cargo::remove(&folder)?;
    let program = cargo::target_dir()?.join("release/portcullis");
    ensure!(program.exists(), "{} is missing: leave out --no-build", program.display());
    run(Command::new(&program).arg("manual").arg(folder.join("man")))?;
    let completions = folder.join("completions");
    fs::create_dir_all(&completions).with_context(|| format!("can't create {}", completions.display()))?;
    for (shell, name) in COMPLETIONS {
        let script = run(Command::new(&program).args(["completions", shell]))?;
        write(&completions.join(name), &script)?;
    }
    write(&folder.join("third-party.txt"), third_party::licences()?.as_bytes())?;
    Ok(folder)
}

/// Makes the Debian package from what is there.
fn debian_package() -> Result<()> {
    let has_tool = cargo::command().args(["deb", "--version"]).stdout(Stdio::null()).status()?.success();
    ensure!(has_tool, "the Debian package needs cargo-deb: `cargo install cargo-deb --locked`");
    let target = cargo::target_dir()?;
    let target = target.to_str().context("the path of the target directory is not UTF-8")?;
    let output = format!("{target}/debian/");
    let command = ["deb", "--no-build", "--locked", "--package", "portcullis-gateway", "--output", &output];
    cargo::cargo_with(&command, &[], &[("CARGO_TARGET_DIR", target)])
}

/// What a command prints.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("can't run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(output.stdout)
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    fs::write(file, content).with_context(|| format!("can't write {}", file.display()))
}
