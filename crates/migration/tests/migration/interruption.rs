//! Moves that are interrupted: the source is as it was, the target is no ledger, and the same move starts over.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use portcullis_ledger::{LedgerError, Opening};
use portcullis_migration::{MigrationError, Stage, survey};

use crate::arrival::{all, new_ledger};
use crate::cluster::Cluster;
use crate::ledger_dir::{Folder, Kind, WAYS, master, move_telling, open, place, reopen, try_to_move};

const FROM: &str = "PORTCULLIS_TEST_FROM";
const TO: &str = "PORTCULLIS_TEST_TO";
const STAGE: &str = "PORTCULLIS_TEST_STAGE";

/// Not a test by itself: the next test starts and kills it. Moves a ledger, and stops in the middle of a stage.
#[test]
#[ignore = "run by a_move_that_is_killed_leaves_the_source_as_it_was in a process of its own"]
fn moves_until_killed() {
    let Ok(from) = std::env::var(FROM) else { return };
    let (to, stage) = (std::env::var(TO).unwrap(), std::env::var(STAGE).unwrap());
    let mut progress = |progress: portcullis_migration::Progress| {
        let is_there = format!("{:?}", progress.stage) == stage;
        if is_there && (progress.stage == Stage::Completing || progress.rows * 2 > progress.total) {
            writeln!(std::io::stdout().lock(), "reached").unwrap();
            loop {
                thread::park();
            }
        }
    };
    move_telling(&from, &to, &mut progress).unwrap();
}

fn kill_in(stage: &str, from: &str, to: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "interruption::moves_until_killed", "--include-ignored", "--nocapture"])
        .envs([(FROM, from), (TO, to), (STAGE, stage)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("reached")), "{stage}");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn is_unfinished(url: &str) {
    for opening in
        [Opening::default(), Opening::default().new_ledger(true), Opening::default().restored(true)]
    {
        let error = open(url, &opening).unwrap_err();
        assert!(matches!(error, LedgerError::Unfinished { .. }), "{error}");
    }
}

#[test]
fn a_move_that_is_killed_leaves_the_source_as_it_was() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        let before = new_ledger(&here);
        for stage in ["Copying", "Comparing", "Completing"] {
            kill_in(stage, &here, &there);
            is_unfinished(&there);
            assert_eq!(all(&reopen(&here).unwrap()), before, "{from:?} to {to:?}, {stage}");
        }
        try_to_move(&here, &there).unwrap();
        assert_eq!(all(&reopen(&there).unwrap()), before, "{from:?} to {to:?}");
        let error = reopen(&here).unwrap_err();
        assert!(matches!(error, LedgerError::Left { .. }), "{error}");
    }
}

#[test]
fn a_move_whose_very_end_fails_starts_over() {
    for from in [Kind::File, Kind::Database] {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(Kind::File));
        let before = new_ledger(&here);
        // Nothing can be put in its place.
        let witness = format!("{}.witness", there.strip_prefix("sqlite://").unwrap());
        std::fs::create_dir_all(format!("{witness}/occupied")).unwrap();
        let error = try_to_move(&here, &there).unwrap_err();
        assert!(matches!(error, MigrationError::Finish(_)), "{error}");
        is_unfinished(&there);
        let error = reopen(&here).unwrap_err();
        assert!(matches!(error, LedgerError::Left { .. }), "{error}");
        let error = survey(&place(&here), &place(&there), &master()).unwrap_err();
        assert!(matches!(error, MigrationError::Interrupted), "{error}");
        // What was left for a ledger that never was can't be moved to anywhere else.
        let error = try_to_move(&here, &folder.place(Kind::Database)).unwrap_err();
        assert!(matches!(error, MigrationError::Source(LedgerError::Left { .. })), "{error}");
        std::fs::remove_dir_all(&witness).unwrap();
        try_to_move(&here, &there).unwrap();
        assert_eq!(all(&reopen(&there).unwrap()), before);
    }
}

#[test]
fn a_database_that_is_lost_interrupts_a_move_in_either_direction() {
    for is_target in [true, false] {
        let folder = Folder::new();
        let server = Cluster::new();
        let (file, database) = (folder.place(Kind::File), server.database());
        let (here, there) = if is_target { (file, database) } else { (database, file) };
        let before = new_ledger(&here);
        for stage in [Stage::Copying, Stage::Comparing, Stage::Completing] {
            let mut is_killed = false;
            let error = move_telling(&here, &there, &mut |progress| {
                if progress.stage == stage && !is_killed {
                    is_killed = true;
                    server.kill();
                }
            });
            let error = error.unwrap_err();
            assert!(is_killed, "{error}");
            match error {
                MigrationError::Target(_) => assert!(is_target),
                MigrationError::Source(_) => assert!(!is_target),
                error => panic!("{error}"),
            }
            server.start_again();
            is_unfinished(&there);
            assert_eq!(all(&reopen(&here).unwrap()), before);
        }
        try_to_move(&here, &there).unwrap();
        assert_eq!(all(&reopen(&there).unwrap()), before);
    }
}

#[test]
fn rows_that_changed_on_the_way_are_noticed() {
    let folder = Folder::new();
    let (here, there) = (folder.place(Kind::File), folder.place(Kind::File));
    let before = new_ledger(&here);
    let file = there.strip_prefix("sqlite://").unwrap();
    let mut is_changed = false;
    let error = move_telling(&here, &there, &mut |progress| {
        if progress.stage == Stage::Copying && progress.rows == progress.total && !is_changed {
            is_changed = true;
            let other = rusqlite::Connection::open(file).unwrap();
            other.execute("UPDATE records SET at = at + 1 WHERE list = 3 AND sequence = 2", ()).unwrap();
        }
    });
    let error = error.unwrap_err();
    assert!(matches!(error, MigrationError::Differs { .. }), "{error}");
    assert!(error.to_string().contains("the records did not arrive"), "{error}");
    assert_eq!(all(&reopen(&here).unwrap()), before);
}
