//! Ledgers that were lost, replaced or copied while they were in use.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use portcullis_ledger::{Accepted, Ledger, LedgerError, Loss, Opening};
use portcullis_msisdn::Directions;

use crate::contract::crash::members;
use crate::contract::fixture::{block, list, one, until};
use crate::ledger_dir::{LedgerDir, open};

/// Blocks some people, and crashes: the files are those of a killed process.
fn crashed(blocked: u64) -> LedgerDir {
    let (running, dir) = (LedgerDir::new(), LedgerDir::new());
    let ledger = running.ledger();
    let list = list(&ledger);
    for value in 1..=blocked {
        one(&list, block(value, Directions::BOTH));
    }
    for name in ["ledger.db", "ledger.db-wal", "ledger.db.witness"] {
        fs::copy(running.file(name), dir.file(name)).unwrap();
    }
    dir
}

/// A ledger that was closed, with people blocked.
fn closed(blocked: u64) -> LedgerDir {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    for value in 1..=blocked {
        one(&list, block(value, Directions::BOTH));
    }
    dir
}

fn count(ledger: &Ledger) -> usize {
    members(&list(ledger)).len()
}

/// Asserts that the ledger is refused, twice, and that the refusal changes nothing that it is about.
#[track_caller]
fn refused(dir: &LedgerDir, is_it: impl Fn(&LedgerError) -> bool) -> String {
    let before: Vec<_> =
        ["ledger.db", "ledger.db-wal"].map(|name| fs::read(dir.file(name)).unwrap_or_default()).into();
    let mut said = String::new();
    for _ in 0..2 {
        let error = dir.open_as(&Opening::default()).unwrap_err();
        assert!(is_it(&error), "{error}");
        said = error.to_string();
    }
    let after: Vec<_> =
        ["ledger.db", "ledger.db-wal"].map(|name| fs::read(dir.file(name)).unwrap_or_default()).into();
    assert!(before == after, "a refusal changes nothing");
    said
}

#[test]
fn a_ledger_survives_a_crash_and_a_clean_end() {
    assert_eq!(count(&open(&crashed(3).file("ledger.db")).unwrap()), 3);
    let dir = closed(3);
    for _ in 0..3 {
        assert_eq!(count(&dir.ledger()), 3);
    }
    assert_eq!(dir.findings(), [""; 0]);
}

#[test]
fn a_lost_or_emptied_ledger_is_refused() {
    for empties in [false, true] {
        let dir = closed(3);
        match empties {
            true => fs::write(dir.file("ledger.db"), "").unwrap(),
            false => fs::remove_file(dir.file("ledger.db")).unwrap(),
        }
        let said = refused(&dir, |error| matches!(error, LedgerError::Lost { .. }));
        assert!(said.contains("ledger.db.witness") && said.contains("--new-ledger"), "{said}");
        let ledger = dir.open_as(&Opening::default().new_ledger(true)).unwrap();
        assert_eq!(count(&ledger), 0);
        drop(ledger);
        // The option can't stay set.
        let error = dir.open_as(&Opening::default().new_ledger(true)).unwrap_err();
        assert!(matches!(error, LedgerError::NotNew { .. }), "{error}");
        assert_eq!(count(&dir.ledger()), 0);
    }
}

#[test]
fn a_log_or_a_file_that_is_named_as_evidence_says_that_there_was_a_ledger() {
    let dir = crashed(3);
    fs::remove_file(dir.file("ledger.db")).unwrap();
    fs::remove_file(dir.file("ledger.db.witness")).unwrap();
    let said = refused(&dir, |error| matches!(error, LedgerError::Lost { .. }));
    assert!(said.contains("ledger.db-wal"), "{said}");
    assert_eq!(count(&dir.open_as(&Opening::default().new_ledger(true)).unwrap()), 0);
    assert!(dir.file("ledger.db-wal.lost").exists(), "what is left of it is kept");

    let dir = LedgerDir::new();
    let opening = Opening::default().evidence(dir.file("ledger.key"));
    fs::write(dir.file("ledger.key"), "").unwrap();
    let error = dir.open_as(&opening).unwrap_err();
    assert!(matches!(error, LedgerError::Lost { .. }) && error.to_string().contains("ledger.key"), "{error}");
    fs::remove_file(dir.file("ledger.key")).unwrap();
    assert_eq!(count(&dir.open_as(&opening).unwrap()), 0);
}

#[test]
fn a_copy_made_while_it_ran_is_refused() {
    let running = LedgerDir::new();
    let ledger = running.ledger();
    one(&list(&ledger), block(1, Directions::BOTH));
    // What was blocked stands in the log, which is not copied.
    let copy = fs::read(running.file("ledger.db")).unwrap();
    drop(ledger);

    fs::write(running.file("ledger.db"), &copy).unwrap();
    let said = refused(&running, |error| matches!(error, LedgerError::Stale { .. }));
    assert!(said.contains("--restored"), "{said}");
    let restored = Opening::default().restored(true);
    assert_eq!(count(&running.open_as(&restored).unwrap()), 0);
    // From then on it is the ledger, and the option can't stay set.
    let error = running.open_as(&restored).unwrap_err();
    assert!(matches!(error, LedgerError::NotRestored { .. }), "{error}");
    assert_eq!(count(&running.ledger()), 0);

    // Without the witness, in another folder: the file itself says that it was open.
    let elsewhere = LedgerDir::new();
    fs::write(elsewhere.file("ledger.db"), &copy).unwrap();
    refused(&elsewhere, |error| matches!(error, LedgerError::WithoutLog { .. }));
}

#[test]
fn a_log_that_was_lost_or_emptied_after_a_crash_is_noticed() {
    for empties in [false, true] {
        let dir = crashed(3);
        match empties {
            true => fs::write(dir.file("ledger.db-wal"), "").unwrap(),
            false => fs::remove_file(dir.file("ledger.db-wal")).unwrap(),
        }
        refused(&dir, |error| matches!(error, LedgerError::Stale { missing: 1.., .. }));
    }
}

#[test]
fn an_older_ledger_and_another_one_are_refused_until_they_are_accepted() {
    let dir = closed(2);
    let backup = fs::read(dir.file("ledger.db")).unwrap();
    one(&list(&dir.ledger()), block(3, Directions::BOTH));
    fs::write(dir.file("ledger.db"), &backup).unwrap();
    refused(&dir, |error| matches!(error, LedgerError::Stale { .. }));
    assert_eq!(count(&dir.open_as(&Opening::default().restored(true)).unwrap()), 2);

    fs::copy(closed(5).file("ledger.db"), dir.file("ledger.db")).unwrap();
    let said = refused(&dir, |error| matches!(error, LedgerError::Another { .. }));
    assert!(said.contains("ledger.db.witness"), "{said}");
    assert_eq!(count(&dir.open_as(&Opening::default().restored(true)).unwrap()), 5);
    assert_eq!(count(&dir.ledger()), 5);
}

#[test]
fn another_program_may_open_and_close_the_file_after_a_crash() {
    let dir = crashed(3);
    let other = rusqlite::Connection::open(dir.file("ledger.db")).unwrap();
    let entries: i64 = other.query_row("SELECT count(*) FROM entries", (), |row| row.get(0)).unwrap();
    assert_eq!(entries, 3);
    // It moves the log into the file, and removes it.
    drop(other);
    assert!(!dir.file("ledger.db-wal").exists());
    assert_eq!(count(&dir.ledger()), 3);
}

#[test]
fn a_backup_made_while_it_ran_is_accepted_once_it_is_said_to_be_one() {
    let running = LedgerDir::new();
    let ledger = running.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    let other = rusqlite::Connection::open(running.file("ledger.db")).unwrap();
    other.execute("VACUUM INTO ?1", [running.file("backup.db").to_str().unwrap()]).unwrap();
    one(&list, block(2, Directions::BOTH));
    drop((other, list, ledger));
    fs::copy(running.file("backup.db"), running.file("ledger.db")).unwrap();
    refused(&running, |error| matches!(error, LedgerError::Stale { missing: 2, .. }));
    assert_eq!(count(&running.open_as(&Opening::default().restored(true)).unwrap()), 1);
}

#[test]
fn a_witness_that_says_nothing_is_refused() {
    let dir = closed(1);
    fs::write(dir.file("ledger.db.witness"), "all is well").unwrap();
    let said = refused(&dir, |error| matches!(error, LedgerError::WitnessDamaged { .. }));
    assert!(said.contains("--restored"), "{said}");
    assert!(dir.findings().iter().any(|finding| finding.contains("witness")), "{:?}", dir.findings());
    assert_eq!(count(&dir.open_as(&Opening::default().restored(true)).unwrap()), 1);
}

#[test]
fn an_older_copy_without_its_witness_is_refused_until_it_is_accepted() {
    let dir = closed(2);
    let backup = fs::read(dir.file("ledger.db")).unwrap();
    one(&list(&dir.ledger()), block(3, Directions::BOTH));
    fs::write(dir.file("ledger.db"), &backup).unwrap();
    fs::remove_file(dir.file("ledger.db.witness")).unwrap();
    let said = refused(&dir, |error| matches!(error, LedgerError::WitnessLost { .. }));
    assert!(said.contains("ledger.db.witness") && said.contains("--restored"), "{said}");
    let findings = dir.findings();
    assert!(findings.len() == 1 && findings[0].contains("has no witness"), "{findings:?}");
    let ledger = dir.open_as(&Opening::default().restored(true)).unwrap();
    assert!(matches!(ledger.accepted(), Accepted::Restored { missing: None, .. }), "{:?}", ledger.accepted());
    assert_eq!(count(&ledger), 2);
    drop(ledger);
    let error = dir.open_as(&Opening::default().restored(true)).unwrap_err();
    assert!(matches!(error, LedgerError::NotRestored { .. }), "{error}");
    assert_eq!(count(&dir.ledger()), 2);

    // After a crash, too; and a copy is checked by itself.
    let dir = crashed(2);
    fs::remove_file(dir.file("ledger.db.witness")).unwrap();
    refused(&dir, |error| matches!(error, LedgerError::WitnessLost { .. }));
    let elsewhere = LedgerDir::new();
    fs::write(elsewhere.file("copy.db"), &backup).unwrap();
    let verified = elsewhere.verify_copy("copy.db");
    assert!(verified.findings.is_empty() && verified.entries == 2, "{:?}", verified.findings);
}

#[test]
fn a_ledger_that_was_made_but_never_opened_needs_no_witness() {
    let dir = closed(0);
    // As it is if the process ends before the witness is made.
    let connection = rusqlite::Connection::open(dir.file("ledger.db")).unwrap();
    connection.execute_batch("UPDATE ledger SET stamp = 0; UPDATE lists SET stamp = 0").unwrap();
    drop(connection);
    fs::remove_file(dir.file("ledger.db.witness")).unwrap();
    assert_eq!(count(&dir.ledger()), 0);
    assert!(dir.file("ledger.db.witness").exists());
}

#[test]
fn a_witness_that_is_removed_replaced_or_emptied_while_it_is_open_is_created_again() {
    for how in ["removed", "replaced", "emptied"] {
        let dir = closed(1);
        let witness = dir.file("ledger.db.witness");
        let older = fs::read(&witness).unwrap();
        let ledger = dir.ledger();
        let list = list(&ledger);
        one(&list, block(2, Directions::BOTH));
        match how {
            "removed" => fs::remove_file(&witness).unwrap(),
            "replaced" => {
                fs::write(dir.file("older"), &older).unwrap();
                fs::rename(dir.file("older"), &witness).unwrap();
            }
            _ => fs::write(&witness, "").unwrap(),
        }
        until("noticed", || matches!(ledger.trouble(), Some(LedgerError::WitnessReplaced { .. })));
        until("created again", || fs::read(&witness).is_ok_and(|found| found.len() == older.len()));
        // Nothing else is amiss.
        one(&list, block(3, Directions::BOTH));
        let backup = fs::read(dir.file("ledger.db")).unwrap();
        drop((list, ledger));
        assert_eq!(count(&dir.ledger()), 3, "{how}");
        fs::write(dir.file("ledger.db"), backup).unwrap();
        refused(&dir, |error| matches!(error, LedgerError::Stale { .. }));
    }
}

#[test]
fn a_file_that_is_removed_or_replaced_while_it_is_open_is_written_no_more() {
    for (name, replaces) in
        [("ledger.db", false), ("ledger.db", true), ("ledger.db-wal", false), ("ledger.db-wal", true)]
    {
        let dir = LedgerDir::new();
        let ledger = dir.ledger();
        let list = list(&ledger);
        one(&list, block(1, Directions::BOTH));
        assert!(ledger.trouble().is_none());
        let put_aside = dir.file("aside");
        fs::rename(dir.file(name), &put_aside).unwrap();
        if replaces {
            fs::copy(&put_aside, dir.file(name)).unwrap();
        }
        // The next write finds it, before it is acknowledged.
        let error = list.write(vec![block(2, Directions::BOTH)]).unwrap_err();
        assert!(matches!(error, LedgerError::Replaced { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        let error = ledger.ensure_tenant(&"other".parse().unwrap()).unwrap_err();
        assert!(matches!(error, LedgerError::Replaced { .. }), "{error}");
        assert!(matches!(ledger.trouble(), Some(LedgerError::Replaced { .. })));
        let there = replaces.then(|| fs::read(dir.file(name)).unwrap());
        drop((list, ledger));
        if let Some(there) = there {
            assert!(fs::read(dir.file(name)).unwrap() == there, "what is there now is left alone");
            fs::remove_file(dir.file(name)).unwrap();
        }
        // Once it is back, nothing that was acknowledged is missing. What was refused first may be there, too.
        fs::rename(&put_aside, dir.file(name)).unwrap();
        assert!([1, 2].contains(&count(&dir.ledger())), "{name}");
    }
}

#[test]
fn a_file_that_is_cut_off_or_overwritten_while_it_is_open_is_written_no_more() {
    for how in ["emptied", "halved", "an older copy", "another ledger"] {
        let dir = closed(3);
        let older = fs::read(dir.file("ledger.db")).unwrap();
        let ledger = dir.ledger();
        let list = list(&ledger);
        one(&list, block(4, Directions::BOTH));
        let file = fs::OpenOptions::new().write(true).open(dir.file("ledger.db")).unwrap();
        match how {
            "emptied" => file.set_len(0).unwrap(),
            "halved" => file.set_len(older.len() as u64 / 2).unwrap(),
            "an older copy" => fs::write(dir.file("ledger.db"), &older).unwrap(),
            _ => fs::write(dir.file("ledger.db"), fs::read(closed(4).file("ledger.db")).unwrap()).unwrap(),
        }
        let error = list.write(vec![block(5, Directions::BOTH)]).unwrap_err();
        assert!(matches!(error, LedgerError::Replaced { loss: Loss::Overwritten, .. }), "{how}: {error}");
        drop((list, ledger));
        // A start does not take what is left for the ledger.
        assert!(dir.open_as(&Opening::default()).is_err(), "{how}");
    }
}

/// Damages the log of an open ledger as an operator or a broken backup job may.
fn damage_log(dir: &LedgerDir, how: &str, earlier: &[u8]) {
    let path = dir.file("ledger.db-wal");
    let whole = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let middle = whole.len() / 8192 * 4096;
    match how {
        "emptied" => file.set_len(0).unwrap(),
        "halved" => file.set_len(middle as u64).unwrap(),
        "its last frame cut off" => file.set_len(whole.len() as u64 - 4120).unwrap(),
        "its last byte cut off" => file.set_len(whole.len() as u64 - 1).unwrap(),
        "zeros in its middle" => file.write_all_at(&[0; 2000], middle as u64).unwrap(),
        "a bit of its middle" => file.write_all_at(&[whole[middle] ^ 1], middle as u64).unwrap(),
        "zeros over its header" => file.write_all_at(&[0; 32], 0).unwrap(),
        "a checkpoint number in its header" => file.write_all_at(&[0xff; 4], 12).unwrap(),
        "zeros at its end" => file.write_all_at(&[0; 4120], whole.len() as u64 - 4120).unwrap(),
        "an older copy" => fs::write(&path, earlier).unwrap(),
        // What is behind it stays.
        "an older copy over its beginning" => file.write_all_at(earlier, 0).unwrap(),
        _ => unreachable!("{how}"),
    }
}

const DAMAGES: [&str; 11] = [
    "emptied",
    "halved",
    "its last frame cut off",
    "its last byte cut off",
    "zeros in its middle",
    "a bit of its middle",
    "zeros over its header",
    "a checkpoint number in its header",
    "zeros at its end",
    "an older copy",
    "an older copy over its beginning",
];

/// A ledger that is open with 9 people blocked, the first 3 of them in the file, and a copy of an earlier log of it.
fn with_log() -> (LedgerDir, Ledger, Vec<u8>) {
    let dir = closed(3);
    let ledger = dir.ledger();
    let list = list(&ledger);
    let earlier = fs::read(dir.file("ledger.db-wal")).unwrap();
    // The file has all of that log, so this one begins it anew.
    for value in 4..=9 {
        one(&list, block(value, Directions::BOTH));
    }
    drop(list);
    (dir, ledger, earlier)
}

/// Asserts that a start refuses what is left, and that what it takes if it is told to is whole.
#[track_caller]
fn starts_again_only_as_restored(dir: &LedgerDir, how: &str) {
    let error = dir.open_as(&Opening::default()).unwrap_err();
    assert!(matches!(error, LedgerError::Stale { .. } | LedgerError::WithoutLog { .. }), "{how}: {error}");
    let ledger = dir.open_as(&Opening::default().restored(true)).unwrap();
    assert!(count(&ledger) >= 3, "{how}");
    drop(ledger);
    assert_eq!(dir.findings(), [""; 0], "{how}");
}

#[test]
fn a_log_that_is_cut_off_or_overwritten_while_it_is_open_is_written_no_more() {
    for how in DAMAGES {
        let (dir, ledger, earlier) = with_log();
        let list = list(&ledger);
        damage_log(&dir, how, &earlier);
        for value in [10, 11] {
            let error = list.write(vec![block(value, Directions::BOTH)]).expect_err(how);
            assert!(matches!(error, LedgerError::Replaced { loss: Loss::Overwritten, .. }), "{how}: {error}");
            assert!(error.to_string().contains("ledger.db-wal"), "{how}: {error}");
        }
        assert!(matches!(ledger.trouble(), Some(LedgerError::Replaced { .. })), "{how}");
        drop((list, ledger));
        starts_again_only_as_restored(&dir, how);
    }
}

#[test]
fn a_damaged_log_is_not_moved_into_the_file_by_closing_it() {
    for how in DAMAGES {
        let (dir, ledger, earlier) = with_log();
        let before = fs::read(dir.file("ledger.db")).unwrap();
        damage_log(&dir, how, &earlier);
        drop(ledger);
        assert!(fs::read(dir.file("ledger.db")).unwrap() == before, "{how}");
        assert!(dir.file("ledger.db-wal.lost").exists(), "{how}: what is left of it is kept");
        starts_again_only_as_restored(&dir, how);
    }
}

#[test]
fn a_damaged_log_is_not_moved_into_the_file_by_forgetting_a_tenant() {
    for how in DAMAGES {
        let (dir, ledger, earlier) = with_log();
        let before = fs::read(dir.file("ledger.db")).unwrap();
        damage_log(&dir, how, &earlier);
        let error = ledger.forget_tenant(&"other".parse().unwrap()).unwrap_err();
        assert!(matches!(error, LedgerError::Replaced { .. }), "{how}: {error}");
        assert!(fs::read(dir.file("ledger.db")).unwrap() == before, "{how}");
    }
}

#[test]
fn a_damaged_log_is_noticed_while_nobody_writes() {
    for how in ["emptied", "zeros in its middle"] {
        let (dir, ledger, earlier) = with_log();
        damage_log(&dir, how, &earlier);
        until("noticed", || ledger.trouble().is_some());
    }
}

#[test]
fn a_log_that_other_programs_begin_anew_or_append_to_is_no_loss() {
    let dir = closed(3);
    let ledger = dir.ledger();
    let list = list(&ledger);
    let other = rusqlite::Connection::open(dir.file("ledger.db")).unwrap();
    for (value, mode) in (4..).zip(["PASSIVE", "FULL", "RESTART", "TRUNCATE", "TRUNCATE", "RESTART"]) {
        one(&list, block(value, Directions::BOTH));
        other.query_row(&format!("PRAGMA wal_checkpoint({mode})"), (), |_| Ok(())).unwrap();
        one(&list, block(value + 100, Directions::BOTH));
        other.execute_batch("UPDATE ledger SET is_open = 1").unwrap();
    }
    drop(other);
    one(&list, block(10, Directions::BOTH));
    assert!(ledger.trouble().is_none());
    drop((list, ledger));
    assert_eq!(count(&dir.ledger()), 16);
}

#[test]
fn what_sqlite_itself_writes_to_the_file_is_no_loss() {
    let dir = closed(3);
    let ledger = dir.ledger();
    let list = list(&ledger);
    one(&list, block(4, Directions::BOTH));
    // Another program moves the log into the file.
    let other = rusqlite::Connection::open(dir.file("ledger.db")).unwrap();
    other.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
    one(&list, block(5, Directions::BOTH));
    fs::File::open(dir.file("ledger.db")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    one(&list, block(6, Directions::BOTH));
    drop((list, ledger, other));
    assert_eq!(count(&dir.ledger()), 6);
}

#[test]
fn a_removed_file_is_noticed_while_nobody_writes() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    fs::remove_file(dir.file("ledger.db")).unwrap();
    until("noticed", || ledger.trouble().is_some());
}

#[test]
fn a_reader_does_not_open_the_file_that_replaced_the_ledger() {
    let dir = closed(2);
    let ledger = dir.ledger();
    let list = list(&ledger);
    fs::rename(dir.file("ledger.db"), dir.file("aside")).unwrap();
    fs::copy(closed(5).file("ledger.db"), dir.file("ledger.db")).unwrap();
    // Many at once, so that connections are opened.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| match list.members(None, crate::contract::fixture::limit(9)) {
                Ok(found) => assert_eq!(found.len(), 2),
                Err(error) => assert!(matches!(error, LedgerError::Replaced { .. }), "{error}"),
            });
        }
    });
}

#[test]
fn a_ledger_with_several_names_can_be_open_only_once() {
    let dir = closed(1);
    let elsewhere = LedgerDir::new();
    symlink(dir.file("ledger.db"), elsewhere.file("symbolic.db")).unwrap();
    fs::hard_link(dir.file("ledger.db"), elsewhere.file("hard.db")).unwrap();
    symlink(dir.file("."), elsewhere.file("folder")).unwrap();
    let ledger = dir.ledger();
    for name in ["symbolic.db", "hard.db", "folder/ledger.db", "folder/./ledger.db"] {
        let second = open(&elsewhere.file(name)).unwrap_err();
        assert!(matches!(second, LedgerError::InUse { .. }), "{name}: {second}");
    }
    one(&list(&ledger), block(2, Directions::BOTH));
    drop(ledger);
    assert_eq!(count(&open(&elsewhere.file("symbolic.db")).unwrap()), 2);
    assert!(dir.file("ledger.db.witness").exists() && !elsewhere.file("symbolic.db.witness").exists());
}

#[test]
fn a_link_that_leads_nowhere_is_no_new_ledger() {
    let dir = LedgerDir::new();
    symlink(Path::new("/nowhere/ledger.db"), dir.file("ledger.db")).unwrap();
    assert!(open(&dir.file("ledger.db")).is_err());
    assert!(!Path::new("/nowhere/ledger.db").exists());
}

#[test]
fn a_witness_that_can_not_be_written_leaves_the_ledger_as_it_was() {
    for crashes in [false, true] {
        let dir = if crashes { crashed(3) } else { closed(3) };
        let witness = fs::read(dir.file("ledger.db.witness")).unwrap();
        // Nothing can be written there, whoever tries.
        fs::create_dir(dir.file("ledger.db.witness.tmp")).unwrap();
        for _ in 0..2 {
            let error = dir.open_as(&Opening::default()).unwrap_err();
            assert!(matches!(error, LedgerError::Witness { .. }), "{error}");
            assert!(error.to_string().contains("free space"), "{error}");
        }
        assert_eq!(fs::read(dir.file("ledger.db.witness")).unwrap(), witness);
        fs::remove_dir(dir.file("ledger.db.witness.tmp")).unwrap();
        assert_eq!(count(&dir.ledger()), 3);
    }
}

#[test]
fn a_new_ledger_whose_witness_can_not_be_written_is_removed_again() {
    let dir = LedgerDir::new();
    fs::create_dir(dir.file("ledger.db.witness.tmp")).unwrap();
    let error = dir.open_as(&Opening::default()).unwrap_err();
    assert!(matches!(error, LedgerError::Witness { .. }), "{error}");
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.witness"] {
        assert!(!dir.file(name).exists(), "{name}");
    }
    fs::remove_dir(dir.file("ledger.db.witness.tmp")).unwrap();
    assert_eq!(count(&dir.ledger()), 0);
}

/// Asserts that ledger and log are refused until the log is moved away, also if the ledger is said to be restored.
#[track_caller]
fn refused_with_its_log(dir: &LedgerDir, left: usize) {
    let restored = Opening::default().restored(true);
    let said = refused(dir, |error| matches!(error, LedgerError::ForeignLog { .. }));
    assert!(said.contains("ledger.db-shm away") && said.contains("--restored"), "{said}");
    let error = dir.open_as(&restored).unwrap_err();
    assert!(matches!(error, LedgerError::ForeignLog { .. }), "{error}");
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(dir.file(name));
    }
    assert_eq!(count(&dir.open_as(&restored).unwrap()), left);
}

#[test]
fn a_backup_is_not_merged_with_the_log_of_the_ledger_that_it_replaced() {
    // Of an earlier run.
    let running = closed(2);
    let backup = fs::read(running.file("ledger.db")).unwrap();
    one(&list(&running.ledger()), block(3, Directions::BOTH));
    let ledger = running.ledger();
    one(&list(&ledger), block(4, Directions::BOTH));
    let dir = LedgerDir::new();
    for name in ["ledger.db-wal", "ledger.db.witness"] {
        fs::copy(running.file(name), dir.file(name)).unwrap();
    }
    fs::write(dir.file("ledger.db"), &backup).unwrap();
    refused_with_its_log(&dir, 2);

    // Another ledger, with and without the witness.
    for has_witness in [true, false] {
        let (dir, other) = (crashed(3), closed(5));
        fs::copy(other.file("ledger.db"), dir.file("ledger.db")).unwrap();
        if !has_witness {
            fs::remove_file(dir.file("ledger.db.witness")).unwrap();
            refused(&dir, |error| matches!(error, LedgerError::ForeignLog { .. }));
            continue;
        }
        refused_with_its_log(&dir, 5);
    }
}

#[test]
fn a_backup_of_the_same_run_is_not_merged_with_a_log_that_began_later() {
    let running = LedgerDir::new();
    let ledger = running.ledger();
    let list = list(&ledger);
    one(&list, block(1, Directions::BOTH));
    let other = rusqlite::Connection::open(running.file("ledger.db")).unwrap();
    let checkpoint = || {
        let pages: i64 = other.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get(1)).unwrap();
        assert!(pages > 0);
    };
    checkpoint();
    let backup = fs::read(running.file("ledger.db")).unwrap();
    // The log begins anew with the next commit, and the file has the ones before.
    one(&list, block(2, Directions::BOTH));
    checkpoint();
    one(&list, block(3, Directions::BOTH));
    let dir = LedgerDir::new();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db.witness"] {
        fs::copy(running.file(name), dir.file(name)).unwrap();
    }
    assert_eq!(count(&open(&dir.file("ledger.db")).unwrap()), 3, "they belong together");
    for name in ["ledger.db-wal", "ledger.db.witness"] {
        fs::copy(running.file(name), dir.file(name)).unwrap();
    }
    fs::write(dir.file("ledger.db"), &backup).unwrap();
    refused_with_its_log(&dir, 1);
}

#[test]
fn a_ledger_tells_what_was_accepted_of_it() {
    let dir = closed(2);
    let backup = fs::read(dir.file("ledger.db")).unwrap();
    assert_eq!(dir.ledger().accepted(), &Accepted::Nothing);
    one(&list(&dir.ledger()), block(3, Directions::BOTH));
    fs::write(dir.file("ledger.db"), &backup).unwrap();
    let ledger = dir.open_as(&Opening::default().restored(true)).unwrap();
    assert!(
        matches!(ledger.accepted(), Accepted::Restored { missing: Some(5), .. }),
        "{:?}",
        ledger.accepted()
    );
    drop(ledger);
    // Something else knows that it is older.
    let behind = Opening::default().is_behind(true).restored(true);
    assert!(matches!(dir.open_as(&behind).unwrap().accepted(), Accepted::Restored { missing: None, .. }));

    let expected = Opening::default().expected("somebody");
    let error = LedgerDir::new().open_as(&expected).unwrap_err();
    assert!(error.to_string().contains("somebody says that there was one"), "{error}");
    let dir = LedgerDir::new();
    assert_eq!(dir.ledger().accepted(), &Accepted::New { despite: None });
    let ledger = LedgerDir::new().open_as(&expected.new_ledger(true)).unwrap();
    assert_eq!(ledger.accepted(), &Accepted::New { despite: Some("somebody".into()) });
}

#[test]
fn a_restored_file_is_kept_to_its_owner() {
    let dir = crashed(1);
    for name in ["ledger.db", "ledger.db-wal"] {
        fs::set_permissions(dir.file(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let _ledger = open(&dir.file("ledger.db")).unwrap();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let mode = fs::metadata(dir.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
