//! The pages show the example programs as they are, and these work.

use std::process::Command;

#[test]
fn the_readme_shows_the_quickstart_word_for_word() {
    let example = include_str!("../quickstart.rs");
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(example),
        "README.md has another copy of examples/quickstart.rs, which is\n{example}"
    );
}

#[test]
fn the_quickstart_runs_in_an_empty_folder_and_again() {
    let dir = tempfile::tempdir().unwrap();
    for run in ["first", "second"] {
        let output = Command::new(env!("CARGO_BIN_EXE_quickstart")).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{run} run: {}", String::from_utf8_lossy(&output.stderr));
    }
}
