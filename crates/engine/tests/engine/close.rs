//! Closing an engine, and dropping it without.

use std::time::Duration;

use portcullis_engine::ledger::TenantId;
use portcullis_engine::{
    CheckError, Engine, Error, Event, NotServed, OpenError, PluginRef, ReloadError, ReloadRequest, Reloaded,
    ShadowTerms, WriteError,
};
use tempfile::TempDir;

use crate::support::{
    Host, acme, block, block_many, builder, evil, is_blocked, number, try_block, try_is_blocked, until,
};

/// A shadow run that only ends when it is told to.
fn endless() -> ReloadRequest {
    let plan = portcullis_host::ShadowPlan { checks: None, max_disagreements: 0 };
    ReloadRequest::newest().shadow(ShadowTerms { plan, time: None })
}

/// Opens the ledger as soon as it is closed.
async fn open(dir: &TempDir) -> Engine {
    let opened = async {
        loop {
            match builder(dir).open().await {
                Ok(engine) => return engine,
                Err(OpenError::Ledger(portcullis_engine::ledger::LedgerError::InUse { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), opened).await.expect("the ledger is closed")
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_under_way_end_and_later_ones_are_refused() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let list = list.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in (writer..).step_by(4) {
                    match try_block(&list, n).await {
                        Ok(_) => acknowledged.push(n),
                        Err(error) => {
                            assert!(matches!(error, WriteError::NotServed(NotServed::Closed)), "{error}");
                            return acknowledged;
                        }
                    }
                }
                acknowledged
            })
        })
        .collect();
    until(|| list.census().unwrap().active > 20).await;
    host.engine.clone().close().await.unwrap();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    drop(list);
    let host = host.reopened().await;
    let list = host.put(acme()).await;
    assert_eq!(list.census().unwrap().active, acknowledged.len() as u64, "a refused write left no entry");
    for n in acknowledged {
        assert!(is_blocked(&list, n).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_after_the_end_return_an_error_that_says_so() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    let mut changes = host.engine.changes(list.tenant()).unwrap();
    changes.mark_unchanged();
    let engine = host.engine.clone();
    engine.clone().close().await.unwrap();
    changes.changed().await.unwrap();
    let id: TenantId = "acme".parse().unwrap();
    let errors = [
        engine.put_tenant(acme()).await.unwrap_err(),
        engine.remove_tenants(vec![id.clone()]).await.unwrap_err(),
        engine.forget_tenant(&id).await.unwrap_err(),
        engine.reload("acme", PluginRef::latest("prefix")).await.unwrap_err(),
        engine.promote("acme").await.unwrap_err(),
        engine.roll_back("acme").await.unwrap_err(),
        engine.rescan_plugins().await.unwrap_err(),
        engine.put_plugin("mine", Vec::new(), None).await.unwrap_err(),
        engine.sender_list("acme", "support").unwrap_err(),
        engine.tenant_list("acme").unwrap_err(),
        engine.lists(&id).unwrap_err(),
        engine.changes(&id).unwrap_err(),
        engine.plugin_of(&id).unwrap_err(),
        engine.tenant_status(&id).unwrap_err(),
    ];
    assert!(errors.iter().all(|error| matches!(error, Error::Closed)), "{errors:?}");
    assert_eq!(engine.blocking_remove_tenants(&[id]), 0);
    assert!(engine.status().is_empty());
    assert_eq!(list.not_served(), Some(NotServed::Closed));
    assert!(list.try_check(number(1), crate::support::OUT).is_err());
    let error = try_is_blocked(&list, 1).await.unwrap_err();
    assert!(matches!(error, CheckError::NotServed(NotServed::Closed)), "{error}");
    engine.close().await.unwrap();
    // The ledger can still be read.
    assert_eq!(list.census().unwrap().active, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_state_is_saved() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    block_many(&list, 2500).await;
    drop(list);
    let Host { dir, engine, .. } = host;
    engine.close().await.unwrap();
    let states = std::fs::read_dir(dir.path().join("ledger.db.states/tenant-acme")).unwrap();
    let names: Vec<_> = states.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(matches!(&names[..], [name] if name.ends_with(".state")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_run_ends_with_the_engine() {
    for closes in [true, false] {
        let host = Host::new().await;
        let list = host.put(acme()).await;
        block(&list, 1).await;
        assert_eq!(host.engine.reload("acme", endless()).await.unwrap(), Reloaded::Shadows);
        let Host { dir, engine, .. } = host;
        if closes {
            engine.close().await.unwrap();
        } else {
            drop(engine);
        }
        drop(list);
        let engine = open(&dir).await;
        engine.put_tenant(acme()).await.unwrap();
        assert!(is_blocked(&engine.sender_list("acme", "support").unwrap(), 1).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_ends_with_the_engine() {
    for closes in [true, false] {
        let host = Host::new().await;
        host.put_evil_into_the_folder();
        let list = host.put(acme().plugin(evil("panic-in-block"))).await;
        block(&list, 1).await;
        host.until(|event| matches!(event, Event::Fault { .. })).await;
        drop(list);
        let Host { dir, engine, .. } = host;
        if closes {
            engine.close().await.unwrap();
        } else {
            drop(engine);
        }
        let engine = open(&dir).await;
        engine.put_tenant(acme().reset_choice()).await.unwrap();
        assert!(is_blocked(&engine.sender_list("acme", "support").unwrap(), 1).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_in_progress_are_given_up_or_end() {
    let host = Host::new().await;
    host.put(acme()).await;
    let reloads: Vec<_> = ["prefix", "exact", "prefix", "exact"]
        .map(|plugin| {
            let engine = host.engine.clone();
            tokio::spawn(async move { engine.reload("acme", PluginRef::latest(plugin)).await })
        })
        .into();
    host.engine.clone().close().await.unwrap();
    for reload in reloads {
        match reload.await.unwrap() {
            Ok(Reloaded::Serves) | Err(Error::Closed) => {}
            Err(Error::Reload(why)) => {
                assert!(matches!(*why, ReloadError::Closed | ReloadError::Overtaken), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Whatever was chosen is valid.
    host.reopened().await.put(acme()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_engine_loses_nothing_and_leaves_dead_handles() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    block(&list, 1).await;
    let Host { dir, engine, .. } = host;
    let writing = {
        let list = list.clone();
        tokio::spawn(async move {
            let mut n = 10;
            while try_block(&list, n).await.is_ok() {
                n += 1;
            }
            n - 10
        })
    };
    until(|| list.census().unwrap().active > 5).await;
    drop(engine);
    let acknowledged: u64 = writing.await.unwrap();
    assert_eq!(list.not_served(), Some(NotServed::Closed));
    let error = try_is_blocked(&list, 1).await.unwrap_err();
    assert!(matches!(error, CheckError::NotServed(NotServed::Closed)), "{error}");
    drop(list);
    let engine = open(&dir).await;
    engine.put_tenant(acme()).await.unwrap();
    let list = engine.sender_list("acme", "support").unwrap();
    assert_eq!(list.census().unwrap().active, 1 + acknowledged);
    assert!(is_blocked(&list, 1).await);
}
