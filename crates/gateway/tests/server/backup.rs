//! `portcullis backup` and `portcullis restore`: the program, on the files of real gateways.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use jiff::Timestamp;
use portcullis_plugin_bundle::EXACT;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{ADMIN, Gateway, SERVER, TENANTS, refused_start};

const BLOCKED: &str = "+46732001122";
const LATER: &str = "+46732002244";

fn config() -> String {
    format!("{SERVER}{TENANTS}")
}

/// How a command ended, and what it printed and said.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }

    #[track_caller]
    fn ends(self, code: i32, says: &str) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.out.contains(says) || self.err.contains(says), "{says:?}: {}{}", self.out, self.err);
        self
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(folder).env_remove("PORTCULLIS_MASTER_KEY").stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a command in a folder, such as `backup` with the arguments.
fn portcullis(folder: &Path, arguments: &[&str]) -> Run {
    run(command(folder, arguments))
}

/// A folder with a configuration, and the master key of another one.
fn elsewhere(key: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("portcullis.toml"), config()).unwrap();
    let copy = folder.path().join("portcullis.key");
    fs::copy(key, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// All files in a folder, deep.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn contains(file: &Path, text: &str) -> bool {
    fs::read(file).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

fn number(index: u32) -> String {
    assert!(index < 1_000_000, "it takes too long");
    format!("+46732{index:06}")
}

#[test]
fn a_backup_under_writes_has_every_write_acknowledged_before_and_serves_elsewhere() {
    let gateway = Gateway::start();
    let (next, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let acknowledged: Mutex<Vec<(String, Timestamp)>> = Mutex::default();
    let count = || acknowledged.lock().unwrap().len();
    let (made, begun_after) = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let number = number(next.fetch_add(1, Ordering::SeqCst));
                    gateway.block(&number);
                    acknowledged.lock().unwrap().push((number, Timestamp::now()));
                }
            });
        }
        gateway.until("some are blocked", |_| count() >= 100);
        let made = portcullis(gateway.folder(), &["backup", "copy", "--json"]);
        let begun_after = next.load(Ordering::SeqCst);
        let before = count();
        gateway.until("more are blocked", |_| count() >= before + 20);
        stop.store(true, Ordering::SeqCst);
        (made.ends(0, ""), begun_after)
    });
    let manifest = made.json()["manifest"].clone();
    let complete_until: Timestamp = manifest["complete_until"].as_str().unwrap().parse().unwrap();
    let acknowledged = acknowledged.into_inner().unwrap();
    let before: Vec<&String> =
        acknowledged.iter().filter(|(_, at)| *at < complete_until).map(|(number, _)| number).collect();
    assert!(before.len() >= 100, "{}", before.len());

    let other = elsewhere(&gateway.folder().join("portcullis.key"));
    let copy = gateway.folder().join("copy");
    let copy = copy.to_str().unwrap();
    portcullis(other.path(), &["backup", "verify", copy]).ends(0, "nothing is damaged");
    portcullis(other.path(), &["restore", copy]).ends(0, "IS LOST");
    portcullis(other.path(), &["verify"]).ends(0, "nothing is damaged");
    // It is the ledger that was there: no option is needed.
    let mut restored = Gateway::in_folder(other, &config(), &[]);
    for number in before {
        assert_eq!(restored.verdict(number), "block");
    }
    let late = number(begun_after);
    assert_eq!(gateway.verdict(&late), "block", "so many were blocked");
    assert_eq!(restored.verdict(&late), "allow");
    let status = restored.get("/status").ok().clone();
    let support = status["senders"].as_array().unwrap().iter().find(|list| list["id"] == "support").unwrap();
    assert_eq!(support["count"], manifest["database"]["entries"]);
    restored.block(BLOCKED);
    restored.restart();
    assert_eq!(restored.verdict(BLOCKED), "block");
}

#[test]
fn a_gateway_that_was_stopped_or_killed_is_backed_up_with_what_stands_in_its_log() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    gateway.kill();
    portcullis(gateway.folder(), &["backup", "killed"]).ends(0, "1 entry");
    gateway.run_again_with(&[]);
    gateway.block(LATER);
    gateway.stop();
    portcullis(gateway.folder(), &["backup", "stopped"]).ends(0, "2 entries");
    // Nothing of the gateway's was changed.
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(LATER), "block");
    portcullis(gateway.folder(), &["backup", "stopped"]).ends(2, "exists already");
}

#[test]
fn nothing_is_replaced_under_a_gateway_or_in_place_of_something_newer_unless_told() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "backed up to copy");
    let refused = portcullis(gateway.folder(), &["restore", "copy", "--over-newer", "--over-another"]);
    refused.ends(2, "in use by a gateway");
    let lost = gateway.block(LATER);
    let position = lost.header("portcullis-position").to_owned();
    gateway.stop();
    let ledger = gateway.folder().join("portcullis.db");
    let before = fs::read(&ledger).unwrap();
    for options in [&["restore", "copy"][..], &["restore", "copy", "--over-another"]] {
        portcullis(gateway.folder(), options).ends(2, "--over-newer");
        assert_eq!(fs::read(&ledger).unwrap(), before);
    }
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(LATER), "block");
    gateway.stop();

    let restored = portcullis(gateway.folder(), &["restore", "copy", "--over-newer", "--json"]).ends(0, "");
    assert!(restored.json()["missing_commits"].as_u64().unwrap() > 0, "{}", restored.out);
    assert!(restored.err.contains("people who opted out since are not blocked"), "{}", restored.err);
    let kept = restored.json()["replaced"].as_array().unwrap().clone();
    let kept = |end: &str| kept.iter().any(|path| path.as_str().unwrap().contains(end));
    assert!(kept("portcullis.db.replaced-") && kept("portcullis.db.witness.replaced-"), "{}", restored.out);
    gateway.run_again_with(&[]);
    assert_eq!((gateway.verdict(BLOCKED), gateway.verdict(LATER)), ("block".into(), "allow".into()));
    // What a client was told of the ledger before is not believed, also when this one has as many changes.
    let one = json!({ "number": LATER, "direction": "inbound" });
    for _ in 0..2 {
        gateway.check_since("/senders/support/check", &position, one.clone()).error(409, "position_lost");
        gateway.block(LATER);
        gateway.block("+46732003366");
    }
    gateway.stop();
    // It is a line of its own from then on.
    portcullis(gateway.folder(), &["restore", "copy", "--over-newer"]).ends(2, "--over-another");
    portcullis(gateway.folder(), &["restore", "copy", "--over-another"]).ends(0, "IS LOST");
    gateway.run_again_with(&[]);
    assert_eq!((gateway.verdict(BLOCKED), gateway.verdict(LATER)), ("block".into(), "allow".into()));
}

#[test]
fn a_ledger_that_cannot_be_read_may_be_newer_and_one_that_is_gone_is_not() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "");
    gateway.stop();
    let ledger = gateway.folder().join("portcullis.db");
    fs::write(&ledger, vec![7; 10_000]).unwrap();
    portcullis(gateway.folder(), &["restore", "copy"]).ends(2, "so it may be newer");
    portcullis(gateway.folder(), &["restore", "copy", "--over-newer"]).ends(0, "");
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
    gateway.stop();
    fs::remove_file(&ledger).unwrap();
    portcullis(gateway.folder(), &["restore", "copy"]).ends(0, "IS LOST");
    gateway.run_again_with(&[]);
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn a_backup_that_is_torn_or_altered_is_not_restored() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    assert!(gateway.put_plugin("mine", EXACT.component).status < 300);
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "");
    gateway.stop();
    let folder = gateway.folder();
    let copy = folder.join("copy");
    let ledger = fs::read(folder.join("portcullis.db")).unwrap();
    let refused = |code: i32, says: &str| {
        portcullis(folder, &["backup", "verify", "copy"]).ends(code, says);
        portcullis(folder, &["restore", "copy", "--over-newer", "--over-another"]).ends(2, "");
        assert_eq!(fs::read(folder.join("portcullis.db")).unwrap(), ledger, "{says}");
        assert!(!folder.join("portcullis.db.restoring").exists());
    };
    for file in files(&copy) {
        let name = file.strip_prefix(&copy).unwrap().to_str().unwrap();
        let whole = fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        // The manifest may not even be one any more.
        let (code, says) = match name {
            "manifest.seal" => (1, "the manifest is not the one that was sealed"),
            "manifest.json" => (-1, ""),
            name => (1, name),
        };
        for content in [&flipped[..], &whole[..whole.len() / 2], b""] {
            fs::write(&file, content).unwrap();
            match code {
                -1 => assert_ne!(portcullis(folder, &["restore", "copy", "--over-newer"]).code, 0),
                code => refused(code, says),
            }
            if name != "manifest.json" && name != "manifest.seal" {
                let only = ["backup", "verify", "copy", "--files-only"];
                portcullis(folder, &only).ends(1, name);
            }
        }
        fs::remove_file(&file).unwrap();
        match name {
            "manifest.json" => refused(2, "was not finished"),
            _ => refused(1, says),
        }
        fs::write(&file, whole).unwrap();
    }
    // SQLite would apply it.
    fs::write(copy.join("ledger.db-wal"), "log").unwrap();
    refused(1, "ledger.db-wal is not of the backup");
    fs::remove_file(copy.join("ledger.db-wal")).unwrap();

    // Somebody who can compute digests, and has no key.
    let text = fs::read_to_string(copy.join("manifest.json")).unwrap();
    fs::write(copy.join("manifest.json"), text.replace("\"commit\": ", "\"commit\": 1")).unwrap();
    portcullis(folder, &["backup", "verify", "copy", "--files-only"]).ends(0, "as the manifest says");
    refused(1, "the manifest is not the one that was sealed");
    fs::write(copy.join("manifest.json"), text).unwrap();
    portcullis(folder, &["backup", "verify", "copy"]).ends(0, "nothing is damaged");
}

#[test]
fn a_backup_needs_its_master_key_which_is_not_in_it_unless_asked_for() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "nothing can be read without");
    portcullis(gateway.folder(), &["backup", "with-key", "--with-key"])
        .ends(0, "THE MASTER KEY IS IN THE BACKUP");
    gateway.stop();
    let key = gateway.folder().join("portcullis.key");
    let digits = fs::read_to_string(&key).unwrap();
    for file in files(&gateway.folder().join("copy")) {
        assert!(!contains(&file, digits.trim()), "{}", file.display());
        assert!(!contains(&file, &BLOCKED[1..]), "{}", file.display());
        assert!(!contains(&file, ADMIN), "{}", file.display());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{}", file.display());
    }

    let other = elsewhere(&key);
    let [copy, with_key] = ["copy", "with-key"].map(|name| gateway.folder().join(name));
    let [copy, with_key] = [&copy, &with_key].map(|path| path.to_str().unwrap());
    let there = other.path().join("portcullis.key");
    fs::write(&there, "0".repeat(64)).unwrap();
    for backup in [copy, with_key] {
        portcullis(other.path(), &["restore", backup]).ends(2, "provide the backup's key");
    }
    portcullis(other.path(), &["backup", "verify", copy]).ends(2, "provide the backup's key");
    fs::remove_file(&there).unwrap();
    portcullis(other.path(), &["restore", copy]).ends(2, "the backup needs the master key");
    assert!(!other.path().join("portcullis.db").exists());
    portcullis(other.path(), &["restore", with_key]).ends(0, "the master key was put into");
    assert_eq!(fs::read_to_string(&there).unwrap().trim(), digits.trim());
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o600);
    let restored = Gateway::in_folder(other, &config(), &[]);
    assert_eq!(restored.verdict(BLOCKED), "block");
}

#[test]
fn versions_of_plugins_that_tenants_are_pinned_to_are_restored_with_their_order() {
    let mut gateway = Gateway::start();
    assert!(gateway.put_plugin("mine", EXACT.component).status < 300);
    gateway.stop();
    let versions = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let plugins = folder.join("plugins");
        let wasm =
            files(&plugins).into_iter().filter(|file| file.extension().is_some_and(|end| end == "wasm"));
        wasm.map(|file| (file.strip_prefix(&plugins).unwrap().to_owned(), fs::read(&file).unwrap())).collect()
    };
    let before = versions(gateway.folder());
    assert!(before.iter().any(|(file, _)| file.starts_with(".versions")), "there are versions");
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "");
    let other = elsewhere(&gateway.folder().join("portcullis.key"));
    // A tenant names a plugin that only the backup has.
    let named = config().replacen("id = \"acme\"", "id = \"acme\"\nplugin = \"mine\"", 1);
    let named = named.replacen("dir = \"plugins\"", "dir = \"plugins\"\non_start_failure = \"refuse\"", 1);
    fs::write(other.path().join("portcullis.toml"), &named).unwrap();
    let copy = gateway.folder().join("copy");
    let said = portcullis(other.path(), &["restore", copy.to_str().unwrap()]);
    said.ends(0, "is another configuration than the one at the time of the backup");
    assert_eq!(versions(other.path()), before);
    for (file, _) in &before {
        let modified =
            |folder: &Path| fs::metadata(folder.join("plugins").join(file)).unwrap().modified().unwrap();
        assert_eq!(modified(other.path()), modified(gateway.folder()), "{}", file.display());
    }
    let restored = Gateway::in_folder(other, &named, &[]);
    assert_eq!(restored.plugin("acme")["serving"]["plugin"], "mine");
}

#[test]
fn a_full_disk_leaves_no_backup() {
    let gateway = Gateway::start();
    gateway.block(BLOCKED);
    // A limit of the length of files, which the ledger exceeds.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_portcullis")])
        .args(["backup", "copy"])
        .current_dir(gateway.folder())
        .env_remove("PORTCULLIS_MASTER_KEY");
    run(limited).ends(2, "no backup was made");
    assert!(!gateway.folder().join("copy").exists() && !gateway.folder().join("copy.partial").exists());
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "1 entry");
    gateway.block(LATER);
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_that_looks_whole() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    gateway.stop();
    // It takes long to copy, and no room until then.
    let plugins = gateway.folder().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    let long = plugins.join("long.wasm");
    fs::File::create(&long).unwrap().set_len(8 << 30).unwrap();
    let copied = gateway.folder().join("copy.partial/plugins/long.wasm");
    let mut taking = command(gateway.folder(), &["backup", "copy"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    gateway.until("it is copied", |_| fs::metadata(&copied).is_ok_and(|file| file.len() > 0));
    portcullis(gateway.folder(), &["backup", "copy"]).ends(2, "is being written by another backup");
    taking.kill().unwrap();
    taking.wait().unwrap();
    fs::remove_file(&long).unwrap();
    assert!(!gateway.folder().join("copy").exists() && gateway.folder().join("copy.partial").exists());
    for options in [&["backup", "verify", "copy.partial"][..], &["restore", "copy.partial", "--over-newer"]] {
        portcullis(gateway.folder(), options).ends(2, "was not finished");
    }
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "1 entry");
    assert!(!gateway.folder().join("copy.partial").exists());
    portcullis(gateway.folder(), &["backup", "verify", "copy"]).ends(0, "as recent as the ledger");
}

#[test]
fn a_restore_that_is_killed_in_the_middle_leaves_a_ledger_that_no_start_accepts() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    portcullis(gateway.folder(), &["backup", "copy"]).ends(0, "");
    gateway.block(LATER);
    gateway.stop();
    let folder = gateway.folder();
    let file = |name: &str| folder.join(name);
    // As it would be after each step: the witness is renamed, then the ledger, and then the copy takes its name.
    fs::rename(file("portcullis.db.witness"), file("witness")).unwrap();
    assert!(refused_start(folder, &config()).contains("--restored"));
    fs::rename(file("portcullis.db"), file("ledger")).unwrap();
    assert!(refused_start(folder, &config()).contains("--new-ledger"));
    fs::copy(file("copy/ledger.db"), file("portcullis.db")).unwrap();
    assert!(refused_start(folder, &config()).contains("--restored"));
    portcullis(folder, &["restore", "copy"]).ends(0, "IS LOST");
    gateway.run_again_with(&[]);
    assert_eq!((gateway.verdict(BLOCKED), gateway.verdict(LATER)), ("block".into(), "allow".into()));
}

#[test]
fn damage_of_the_ledger_is_said_when_it_is_backed_up_and_is_not_restored() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    gateway.stop();
    let ledger = rusqlite::Connection::open(gateway.folder().join("portcullis.db")).unwrap();
    ledger.execute("UPDATE entries SET directions = 0", ()).unwrap();
    ledger.close().unwrap();
    let taken = portcullis(gateway.folder(), &["backup", "copy"]).ends(1, "THE LEDGER IS DAMAGED");
    assert!(taken.out.contains("not as they were written"), "{}", taken.out);
    portcullis(gateway.folder(), &["backup", "verify", "copy"]).ends(1, "not as they were written");
    let restored = portcullis(gateway.folder(), &["restore", "copy", "--over-newer", "--over-another"]);
    restored.ends(2, "is damaged");
}

#[test]
fn a_backup_of_a_gateway_with_a_database_has_what_is_local_and_says_where_the_ledger_is() {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("portcullis.key");
    fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // Nothing answers there, and nothing is asked.
    let url = "postgres://portcullis:hunter2@127.0.0.1:1/lists?sslmode=disable";
    let file = folder.path().join("portcullis.toml");
    fs::write(&file, config().replace("sqlite://portcullis.db", url)).unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::write(folder.path().join("plugins/mine.wasm"), EXACT.component).unwrap();
    let taken = portcullis(folder.path(), &["backup", "copy"]).ends(0, "pg_dump");
    assert!(taken.err.contains("THE LEDGER IS NOT IN IT") && !taken.err.contains("hunter2"), "{}", taken.err);
    assert!(!taken.err.contains("acknowledged"), "{}", taken.err);
    for file in files(&folder.path().join("copy")) {
        assert!(!contains(&file, "hunter2"), "{}", file.display());
    }
    portcullis(folder.path(), &["backup", "verify", "copy"]).ends(0, "without the ledger");
    fs::remove_dir_all(folder.path().join("plugins")).unwrap();
    portcullis(folder.path(), &["restore", "copy"]).ends(0, "PostgreSQL's tools restore");
    assert!(folder.path().join("plugins/mine.wasm").exists());
    fs::write(&file, config()).unwrap();
    portcullis(folder.path(), &["restore", "copy"]).ends(2, "a PostgreSQL database");
}
