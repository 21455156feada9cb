//! The licences of the crates that are compiled into the gateway and its plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::cargo;

/// How files with a licence are called, in capitals.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// The part of the output of `cargo metadata` that is needed here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    /// Null for a crate of the workspace.
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// Null for what is linked, else `build` or `dev`.
    kind: Option<String>,
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Whether the crate runs in the compiler, so that nothing of it is in the program.
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    /// The texts of its licences, in the order of their files' names.
    fn licences(&self) -> Result<Vec<String>> {
        let folder = self.folder();
        let failed = || format!("can't read the licences in {}", folder.display());
        let entries = fs::read_dir(folder)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .with_context(failed)?;
        let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        files.retain(|file| file.is_file() && file.file_name().is_some_and(is_licence));
        files.sort();
        files
            .iter()
            .map(|file| {
                let text = fs::read(file).with_context(failed)?;
                Ok(String::from_utf8_lossy(&text).replace('\r', "").trim().to_owned())
            })
            .collect()
    }
}

fn is_licence(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy().to_uppercase();
    NAMES.iter().any(|start| name.starts_with(start))
}

/// A page with each crate from elsewhere, its licence, and the texts of all licences, each once.
pub(crate) fn licences() -> Result<String> {
    let metadata = metadata()?;
    let mut texts: Vec<String> = Vec::new();
    let mut page = "\
The crates that are compiled into portcullis and its plugins, besides its own, with their licences. Numbers in brackets are those of the
texts below.

"
    .to_owned();
    for package in metadata.linked()? {
        let mut numbers = BTreeSet::new();
        for text in package.licences()? {
            let known = texts.iter().position(|known| *known == text).unwrap_or_else(|| {
                texts.push(text);
                texts.len() - 1
            });
            numbers.insert(known + 1);
        }
        let licence = package.license.as_deref().unwrap_or("see the text");
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        let numbers = match numbers.is_empty() {
            true => "its package has no text".to_owned(),
            false => numbers.join(", "),
        };
        let _ = writeln!(page, "{} {}: {licence} [{numbers}]", package.name, package.version);
    }
    for (number, text) in texts.iter().enumerate() {
        let _ = write!(page, "\n{}\n[{}]\n\n{text}\n", "-".repeat(80), number + 1);
    }
    Ok(page)
}

fn metadata() -> Result<Metadata> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = cargo::command()
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &platform])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("can't run cargo")?;
    ensure!(output.status.success(), "`cargo metadata` failed");
    serde_json::from_slice(&output.stdout).context("can't parse the output of `cargo metadata`")
}

impl Metadata {
    /// What the gateway and the plugins that are built into it link, of other workspaces, by name and version.
    fn linked(&self) -> Result<Vec<&Package>> {
        let packages: BTreeMap<&str, &Package> =
            self.packages.iter().map(|package| (&*package.id, package)).collect();
        let nodes: BTreeMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
        let plugins = self.workspace_root.join("plugins");
        let is_root = |package: &Package| {
            package.name == "portcullis-gateway" || package.manifest_path.starts_with(&plugins)
        };
        let mut to_visit: Vec<&str> =
            self.packages.iter().filter(|package| is_root(package)).map(|package| &*package.id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = to_visit.pop() {
            let package = packages.get(id).with_context(|| format!("cargo does not know {id}"))?;
            if package.is_macro() || !seen.insert(id) {
                continue;
            }
            let node = nodes.get(id).with_context(|| format!("cargo has not resolved {id}"))?;
            let linked =
                node.deps.iter().filter(|dependency| dependency.dep_kinds.iter().any(|of| of.kind.is_none()));
            to_visit.extend(linked.map(|dependency| &*dependency.pkg));
        }
        let mut linked: Vec<&Package> = seen.iter().filter_map(|id| packages.get(id).copied()).collect();
        linked.retain(|package| package.source.is_some());
        linked.sort_by_key(|package| (&package.name, &package.version));
        Ok(linked)
    }
}
