//! Writes a constant for each plugin.
//!
//! In the workspace, a nested cargo build compiles the plugins to components. The published package contains the components
//! instead of the sources: who depends on it needs no WebAssembly target, and docs.rs no network.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

const FLAGS: [&str; 2] = [
    // A mebibyte of stack, the default, is most of what a small list's instance would take. With so little, the stack and the
    // constants of a plugin are one page of WebAssembly. Whoever goes deeper traps: the stack grows down to address zero.
    "-Clink-arg=-zstack-size=49152",
    // A jump table is an indirect jump, and the set's short matches are its inner loop: a sixth off a batch of checks.
    "-Cjump-tables=no",
];

struct Source {
    constant: &'static str,
    name: &'static str,
    package: &'static str,
    doc: &'static str,
    /// Whether the published crate contains it.
    shipped: bool,
}

const PLUGINS: [Source; 4] = [
    Source {
        constant: "EVIL",
        name: "evil",
        package: "portcullis-plugin-evil",
        doc: "Breaks the contract in one chosen way. Not shipped, only tested with.",
        shipped: false,
    },
    Source {
        constant: "EXACT",
        name: "exact",
        package: "portcullis-plugin-exact",
        doc: "The default plugin: the exact set of hashed numbers.",
        shipped: true,
    },
    Source {
        constant: "PREFIX",
        name: "prefix",
        package: "portcullis-plugin-prefix",
        doc: "Blocks numbers by how they begin, besides the ones it is told to block.",
        shipped: true,
    },
    Source {
        constant: "TRIVIAL",
        name: "trivial",
        package: "portcullis-plugin-trivial",
        doc: "Blocks nobody: what a call costs by itself. Not shipped, only measured against.",
        shipped: false,
    },
];

impl Source {
    /// The name that cargo gives to what it builds.
    fn file(&self, extension: &str) -> String {
        format!("{}.{extension}", self.package.replace('-', "_"))
    }

    fn constant(&self, component: &Path) -> String {
        let Source { constant, name, doc, .. } = self;
        format!(
            "/// {doc}\npub const {constant}: Bundled = Bundled {{ name: {name:?}, component: include_bytes!({component:?}) }};\n",
        )
    }
}

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = package.join("../..");
    let mut constants = String::new();
    // The sources come first: `components/` may be left over from an earlier `cargo xtask package`.
    if workspace.join("plugins/exact/Cargo.toml").exists() {
        let artifacts = compile_all(&workspace.canonicalize()?, &out_dir)?;
        for plugin in &PLUGINS {
            let component = out_dir.join(format!("{}.wasm", plugin.name));
            fs::copy(artifacts.join(plugin.file("wasm")), &component)?;
            watch_sources(&fs::read_to_string(artifacts.join(plugin.file("d")))?);
            constants += &plugin.constant(&component);
        }
    } else {
        for plugin in PLUGINS.iter().filter(|plugin| plugin.shipped) {
            let component = package.join("components").join(format!("{}.wasm", plugin.name));
            println!("cargo::rerun-if-changed={}", component.display());
            constants += &plugin.constant(&component);
        }
    }
    fs::write(out_dir.join("bundle.rs"), constants)?;
    Ok(())
}

/// Compiles the plugins, and returns the folder of the components.
fn compile_all(workspace: &Path, out_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    require_target()?;
    let target_dir = plugin_target_dir(out_dir)?;
    compile(workspace, &target_dir)?;
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    Ok(target_dir.join(TARGET).join("plugin"))
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo sets {name} for a build script: {error}").into())
}

/// A missing target makes a hundred "can't find crate for `core`": one line that says the command helps more.
fn require_target() -> Result<(), Box<dyn Error>> {
    let libraries =
        Command::new(variable("RUSTC")?).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    let folder = String::from_utf8(libraries.stdout)?;
    if libraries.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(format!(
        "plugins are compiled for {TARGET}, which is not installed: run `rustup target add {TARGET}`"
    )
    .into())
}

/// A folder of their own in the workspace's target folder, so that debug, release and lint builds share one compilation,
/// and the nested cargo does not wait for the lock that the outer one holds.
fn plugin_target_dir(out_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE-HASH/out.
    let target = out_dir.ancestors().nth(4).ok_or("OUT_DIR does not lie in a target folder")?;
    Ok(target.join("plugin-build"))
}

fn compile(workspace: &Path, target_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(workspace).args(["build", "--profile", "plugin", "--target", TARGET]);
    for plugin in &PLUGINS {
        cargo.args(["--package", plugin.package]);
    }
    cargo
        .env("CARGO_TARGET_DIR", target_dir)
        // Ships with Rust, and makes a component of the module in the same step.
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS.join(" "));
    // What holds for the outer build (flags for its target, clippy in rustc's place) must not reach this one.
    for name in [
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(name);
    }
    let built = cargo.output()?;
    if built.status.success() {
        return Ok(());
    }
    Err(format!("the plugins can't be compiled:\n{}", String::from_utf8_lossy(&built.stderr))
        .replace('\n', "\ncargo::error=")
        .into())
}

/// The compiler lists what it read as `OUTPUT: SOURCE SOURCE …`.
fn watch_sources(dep_info: &str) {
    let sources =
        dep_info.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, sources)| sources.split(' '));
    for source in sources {
        println!("cargo::rerun-if-changed={source}");
    }
}
