//! Completions for shells: scripts that the shells themselves accept.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::gateway::command;

/// Whether a program is installed. Without it, the test that needs it prints a note and passes, except in CI.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_SHELLS").is_none(), "{program} is not installed");
        // Written directly, because the test harness captures the output of passing tests.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    }
    is_there
}

/// Runs a line in a shell, and returns what it prints.
#[track_caller]
fn shell(program: &str, line: &str) -> String {
    let output = Command::new(program).args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The script for a shell, in a file.
fn script(of: &str) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(command(&format!("completions {of}")).good().out.as_bytes()).unwrap();
    file.into_temp_path()
}

#[test]
fn bash_completes_commands_and_options() {
    if !has("bash") {
        return;
    }
    let script = script("bash");
    let complete = |words: &str, word: &str, before: &str| {
        let count = words.split_whitespace().count() - 1;
        let line = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={count}; _portcullis portcullis '{word}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        shell("bash", &line)
    };
    assert_eq!(complete("portcullis plug", "plug", "portcullis"), "plugin\n");
    assert_eq!(complete("portcullis status --qui", "--qui", "status"), "--quiet\n");
}

#[test]
fn zsh_and_fish_accept_their_scripts() {
    for (name, check) in [("zsh", "zsh -n"), ("fish", "fish --no-execute")] {
        if has(name) {
            let script = script(name);
            shell("sh", &format!("{check} {}", script.display()));
        }
    }
    if has("fish") {
        let script = script("fish");
        let line = format!("source {}; complete --do-complete='portcullis plug'", script.display());
        assert!(shell("fish", &line).starts_with("plugin\t"));
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_error_and_another_shell_is_one() {
    let stopped = Command::new("sh")
        .args(["-c", &format!("{} completions bash | head -n 1", crate::gateway::BINARY)])
        .output()
        .unwrap();
    assert!(stopped.status.success() && stopped.stderr.is_empty(), "{stopped:?}");
    assert!(command("completions tcsh").ends(2).err.contains("possible values: bash, zsh, fish"));
}

#[test]
fn the_manual_has_a_page_per_command_that_man_can_show() {
    let folder = tempfile::tempdir().unwrap();
    command(&format!("manual {}", folder.path().display())).good();
    let pages: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 20, "{pages:?}");
    if !has("man") {
        return;
    }
    let warnings = Command::new("man")
        .args(["--warnings", "--local-file", "--pager=cat"])
        .args(&pages)
        .env("MANWIDTH", "80")
        .output()
        .unwrap();
    assert!(warnings.status.success(), "{warnings:?}");
    let shown = String::from_utf8_lossy(&warnings.stdout);
    assert!(shown.contains("portcullis-serve") && !shown.contains("acme-secret"));
}
