//! An import from a file, compared with inserting the same rows with plain SQLite.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use portcullis_benches::members;
use rusqlite::Connection;

use crate::gateway::{Gateway, SERVER, TENANT, configure, program};
use crate::record;
use crate::results::{Results, median};

const NUMBERS: u64 = 1_000_000;
const ROUNDS: usize = 3;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let (mut imports, mut inserts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        imports.push(import(folder.path())?);
        inserts.push(insert(&folder.path().join("plain.db"))?);
    }
    let rate = |times: Vec<Duration>| NUMBERS as f64 / median(times).as_secs_f64();
    results.put("import/numbers", rate(imports));
    results.put("import/sqlite", rate(inserts));
    Ok(())
}

fn import(folder: &Path) -> anyhow::Result<Duration> {
    configure(folder, &format!("{SERVER}{TENANT}"))?;
    let gateway = Gateway::ready(folder)?;
    let mut text = String::new();
    for n in 0..NUMBERS {
        // In random order.
        writeln!(text, "{}", record::number(n * 611_953 % NUMBERS))?;
    }
    std::fs::write(folder.join("numbers.txt"), text)?;
    let start = Instant::now();
    let import = Command::new(program()?)
        .args(["import", "numbers.txt", "--sender", "support", "--format", "plain"])
        .args(["--url", gateway.url(), "--token", "acme-secret"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let took = start.elapsed();
    ensure!(import.success(), "the import failed");
    let verdict = gateway.verdict("acme-secret", &record::number(NUMBERS - 1));
    ensure!(verdict.as_deref() == Some("block"), "an imported number is not blocked");
    gateway.stop()?;
    Ok(took)
}

/// Inserts rows like the ledger's in one transaction, sorted, and with the ledger's durability.
fn insert(path: &Path) -> anyhow::Result<Duration> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
         CREATE TABLE entries (
            list INTEGER NOT NULL, subject INTEGER NOT NULL, directions INTEGER NOT NULL,
            source INTEGER NOT NULL, sequence INTEGER NOT NULL, actor INTEGER NOT NULL,
            created INTEGER NOT NULL, PRIMARY KEY (list, subject)
         ) STRICT, WITHOUT ROWID;
         CREATE UNIQUE INDEX entries_by_sequence ON entries (list, sequence);",
    )?;
    let mut subjects = members(usize::try_from(NUMBERS)?);
    let start = Instant::now();
    subjects.sort_unstable();
    let transaction = connection.unchecked_transaction()?;
    let mut insert = transaction.prepare(
        "INSERT INTO entries (list, subject, directions, source, sequence, actor, created)
         VALUES (1, ?1, 3, 2, ?2, 1, 1760000000000)",
    )?;
    for (sequence, subject) in (1_i64..).zip(&subjects) {
        insert.execute((subject.get().cast_signed(), sequence))?;
    }
    drop(insert);
    transaction.commit()?;
    Ok(start.elapsed())
}
