use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::{LedgerError, ListId, Paging, Scope, Seq, StatusFilter, UserId};
use portcullis_msisdn::{Directions, Msisdn, Subject};

use super::fixture::{block, limit, list, one, sender, subject, tenant, time, unblock};
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
fn tenants_and_lists_that_are_wanted_together_are_added_in_one_commit_beside_those_that_are_there() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let known = ledger.list(&tenant("acme"), sender("a")).unwrap();
    one(&known, block(1, Directions::BOTH));
    let commits = ledger.stats().commits;
    let of = |name: &str, senders: &[&str]| {
        let scopes: Vec<Scope> =
            std::iter::once(Scope::Tenant).chain(senders.iter().map(|id| sender(id))).collect();
        (tenant(name), scopes)
    };
    let wanted = [of("acme", &["a", "b"]), of("empty", &[]), of("globex", &["a", "c"])];
    ledger.ensure_lists(&wanted).unwrap();
    assert_eq!(ledger.stats().commits, commits + 1);
    ledger.ensure_lists(&wanted).unwrap();
    for (id, scopes) in &wanted {
        assert_eq!(ledger.lists(id).unwrap(), *scopes, "{id}");
    }
    let again = ledger.list(&tenant("acme"), sender("a")).unwrap();
    assert_eq!((again.id(), again.count().unwrap()), (known.id(), 1));
    assert_eq!(probe(again.keys()), probe(known.keys()));
    one(&ledger.list(&tenant("globex"), sender("c")).unwrap(), block(1, Directions::BOTH));
    ledger.forget_tenant(&tenant("acme")).unwrap();
    ledger.ensure_lists(&wanted[..1]).unwrap();
    assert_eq!(ledger.list(&tenant("acme"), sender("a")).unwrap().count().unwrap(), 0);
}

#[test]
fn the_entries_of_all_tenants_are_counted_by_list() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    assert_eq!(ledger.counts().unwrap(), HashMap::new());
    let list = |name: &str, scope| ledger.list(&tenant(name), scope).unwrap();
    let (bot, wide, empty) =
        (list("acme", sender("bot")), list("other", Scope::Tenant), list("acme", Scope::Tenant));
    let blocks = || (0..3).map(|value| block(value, Directions::BOTH)).collect();
    bot.write(blocks()).unwrap();
    wide.write(blocks()).unwrap();
    one(&bot, unblock(1, Directions::BOTH));
    let counts = HashMap::from([(bot.id(), 2), (wide.id(), 3), (empty.id(), 0)]);
    assert_eq!(ledger.counts().unwrap(), counts);
    ledger.forget_tenant(&tenant("acme")).unwrap();
    assert_eq!(ledger.counts().unwrap(), HashMap::from([(wide.id(), 3)]));
}

#[test]
fn it_is_known_which_lists_a_tenant_does_not_have() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let open = |name: &str, scope| ledger.list(&tenant(name), scope).unwrap();
    let (bot, wide, other) = (list(&ledger), open("acme", Scope::Tenant), open("other", sender("bot")));
    let gone = ListId([&bot, &wide, &other].map(|list| list.id().0).into_iter().max().unwrap() + 1);
    let missing = |lists: &[ListId]| bot.missing_lists(lists).unwrap().into_iter().collect::<HashSet<_>>();
    assert_eq!(missing(&[bot.id(), gone, wide.id(), other.id()]), HashSet::from([gone, other.id()]));
    assert_eq!(missing(&[]), HashSet::new());
    // Nobody but the caller forgets tenants of a ledger that is not shared.
    let of_any = |lists: &[ListId]| ledger.gone(lists).unwrap();
    let shared = |gone: ListId| if ledger.is_shared() { vec![gone] } else { Vec::new() };
    assert_eq!(of_any(&[bot.id(), gone, wide.id(), other.id()]), shared(gone));
    ledger.forget_tenant(&tenant("acme")).unwrap();
    assert_eq!(missing(&[bot.id()]), HashSet::from([bot.id()]));
    assert_eq!(of_any(&[bot.id(), other.id()]), shared(bot.id()));
}

#[test]
fn the_only_process_takes_all_leases() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let lease = |name| ledger.lease(name, Duration::from_secs(60)).unwrap();
    assert!(lease("expiry") && lease("events") && lease("expiry"));
    ledger.release_lease("expiry").unwrap();
    ledger.release_lease("never taken").unwrap();
    assert!(lease("expiry"));
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
    let user: UserId = "US.1".parse().unwrap();
    let wrote = Timestamp::now();
    dead.write((0..3000).map(|value| block(value, Directions::BOTH)).collect()).unwrap();
    dead.ensure_person_of_user(&user).unwrap();
    dead.keep_visits(&[(subject(1), wrote)], wrote).unwrap();
    ledger.forget_tenant(&tenant("acme")).unwrap();
    let alive = list(&ledger);
    assert_ne!(probe(alive.keys()), old, "new keys");
    one(&alive, block(2, Directions::BOTH));

    let gone = |error: LedgerError| assert!(matches!(error, LedgerError::TenantForgotten), "{error}");
    gone(dead.write(vec![block(3, Directions::BOTH)]).unwrap_err());
    gone(dead.count().unwrap_err());
    gone(dead.sequence().unwrap_err());
    gone(dead.changes_since(Seq::START, limit(9)).unwrap_err());
    gone(dead.ensure_person_of_user(&user).unwrap_err());
    assert_eq!(dead.get(subject(2)).unwrap(), None);
    assert_eq!(dead.get(subject(2999)).unwrap(), None);
    assert_eq!(dead.directions(&[subject(2999)]).unwrap(), [Directions::NONE]);
    assert_eq!(dead.members(None, limit(9)).unwrap(), []);
    assert_eq!(dead.sample(None, limit(9)).unwrap(), []);
    assert_eq!(dead.subjects(Paging::Start, limit(9), StatusFilter::All).unwrap().entries, []);
    assert_eq!(dead.trail(None, limit(9)).unwrap().records, []);
    assert_eq!(dead.records_after(Seq::START, limit(9)).unwrap(), []);
    assert_eq!(dead.history(&[subject(2999)], None, limit(9)).unwrap().records, []);
    assert_eq!(dead.visits(time(0)).unwrap(), []);
    assert_eq!(dead.visit(subject(1)).unwrap(), None);
    assert_eq!(dead.person_of_user(&user).unwrap(), None);
    assert_eq!(dead.page(Paging::Start, limit(9), StatusFilter::All).unwrap().entries, []);
    assert_eq!(alive.count().unwrap(), 1);
}
