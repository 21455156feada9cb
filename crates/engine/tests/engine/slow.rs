//! Tenants whose plugins are slow, lie, or don't start.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use portcullis_engine::{
    AnsweredBy, Change, Event, Identity, NeedsDisk, OnFailure, PluginRef, Service, TenantError, TenantSpec,
};

use crate::support::{
    Host, OUT, acme, actor, block, block_many, drive_to_failure, evil, is_blocked, number, until,
};

/// Checks until the plugin is known to be slow.
async fn make_slow(list: &portcullis_engine::List) {
    while !list.is_slow() {
        list.check(number(1), OUT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_plugin_answers_on_other_threads_and_exactly() {
    let host = Host::with(|builder| builder.check_patience(Duration::from_secs(600))).await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("slow-check"))).await;
    block(&list, 5).await;
    assert!(!list.status().slow);
    make_slow(&list).await;
    assert!(list.status().slow);
    assert_eq!(list.try_check(number(5), OUT), Err(NeedsDisk));
    for n in 1..9 {
        let checked = list.check(number(n), OUT).await.unwrap();
        assert_eq!((checked.is_blocked(), checked.answered_by), (n == 5, AnsweredBy::Plugin));
    }
    let many: Vec<Identity> = (4..7).map(|n| number(n).into()).collect();
    assert_eq!(list.check_many(many, OUT).await.unwrap().blocked, [false, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_has_no_turn_in_time_is_answered_by_the_policy() {
    let host = Host::with(|builder| builder.check_patience(Duration::from_millis(1))).await;
    host.put_evil_into_the_folder();
    for (policy, blocks, by) in [
        (OnFailure::Open, [false, false], AnsweredBy::Policy),
        (OnFailure::Closed, [true, true], AnsweredBy::Policy),
        (OnFailure::Ledger, [true, false], AnsweredBy::Ledger),
    ] {
        let id = format!("{policy:?}").to_lowercase();
        let spec = TenantSpec::new(&id).unwrap().sender("support").unwrap();
        let list = host.put(spec.plugin(evil("slow-check")).on_failure(policy)).await;
        block(&list, 5).await;
        make_slow(&list).await;
        let overdue = async |n| {
            loop {
                let checked = list.check(number(n), OUT).await.unwrap();
                if checked.answered_by != AnsweredBy::Plugin {
                    assert_eq!(checked.answered_by, by);
                    return checked.is_blocked();
                }
            }
        };
        assert_eq!([overdue(5).await, overdue(6).await], blocks, "{policy:?}");
    }
    assert!(!host.saw(|event| matches!(event, Event::Fault { .. })), "to be slow is no fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_tenant_holds_up_nobody_else() {
    let host = Host::with(|builder| builder.check_patience(Duration::from_secs(600))).await;
    host.put_evil_into_the_folder();
    let slow = host.put(acme().plugin(evil("slow-check"))).await;
    let fast = host.put(TenantSpec::new("globex").unwrap().sender("support").unwrap()).await;
    block(&fast, 5).await;
    make_slow(&slow).await;
    let waiting: Vec<_> = (0..300)
        .map(|n| {
            let slow = slow.clone();
            tokio::spawn(async move { slow.check(number(n), OUT).await.unwrap() })
        })
        .collect();
    for n in 0..1000 {
        assert_eq!(is_blocked(&fast, n).await, n == 5);
    }
    block(&fast, 6).await;
    assert!(is_blocked(&fast, 6).await);
    let unfinished = waiting.iter().filter(|check| !check.is_finished()).count();
    assert!(unfinished > 0, "the others were answered first");
    for check in waiting {
        check.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_others_expire_while_a_plugin_does_not_get_on_with_its_own() {
    let host = Host::new().await;
    host.put_evil_into_the_folder();
    let endless = host.put(acme().plugin(evil("spin-in-unblock"))).await;
    let other = host.put(TenantSpec::new("globex").unwrap().sender("support").unwrap()).await;
    let end = Timestamp::now() + SignedDuration::from_millis(300);
    let later = end + SignedDuration::from_millis(1);
    for (list, end) in [(&endless, end), (&other, later)] {
        list.write(&actor(), [Change::block(number(1)).expires(Some(end))]).await.unwrap();
    }
    until(|| other.try_check(number(1), OUT).is_ok_and(|checked| !checked.is_blocked())).await;
    assert!(!host.saw(|event| matches!(event, Event::Fault { .. })), "that plugin was waited for");
    // Its own tenant's list goes on after the fault.
    host.until(|event| matches!(event, Event::Recovered { .. })).await;
    assert!(!is_blocked(&endless, 1).await);
}

/// There are six threads that block, and more lists.
#[test]
fn lists_that_are_slow_to_recover_leave_threads_to_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(6)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let host = Host::new().await;
        host.put_evil_into_the_folder();
        let other = host.put(TenantSpec::new("globex").unwrap().sender("support").unwrap()).await;
        let senders: Vec<_> = (0..15).map(|n| format!("sender-{n}")).collect();
        let spec = senders.iter().fold(acme(), |spec, sender| spec.sender(sender).unwrap());
        host.put(spec.clone()).await;
        let list = |sender| host.engine.sender_list("acme", sender).unwrap();
        let lists: Vec<_> = senders.iter().map(|sender| list(sender)).collect();
        for list in &lists {
            block_many(list, 100).await;
        }
        host.engine.put_tenant(spec.plugin(evil("slow-to-recover"))).await.unwrap();
        for list in &lists {
            drive_to_failure(list);
        }
        block(&other, 5).await;
        let recovered = host.count(|event| matches!(event, Event::Recovered { .. }));
        // If each took a thread, ten would have to be done before the write has one.
        assert!(recovered < 10, "{recovered} lists were waited for");
        until(|| lists.iter().all(|list| list.status().service == Service::Serving)).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_begins_to_lie_goes_out_of_service() {
    let times = Arc::<Mutex<Vec<(Event, Instant)>>>::default();
    let listener = Arc::clone(&times);
    let timed = move |event| listener.lock().unwrap().push((event, Instant::now()));
    let host = Host::with(|builder| builder.proof_share(1.0).on_event(timed)).await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("lie-later")).on_failure(OnFailure::Ledger)).await;
    block_many(&list, 100).await;
    // The plugin lies from its 20,000th check on, and recovers honest. Whatever happens, it is found each time.
    for _ in 0..2 {
        let seen = list.status().health.recoveries;
        until_async(|| async {
            list.check(number(1), OUT).await.unwrap();
            list.status().health.recoveries > seen
        })
        .await;
    }
    // A recovery is counted just before it is reported.
    let recovered = |(event, _): &&(Event, Instant)| matches!(event, Event::Recovered { .. });
    until(|| times.lock().unwrap().iter().filter(recovered).count() == 2).await;
    let times = times.lock().unwrap();
    let at =
        |is_it: fn(&Event) -> bool| times.iter().filter(move |(event, _)| is_it(event)).map(|(_, at)| *at);
    let found = at(|event| matches!(event, Event::Fault { kind: "forgotten", .. }));
    let put_back = at(|event| matches!(event, Event::Recovered { .. }));
    let pauses: Vec<Duration> = found.zip(put_back).map(|(found, back)| back - found).collect();
    // The pause begins just before the fault is reported.
    let at_least = [900, 1900].map(Duration::from_millis);
    assert!(
        pauses.len() == 2 && pauses.iter().zip(at_least).all(|(pause, least)| *pause >= least),
        "{pauses:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plugin_serves_at_once_although_the_one_that_lied_is_paused() {
    let host = Host::with(|builder| builder.proof_share(1.0)).await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("lie-later")).on_failure(OnFailure::Ledger)).await;
    block_many(&list, 100).await;
    until_async(|| async {
        list.check(number(1), OUT).await.unwrap();
        list.status().service == Service::Out
    })
    .await;
    host.engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
    assert_eq!(list.check(number(1), OUT).await.unwrap().answered_by, AnsweredBy::Plugin);
}

async fn until_async<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    while !is_so().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_plugin_refuses_to_start_leaves_the_others_served() {
    let host = Host::new().await;
    host.put_evil_into_the_folder();
    let list = host.put(acme()).await;
    block_many(&list, 200).await;
    host.engine.remove_tenants(vec!["acme".parse().unwrap()]).await.unwrap();
    let refused = || acme().plugin(evil("refuse-long-lists")).on_failure(OnFailure::Ledger);
    let error = host.engine.put_tenant(refused()).await.unwrap_err();
    assert!(matches!(error, portcullis_engine::Error::Tenant(TenantError::Start { .. })), "{error}");

    let globex = TenantSpec::new("globex").unwrap().sender("support").unwrap();
    let put = host.engine.put_tenants(vec![refused().starts_regardless(true), globex]).await.unwrap();
    assert!(put.iter().all(Result::is_ok), "{put:?}");
    let list = host.engine.sender_list("acme", "support").unwrap();
    let status = host.engine.tenant_status(list.tenant()).unwrap();
    assert!(status.lists.iter().any(|list| list.service == Service::Out));
    let checked = list.check(number(5), OUT).await.unwrap();
    assert_eq!((checked.is_blocked(), checked.answered_by), (true, AnsweredBy::Ledger));
    assert!(!is_blocked(&host.engine.sender_list("globex", "support").unwrap(), 5).await);
    // Writes are kept, and another plugin has them.
    block(&list, 900).await;
    host.engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
    assert!(list.try_check(number(900), OUT).unwrap().is_blocked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_never_starts_is_not_tried_on_every_list_before_the_others_are_served() {
    for mode in ["spin-in-configure", "spin-in-check"] {
        let host = Host::new().await;
        host.put_evil_into_the_folder();
        let spec = acme().plugin(evil(mode)).on_failure(OnFailure::Ledger).starts_regardless(true);
        let spec = (0..12).fold(spec, |spec, n| spec.sender(&format!("sender-{n}")).unwrap());
        let globex = TenantSpec::new("globex").unwrap().sender("support").unwrap().starts_regardless(true);
        let put = host.engine.put_tenants(vec![spec, globex]).await.unwrap();
        let faults = host.count(|event| matches!(event, Event::Fault { kind: "timed-out", .. }));
        // One on each processor at the start, unless the machine is so busy that they go on. The background may have had some since.
        let processors = std::thread::available_parallelism().unwrap().get();
        assert!(faults <= processors + 2, "{mode}: {faults} calls were interrupted");
        assert!(put.iter().all(Result::is_ok), "{mode}: {put:?}");
        assert!(!is_blocked(&host.engine.sender_list("globex", "support").unwrap(), 5).await);
        // Its lists are out of service, and answer all the same.
        let list = host.engine.sender_list("acme", "sender-11").unwrap();
        let status = host.engine.tenant_status(list.tenant()).unwrap();
        assert!(status.lists.iter().all(|list| list.service == Service::Out), "{mode}");
        block(&list, 5).await;
        let checked = list.check(number(5), OUT).await.unwrap();
        assert_eq!((checked.is_blocked(), checked.answered_by), (true, AnsweredBy::Ledger), "{mode}");
        // Another plugin ends that.
        host.engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
        assert!(list.try_check(number(5), OUT).unwrap().is_blocked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_can_t_be_loaded_serves_as_soon_as_it_can() {
    let host = Host::new().await;
    let missing = acme().plugin(evil("well-behaved")).on_failure(OnFailure::Ledger);
    assert!(host.engine.put_tenant(missing.clone()).await.is_err());
    let list = host.put(missing.starts_regardless(true)).await;
    block(&list, 5).await;
    let checked = list.check(number(5), OUT).await.unwrap();
    assert_eq!((checked.is_blocked(), checked.answered_by), (true, AnsweredBy::Ledger));
    let status = host.engine.tenant_status(list.tenant()).unwrap();
    assert!(status.reload.serving.missing().is_some());
    assert!(status.reload.last.is_some_and(|last| last.error.is_some()));
    // There is nothing to go back to, and nothing to serve instead.
    assert!(host.engine.roll_back("acme").await.is_err());

    host.put_evil_into_the_folder();
    host.engine.rescan_plugins().await.unwrap();
    until(|| list.try_check(number(5), OUT).is_ok_and(|checked| checked.answered_by == AnsweredBy::Plugin))
        .await;
    assert!(is_blocked(&list, 5).await && !is_blocked(&list, 6).await);
    // What could not be loaded is nothing to go back to. The folder's watcher may have found the file, too, so that there is a second
    // reload to be taken back.
    let _ = host.engine.roll_back("acme").await;
    let reload = host.engine.tenant_status(list.tenant()).unwrap().reload;
    assert!(reload.serving.missing().is_none());
    assert!(reload.before.is_none_or(|before| before.missing().is_none()));
    assert!(is_blocked(&list, 5).await && !is_blocked(&list, 6).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_filled_its_memory_can_be_replaced() {
    let host = Host::new().await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("leak-in-block")).memory_limit(24 << 20)).await;
    // Each entry leaks 1 MiB, until there is hardly any left.
    let memory = || host.engine.tenant_status(list.tenant()).unwrap().memory_bytes;
    let mut n = 0;
    while memory() < (20 << 20) {
        block(&list, n).await;
        n += 1;
    }
    host.engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
    assert!(memory() < (20 << 20));
    block(&list, 900).await;
    assert!(is_blocked(&list, 0).await && is_blocked(&list, 900).await);
    host.engine.roll_back("acme").await.unwrap();
    assert!(memory() >= (20 << 20), "the leaking plugin's memory counts again");
    assert!(is_blocked(&list, 0).await && is_blocked(&list, 900).await);
}
