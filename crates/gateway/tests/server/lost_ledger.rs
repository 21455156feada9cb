//! A ledger that was lost, replaced or damaged is not taken for one in which nobody is blocked.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::support::{ADMIN, Gateway, SERVER, TENANTS, refused_start, refused_start_with};

const BLOCKED: &str = "+46732001122";
const FREE: &str = "+46732002244";

fn config() -> String {
    format!("{SERVER}{TENANTS}")
}

/// A gateway that was stopped, with somebody blocked.
fn stopped() -> Gateway {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    gateway.stop();
    gateway
}

fn ready(gateway: &Gateway) -> (u16, Value) {
    let answer = gateway.call("GET", "/readyz", "", None);
    (answer.status, answer.json)
}

fn verify(folder: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["verify", "--config", "portcullis.toml"])
        .args(options)
        .current_dir(folder)
        .env_remove("PORTCULLIS_MASTER_KEY")
        .output()
        .unwrap()
}

#[test]
fn a_lost_ledger_is_refused_until_a_new_one_is_asked_for() {
    for empties in [false, true] {
        let mut gateway = stopped();
        let file = gateway.folder().join("portcullis.db");
        match empties {
            true => fs::write(&file, "").unwrap(),
            false => fs::remove_file(&file).unwrap(),
        }
        let said = refused_start(gateway.folder(), &config());
        assert!(said.contains("portcullis.db") && said.contains("--new-ledger"), "{said}");
        // The key alone says so, too.
        fs::remove_file(gateway.folder().join("portcullis.db.witness")).unwrap();
        let said = refused_start(gateway.folder(), &config());
        assert!(said.contains("portcullis.key says that there was one"), "{said}");
        gateway.run_again_with(&["--new-ledger"]);
        gateway.until_logged("a new, empty ledger was created");
        assert_eq!(gateway.verdict(BLOCKED), "allow");
        gateway.block(FREE);
        gateway.stop();
        let said = refused_start_with(gateway.folder(), &config(), &["--new-ledger"]);
        assert!(said.contains("already"), "{said}");
        gateway.run_again_with(&[]);
        assert_eq!(gateway.verdict(FREE), "block");
    }
}

#[test]
fn a_copy_made_while_it_ran_is_refused_until_it_is_said_to_be_a_backup() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    // The block stands in the log.
    fs::copy(gateway.folder().join("portcullis.db"), gateway.folder().join("copy.db")).unwrap();
    gateway.stop();
    fs::copy(gateway.folder().join("copy.db"), gateway.folder().join("portcullis.db")).unwrap();
    let said = refused_start(gateway.folder(), &config());
    assert!(said.contains("older copy") && said.contains("--restored"), "{said}");
    gateway.run_again_with(&["--restored"]);
    gateway.until_logged("accepted as restored");
    gateway.until_logged("missing_commits");
    assert_eq!(gateway.verdict(BLOCKED), "allow", "what the operator accepted");
    gateway.stop();
    let said = refused_start_with(gateway.folder(), &config(), &["--restored"]);
    assert!(said.contains("without --restored"), "{said}");
}

#[test]
fn a_backup_without_its_witness_is_refused_until_it_is_said_to_be_one() {
    let mut gateway = stopped();
    let file = gateway.folder().join("portcullis.db");
    // As the page on operating says: the gateway is stopped before the file is copied.
    let backup = fs::read(&file).unwrap();
    gateway.run_again_with(&[]);
    gateway.block(FREE);
    gateway.stop();
    // A new disk, with the ledger and the key.
    fs::write(&file, backup).unwrap();
    fs::remove_file(gateway.folder().join("portcullis.db.witness")).unwrap();
    let _ = fs::remove_dir_all(gateway.folder().join("portcullis.db.states"));
    let said = refused_start(gateway.folder(), &config());
    assert!(said.contains("portcullis.db.witness") && said.contains("--restored"), "{said}");
    let checked = verify(gateway.folder(), &[]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("has no witness"), "{checked:?}");
    gateway.run_again_with(&["--restored"]);
    gateway.until_logged("accepted as restored");
    gateway.until_logged("it has no witness");
    assert_eq!((gateway.verdict(BLOCKED), gateway.verdict(FREE)), ("block".into(), "allow".into()));
    gateway.stop();
    gateway.run_again_with(&[]);
}

#[test]
fn a_witness_that_is_removed_while_the_gateway_runs_is_said_and_created_again() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    let witness = gateway.folder().join("portcullis.db.witness");
    fs::remove_file(&witness).unwrap();
    gateway.until("it is degraded", |gateway| ready(gateway).1["degraded"]["ledger"] == "unwitnessed");
    gateway.until("it is there again", |_| witness.exists());
    gateway.until("the log says so", |gateway| gateway.logged("was removed, replaced or overwritten"));
    gateway.block(FREE);
    gateway.until("it is well again", |gateway| ready(gateway).1["status"] == "ready");
    gateway.stop();
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(FREE), "block");
}

#[test]
fn a_key_that_is_removed_or_altered_while_the_gateway_runs_is_said_until_it_is_put_back() {
    let mut gateway = Gateway::start();
    let key = gateway.folder().join("portcullis.key");
    let digits = fs::read_to_string(&key).unwrap();
    let is_lost = |gateway: &Gateway| {
        let (code, body) = ready(gateway);
        code == 200 && body["status"] == "degraded" && body["degraded"]["master_key"] == "lost"
    };
    let is_ready = |gateway: &Gateway| ready(gateway) == (200, json!({ "status": "ready" }));
    fs::remove_file(&key).unwrap();
    gateway.until("it is degraded", is_lost);
    let metrics = gateway.call("GET", "/metrics", ADMIN, None).text;
    assert!(metrics.contains("portcullis_master_key_ok 0"), "{metrics}");
    gateway.until("the log says how", |gateway| gateway.logged("THE MASTER KEY IS LOST"));
    let log = gateway.log();
    let command = log.lines().find_map(|line| line.split_once("rescue=\"")?.1.split('"').next()).unwrap();
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    assert_eq!(fs::read_to_string(&key).unwrap(), digits);
    gateway.until("it is well again", is_ready);
    let metrics = gateway.call("GET", "/metrics", ADMIN, None).text;
    assert!(metrics.contains("portcullis_master_key_ok 1"), "{metrics}");

    for altered in [String::new(), "5f".repeat(32)] {
        fs::write(&key, altered).unwrap();
        gateway.until("it is degraded", is_lost);
        // Blocks are taken all the same.
        gateway.block(BLOCKED);
        fs::write(&key, &digits).unwrap();
        gateway.until("it is well again", is_ready);
    }
    assert!(!gateway.log().contains(digits.trim()));
    gateway.restart();
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn a_start_that_can_not_write_the_witness_changes_nothing() {
    let mut gateway = stopped();
    // Nothing can be written there, whoever tries.
    let in_the_way = gateway.folder().join("portcullis.db.witness.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let said = refused_start(gateway.folder(), &config());
    assert!(said.contains("portcullis.db.witness can't be") && said.contains("free space"), "{said}");
    fs::remove_dir(in_the_way).unwrap();
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn a_key_in_the_environment_says_that_there_was_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), config()).unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--config", "portcullis.toml"])
        .current_dir(folder.path())
        .env("PORTCULLIS_MASTER_KEY", "5f".repeat(32))
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("PORTCULLIS_MASTER_KEY says that there was one"), "{said}");
    assert!(
        said.contains("the first start with a key of your own") && said.contains("--new-ledger"),
        "{said}"
    );
    assert!(!folder.path().join("portcullis.db").exists());
}

#[test]
fn a_backup_is_not_merged_with_the_log_of_the_ledger_before() {
    let mut gateway = stopped();
    let (file, backup) = (gateway.folder().join("portcullis.db"), gateway.folder().join("backup.db"));
    fs::copy(&file, &backup).unwrap();
    for number in [FREE, "+46732003366"] {
        gateway.run_again_with(&[]);
        gateway.block(number);
        match number {
            FREE => gateway.stop(),
            _ => gateway.kill(),
        }
    }
    fs::copy(&backup, &file).unwrap();
    for options in [&[][..], &["--restored"]] {
        let said = refused_start_with(gateway.folder(), &config(), options);
        assert!(said.contains("does not belong to the ledger"), "{said}");
    }
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(gateway.folder().join(format!("portcullis.db{suffix}")));
    }
    gateway.run_again_with(&["--restored"]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
    assert_eq!(gateway.verdict(FREE), "allow");
}

#[test]
fn a_log_that_was_removed_after_a_crash_is_missed() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    gateway.kill();
    let log = gateway.folder().join("portcullis.db-wal");
    let aside = gateway.folder().join("aside");
    fs::rename(&log, &aside).unwrap();
    let said = refused_start(gateway.folder(), &config());
    assert!(said.contains("portcullis.db-wal"), "{said}");
    // A refusal changes nothing: with the log, everything is there.
    fs::rename(&aside, &log).unwrap();
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn a_ledger_that_is_removed_while_the_gateway_runs_is_written_no_more() {
    for replaces in [false, true] {
        let gateway = Gateway::start();
        gateway.block(BLOCKED);
        assert_eq!(ready(&gateway), (200, json!({ "status": "ready" })));
        let file = gateway.folder().join("portcullis.db");
        let aside = gateway.folder().join("aside.db");
        fs::rename(&file, &aside).unwrap();
        if replaces {
            fs::copy(&aside, &file).unwrap();
        }
        let refused = gateway.post("/senders/support/entries", json!({ "number": FREE }));
        assert!(refused.error(503, "unavailable").contains("removed, replaced or overwritten"));
        assert_eq!(refused.header("retry-after"), "60");
        assert_eq!(gateway.verdict(FREE), "allow");
        assert_eq!(gateway.verdict(BLOCKED), "block", "the plugin still answers");
        gateway.until("it is degraded", |gateway| ready(gateway).1["degraded"]["ledger"] == "lost");
        gateway.until("the log says so", |gateway| gateway.logged("THE LEDGER IS LOST"));
        let status = gateway.get("/senders/support/status");
        assert!(status.ok()["problem"].as_str().unwrap().contains("nothing can be written"));
    }
}

#[test]
fn a_ledger_that_is_removed_is_noticed_although_nobody_writes() {
    let gateway = Gateway::start();
    fs::remove_file(gateway.folder().join("portcullis.db")).unwrap();
    gateway.until("it is degraded", |gateway| ready(gateway).1["degraded"]["ledger"] == "lost");
    gateway.until("the log says so", |gateway| gateway.logged("THE LEDGER IS LOST"));
}

#[test]
fn a_removed_ledger_is_copied_back_from_the_running_gateway() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    for file in ["portcullis.db", "portcullis.db-wal"] {
        fs::remove_file(gateway.folder().join(file)).unwrap();
    }
    gateway.until("the log says how", |gateway| gateway.logged("rescue"));
    let log = gateway.log();
    let commands = log.lines().find_map(|line| line.split_once("rescue=\"")?.1.split('"').next()).unwrap();
    assert_eq!(commands.matches("cp /proc/").count(), 2, "{commands}");
    assert!(Command::new("sh").args(["-c", commands]).status().unwrap().success(), "{commands}");
    gateway.stop();
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn a_ledger_that_is_cut_off_is_reported() {
    let gateway = Gateway::start();
    gateway.block(BLOCKED);
    fs::write(gateway.folder().join("portcullis.db"), "").unwrap();
    gateway.until("it is degraded", |gateway| ready(gateway).1["degraded"]["ledger"] == "lost");
    let metrics = gateway.call("GET", "/metrics", ADMIN, None).text;
    assert!(metrics.contains("portcullis_ledger_ok 0"), "{metrics}");
    assert!(metrics.contains("portcullis_ledger_state{state=\"lost\"} 1"), "{metrics}");
}

#[test]
fn a_second_gateway_is_refused_whatever_name_the_ledger_has() {
    let gateway = Gateway::start();
    let file = gateway.folder().join("portcullis.db");
    let second = tempfile::tempdir().unwrap();
    fs::copy(gateway.folder().join("portcullis.key"), second.path().join("master.key")).unwrap();
    std::os::unix::fs::symlink(&file, second.path().join("symbolic.db")).unwrap();
    fs::hard_link(&file, second.path().join("hard.db")).unwrap();
    std::os::unix::fs::symlink(gateway.folder(), second.path().join("folder")).unwrap();
    for name in ["symbolic.db", "hard.db", "folder/portcullis.db"] {
        let storage = format!("url = \"sqlite://{name}\"\nmaster_key_file = \"master.key\"");
        let config = config().replace("url = \"sqlite://portcullis.db\"", &storage);
        let said = refused_start(second.path(), &config);
        assert!(said.contains("in use"), "{name}: {said}");
    }
}

/// Changes the ledger as damage does that leaves its structures valid: an outbound block is no longer one.
fn damage(folder: &Path) {
    let ledger = Connection::open(folder.join("portcullis.db")).unwrap();
    let sql = "UPDATE entries SET directions = 1
        WHERE list = (SELECT lists.id FROM lists JOIN tenants ON tenants.id = tenant WHERE name = 'acme' AND scope = 'support')";
    assert!(ledger.execute(sql, ()).unwrap() > 0);
}

#[test]
fn a_damaged_list_falls_back_to_its_policy_and_says_so() {
    let mut gateway = stopped();
    damage(gateway.folder());
    gateway.run_again_with(&[]);
    let (code, body) = ready(&gateway);
    assert_eq!((code, &body["status"]), (200, &json!("degraded")));
    let expected = json!({ "lists": 5, "lists_out": 1, "rules_out": 0, "user_ids_out": 0, "ledger": "ok", "master_key": "ok" });
    assert_eq!(body["degraded"], expected);
    // The policy of acme is to block everything.
    for number in [BLOCKED, FREE] {
        let answer =
            gateway.post("/senders/support/check", json!({ "number": number, "direction": "outbound" }));
        assert_eq!((&answer.ok()["verdict"], &answer.json["source"]), (&json!("block"), &json!("policy")));
    }
    assert_eq!(gateway.verdict_of("sales", BLOCKED, "outbound"), "allow", "other lists are served");
    let status = gateway.get("/senders/support/status");
    assert!(status.ok()["problem"].as_str().unwrap().contains("portcullis verify"), "{}", status.json);
    gateway.until_logged("the list is damaged in the ledger");
    // Opt-outs are taken all the same.
    gateway.block(FREE);
}

#[test]
fn a_degraded_gateway_is_not_ready_if_it_is_told_so() {
    let mut gateway = stopped();
    damage(gateway.folder());
    let config = config().replace("[server]", "[server]\nready_when_degraded = false");
    fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
    gateway.start_again();
    gateway.until("started", |gateway| ready(gateway).1["status"] == "degraded");
    assert_eq!(ready(&gateway).0, 503);
    // It answers all the same: who routes messages to it decides.
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn verify_tells_what_is_damaged_and_accepts_it_on_request() {
    let mut gateway = stopped();
    let clean = verify(gateway.folder(), &[]);
    let said = String::from_utf8_lossy(&clean.stderr).into_owned();
    assert_eq!(clean.status.code(), Some(0), "{said}");
    assert!(said.contains("2 tenants, 5 lists and 1 entry checked: nothing is damaged"), "{said}");
    damage(gateway.folder());
    for options in [&[][..], &["--accept"]] {
        let found = verify(gateway.folder(), options);
        let lines = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found.status.code(), Some(1), "{lines}");
        assert!(lines.starts_with("tenant acme, list support: entries in 1 of 64 parts"), "{lines}");
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }
    assert_eq!(verify(gateway.folder(), &[]).status.code(), Some(0));
    gateway.run_again_with(&[]);
    assert_eq!(ready(&gateway), (200, json!({ "status": "ready" })));
    let busy = verify(gateway.folder(), &[]);
    assert_eq!(busy.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("in use"));
}

#[test]
fn a_backup_is_verified_beside_the_running_gateway() {
    let gateway = Gateway::start();
    gateway.block(BLOCKED);
    let copy = gateway.folder().join("copy.db");
    let ledger = Connection::open(gateway.folder().join("portcullis.db")).unwrap();
    ledger.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    gateway.block(FREE);
    let before = fs::read(&copy).unwrap();
    let checked = verify(gateway.folder(), &["--backup", "copy.db"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(said.contains("1 entry checked: nothing is damaged; the backup is 1 commit behind"), "{said}");
    assert!(fs::read(&copy).unwrap() == before && !gateway.folder().join("copy.db-shm").exists());
    Connection::open(&copy).unwrap().execute("UPDATE entries SET directions = 1", ()).unwrap();
    let checked = verify(gateway.folder(), &["--backup", "copy.db"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(verify(gateway.folder(), &["--backup", "portcullis.db"]).status.code(), Some(2));
}

#[test]
fn a_write_while_another_program_holds_the_lock_is_to_be_repeated() {
    let gateway = Gateway::start();
    let holder = Connection::open(gateway.folder().join("portcullis.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = gateway.post("/senders/support/entries", json!({ "number": "+46732001122" }));
    assert!(refused.error(503, "unavailable").contains("lock"));
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    holder.execute_batch("ROLLBACK").unwrap();
    gateway.block("+46732001122").ok();
    assert_eq!(gateway.verdict("+46732001122"), "block");
}
