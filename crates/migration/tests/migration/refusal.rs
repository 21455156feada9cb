//! What is refused, and what is left for good.

use portcullis_ledger::{Ledger, LedgerError, Opening};
use portcullis_migration::{MigrationError, migrate, take_back};
use portcullis_msisdn::Directions;

use crate::arrival::{all, new_ledger};
use crate::cluster::{cluster, name_of};
use crate::contract::fixture::{block, list, one};
use crate::ledger_dir::{Folder, Kind, WAYS, master, open, place, reopen, try_to_move};

fn file(url: &str) -> &str {
    url.strip_prefix("sqlite://").unwrap()
}

#[test]
fn a_target_that_is_not_empty_is_refused() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        let before = (new_ledger(&here), new_ledger(&there));
        for to in [&there, &here] {
            let error = try_to_move(&here, to).unwrap_err();
            assert!(matches!(error, MigrationError::Target(LedgerError::NotEmpty { .. })), "{error:?}");
        }
        assert_eq!((all(&reopen(&here).unwrap()), all(&reopen(&there).unwrap())), before);
    }
}

#[test]
fn what_is_left_of_a_ledger_is_not_overwritten() {
    let folder = Folder::new();
    let (here, there) = (folder.place(Kind::File), folder.place(Kind::File));
    new_ledger(&here);
    std::fs::write(format!("{}-wal", file(&there)), "all that is left").unwrap();
    let error = try_to_move(&here, &there).unwrap_err();
    assert!(matches!(error, MigrationError::Target(LedgerError::NotEmpty { .. })), "{error:?}");
    std::fs::remove_file(format!("{}-wal", file(&there))).unwrap();
    // A witness alone is nothing that could be lost.
    std::fs::write(format!("{}.witness", file(&there)), "of a ledger that was moved away").unwrap();
    try_to_move(&here, &there).unwrap();
    reopen(&there).unwrap();
}

#[test]
fn a_ledger_that_is_in_use_is_not_moved() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        new_ledger(&here);
        let gateway = reopen(&here).unwrap();
        let error = try_to_move(&here, &there).unwrap_err();
        let MigrationError::Source(error) = error else { panic!("{error:?}") };
        match from {
            Kind::File => assert!(matches!(error, LedgerError::InUse { .. }), "{error}"),
            Kind::Database => {
                assert!(error.to_string().contains("in use by a gateway at a local socket"), "{error}");
            }
        }
        one(&list(&gateway), block(99, Directions::BOTH));
        drop(gateway);
        try_to_move(&here, &there).unwrap();
    }
}

#[test]
fn nobody_opens_a_database_while_it_is_moved() {
    let folder = Folder::new();
    let (here, there) = (folder.place(Kind::Database), folder.place(Kind::File));
    new_ledger(&here);
    let mut refused = None;
    crate::ledger_dir::move_telling(&here, &there, &mut |progress| {
        if progress.stage == portcullis_migration::Stage::Checking {
            return;
        }
        refused.get_or_insert_with(|| open(&here, &Opening::default()).unwrap_err());
    })
    .unwrap();
    let error = refused.unwrap();
    assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
}

#[test]
fn a_gateway_with_a_lease_is_waited_for_and_named() {
    let folder = Folder::new();
    let (here, there) = (folder.place(Kind::Database), folder.place(Kind::File));
    new_ledger(&here);
    // It is cut off from the database, but answers from memory, and delivers events.
    let sql = "INSERT INTO leases (name, holder, node, until) VALUES ('events', 1, 'eu-1', clock_timestamp() + interval '1 hour')";
    cluster().sql(name_of(&here), sql);
    let error = try_to_move(&here, &there).unwrap_err();
    let MigrationError::Source(error) = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("in use by the gateway eu-1"), "{error}");
    cluster().sql(name_of(&here), "UPDATE leases SET until = clock_timestamp() + interval '1 second'");
    try_to_move(&here, &there).unwrap();
}

#[test]
fn a_gateway_that_was_cut_off_meanwhile_writes_nothing_to_a_ledger_that_was_left() {
    let folder = Folder::new();
    let (here, there) = (folder.place(Kind::Database), folder.place(Kind::File));
    new_ledger(&here);
    let gateway = reopen(&here).unwrap();
    let its_list = list(&gateway);
    let sql = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    cluster().sql(name_of(&here), sql);
    try_to_move(&here, &there).unwrap();
    for _ in 0..2 {
        its_list.write(vec![block(1000, Directions::BOTH)]).unwrap_err();
        gateway.put_settings(&"acme".parse().unwrap(), b"").unwrap_err();
        its_list.ensure_person_of_user(&"nobody".parse().unwrap()).unwrap_err();
    }
    gateway.forget_tenant(&"acme".parse().unwrap()).unwrap_err();
}

#[test]
fn a_ledger_that_was_left_says_where_it_went_until_it_is_taken_back() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        let before = new_ledger(&here);
        let error = take_back(&place(&here), &master()).unwrap_err();
        assert!(matches!(error, MigrationError::Source(LedgerError::NotLeft { .. })), "{error:?}");
        try_to_move(&here, &there).unwrap();
        for opening in
            [Opening::default(), Opening::default().new_ledger(true), Opening::default().restored(true)]
        {
            let error = open(&here, &opening).unwrap_err();
            let place = place(&there).to_string();
            assert!(error.to_string().contains(&format!("was moved to {place}")), "{error}");
        }
        // Neither can it be moved once more, nor be written over.
        let error = try_to_move(&here, &folder.place(from)).unwrap_err();
        assert!(matches!(error, MigrationError::Source(LedgerError::Left { .. })), "{error:?}");
        let error = try_to_move(&there, &here).unwrap_err();
        assert!(matches!(error, MigrationError::Target(LedgerError::NotEmpty { .. })), "{error:?}");
        take_back(&place(&here), &master()).unwrap();
        assert_eq!(all(&reopen(&here).unwrap()), before);
        try_to_move(&here, &folder.place(to)).unwrap();
    }
}

#[test]
fn another_master_key_moves_nothing() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        let before = new_ledger(&here);
        let other = portcullis_ledger::MasterKey::from_bytes([2; 32]);
        let error = migrate(&place(&here), &place(&there), &other, &mut |_| {}).unwrap_err();
        assert!(matches!(error, MigrationError::Source(LedgerError::WrongMasterKey { .. })), "{error:?}");
        assert_eq!(all(&reopen(&here).unwrap()), before);
        try_to_move(&here, &there).unwrap();
        let error = take_back(&place(&here), &other).unwrap_err();
        assert!(matches!(error, MigrationError::Source(LedgerError::WrongMasterKey { .. })), "{error:?}");
    }
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let folder = Folder::new();
    for kind in [Kind::File, Kind::Database] {
        let error = try_to_move(&folder.place(kind), &folder.place(Kind::File)).unwrap_err();
        assert!(matches!(error, MigrationError::Source(_)), "{error:?}");
    }
}

#[test]
fn damage_is_not_moved() {
    let folder = Folder::new();
    let (here, there) = (folder.place(Kind::File), folder.place(Kind::Database));
    new_ledger(&here);
    rusqlite::Connection::open(file(&here))
        .unwrap()
        .execute("UPDATE entries SET directions = 0, deactivated = 1 WHERE subject = 8", ())
        .unwrap();
    let error = try_to_move(&here, &there).unwrap_err();
    assert!(matches!(error, MigrationError::Source(LedgerError::Damaged { .. })), "{error:?}");
    let here = folder.place(Kind::Database);
    new_ledger(&here);
    cluster().sql(name_of(&here), "UPDATE lists SET active = active + 1 WHERE scope = '' AND sequence > 0");
    let error = try_to_move(&here, &there).unwrap_err();
    assert!(matches!(error, MigrationError::Miscounted { .. }), "{error:?}");
    assert!(
        error.to_string().contains("tenant acme, the tenant-wide list: 4 entries are in force, and not 5"),
        "{error}"
    );
    let _ = reopen(&here).unwrap();
}

#[test]
fn a_file_that_was_not_closed_is_moved_with_its_log_and_can_be_taken_back() {
    let folder = Folder::new();
    let (original, here, there) =
        (folder.place(Kind::File), folder.place(Kind::File), folder.place(Kind::Database));
    new_ledger(&original);
    let ledger = reopen(&original).unwrap();
    // As after a crash of the machine, when the witness is some commits behind.
    let copy = |suffix: &str| {
        std::fs::copy(format!("{}{suffix}", file(&original)), format!("{}{suffix}", file(&here))).unwrap();
    };
    copy(".witness");
    one(&list(&ledger), block(4711, Directions::BOTH));
    let before = all(&ledger);
    ["", "-wal"].into_iter().for_each(copy);
    drop::<Ledger>(ledger);
    try_to_move(&here, &there).unwrap();
    assert_eq!(all(&reopen(&there).unwrap()), before);
    take_back(&place(&here), &master()).unwrap();
    assert_eq!(all(&reopen(&here).unwrap()), before);
}
