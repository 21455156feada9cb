//! Backups of ledgers that are open and written to, and what is restored of them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portcullis_backup::{
    Allowed, Backup, BackupError, Database, Places, Request, Restored, Stage, Storage, Taken, restore, take,
};
use portcullis_ledger::{Ledger, MasterKey, Opening, StorageUrl};
use tempfile::TempDir;

const CONFIGURATION: &[u8] = b"[server]\n";

fn key() -> MasterKey {
    MasterKey::from_bytes([1; 32])
}

fn url(folder: &Path) -> StorageUrl {
    StorageUrl::Sqlite(folder.join("ledger.db"))
}

fn places(folder: &Path) -> Places {
    Places { storage: Storage::File(folder.join("ledger.db")), plugins: Some(folder.join("plugins")) }
}

fn taken(folder: &Path, name: &str, with_states: bool) -> Result<Taken, BackupError> {
    let (target, places, key) = (folder.join(name), places(folder), key());
    let request = Request {
        target: &target,
        places: &places,
        key: &key,
        key_origin: "a test".to_owned(),
        key_text: None,
        with_states,
        configuration: Path::new("portcullis.toml"),
        configuration_text: CONFIGURATION,
    };
    take(request, &mut |_: Stage, _, _| {})
}

fn restored(from: &Path, to: &Path) -> Result<Restored, BackupError> {
    let backup = Backup::open(from)?;
    restore(&backup, &places(to), key(), CONFIGURATION, Allowed::default(), &mut |_: Stage, _, _| {})
}

/// Names of tenants that are created one after the other, each durably.
fn tenant(number: u32) -> portcullis_ledger::TenantId {
    format!("tenant-{number}").parse().unwrap()
}

#[test]
fn a_copy_under_writes_has_all_commits_up_to_one_and_none_after_it() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ledger = Ledger::open(&url(folder.path()), key()).unwrap();
    let stop = AtomicBool::new(false);
    let (taken, before) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                ledger.ensure_tenant(&tenant(number)).unwrap();
                number += 1;
            }
            number
        });
        let (mut before, mut taken) = (0, None);
        while before == 0 {
            before = u32::try_from(ledger.tenants().unwrap().len()).unwrap();
            taken = Some(self::taken(folder.path(), &format!("backup-{before}"), false));
        }
        stop.store(true, Ordering::SeqCst);
        assert!(writer.join().unwrap() >= before);
        (taken.unwrap().unwrap(), before)
    });
    assert!(taken.findings.is_empty());
    let Database::Sqlite(of) = &taken.manifest.database else { panic!("a file") };
    let has = u32::try_from(of.tenants).unwrap();
    assert!(has >= before, "{has} of {before}");
    drop(ledger);

    restored(&folder.path().join(format!("backup-{before}")), other.path()).unwrap();
    // As the next start would, with no option.
    let ledger = Ledger::open_as(&url(other.path()), key(), &Opening::default()).unwrap();
    let mut expected: Vec<_> = (0..has).map(tenant).collect();
    expected.sort();
    let mut found = ledger.tenants().unwrap();
    found.sort();
    assert_eq!(found, expected);
    assert_ne!(ledger.server(), Ledger::open(&url(folder.path()), key()).unwrap().server());
}

#[test]
fn states_counts_and_plugins_come_along_and_what_was_there_is_kept() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let put = |folder: &Path, file: &str, content: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    drop(Ledger::open(&url(folder.path()), key()).unwrap());
    for file in [
        "ledger.db.states/tenant-a/list.state",
        "ledger.db.states/tenant-a/list.tmp",
        "ledger.db.meters/tenant-a.meters",
        "plugins/mine.wasm",
        "plugins/.versions/mine@00.wasm",
        "plugins/notes.txt",
    ] {
        put(folder.path(), file, "of the backup");
    }
    let taken = taken(folder.path(), "backup", true).unwrap();
    let files: Vec<&str> = taken.manifest.files.iter().map(|file| file.path.as_str()).collect();
    let expected = [
        "ledger.db",
        "meters/tenant-a.meters",
        "plugins/.versions/mine@00.wasm",
        "plugins/mine.wasm",
        "states/tenant-a/list.state",
    ];
    assert_eq!(files, expected);

    put(other.path(), "ledger.db.meters/tenant-b.meters", "before");
    put(other.path(), "plugins/mine.wasm", "before");
    let done = restored(&folder.path().join("backup"), other.path()).unwrap();
    assert_eq!((done.plugins, done.kept_plugins, done.is_configured_otherwise), (1, 1, false));
    let read = |file: &str| fs::read_to_string(other.path().join(file)).unwrap();
    assert_eq!(read("plugins/mine.wasm"), "before");
    assert_eq!(read("ledger.db.states/tenant-a/list.state"), "of the backup");
    assert_eq!(read("ledger.db.meters/tenant-a.meters"), "of the backup");
    assert!(!other.path().join("ledger.db.meters/tenant-b.meters").exists());
    let [kept] = &done.replaced[..] else { panic!("{:?}", done.replaced) };
    assert_eq!(fs::read_to_string(kept.join("tenant-b.meters")).unwrap(), "before");
}

#[test]
fn a_ledger_that_is_open_is_not_replaced() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::open(&url(folder.path()), key()).unwrap();
    taken(folder.path(), "backup", false).unwrap();
    let refused = restored(&folder.path().join("backup"), folder.path());
    assert!(matches!(refused, Err(BackupError::InUse { .. })), "{refused:?}");
    drop(ledger);
    // Closing it was a commit.
    let refused = restored(&folder.path().join("backup"), folder.path());
    assert!(matches!(refused, Err(BackupError::Newer { commits: 1, .. })), "{refused:?}");
}
