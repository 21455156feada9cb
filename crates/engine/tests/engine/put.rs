//! Specs that are put.

use std::sync::{Arc, Mutex};

use portcullis_engine::ledger::{Scope, TenantId};
use portcullis_engine::{
    Event, List, OnFailure, PluginRef, Put, ReloadRequest, Reloaded, Service, TenantError, TenantSpec,
};

use crate::support::{Host, OUT, acme, block, evil, is_blocked, number, until};

fn id() -> TenantId {
    "acme".parse().unwrap()
}

/// A spec with one more list, which can't be filled, so that putting it causes a fault between the preparation of the other lists' next
/// generations and their installation.
async fn unfillable(host: &Host) -> TenantSpec {
    let spec = || acme().sender("broken").unwrap();
    host.put(spec()).await;
    block(&host.engine.sender_list("acme", "broken").unwrap(), 1).await;
    host.put(acme()).await;
    spec().plugin(evil("panic-in-block"))
}

type Action = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Does something once, when the plugin fails on the list `broken`.
fn on_fault_of_broken(action: &Action) -> impl Fn(Event) + Send + Sync + 'static {
    let action = Arc::clone(action);
    move |event| {
        if let Event::Fault { scope: Scope::Sender(sender), .. } = event
            && sender.as_str() == "broken"
            && let Some(action) = action.lock().unwrap().take()
        {
            action();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_given_twice_is_an_error() {
    let host = Host::new().await;
    let specs = vec![acme(), acme().plugin(PluginRef::latest("prefix"))];
    let put = host.engine.put_tenants(specs).await.unwrap();
    assert!(matches!(&put[..], [Ok(Put::Created), Err(TenantError::Duplicate(tenant))] if *tenant == id()));
    assert_eq!(host.engine.plugin_of(&id()).unwrap().name(), "exact");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_of_a_call_has_its_own_result() {
    let host = Host::new().await;
    let missing = TenantSpec::new("broken").unwrap().plugin(PluginRef::latest("missing"));
    let put = host.engine.put_tenants(vec![missing, acme()]).await.unwrap();
    assert!(matches!(&put[..], [Err(TenantError::Plugin(_)), Ok(Put::Created)]), "{put:?}");
    assert_eq!(host.engine.status().len(), 1);
}

/// The next generation of one list fails between its preparation and its installation.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_new_plugin_fails_late_does_not_keep_the_old_one() {
    let action = Action::default();
    let host = Host::with(|builder| builder.on_event(on_fault_of_broken(&action))).await;
    host.put_evil_into_the_folder();
    let unfillable = unfillable(&host).await;
    let list = host.engine.sender_list("acme", "support").unwrap();
    let write = {
        let list = list.clone();
        let number = list.whom(&number(1).into());
        move || {
            let block = portcullis_engine::ledger::Block::new(
                number,
                portcullis_engine::Directions::BOTH,
                crate::support::actor(),
            );
            list.blocking_write(vec![block.into()]).unwrap();
        }
    };
    *action.lock().unwrap() = Some(Box::new(write));
    // Prepared without entries, which it can't take.
    host.engine.put_tenant(unfillable.on_failure(OnFailure::Ledger)).await.unwrap();
    assert!(action.lock().unwrap().is_none(), "the write came between");
    assert_eq!(list.status().plugin.description().name, "evil");
    assert_eq!(list.status().service, Service::Out);
    assert!(is_blocked(&list, 1).await && !is_blocked(&list, 2).await);
}

/// Checks until the plugin fails, also if it was found to be slow meanwhile.
fn fail(list: &List) {
    let generation = list.status().generation;
    while list.status().service == Service::Serving && list.status().generation == generation {
        let _ = list.blocking_check(&number(1).into(), OUT);
    }
}

/// A fault of a watched plugin queues a rollback, which waits until the specs are put.
#[tokio::test(flavor = "multi_thread")]
async fn a_spec_with_another_plugin_is_not_undone_by_an_earlier_rollback() {
    let action = Action::default();
    let host = Host::with(|builder| builder.on_event(on_fault_of_broken(&action))).await;
    host.put_evil_into_the_folder();
    let unfillable = unfillable(&host).await;
    let list = host.engine.sender_list("acme", "support").unwrap();
    assert_eq!(host.engine.reload("acme", evil("panic-later")).await.unwrap(), Reloaded::Serves);
    let failing = list.clone();
    *action.lock().unwrap() = Some(Box::new(move || fail(&failing)));
    host.engine.put_tenant(unfillable).await.unwrap();
    assert!(action.lock().unwrap().is_none(), "the fault came between");
    // Waits for everything that was queued before, and then the plugin does not take the entry.
    host.engine.reload("acme", ReloadRequest::newest()).await.unwrap_err();
    assert_eq!(host.engine.plugin_of(&id()).unwrap(), evil("panic-in-block"));
    assert_eq!(list.status().plugin.description().name, "evil");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_plugin_stays_watched_when_a_sender_is_added() {
    let host = Host::new().await;
    host.put_evil_into_the_folder();
    let list = host.put(acme()).await;
    block(&list, 1).await;
    host.engine.reload("acme", evil("panic-later")).await.unwrap();
    assert_eq!(host.engine.put_tenant(acme().sender("billing").unwrap()).await.unwrap(), Put::Replaced);
    fail(&list);
    until(|| host.engine.plugin_of(&id()).unwrap().name() == "exact").await;
    let billing = host.engine.sender_list("acme", "billing").unwrap();
    until(|| [&list, &billing].iter().all(|list| list.status().service == Service::Serving)).await;
    for list in [&list, &billing] {
        assert_eq!(list.status().plugin.description().name, "exact");
    }
    assert!(is_blocked(&list, 1).await && !is_blocked(&billing, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_run_of_a_removed_tenant_ends() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    let plan = portcullis_host::ShadowPlan { checks: None, max_disagreements: 0 };
    let terms = portcullis_engine::ShadowTerms { plan, time: None };
    host.engine.reload("acme", ReloadRequest::newest().shadow(terms)).await.unwrap();
    host.engine.remove_tenants(vec![id()]).await.unwrap();
    drop(list);
    // Closing waits for the run.
    host.reopened().await;
}
