//! Packages for crates.io: whether they are complete, whether each builds from what it contains, and their upload.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::cargo;

/// What each package must contain besides its code.
const FILES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Makes the package of each crate that is published, and builds it from nothing but its contents.
pub(crate) fn package(arguments: &[String]) -> Result<()> {
    for_all_published("package", arguments)
}

/// Uploads the packages, in the order of their dependencies; `arguments` go to `cargo publish`.
pub(crate) fn publish(arguments: &[String]) -> Result<()> {
    let changes =
        output(Command::new("git").current_dir(cargo::workspace()).args(["status", "--porcelain"]))?;
    ensure!(changes.is_empty(), "commit these changes before you publish:\n{changes}");
    for_all_published("publish", arguments)
}

fn for_all_published(command: &str, arguments: &[String]) -> Result<()> {
    let published = published()?;
    let names: Vec<&str> = published.iter().map(|package| &*package.name).collect();
    write_components()?;
    let mut incomplete: Vec<String> = published.iter().flat_map(Package::omissions).collect();
    for name in &names {
        let listed = cargo_output(&["package", "--list", "--allow-dirty", "--package", name])?;
        let contains = |file: &&str| listed.lines().any(|line| line == *file);
        incomplete.extend(
            FILES.iter().filter(|file| !contains(file)).map(|file| format!("{name}: contains no {file}")),
        );
    }
    ensure!(incomplete.is_empty(), "not ready to be published:\n{}", incomplete.join("\n"));

    let selection = names.iter().flat_map(|name| ["--package", name]);
    // The components of the plugin bundle are not in git, so to cargo the tree is dirty.
    let command: Vec<&str> = [command, "--allow-dirty"].into_iter().chain(selection).collect();
    // A target folder of its own is kept: in the default one, cargo compiles all dependencies again for each package. Nobody
    // debugs what is built here, and without debug information it takes a quarter less.
    let target = cargo::target_dir()?.join("packages");
    let target = target.to_str().context("the target folder's path is not UTF-8")?;
    let environment = [("CARGO_TARGET_DIR", target), ("CARGO_PROFILE_DEV_DEBUG", "false")];
    cargo::cargo_with(&command, arguments, &environment)
}

/// Compiles the plugins into the package that ships them.
fn write_components() -> Result<()> {
    let folder = "crates/plugin-bundle/components";
    let path = cargo::workspace().join(folder);
    if path.exists() {
        std::fs::remove_dir_all(&path).with_context(|| format!("{folder} can't be removed"))?;
    }
    cargo::cargo_with(&["run", "--release", "--package", "portcullis-plugin-bundle", "--", folder], &[], &[])
}

/// What `cargo metadata` says of the workspace, as far as it is asked for here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    /// The registries that it may be published to; all of them where this is null.
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
    /// What crates.io asks for, or shows, and the manifest does not say.
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
        missing.map(|(field, _)| format!("{}: Cargo.toml lacks {field}", self.name)).collect()
    }
}

fn published() -> Result<Vec<Package>> {
    let printed = cargo_output(&["metadata", "--no-deps", "--format-version", "1"])?;
    let Metadata { mut packages } =
        serde_json::from_str(&printed).context("`cargo metadata` prints what is not expected")?;
    packages.retain(|package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty()));
    Ok(packages)
}

fn cargo_output(arguments: &[&str]) -> Result<String> {
    output(cargo::command().args(arguments))
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("{program} can't be run"))?;
    if !output.status.success() {
        bail!("{program} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} prints what is not UTF-8"))
}
