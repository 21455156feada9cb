//! First starts that are killed, and what the next start makes of what they left.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis_ledger::{Ledger, LedgerError, MasterKey, Opening, StorageUrl};
use portcullis_msisdn::Directions;

use crate::contract::crash::members;
use crate::contract::fixture::{block, list, one};
use crate::ledger_dir::LedgerDir;

const FOLDER: &str = "PORTCULLIS_TEST_FIRST_START";

/// Starts as an engine does: with a key file, which says that there is a ledger.
fn start(folder: &Path) -> Result<Ledger, LedgerError> {
    let (path, key_file) = (folder.join("ledger.db"), folder.join("master.key"));
    let mut opening = Opening::default();
    if key_file.exists() {
        opening = opening.evidence(&key_file);
    }
    let (key, _) = MasterKey::from_file_or_new(&key_file, !path.exists()).unwrap();
    let ledger = Ledger::open_as(&StorageUrl::Sqlite(path), key, &opening)?;
    MasterKey::keep(&key_file).unwrap();
    Ok(ledger)
}

/// Not a test by itself: the next test starts and kills it.
#[test]
#[ignore = "run by a_first_start_may_be_killed_at_any_moment in a process of its own"]
fn starts_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut out = std::io::stdout();
    writeln!(out, "\nstarts").and_then(|()| out.flush()).unwrap();
    let _ledger = start(Path::new(&folder)).unwrap();
    writeln!(out, "started").and_then(|()| out.flush()).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_first_start_may_be_killed_at_any_moment() {
    let mut unfinished = 0;
    for round in 0..100_u64 {
        let dir = LedgerDir::new();
        let folder = dir.file("");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "first_start::starts_until_killed", "--include-ignored", "--nocapture"])
            .env(FOLDER, &folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "starts"));
        std::thread::sleep(Duration::from_micros(round * 200));
        child.kill().unwrap();
        child.wait().unwrap();
        unfinished += u32::from(!lines.any(|line| line == "started"));
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        let ledger = start(&folder).unwrap_or_else(|error| panic!("{round}: {error}, with {left:?}"));
        one(&list(&ledger), block(1, Directions::BOTH));
        drop(ledger);
        assert_eq!(members(&list(&start(&folder).unwrap())).len(), 1, "{round}");
        for left in ["master.key.new", "ledger.db.creating", "ledger.db.creating-journal"] {
            assert!(!dir.file(left).exists(), "{round}: {left}");
        }
        // A ledger that was lost is no first start.
        fs::remove_file(dir.file("ledger.db")).unwrap();
        assert!(matches!(start(&folder), Err(LedgerError::Lost { .. })), "{round}");
        fs::remove_file(dir.file("ledger.db.witness")).unwrap();
        assert!(matches!(start(&folder), Err(LedgerError::Lost { .. })), "{round}");
    }
    assert!(unfinished > 5, "the test kills first starts: {unfinished}");
}

#[test]
fn what_an_unfinished_first_start_left_is_not_mixed_with_the_new_ledger() {
    let (dir, other) = (LedgerDir::new(), LedgerDir::new());
    // A journal that SQLite would roll back, and a log that it would apply.
    let ledger = other.ledger();
    one(&list(&ledger), block(9, Directions::BOTH));
    fs::copy(other.file("ledger.db"), dir.file("ledger.db.creating")).unwrap();
    fs::copy(other.file("ledger.db-wal"), dir.file("ledger.db.creating-wal")).unwrap();
    let journal = rusqlite::Connection::open(other.file("journal.db")).unwrap();
    journal
        .execute_batch("CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1); PRAGMA cache_spill = 1")
        .unwrap();
    let hot = fs::read(other.file("journal.db-journal")).unwrap();
    assert!(!hot.is_empty());
    for name in ["ledger.db.creating-journal", "ledger.db-journal"] {
        fs::write(dir.file(name), &hot).unwrap();
    }
    fs::write(dir.file("master.key.new"), "0123").unwrap();
    let ledger = start(&dir.file("")).unwrap();
    assert_eq!(members(&list(&ledger)).len(), 0);
    one(&list(&ledger), block(1, Directions::BOTH));
    drop(ledger);
    assert_eq!(members(&list(&start(&dir.file("")).unwrap())).len(), 1);
}
