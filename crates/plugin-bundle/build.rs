//! Generates a constant for each plugin.
//!
//! In the workspace, a nested cargo build compiles the plugins to components. The published package contains the
//! components instead of the sources, so dependents need no WebAssembly target, and docs.rs no network.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

const FLAGS: [&str; 2] = [
    // The default stack of 1 MiB would be most of the memory of a small list's instance. With this size, the stack and
    // the constants of a plugin fit into one page of WebAssembly memory. An overflow traps: the stack grows down to
    // address zero.
    "-Clink-arg=-zstack-size=49152",
    // Jump tables are indirect jumps, and the inner loop of the set is a short match. This makes a batch of checks 1/6
    // faster.
    "-Cjump-tables=no",
];

struct Source {
    constant: &'static str,
    name: &'static str,
    package: &'static str,
    doc: &'static str,
    /// Whether the published crate contains the plugin.
    shipped: bool,
}

const PLUGINS: [Source; 6] = [
    Source {
        constant: "EVIL",
        name: "evil",
        package: "portcullis-plugin-evil",
        doc: "Violates the contract in a way chosen by its options. Not shipped; for tests.",
        shipped: false,
    },
    Source {
        constant: "EVIL_RULES",
        name: "evil-rules",
        package: "portcullis-plugin-evil-rules",
        doc: "Violates the contract of rules in a way chosen by its options. Not shipped; for tests.",
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
        doc: "Blocks numbers by prefix rules, in addition to the ones it is told to block.",
        shipped: true,
    },
    Source {
        constant: "TRIVIAL",
        name: "trivial",
        package: "portcullis-plugin-trivial",
        doc: "Blocks nobody: measures the cost of a call itself. Not shipped; for benchmarks.",
        shipped: false,
    },
    Source {
        constant: "TRIVIAL_RULES",
        name: "trivial-rules",
        package: "portcullis-plugin-trivial-rules",
        doc: "Rules that stop nothing: measures the cost of a decision itself. Not shipped; for benchmarks.",
        shipped: false,
    },
];

impl Source {
    /// The file name that cargo gives to an artifact.
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
    // The sources take precedence: `components/` may be left over from an earlier `cargo xtask package`.
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

/// Compiles the plugins, and returns the directory of the components.
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
    env::var(name).map_err(|error| format!("cargo should set {name} for a build script: {error}").into())
}

/// Checks that the target is installed. Without it, cargo reports a hundred times that it "can't find crate for
/// `core`".
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

/// A separate directory in the workspace's target directory. Debug, release and lint builds share its artifacts, and
/// the nested cargo does not wait for the outer one's lock.
fn plugin_target_dir(out_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE-HASH/out.
    let target = out_dir.ancestors().nth(4).ok_or("OUT_DIR is not in a target directory")?;
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
        // Comes with Rust, and converts the module to a component when linking.
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS.join(" "));
    // Settings of the outer build (flags for its target, clippy instead of rustc) must not affect this one.
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

/// Parses the compiler's dep-info, whose lines have the form `OUTPUT: SOURCE SOURCE …`.
fn watch_sources(dep_info: &str) {
    let sources =
        dep_info.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, sources)| sources.split(' '));
    for source in sources {
        println!("cargo::rerun-if-changed={source}");
    }
}
