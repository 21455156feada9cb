use std::thread;

use portcullis_ledger::{LedgerError, Paging, Scope, Seq, StatusFilter};
use portcullis_msisdn::{Directions, Msisdn, Subject};

use super::fixture::{block, limit, list, one, sender, subject, tenant};
use crate::ledger_dir::LedgerDir;

fn probe(keys: &portcullis_ledger::TenantKeys) -> Subject {
    keys.permutation().subject(Msisdn::parse("+46732001122").unwrap())
}

#[test]
fn a_tenants_keys_are_stable_and_its_own() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let keys = ledger.ensure_tenant(&tenant("acme")).unwrap();
    let sealed = keys.state_seal().seal(b"context", b"state").unwrap();
    assert_ne!(probe(&keys), probe(&ledger.ensure_tenant(&tenant("other")).unwrap()));
    drop(ledger);
    let ledger = dir.ledger();
    let again = ledger.ensure_tenant(&tenant("acme")).unwrap();
    assert_eq!(probe(&again), probe(&keys));
    assert_eq!(again.state_seal().open(b"context", &sealed).unwrap(), b"state");
}

#[test]
fn concurrent_first_uses_of_a_tenant_get_the_same_keys() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let probes: Vec<Subject> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| probe(ledger.list(&tenant("acme"), sender("bot")).unwrap().keys())))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(probes.iter().all(|other| *other == probes[0]));
    assert_eq!(ledger.lists(&tenant("acme")).unwrap(), [sender("bot")]);
}

#[test]
fn a_tenant_has_one_list_per_scope() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    assert_eq!(ledger.lists(&tenant("acme")).unwrap(), []);
    for scope in [sender("b"), Scope::Tenant, sender("a"), sender("b")] {
        let list = ledger.list(&tenant("acme"), scope.clone()).unwrap();
        assert_eq!((list.tenant(), list.scope()), (&tenant("acme"), &scope));
    }
    assert_eq!(ledger.lists(&tenant("acme")).unwrap(), [Scope::Tenant, sender("a"), sender("b")]);
    one(&ledger.list(&tenant("acme"), sender("a")).unwrap(), block(1, Directions::BOTH));
    assert_eq!(ledger.list(&tenant("acme"), sender("a")).unwrap().count().unwrap(), 1);
    assert_eq!(ledger.list(&tenant("acme"), sender("b")).unwrap().count().unwrap(), 0);
}

#[test]
fn settings_are_stored_until_removed() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    ledger.put_settings(&tenant("b"), b"old").unwrap();
    ledger.put_settings(&tenant("a"), b"").unwrap();
    ledger.put_settings(&tenant("b"), b"plugin = fast").unwrap();
    drop(ledger);
    let ledger = dir.ledger();
    let kept = vec![(tenant("a"), vec![]), (tenant("b"), b"plugin = fast".to_vec())];
    assert_eq!(ledger.settings().unwrap(), kept);
    assert!(ledger.remove_settings(&tenant("b")).unwrap());
    assert!(!ledger.remove_settings(&tenant("b")).unwrap());
    assert_eq!(ledger.settings().unwrap(), kept[..1]);
}

#[test]
fn handles_to_a_forgotten_tenant_stay_dead_when_the_name_is_reused() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let dead = list(&ledger);
    let old = probe(dead.keys());
    one(&dead, block(1, Directions::BOTH));
    ledger.forget_tenant(&tenant("acme")).unwrap();
    let alive = list(&ledger);
    assert_ne!(probe(alive.keys()), old, "new keys");
    one(&alive, block(2, Directions::BOTH));

    let gone = |error: LedgerError| assert!(matches!(error, LedgerError::TenantForgotten), "{error}");
    gone(dead.write(vec![block(3, Directions::BOTH)]).unwrap_err());
    gone(dead.count().unwrap_err());
    gone(dead.sequence().unwrap_err());
    gone(dead.changes_since(Seq::START, limit(9)).unwrap_err());
    assert_eq!(dead.get(subject(2)).unwrap(), None);
    assert_eq!(dead.members(None, limit(9)).unwrap(), []);
    assert_eq!(dead.page(Paging::Start, limit(9), StatusFilter::All).unwrap().entries, []);
    assert_eq!(alive.count().unwrap(), 1);
}
