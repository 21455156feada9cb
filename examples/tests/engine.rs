//! The example that embeds the engine does what it says.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn example(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engine"));
    command.arg(dir);
    command
}

#[test]
fn the_engine_s_example_exchanges_its_plugin_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = example(dir.path()).arg("--wait").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let told: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| line != "waiting to be killed").collect();
    assert!(told.contains(&"entries: 0".to_owned()), "{told:?}");
    assert!(told.contains(&"blocked: true".to_owned()), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("exchanged under ")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("Changed")), "{told:?}");
    first.kill().unwrap();
    first.wait().unwrap();
    let again = example(dir.path()).output().unwrap();
    let told = String::from_utf8(again.stdout).unwrap();
    assert!(again.status.success(), "{told}");
    assert!(told.contains("entries: 1\n") && told.contains("blocked: true\n"), "{told}");
}
