//! Packages for crates.io: checks that they are complete and that each compiles from its contents, and uploads them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::cargo;
use crate::unpacked::Unpacked;

/// The files that each package must contain, in addition to its code.
const FILES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// The folder in cargo's target directory.
const PACKAGES: &str = "packages";

/// Creates the package of each published crate, and compiles it from its contents only.
pub(crate) fn package(arguments: &[String]) -> Result<()> {
    let published = complete()?;
    let target = new_target()?;
    // Cargo would build each in the dev profile, and so wasmtime once more.
    run_cargo(&["package", "--no-verify"], &published, arguments, &target)?;
    let packages = target.join("package");
    let unpacked = cargo::target_dir()?.join(PACKAGES).join("unpacked");
    let versions: Vec<(&str, &str)> =
        published.iter().map(|package| (&*package.name, &*package.version)).collect();
    Unpacked::new(unpacked, &packages, &versions)?.check()?;
    eprintln!("the packages are in {}", packages.display());
    Ok(())
}

/// Uploads the packages in the order of their dependencies. `arguments` are passed to `cargo publish`, which builds each from its
/// contents.
pub(crate) fn publish(arguments: &[String]) -> Result<()> {
    let changes =
        output(Command::new("git").current_dir(cargo::workspace()).args(["status", "--porcelain"]))?;
    ensure!(changes.is_empty(), "commit these changes before publishing:\n{changes}");
    let published = complete()?;
    run_cargo(&["publish"], &published, arguments, &new_target()?)
}

/// The published crates, whose packages lack nothing that they must contain.
fn complete() -> Result<Vec<Package>> {
    let published = published()?;
    write_components()?;
    let mut incomplete: Vec<String> = published.iter().flat_map(Package::omissions).collect();
    for Package { name, .. } in &published {
        let listed = cargo_output(&["package", "--list", "--allow-dirty", "--package", name])?;
        let contains = |file: &&str| listed.lines().any(|line| line == *file);
        incomplete.extend(
            FILES
                .iter()
                .filter(|file| !contains(file))
                .map(|file| format!("{name}: does not contain {file}")),
        );
    }
    ensure!(incomplete.is_empty(), "not ready to publish:\n{}", incomplete.join("\n"));
    Ok(published)
}

/// One target directory for all packages: in the default one, cargo compiles the dependencies again for each package. It is new each
/// time, as its path is that of the registry in which cargo lays the packages for each other. Cargo takes what it has unpacked and
/// compiled from a registry to be immutable, so it would build a package against the last run's version of another.
fn new_target() -> Result<PathBuf> {
    let packages = cargo::target_dir()?.join(PACKAGES);
    cargo::remove(&packages)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(packages.join(now.as_millis().to_string()))
}

fn run_cargo(command: &[&str], published: &[Package], arguments: &[String], target: &Path) -> Result<()> {
    let selection = published.iter().flat_map(|package| ["--package", &package.name]);
    // The components of the plugin bundle are not in git, so cargo considers the tree dirty.
    let command: Vec<&str> = command.iter().copied().chain(["--allow-dirty"]).chain(selection).collect();
    let target = target.to_str().context("the path of the target directory is not UTF-8")?;
    // Without debug information, a build takes a quarter less time.
    let environment = [("CARGO_TARGET_DIR", target), ("CARGO_PROFILE_DEV_DEBUG", "false")];
    cargo::cargo_with(&command, arguments, &environment)
}

/// Writes the compiled plugins into the package that ships them.
fn write_components() -> Result<()> {
    let folder = "crates/plugin-bundle/components";
    cargo::remove(&cargo::workspace().join(folder))?;
    cargo::cargo_with(
        &["run", "--release", "--package", "portcullis-plugin-bundle", "--", folder],
        &[],
        &[],
    )?;
    cargo::print_versions(&cargo::workspace().join(folder))
}

/// The part of the output of `cargo metadata` that is needed here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// The registries that the package may be published to; any if null.
    publish: Option<Vec<String>>,
    description: Option<String>,
    license: Option<String>,
    readme: Option<String>,
    repository: Option<String>,
    rust_version: Option<String>,
    keywords: Vec<String>,
    categories: Vec<String>,
}

impl Package {
    /// The fields required or shown by crates.io that are missing in the manifest.
    fn omissions(&self) -> Vec<String> {
        let stated = [
            ("description", self.description.is_some()),
            ("license", self.license.is_some()),
            ("readme", self.readme.is_some()),
            ("repository", self.repository.is_some()),
            ("rust-version", self.rust_version.is_some()),
            ("keywords (1 to 5)", (1..=5).contains(&self.keywords.len())),
            ("categories (1 to 5)", (1..=5).contains(&self.categories.len())),
        ];
        let missing = stated.into_iter().filter(|(_, stated)| !stated);
        missing.map(|(field, _)| format!("{}: Cargo.toml has no {field}", self.name)).collect()
    }
}

fn published() -> Result<Vec<Package>> {
    let printed = cargo_output(&["metadata", "--no-deps", "--format-version", "1"])?;
    let Metadata { mut packages } =
        serde_json::from_str(&printed).context("can't parse the output of `cargo metadata`")?;
    packages.retain(|package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty()));
    Ok(packages)
}

fn cargo_output(arguments: &[&str]) -> Result<String> {
    output(cargo::command().args(arguments))
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("can't run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("the output of {program} is not UTF-8"))
}
