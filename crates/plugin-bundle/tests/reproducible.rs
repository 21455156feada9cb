//! The components are the same bytes wherever they are built: their digest is their version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_plugin_bundle::SHIPPED;

/// What of the workspace cargo reads to build the plugins.
const SOURCES: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "benches",
    "crates",
    "examples",
    "fuzz",
    "host",
    "plugins",
    "wit",
];

/// Copies files that differ. The others keep their time, so that cargo builds only what has changed since the last run.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            let name = file.file_name();
            if name != "target" && name != "components" && !name.as_encoded_bytes().starts_with(b".") {
                copy(&file.path(), &to.join(name));
            }
        }
    } else if fs::read(to).ok() != Some(fs::read(from).unwrap()) {
        fs::copy(from, to).unwrap();
    }
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(|| std::env::home_dir().unwrap().join(".cargo"), PathBuf::from)
}

#[test]
fn another_folder_and_another_cargo_home_give_the_same_bytes() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !workspace.join("plugins/exact/Cargo.toml").exists() {
        // The package contains the components, and not their sources.
        return;
    }
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere, and with spaces");
    let (copied, home, built) =
        (elsewhere.join("sources"), elsewhere.join("cargo home"), elsewhere.join("plugins"));
    fs::create_dir_all(&copied).unwrap();
    for source in SOURCES {
        copy(&workspace.join(source), &copied.join(source));
    }
    // What is downloaded is the same, by another path.
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).unwrap();
    for file in fs::read_dir(cargo_home()).unwrap() {
        let file = file.unwrap();
        std::os::unix::fs::symlink(file.path(), home.join(file.file_name())).unwrap();
    }
    let cargo = std::env::var_os("CARGO").unwrap();
    let run = Command::new(cargo)
        .current_dir(&copied)
        .args(["run", "--locked", "--offline", "--package", "portcullis-plugin-bundle", "--"])
        .arg(&built)
        .env("CARGO_HOME", &home)
        .env("CARGO_TARGET_DIR", elsewhere.join("target"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for plugin in SHIPPED {
        let other = fs::read(built.join(format!("{}.wasm", plugin.name))).unwrap();
        assert!(other == plugin.component, "{plugin:?} differs from the one that was built elsewhere");
        let contains = |text: &Path| {
            let text = text.as_os_str().as_encoded_bytes();
            plugin.component.windows(text.len()).any(|window| window == text)
        };
        assert!(!contains(&cargo_home()) && !contains(&workspace.canonicalize().unwrap()), "{plugin:?}");
    }
}
