//! Starts with a ledger that was lost or damaged.

use std::fs;
use std::path::Path;

use portcullis_engine::ledger::{LedgerError, MasterKey, UserId};
use portcullis_engine::{
    AnsweredBy, Change, Engine, Error, Identity, List, OnFailure, OpenError, PluginRef, Service, Stored,
    TenantError, TenantSpec,
};
use tempfile::TempDir;

use super::support::{Host, OUT, acme, actor, block_many, builder, is_blocked, number, until};

/// The entries of a list that is worth a saved state.
const MANY: u64 = 3000;
/// How many numbers of it are checked, among others that are not blocked.
const CHECKED: u64 = 200;

/// How often the test that damages files at random does so.
fn rounds() -> u64 {
    if std::env::var_os("PORTCULLIS_SOAK").is_some() { 1000 } else { 12 }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn open_error(result: Result<Engine, OpenError>) -> LedgerError {
    match result {
        Err(OpenError::Ledger(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it opens"),
    }
}

/// A closed engine's folder, with entries and a saved state of them.
async fn closed(on_failure: OnFailure) -> (TempDir, TenantSpec) {
    let host = Host::new().await;
    let spec = acme().on_failure(on_failure);
    let list = host.put(spec.clone()).await;
    block_many(&list, MANY).await;
    let Host { dir, engine, .. } = host;
    drop(list);
    close(engine, &dir).await;
    (dir, spec)
}

/// Closes the engine, and waits until nothing holds the ledger's file any more.
async fn close(engine: Engine, dir: &TempDir) {
    engine.close().await.unwrap();
    until(|| !dir.path().join("ledger.db-wal").exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_is_refused_until_a_new_one_is_asked_for() {
    let (dir, spec) = closed(OnFailure::Closed).await;
    for name in ["ledger.db", "ledger.db.witness"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    // The key and the saved states say that there was one.
    for evidence in ["ledger.db.states", "master.key"] {
        let error = open_error(builder(&dir).open().await);
        assert!(matches!(error, LedgerError::Lost { .. }), "{error}");
        assert!(error.to_string().contains(evidence), "{error}");
        if evidence == "ledger.db.states" {
            fs::remove_dir_all(dir.path().join(evidence)).unwrap();
        }
    }
    let engine = builder(&dir).new_ledger(true).open().await.unwrap();
    engine.put_tenant(spec).await.unwrap();
    let list = engine.sender_list("acme", "support").unwrap();
    assert!(!is_blocked(&list, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_made_for_a_ledger_that_can_not_be_made_is_removed_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("ledger.db.lock")).unwrap();
    assert!(builder(&dir).open().await.is_err());
    assert!(!dir.path().join("master.key").exists() && !dir.path().join("master.key.new").exists());
    fs::remove_dir(dir.path().join("ledger.db.lock")).unwrap();
    builder(&dir).open().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_killed_goes_on_with_the_key_that_it_made() {
    let dir = tempfile::tempdir().unwrap();
    MasterKey::from_file_or_new(&dir.path().join("master.key"), true).unwrap();
    let new = fs::read(dir.path().join("master.key.new")).unwrap();
    // As it was killed after it had made the ledger, too.
    for makes in [false, true] {
        let engine = builder(&dir).open().await.unwrap();
        assert_eq!(fs::read(dir.path().join("master.key")).unwrap(), new);
        close(engine, &dir).await;
        if !makes {
            fs::rename(dir.path().join("master.key"), dir.path().join("master.key.new")).unwrap();
        }
    }
    assert!(!dir.path().join("master.key.new").exists());
    // Without the ledger, the key says that there was one.
    for name in ["ledger.db", "ledger.db.witness"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let error = open_error(builder(&dir).open().await);
    assert!(matches!(error, LedgerError::Lost { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_removed_while_another_process_has_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    // It is about to create the ledger under the key that it finds.
    let other = fs::File::create(dir.path().join("ledger.db.lock")).unwrap();
    other.lock().unwrap();
    let error = open_error(builder(&dir).open().await);
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    assert!(dir.path().join("master.key.new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_list_is_out_of_service_and_the_others_are_served() {
    let (dir, spec) = closed(OnFailure::Ledger).await;
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    let list = "list = (SELECT id FROM lists WHERE scope = 'support')";
    ledger
        .execute(&format!("UPDATE entries SET directions = 1 WHERE {list} AND directions = 3"), ())
        .unwrap();
    drop(ledger);
    // Otherwise the state would be loaded, which is whole.
    fs::remove_dir_all(dir.path().join("ledger.db.states")).unwrap();

    let verified = tokio::task::spawn_blocking({
        let builder = builder(&dir);
        move || builder.blocking_verify().unwrap()
    });
    let findings = verified.await.unwrap().findings;
    assert!(
        findings.iter().any(|found| found.to_string().starts_with("tenant acme, list support: ")),
        "{findings:?}"
    );

    let engine = builder(&dir).open().await.unwrap();
    engine.put_tenant(spec).await.unwrap();
    let list = engine.sender_list("acme", "support").unwrap();
    assert_eq!(list.status().service, Service::Out);
    // Not even the ledger answers, which the policy asks.
    list.check(number(1), OUT).await.unwrap_err();
    let wide = engine.tenant_list("acme").unwrap();
    assert_eq!(wide.check(number(1), OUT).await.unwrap().answered_by, AnsweredBy::Plugin);
    let outage = engine.outage();
    assert_eq!((outage.lists, outage.lists_out), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_not_relied_on_if_the_changes_since_are_damaged() {
    let (dir, spec) = closed(OnFailure::Closed).await;
    // The entry with the latest change seems to be as old as the state: it would not be read again.
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    let changed =
        ledger.execute("UPDATE lists SET changed = changed + 1 WHERE saved IS NOT NULL", ()).unwrap();
    assert_eq!(changed, 1, "a state was saved");
    drop(ledger);
    let engine = builder(&dir).open().await.unwrap();
    engine.put_tenant(spec).await.unwrap();
    let list = engine.sender_list("acme", "support").unwrap();
    assert_eq!(list.status().service, Service::Serving, "it was filled from the ledger, which is whole");
    assert!(is_blocked(&list, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_ledger_is_known_by_the_saved_states_even_if_its_witness_is_as_old() {
    let (dir, spec) = closed(OnFailure::Closed).await;
    let files = ["ledger.db", "ledger.db.witness"].map(|name| dir.path().join(name));
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    let host = Host::in_dir(dir, |builder| builder).await;
    let list = host.put(spec.clone()).await;
    list.write(&actor(), (MANY..3 * MANY).map(|n| Change::block(number(n)))).await.unwrap();
    let Host { dir, engine, .. } = host;
    drop(list);
    close(engine, &dir).await;
    for (file, bytes) in files.iter().zip(before) {
        fs::write(file, bytes).unwrap();
    }

    let engine = builder(&dir).open().await.unwrap();
    let refused = engine.put_tenant(spec.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::Tenant(TenantError::Behind { .. })), "{refused}");
    close(engine, &dir).await;
    let verified = builder(&dir);
    let verified = tokio::task::spawn_blocking(move || verified.blocking_verify().unwrap()).await.unwrap();
    let found: Vec<_> = verified.findings.iter().map(ToString::to_string).collect();
    assert!(found.len() == 1 && found[0].contains("older copy"), "{found:?}");

    // A host that starts many tenants serves all other lists.
    let lenient = spec.clone().on_failure(OnFailure::Ledger).starts_regardless(true);
    for _ in 0..2 {
        let engine = builder(&dir).open().await.unwrap();
        engine.put_tenant(lenient.clone()).await.unwrap();
        let list = engine.sender_list("acme", "support").unwrap();
        let status = list.status();
        assert_eq!((status.service, status.stored), (Service::Out, Stored::Behind));
        let everybody =
            [Identity::from(number(1)), number(9 * MANY).into(), "nobody".parse::<UserId>().unwrap().into()];
        for identity in &everybody {
            let checked = list.check(identity.clone(), OUT).await.unwrap();
            assert!(checked.is_blocked() && checked.answered_by == AnsweredBy::Policy);
        }
        let checked = list.check_many(everybody.to_vec(), OUT).await.unwrap();
        assert_eq!((checked.blocked, checked.answered_by), (vec![true; 3], AnsweredBy::Policy));
        let wide = engine.tenant_list("acme").unwrap();
        assert!(!is_blocked(&wide, 1).await);
        // Even if the ledger gets as far as the state, with other changes.
        list.write(&actor(), (5 * MANY..8 * MANY).map(|n| Change::block(number(n)))).await.unwrap();
        engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
        assert_eq!(list.status().service, Service::Out);
        drop((list, wide, status));
        close(engine, &dir).await;
    }
    let engine = builder(&dir).restored(true).open().await.unwrap();
    engine.put_tenant(spec).await.unwrap();
    assert!(is_blocked(&engine.sender_list("acme", "support").unwrap(), 1).await);
    close(engine, &dir).await;
    let error = open_error(builder(&dir).restored(true).open().await);
    assert!(matches!(error, LedgerError::NotRestored { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_says_that_there_was_a_ledger_if_its_provider_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let provided = || builder(&dir).master_key(MasterKey::from_bytes([7; 32]));
    let error = open_error(provided().expect_ledger("the operator's key").open().await);
    assert!(error.to_string().contains("the operator's key says that there was one"), "{error}");
    assert!(error.to_string().contains("--new-ledger"), "{error}");
    let engine = provided().expect_ledger("the operator's key").new_ledger(true).open().await.unwrap();
    close(engine, &dir).await;
    let engine = provided().expect_ledger("the operator's key").open().await.unwrap();
    close(engine, &dir).await;
}

/// The outcome of many starts.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    out_of_service: u64,
    served: u64,
}

/// Checks numbers, and asserts that a verdict is right, or not the plugin's.
async fn check(list: &List, what: &str) -> bool {
    let mut is_out = list.status().service == Service::Out;
    for n in (0..CHECKED).chain(MANY..MANY + CHECKED) {
        match list.check(Identity::from(number(n)), OUT).await {
            Ok(checked) if checked.answered_by == AnsweredBy::Policy => is_out = true,
            Ok(checked) => assert_eq!(checked.is_blocked(), n < MANY, "{what}: number {n}"),
            Err(_) => is_out = true,
        }
    }
    is_out
}

#[tokio::test(flavor = "multi_thread")]
async fn no_start_with_damaged_files_answers_otherwise_than_the_record() {
    let mut tally = Tally::default();
    let mut bases = Vec::new();
    for policy in [OnFailure::Closed, OnFailure::Open, OnFailure::Ledger] {
        bases.push(closed(policy).await);
    }
    for round in 0..rounds() {
        let mut random = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let (base, spec) = &bases[usize::try_from(below(3)).unwrap()];
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        // With and without the states, which otherwise hide the damage.
        if below(2) == 0 {
            fs::remove_dir_all(dir.path().join("ledger.db.states")).unwrap();
        }
        let file = dir.path().join("ledger.db");
        let mut bytes = fs::read(&file).unwrap();
        let at = usize::try_from(below(bytes.len() as u64)).unwrap();
        let what = match below(8) {
            0 => {
                bytes.clear();
                "emptied"
            }
            1 => {
                bytes.truncate(at);
                "cut off"
            }
            2 => {
                bytes[at..].fill(0);
                "overwritten"
            }
            _ => {
                for _ in 0..=below(3) {
                    let at = usize::try_from(below(bytes.len() as u64)).unwrap();
                    bytes[at] ^= 1 << below(8);
                }
                "flipped"
            }
        };
        fs::write(&file, bytes).unwrap();
        if below(10) == 0 {
            fs::remove_file(&file).unwrap();
        }
        let what = format!("round {round}, {what}");
        let Ok(engine) = builder(&dir).open().await else {
            tally.refused += 1;
            continue;
        };
        if engine.put_tenant(spec.clone()).await.is_err() {
            tally.out_of_service += 1;
            continue;
        }
        let list = engine.sender_list("acme", "support").unwrap();
        match check(&list, &what).await {
            true => tally.out_of_service += 1,
            false => tally.served += 1,
        }
        drop(list);
        let _ = engine.close().await;
    }
    eprintln!("{} starts with damaged files: {tally:?}", rounds());
    assert!(tally.refused > 0, "{tally:?}");
}
