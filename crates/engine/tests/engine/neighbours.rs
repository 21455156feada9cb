//! Changes of tenants beside others whose plugins are slow to fill.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use portcullis_engine::{Builder, Event, Outcome, ReloadRequest, TenantSpec};
use portcullis_host::Stage;

use crate::support::{Host, acme, block, evil, is_blocked, until};

/// Holds the threads that deliver certain events, as a plugin that is slow to fill would, until it is dropped.
#[derive(Default)]
struct Gate(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    threads: usize,
    is_open: bool,
}

impl Gate {
    fn holds(&self, is_it: fn(&Event) -> bool) -> impl FnOnce(Builder) -> Builder + use<> {
        let gate = Arc::clone(&self.0);
        let hold = move |event| {
            if is_it(&event) {
                let (held, opened) = &*gate;
                let mut held = held.lock().unwrap();
                held.threads += 1;
                drop(opened.wait_while(held, |held| !held.is_open).unwrap());
            }
        };
        // A fault has to be noticed while the reload before it is watched.
        move |builder| builder.on_event(hold).reload_watch(10 * LONG)
    }

    async fn until_it_holds(&self, threads: usize) {
        in_time(until(|| self.0.0.lock().unwrap().threads >= threads)).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let (held, opened) = &*self.0;
        held.lock().unwrap().is_open = true;
        opened.notify_all();
    }
}

const LONG: Duration = Duration::from_secs(60);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("it does not wait for the others")
}

fn tenant(id: &str) -> TenantSpec {
    TenantSpec::new(id).unwrap().sender("support").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_rolled_back_while_all_workers_fill_the_lists_of_others() {
    let gate = Gate::default();
    let host = Host::with(gate.holds(|event| {
        matches!(event, Event::ReloadStage { tenant, stage: Stage::Preparing, .. } if tenant.as_str() != "acme")
    }))
    .await;
    host.put_evil_into_the_folder();
    let list = host.put(acme()).await;
    host.engine.reload("acme", evil("panic-in-block")).await.unwrap();
    let workers = 2 * available_parallelism().unwrap().get();
    for n in 0..=workers {
        let id = format!("other-{n}");
        host.engine.put_tenant(tenant(&id)).await.unwrap();
        let engine = host.engine.clone();
        drop(tokio::spawn(async move { engine.reload(&id, ReloadRequest::newest()).await }));
    }
    gate.until_it_holds(workers).await;

    block(&list, 1).await;
    in_time(host.until(|event| matches!(event, Event::Reloaded { outcome: Outcome::RolledBack, .. }))).await;
    assert_eq!(list.status().plugin.description().name, "exact");
    assert!(is_blocked(&list, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_not_held_while_another_one_of_the_same_change_waits_for_its_reload() {
    let gate = Gate::default();
    let is_it = |event: &Event| matches!(event, Event::ReloadStage { tenant, stage: Stage::Preparing, .. } if tenant.as_str() == "zeta");
    let host = Host::with(gate.holds(is_it)).await;
    let both = || ["beta", "zeta"].map(tenant);
    let put = host.engine.put_tenants(both().into()).await.unwrap();
    assert!(put.iter().all(Result::is_ok), "{put:?}");
    let engine = host.engine.clone();
    drop(tokio::spawn(async move { engine.reload("zeta", ReloadRequest::newest()).await }));
    gate.until_it_holds(1).await;

    let engine = host.engine.clone();
    let put = tokio::spawn(async move {
        let changed = both().map(|spec| spec.sender("billing").unwrap());
        engine.put_tenants(changed.into()).await.unwrap()
    });
    in_time(until(|| host.engine.sender_list("beta", "billing").is_ok())).await;
    in_time(host.engine.reload("beta", ReloadRequest::newest())).await.unwrap();
    assert!(!put.is_finished());
    drop(gate);
    let put = in_time(put).await.unwrap();
    assert!(put.iter().all(Result::is_ok), "{put:?}");
    host.engine.sender_list("zeta", "billing").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_put_and_removed_while_another_one_is_filled() {
    let gate = Gate::default();
    let is_it = |event: &Event| matches!(event, Event::Fault { tenant, .. } if tenant.as_str() == "slow");
    let host = Host::with(gate.holds(is_it)).await;
    host.put_evil_into_the_folder();
    let engine = host.engine.clone();
    let slow = tokio::spawn(async move {
        // It fails when it is verified, which is reported before the list is given up.
        engine.put_tenant(tenant("slow").plugin(evil("block-strangers"))).await
    });
    gate.until_it_holds(1).await;

    let list = in_time(host.put(acme())).await;
    in_time(host.engine.put_tenant(acme().sender("billing").unwrap())).await.unwrap();
    in_time(host.engine.remove_tenants(vec![list.tenant().clone()])).await.unwrap();
    in_time(host.put(acme())).await;
    in_time(host.engine.forget_tenant(list.tenant())).await.unwrap();
    assert!(!slow.is_finished());
    drop(gate);
    in_time(slow).await.unwrap().unwrap();
    host.engine.sender_list("slow", "support").unwrap();
}
