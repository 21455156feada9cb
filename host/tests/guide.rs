//! Builds and tests the plugin of docs/plugins.md as the page says, and loads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_host::{
    Bound, CallError, Direction, Directions, Engine, Entry, Generation, Keyspace, Limits, MemoryAccount,
    Msisdn, Permutation, PermutationKey, Plugin, Recipe, Settings, Verdict,
};

const GUIDE: &str = include_str!("../../docs/plugins.md");

/// The fenced code blocks of a page, each with its info string.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a fence ends its line"))
}

/// Follows the guide in an empty directory, with the SDK from this workspace. Returns the path of the component.
fn follow_the_guide() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("it is there");
    let outer = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    let folder = outer.join("calling-codes");
    // The directory is kept between runs, with its compiled dependencies.
    fs::create_dir_all(outer.join(".cargo")).expect("a folder is made");
    let sdk = workspace.join("crates/plugin-sdk");
    let config = format!(
        "net.offline = true\npatch.crates-io.portcullis-plugin-sdk.path = {:?}\n",
        sdk.display().to_string()
    );
    fs::write(outer.join(".cargo/config.toml"), config).expect("a file is written");
    // Pins dependencies to the versions that are already downloaded.
    fs::create_dir_all(&folder).expect("a folder is made");
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a file is copied");

    let mut commands = 0;
    for (fence, text) in blocks(GUIDE) {
        if let Some((_, file)) = fence.split_once(' ') {
            // The directory is inside this workspace but not a member of it.
            let text = if file == "Cargo.toml" { &format!("{text}\n[workspace]\n") } else { text };
            let file = folder.join(file);
            fs::create_dir_all(file.parent().expect("it lies in the folder")).expect("a folder is made");
            // Rewriting an unchanged file would make Cargo recompile it.
            if fs::read_to_string(&file).is_ok_and(|before| before == text) {
                continue;
            }
            fs::write(&file, text).expect("a file is written");
        } else if fence == "sh" {
            let mut shell = Command::new("sh");
            shell.args(["-e", "-c", text]).current_dir(&folder);
            // Settings of this test's build must not affect the plugin's.
            for name in ["CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
                shell.env_remove(name);
            }
            let output = shell.output().expect("there is a shell");
            assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
            commands += text.lines().count();
        } else if fence == "rust" {
            let documented = fs::read_to_string(sdk.join("src/rules/mod.rs")).expect("it is there");
            let documented: Vec<&str> = documented
                .lines()
                .map(|line| line.trim_start_matches("//!").trim_start_matches(' '))
                .collect();
            let text = text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
            assert!(documented.join("\n").contains(&text), "the SDK's documentation has it, and runs it");
        } else {
            assert_eq!(fence, "text", "a block must be a file, a command, or text");
        }
    }
    assert_eq!(commands, 2);
    folder.join("target/wasm32-unknown-unknown/release/calling_codes.wasm")
}

#[test]
fn the_plugin_of_the_guide_builds_and_blocks_what_the_page_says() {
    let component = follow_the_guide();
    let engine = Engine::new().expect("this machine runs WebAssembly");
    let plugin = Plugin::load_file(&engine, component, Limits::default()).expect("it fits");
    assert_eq!(plugin.description().keyspace, Keyspace::Clear);

    let permutation = Permutation::new(PermutationKey::from_bytes(*b"sixteen bytes..."));
    let recipe = |options: &str| Recipe {
        settings: Settings { options: options.to_owned(), ..Settings::default() },
        numbers: Some(permutation.clone()),
        ..Recipe::new(plugin.clone(), MemoryAccount::new(64 << 20))
    };
    let list = Generation::empty(recipe(r#"{"calling_codes": ["881"]}"#)).expect("it starts");
    let subject = |number: &str| permutation.subject(Msisdn::parse(number).expect("a number"));
    let check = |number| list.check(subject(number), Direction::Outbound).expect("it answers");
    list.block(&[Entry { subject: subject("+46732001122"), directions: Directions::OUTBOUND }])
        .expect("it takes the entry");
    assert_eq!(check("+46732001122"), Verdict::Block, "an entry");
    assert_eq!(check("+881612345678"), Verdict::Block, "a rule");
    assert_eq!(check("+41791234567"), Verdict::Allow);
    assert_eq!(list.count().expect("it answers"), 1);

    let refused = Generation::empty(recipe(r#"{"calling_codes": ["+881"]}"#)).expect_err("it refuses");
    assert!(matches!(refused, CallError::Refused(why) if why.contains("1 to 3 digits")));
}

#[test]
fn the_limits_of_the_guide_are_the_defaults() {
    let Limits { check, call, configure, component_bytes, load, instance_bytes, result_bytes, .. } =
        Limits::default();
    let Limits { compiler_bytes, compiler_time, compiled_bytes, describe_bytes, .. } = Limits::default();
    for row in [
        format!("| `check` | {} ms;", check.as_millis()),
        format!("| `check-many` | {} ms |", 4 * check.as_millis()),
        format!("| `configure` | {} s |", configure.as_secs()),
        format!("| every other call | {} s |", call.as_secs()),
        format!(
            "| compiling a component | {} s of processor time, {} s of wall time, {} MiB of memory |",
            compiler_time.as_secs(),
            load.as_secs(),
            compiler_bytes >> 20
        ),
        format!("| compiled component | {} MiB |", compiled_bytes >> 20),
        format!("`describe` | {} MiB |", describe_bytes >> 20),
        format!("| component file | {} MiB |", component_bytes >> 20),
        format!("| memory of one instance | {} GiB |", instance_bytes >> 30),
        format!("| result of one call | {} MiB |", result_bytes >> 20),
    ] {
        assert!(GUIDE.contains(&row), "docs/plugins.md should say {row}");
    }
}

#[test]
fn the_bounds_of_the_guide_are_the_defaults() {
    for bound in Bound::ALL {
        let row = GUIDE.lines().find(|line| line.starts_with(&format!("| `{}` |", bound.name)));
        let default = format!("| {} |", bound.of(&Limits::default()));
        assert!(
            row.is_some_and(|row| row.ends_with(&default)),
            "docs/plugins.md should say {default} of {bound:?}: {row:?}"
        );
    }
}
