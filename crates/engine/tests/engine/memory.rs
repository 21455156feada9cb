//! The memory budget.

use std::time::Duration;

use portcullis_engine::ledger::TenantId;
use portcullis_engine::{AnsweredBy, Event, OnFailure, Service, TenantSpec};

use crate::support::{Host, OUT, acme, block_many, evil, is_blocked, number, until};

/// The memory of a tenant with two empty lists.
async fn empty_tenant_bytes() -> u64 {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    host.engine.tenant_status(list.tenant()).unwrap().memory_bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_grow_past_the_budget_are_evicted() {
    let empty = empty_tenant_bytes().await;
    // Room for both tenants, but not for both with long lists.
    let host = Host::with_budget(2 * empty + 100_000).await;
    let lists = [host.put(acme()).await, {
        let spec = TenantSpec::new("initech").unwrap().sender("support").unwrap();
        host.put(spec).await
    }];
    let evicted = || {
        let status = host.engine.status();
        let lists: Vec<_> = status.iter().flat_map(|tenant| &tenant.lists).collect();
        lists.iter().filter(|list| list.service == Service::Evicted).count()
    };
    assert_eq!(evicted(), 0);
    for list in &lists {
        block_many(list, 40_000).await;
    }
    assert!(evicted() > 0);
    for list in &lists {
        assert!(is_blocked(list, 39_999).await && !is_blocked(list, 40_000).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_grew_long_stays_in_memory() {
    let host = Host::with_budget(1 << 20).await;
    let list = host.put(acme()).await;
    is_blocked(&list, 0).await;
    block_many(&list, 64_001).await;
    // Others would evict it now, if it were short.
    for tenant in 0..4 {
        let spec = TenantSpec::new(&format!("tenant-{tenant}")).unwrap().sender("support").unwrap();
        let other = host.put(spec).await;
        assert!(!is_blocked(&other, 1).await && !is_blocked(&other.tenant_wide(), 1).await);
    }
    assert_eq!(list.status().service, Service::Serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_tenant_gives_its_room_back() {
    let empty = empty_tenant_bytes().await;
    let host = Host::with_budget(empty + 1).await;
    for _ in 0..3 {
        let list = host.put(acme()).await;
        assert_eq!(list.status().service, Service::Serving);
        assert_eq!(list.tenant_wide().status().service, Service::Serving);
        let id: TenantId = list.tenant().clone();
        host.engine.remove_tenants(vec![id]).await.unwrap();
        assert_eq!(list.status().memory_bytes, 0, "also while a handle is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_tenant_leaves_no_state() {
    let host = Host::new().await;
    let states = host.dir.path().join("ledger.db.states");
    for _ in 0..5 {
        let list = host.put(acme()).await;
        // The state is being saved when the tenant is forgotten.
        block_many(&list, 3000).await;
        host.engine.forget_tenant(list.tenant()).await.unwrap();
        assert!(!states.join("tenant-acme").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_grows_while_it_is_checked_is_evicted() {
    let host = Host::with(|builder| builder.memory_budget(32 << 20).proof_share(1.0)).await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("leak-later"))).await;
    let is_evicted = || list.status().service == Service::Evicted;
    // It leaks from its 20,000th check on, and nothing is written.
    while list.status().memory_bytes < 64 << 20 && !is_evicted() {
        list.check(number(1), OUT).await.unwrap();
    }
    until(is_evicted).await;
    assert!(!is_blocked(&list, 1).await);
}

/// The memory of all plugins, in bytes.
fn memory(host: &Host) -> u64 {
    host.engine.status().iter().map(|tenant| tenant.memory_bytes).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugins_of_all_tenants_stay_within_the_limit_and_leave_room_for_others() {
    const LIMIT: u64 = 128 << 20;
    let host = Host::with(|builder| builder.memory_limit(LIMIT)).await;
    host.put_evil_into_the_folder();
    let neighbour = |name: &str| TenantSpec::new(name).unwrap().sender("support").unwrap();
    let first = host.put(neighbour("globex")).await;
    let fat: Vec<_> = (0..6)
        .map(|n| {
            let spec = TenantSpec::new(&format!("fat-{n}")).unwrap().sender("support").unwrap();
            // Each list takes 40 MiB, and one more for each entry.
            spec.plugin(evil("fat")).starts_regardless(true).on_failure(OnFailure::Ledger)
        })
        .collect();
    host.engine.put_tenants(fat).await.unwrap();
    assert!(memory(&host) <= LIMIT);
    let last = host.put(neighbour("initech")).await;
    for list in [&first, &last] {
        block_many(list, 1000).await;
        assert!(is_blocked(list, 999).await && !is_blocked(list, 1000).await);
        assert_eq!(list.status().service, Service::Serving);
    }
    for n in 0..6 {
        let list = host.engine.sender_list(&format!("fat-{n}"), "support").unwrap();
        // The ledger answers for those that have no room.
        block_many(&list, 10).await;
        assert!(is_blocked(&list, 9).await && !is_blocked(&list, 10).await);
        assert!(memory(&host) <= LIMIT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_grows_past_the_limit_of_all_fails_alone() {
    const LIMIT: u64 = 64 << 20;
    let host = Host::with(|builder| builder.memory_limit(LIMIT)).await;
    host.put_evil_into_the_folder();
    let neighbour = host.put(TenantSpec::new("globex").unwrap().sender("support").unwrap()).await;
    block_many(&neighbour, 1000).await;
    // Each entry takes 1 MiB.
    let fat = host.put(acme().plugin(evil("leak-in-block")).on_failure(OnFailure::Ledger)).await;
    block_many(&fat, 100).await;
    host.until(|event| matches!(event, Event::Fault { kind: "memory-exhausted", .. })).await;
    assert!(memory(&host) <= LIMIT);
    assert!(is_blocked(&fat, 99).await, "every entry is in the ledger");
    assert!(is_blocked(&neighbour, 999).await && !is_blocked(&neighbour, 1000).await);
    assert_eq!(neighbour.status().service, Service::Serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn fat_lists_that_are_checked_at_once_take_turns_and_leave_a_neighbour_in_memory() {
    // The checks wait for room, however busy this machine is.
    let patience = Duration::from_secs(60);
    let host = Host::with(|builder| builder.memory_budget(64 << 20).check_patience(patience)).await;
    host.put_evil_into_the_folder();
    let globex = TenantSpec::new("globex").unwrap().sender("support").unwrap();
    let neighbour = host.put(globex).await;
    let senders: Vec<_> = (0..12).map(|n| format!("sender-{n}")).collect();
    let spec = senders.iter().fold(acme(), |spec, sender| spec.sender(sender).unwrap());
    // Each entry takes 1 MiB.
    host.put(spec.plugin(evil("leak-in-block"))).await;
    let lists: Vec<_> =
        senders.iter().map(|sender| host.engine.sender_list("acme", sender).unwrap()).collect();
    for list in &lists {
        block_many(list, 20).await;
    }
    for _ in 0..3 {
        let checks: Vec<_> = lists
            .iter()
            .map(|list| {
                let list = list.clone();
                tokio::spawn(async move { list.check(number(5), OUT).await.unwrap() })
            })
            .collect();
        for check in checks {
            assert!(!is_blocked(&neighbour, 5).await);
            let checked = check.await.unwrap();
            assert_eq!((checked.is_blocked(), checked.answered_by), (true, AnsweredBy::Plugin));
        }
        assert_eq!(neighbour.status().service, Service::Serving);
        let taken = memory(&host);
        // All of them would take 250 MiB.
        assert!(taken <= 85 << 20, "{taken}");
    }
}
