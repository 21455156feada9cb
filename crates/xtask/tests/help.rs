//! Tests that `cargo xtask` explains itself, and refuses what it does not know, before it does anything.

use std::path::Path;
use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().unwrap()
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
    std::fs::read_to_string(page).unwrap()
}

#[test]
fn help_is_a_subcommand_s_own_and_changes_nothing() {
    let before = page();
    let all = xtask(&["--help"]);
    assert!(all.status.success());
    let all = String::from_utf8(all.stdout).unwrap();
    for name in ["run", "fleet", "test", "soak", "fuzz", "bench", "build", "dist", "package", "publish"] {
        for help in [&[name, "--help"][..], &[name, "-h"], &[name, "argument", "--help"]] {
            let printed = xtask(help);
            assert!(printed.status.success(), "{help:?}");
            let printed = String::from_utf8(printed.stdout).unwrap();
            assert!(printed.starts_with(&format!("  cargo xtask {name}")), "{printed}");
            assert!(all.contains(&printed), "{printed}");
        }
    }
    assert!(before == page(), "docs/performance.md was written");
}

#[test]
fn an_unknown_flag_is_refused_where_it_is_not_another_program_s() {
    let before = page();
    for name in ["run", "fleet", "soak", "fuzz", "bench", "build", "dist", "no-such-command"] {
        let refused = xtask(&[name, "--no-such-flag"]);
        assert!(!refused.status.success(), "{name}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("--no-such-flag") || said.contains(name), "{said}");
        assert!(!said.contains("Compiling") && !said.contains("Finished"), "{said}");
    }
    assert!(before == page(), "docs/performance.md was written");
}
