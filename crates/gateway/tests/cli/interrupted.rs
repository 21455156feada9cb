//! An import whose gateway is killed.

use std::io::Write as _;
use std::sync::mpsc;
use std::thread;

use crate::gateway::{Gateway, Run};

const ROWS: usize = 40_000;
const BATCH: usize = 200;

fn number(row: usize) -> String {
    format!("+4673{row:08}")
}

/// The number after `before` in `text`.
fn number_after(text: &str, before: &str) -> usize {
    let (_, after) = text.rsplit_once(before).unwrap_or_else(|| panic!("{before:?} is not in {text}"));
    after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn acknowledged_rows_survive_and_the_import_can_continue() {
    let mut gateway = Gateway::start();
    let text: String = (1..=ROWS).map(|row| number(row) + "\n").collect();

    let (import, mut stdin) = gateway.command(&format!("import - --sender support --batch {BATCH}")).spawn();
    let (killed, wait) = mpsc::channel::<()>();
    let feeder = thread::spawn({
        let text = text.clone();
        move || {
            let (first, rest) = text.split_at(text.len() / 2);
            _ = stdin.write_all(first.as_bytes());
            // However fast the import is, it is not finished when the gateway is killed.
            _ = wait.recv();
            _ = stdin.write_all(rest.as_bytes());
        }
    });
    // At most three batches are under way: with ten on disk, at least seven are acknowledged.
    while gateway.listed("--sender support").len() < 10 * BATCH {
        thread::yield_now();
    }
    gateway.kill();
    drop(killed);
    let run = Run::of(import);
    feeder.join().unwrap();

    assert_eq!(run.code, Some(2), "{}", run.err);
    let line = number_after(&run.err, "--from-line ");
    assert!(line > 7 * BATCH && line <= ROWS, "{}", run.err);
    assert_eq!(number_after(&format!("={}", run.err), "="), line - 1, "{}", run.err);

    gateway.restart();
    let there = gateway.listed("--sender support");
    for row in 1..line {
        assert!(there.binary_search(&number(row)).is_ok(), "row {row} of {line} is not there");
    }

    let rest = gateway.command(&format!("import - --sender support --from-line {line}")).input(text).good();
    assert!(rest.last_words().starts_with(&format!("{} rows: ", ROWS + 1 - line)), "{}", rest.err);
    assert_eq!(gateway.listed("--sender support"), (1..=ROWS).map(number).collect::<Vec<_>>());
}
