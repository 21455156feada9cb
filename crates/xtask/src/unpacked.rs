//! Packages, unpacked into a workspace that contains nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use toml::{Table, Value};

use crate::cargo;

/// A workspace of unpacked packages. They depend on each other there, and on what crates.io has.
pub(crate) struct Unpacked {
    folder: PathBuf,
}

impl Unpacked {
    /// Unpacks the package of each name and version, the file `NAME-VERSION.crate` in `files`, into a new folder.
    pub(crate) fn new(folder: PathBuf, files: &Path, packages: &[(&str, &str)]) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
        let (mut members, mut patches) = (Vec::new(), Table::new());
        for (name, version) in packages {
            // With the present time. In a package, files are some 20 years old: cargo would take what it compiled of the last package
            // to be newer.
            let mut tar = Command::new("tar");
            tar.arg("-xmzf").arg(files.join(format!("{name}-{version}.crate"))).current_dir(&folder);
            let status = tar.status().context("can't run tar")?;
            ensure!(status.success(), "can't unpack the package of {name}");
            let member = format!("{name}-{version}");
            members.push(Value::from(&*member));
            patches.insert((*name).to_owned(), table("path", member));
        }
        let manifest = workspace_of(members, patches)?;
        fs::write(folder.join("Cargo.toml"), manifest.to_string())
            .and_then(|()| fs::copy(cargo::workspace().join("Cargo.lock"), folder.join("Cargo.lock")))
            .with_context(|| format!("can't make {} a workspace", folder.display()))?;
        Ok(Self { folder })
    }

    /// Compiles the packages as `cargo clippy --release` compiles dependencies, and shares what it has compiled.
    pub(crate) fn check(&self) -> Result<()> {
        let mut check = cargo::command();
        // The versions of `Cargo.lock`, from which cargo removes those that are not needed.
        let arguments = ["check", "--quiet", "--offline", "--release", "--workspace"];
        check.current_dir(&self.folder).args(arguments);
        let target = cargo::target_dir()?;
        let status = check.env("CARGO_TARGET_DIR", &target).status().context("can't run cargo")?;
        ensure!(status.success(), "the packages do not compile by themselves");
        Ok(())
    }
}

/// The manifest of a workspace with these members, in which dependencies are compiled as they are in this one.
fn workspace_of(members: Vec<Value>, patches: Table) -> Result<Table> {
    let root = cargo::workspace().join("Cargo.toml");
    let text = fs::read_to_string(&root).with_context(|| format!("can't read {}", root.display()))?;
    let mut root: Table = text.parse().with_context(|| format!("can't parse {}", root.display()))?;
    let profiles = root.remove("profile").context("Cargo.toml has no profiles")?;
    let resolver = root["workspace"]["resolver"].clone();
    let workspace =
        Table::from_iter([("members".to_owned(), members.into()), ("resolver".to_owned(), resolver)]);
    Ok(Table::from_iter([
        ("workspace".to_owned(), workspace.into()),
        ("patch".to_owned(), table("crates-io", patches)),
        ("profile".to_owned(), profiles),
    ]))
}

fn table(key: &str, value: impl Into<Value>) -> Value {
    Table::from_iter([(key.to_owned(), value.into())]).into()
}
