//! Tests that the engine example works.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn example(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engine"));
    command.arg(dir);
    command
}

#[test]
fn the_example_swaps_its_plugin_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = example(dir.path()).arg("--wait").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let output: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| line != "waiting to be killed").collect();
    assert!(output.contains(&"entries: 0".to_owned()), "{output:?}");
    assert!(output.contains(&"blocked: true".to_owned()), "{output:?}");
    assert!(output.iter().any(|line| line.starts_with("swapped plugins during ")), "{output:?}");
    assert!(output.iter().any(|line| line.contains("Changed")), "{output:?}");
    first.kill().unwrap();
    first.wait().unwrap();
    let again = example(dir.path()).output().unwrap();
    let output = String::from_utf8(again.stdout).unwrap();
    assert!(again.status.success(), "{output}");
    assert!(output.contains("entries: 1\n") && output.contains("blocked: true\n"), "{output}");
}
