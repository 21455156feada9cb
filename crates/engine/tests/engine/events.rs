//! Listeners that use the engine, and listeners that panic.

use std::sync::{Arc, Mutex};

use portcullis_engine::{AnsweredBy, Engine, Event, OnFailure, PluginRef, Reloaded};

use crate::support::{Host, OUT, acme, block, evil, is_blocked, number};

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_may_check_and_read_the_status() {
    let engine = Arc::<Mutex<Option<Engine>>>::default();
    let (used, seen) = (Arc::clone(&engine), Arc::<Mutex<Vec<Event>>>::default());
    let listener_seen = Arc::clone(&seen);
    let listener = move |event: Event| {
        let Some(engine) = used.lock().unwrap().clone() else { return };
        engine.status();
        engine.kept();
        if let Ok(list) = engine.sender_list("acme", "support") {
            engine.tenant_status(list.tenant()).unwrap();
            engine.plugin_of(list.tenant()).unwrap();
            let _ = list.try_check(number(1), OUT);
            let _ = list.status();
        }
        listener_seen.lock().unwrap().push(event);
    };
    let host = Host::with(|builder| builder.on_event(listener)).await;
    *engine.lock().unwrap() = Some(host.engine.clone());
    host.put_evil_into_the_folder();
    let list = host.put(acme().on_failure(OnFailure::Ledger)).await;
    block(&list, 1).await;
    assert_eq!(host.engine.reload("acme", PluginRef::latest("prefix")).await.unwrap(), Reloaded::Serves);
    host.engine.roll_back("acme").await.unwrap();
    host.engine.reload("acme", PluginRef::latest("missing")).await.unwrap_err();
    host.engine.put_tenant(acme().on_failure(OnFailure::Ledger).plugin(evil("well-behaved"))).await.unwrap();
    // Fails when it is filled, and again and again.
    host.engine.put_tenant(acme().on_failure(OnFailure::Ledger).plugin(evil("panic"))).await.unwrap_err();
    let seen = |is_it: fn(&Event) -> bool| seen.lock().unwrap().iter().any(is_it);
    assert!(seen(|event| matches!(event, Event::Changed { .. })));
    assert!(seen(|event| matches!(event, Event::ReloadStage { succeeded: false, .. })));
    assert!(seen(|event| matches!(event, Event::Reloaded { .. })));
    engine.lock().unwrap().take();
}

/// A fault is reported after the list is out of service: a listener that checks the list does not cause the fault again.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_checks_on_a_fault_is_answered_by_the_policy() {
    let engine = Arc::<Mutex<Option<Engine>>>::default();
    let (used, answers) = (Arc::clone(&engine), Arc::<Mutex<Vec<AnsweredBy>>>::default());
    let told = Arc::clone(&answers);
    let listener = move |event: Event| {
        let Some(engine) = used.lock().unwrap().clone() else { return };
        if let (Event::Fault { .. }, Ok(list)) = (event, engine.sender_list("acme", "support")) {
            // It may have recovered already, and be slow.
            let checked = list.try_check(number(1), OUT);
            told.lock().unwrap().extend(checked.ok().map(|checked| checked.answered_by));
        }
    };
    let host = Host::with(|builder| builder.on_event(listener)).await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("panic-later"))).await;
    *engine.lock().unwrap() = Some(host.engine.clone());
    while !answers.lock().unwrap().contains(&AnsweredBy::Policy) {
        let _ = list.check(number(1), OUT).await;
    }
    engine.lock().unwrap().take();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_panics_stops_nothing() {
    let host = Host::with(|builder| builder.on_event(|_| panic!("on purpose"))).await;
    let list = host.put(acme()).await;
    block(&list, 1).await;
    for plugin in ["prefix", "exact"] {
        assert_eq!(host.engine.reload("acme", PluginRef::latest(plugin)).await.unwrap(), Reloaded::Serves);
        assert!(is_blocked(&list, 1).await);
    }
    host.engine.roll_back("acme").await.unwrap();
    assert!(host.saw(|event| matches!(event, Event::Reloaded { .. })), "other listeners are called");
    drop(list);
    host.reopened().await;
}
