//! The memory budget.

use portcullis_engine::ledger::TenantId;
use portcullis_engine::{Service, TenantSpec};

use crate::support::{Host, acme, block_many, is_blocked};

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
