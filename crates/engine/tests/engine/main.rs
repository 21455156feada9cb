//! The engine through its public API, with real plugins and a real ledger.

mod close;
mod damage;
mod events;
mod handles;
mod memory;
mod neighbours;
mod put;
mod rollback;
mod slow;
mod support;
mod versions;

use jiff::{SignedDuration, Timestamp};
use portcullis_engine::ledger::{HoldKind, LedgerError, Link, Outcome, TenantId, UserId};
use portcullis_engine::{
    AnsweredBy, Change, Direction, Directions, Error, Event, Identity, KeepError, ListKind, NeedsDisk,
    OnFailure, OpenError, PluginRef, Put, ReloadError, Reloaded, Service, TenantError, TenantSpec,
};
use serde_json::{Map, json};
use support::{Host, OUT, acme, actor, block, evil, is_blocked, number};

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_seen_by_the_next_check_and_after_a_restart() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    assert!(!list.try_check(number(1), OUT).unwrap().is_blocked());
    assert_eq!(block(&list, 1).await, Outcome::Added);
    let checked = list.try_check(number(1), OUT).unwrap();
    assert_eq!((checked.blocked_by, checked.answered_by), (Some(ListKind::Sender), AnsweredBy::Plugin));
    let wide = list.tenant_wide();
    assert_eq!(block(&wide, 2).await, Outcome::Added);
    assert_eq!(list.try_check(number(2), OUT).unwrap().blocked_by, Some(ListKind::Tenant));
    assert!(!wide.try_check(number(1), OUT).unwrap().is_blocked());
    let many: Vec<Identity> = (1..=3).map(|n| number(n).into()).collect();
    assert_eq!(list.try_check_many(&many, OUT).unwrap().blocked, [true, true, false]);
    assert_eq!(list.blocking_check_many(&many, OUT).unwrap().blocked, [true, true, false]);
    drop((list, wide));
    let host = host.reopened().await;
    assert!(matches!(host.engine.sender_list("acme", "support"), Err(Error::UnknownTenant(_))));
    let list = host.put(acme()).await;
    assert!(is_blocked(&list, 1).await && is_blocked(&list, 2).await && !is_blocked(&list, 3).await);
    list.write(&actor(), [Change::unblock(number(1)).directions(Directions::OUTBOUND)]).await.unwrap();
    assert!(!is_blocked(&list, 1).await);
    assert!(list.try_check(number(1), Direction::Inbound).unwrap().is_blocked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_also_known_by_an_id() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    let user: UserId = "US.1".parse().unwrap();
    assert_eq!(list.try_check(user.clone(), OUT), Err(NeedsDisk));
    assert!(!list.check(user.clone(), OUT).await.unwrap().is_blocked());
    let stop = Change::block(user.clone()).hold(HoldKind::OptOut);
    list.write(&actor(), [stop]).await.unwrap();
    assert!(list.check(user.clone(), OUT).await.unwrap().is_blocked());
    let tie = Link {
        number: Some(list.permutation().subject(number(1))),
        users: vec![user],
        left: None,
        at: None,
        actor: actor(),
    };
    list.blocking_tie(tie).unwrap();
    assert!(list.try_check(number(1), OUT).unwrap().is_blocked(), "it is the same person");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_reloaded_rolled_back_and_stays_chosen() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    block(&list, 1).await;
    assert_eq!(host.engine.reload("acme", PluginRef::latest("prefix")).await.unwrap(), Reloaded::Serves);
    let id: TenantId = "acme".parse().unwrap();
    assert_eq!(host.engine.plugin_of(&id).unwrap().name(), "prefix");
    assert!(is_blocked(&list, 1).await);
    host.engine.roll_back("acme").await.unwrap();
    assert_eq!(host.engine.plugin_of(&id).unwrap().name(), "exact");
    let refused = host.engine.reload("acme", PluginRef::latest("missing")).await.unwrap_err();
    assert!(matches!(&refused, Error::Reload(why) if matches!(**why, ReloadError::Plugin(_))), "{refused}");
    let options = Map::from_iter([("unheard_of".to_owned(), json!(1))]);
    let refused = host.engine.reload("acme", PluginRef::latest("prefix").options(options)).await;
    assert!(matches!(refused, Err(Error::Reload(_))), "{refused:?}");
    assert!(is_blocked(&list, 1).await);
    host.engine.reload("acme", PluginRef::latest("prefix")).await.unwrap();
    assert!(host.saw(|event| matches!(event, Event::Reloaded { .. })));
    drop(list);
    // The choice survives a restart, until the spec names another plugin.
    let host = host.reopened().await;
    host.put(acme()).await;
    assert_eq!(host.engine.plugin_of(&id).unwrap().name(), "prefix");
    host.put(acme().reset_choice()).await;
    assert_eq!(host.engine.plugin_of(&id).unwrap().name(), "exact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_in_the_folder_is_loaded() {
    let host = Host::new().await;
    let spec = acme().plugin(PluginRef::latest("mine"));
    let refused = host.engine.put_tenant(spec.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::Tenant(_)), "{refused}");
    let engine = host.engine.clone();
    let component = |bundled: portcullis_plugin_bundle::Bundled| bundled.component.to_vec();
    let exact = component(portcullis_plugin_bundle::EXACT);
    let (first, _) =
        tokio::task::spawn_blocking(move || engine.blocking_put_plugin("mine", &exact, None).unwrap())
            .await
            .unwrap();
    let list = host.put(spec).await;
    block(&list, 1).await;
    std::fs::write(host.dir.path().join("new.tmp"), portcullis_plugin_bundle::PREFIX.component).unwrap();
    std::fs::rename(host.dir.path().join("new.tmp"), host.dir.path().join("plugins/mine.wasm")).unwrap();
    let id: TenantId = "acme".parse().unwrap();
    let serving = || host.engine.tenant_status(&id).unwrap().reload.serving.version().digest;
    while serving() == first.digest {
        tokio::task::yield_now().await;
    }
    assert!(is_blocked(&list, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_answers_for_a_plugin_that_traps() {
    let host = Host::new().await;
    host.put_evil_into_the_folder();
    let spec = acme().plugin(evil("panic-in-block")).on_failure(OnFailure::Ledger);
    let list = host.put(spec).await;
    block(&list, 1).await;
    assert!(is_blocked(&list, 1).await && !is_blocked(&list, 2).await, "the ledger answers");
    host.until(|event| matches!(event, Event::Fault { .. })).await;
    assert_eq!(list.check(number(1), OUT).await.unwrap().answered_by, AnsweredBy::Ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_beyond_the_budget_are_evicted_and_come_back() {
    let host = Host::with_budget(1).await;
    let mut lists = Vec::new();
    for tenant in 0..4 {
        let spec = TenantSpec::new(&format!("tenant-{tenant}")).unwrap().sender("support").unwrap();
        let list = host.put(spec).await;
        block(&list, 1).await;
        lists.push(list);
    }
    let evicted = |list: &&portcullis_engine::List| list.status().service == Service::Evicted;
    assert!(lists.iter().any(|list| evicted(&list)));
    for list in &lists {
        if list.status().service == Service::Evicted {
            assert_eq!(list.try_check(number(1), OUT), Err(NeedsDisk));
        }
        assert!(is_blocked(list, 1).await && !is_blocked(list, 2).await);
    }
    assert!(host.saw(|event| matches!(event, Event::Restored { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_expires_and_changes_are_reported() {
    let host = Host::new().await;
    let list = host.put(acme().change_feed(true)).await;
    let mut changes = host.engine.changes(list.tenant()).unwrap();
    let end = Timestamp::now() + SignedDuration::from_millis(300);
    list.write(&actor(), [Change::block(number(1)).expires(Some(end))]).await.unwrap();
    changes.changed().await.unwrap();
    let passed_on = list.passed_on().unwrap().unwrap();
    let records = list.entries().records_after(passed_on, 9.try_into().unwrap()).unwrap();
    assert_eq!(records.len(), 1);
    list.set_passed_on(records[0].sequence).unwrap();
    assert!(is_blocked(&list, 1).await);
    changes.changed().await.unwrap();
    assert!(!is_blocked(&list, 1).await);
    assert!(Timestamp::now() >= end);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_put_removed_and_forgotten() {
    let host = Host::new().await;
    let list = host.put(acme()).await;
    block(&list, 1).await;
    assert_eq!(host.engine.put_tenant(acme().sender("billing").unwrap()).await.unwrap(), Put::Replaced);
    assert!(is_blocked(&host.engine.sender_list("acme", "support").unwrap(), 1).await);
    assert!(!is_blocked(&host.engine.sender_list("acme", "billing").unwrap(), 1).await);
    let id: TenantId = "acme".parse().unwrap();
    assert_eq!(host.engine.blocking_remove_tenants(std::slice::from_ref(&id)), 1);
    assert!(matches!(host.engine.tenant_list("acme"), Err(Error::UnknownTenant(_))));
    assert!(is_blocked(&host.put(acme()).await, 1).await, "its entries are still there");
    host.engine.forget_tenant(&id).await.unwrap();
    assert!(matches!(host.engine.forget_tenant(&id).await, Err(Error::UnknownTenant(_))));
    let list = host.put(acme()).await;
    assert!(!is_blocked(&list, 1).await, "it is another tenant of the same name");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_a_host_keeps_survives_a_restart() {
    let host = Host::new().await;
    host.put(acme().kept(Some(br#"{"plan":"gold"}"#.to_vec()))).await;
    let host = host.reopened().await;
    let kept = host.engine.kept();
    assert_eq!((kept[0].0.as_str(), kept[0].1.as_slice()), ("acme", br#"{"plan":"gold"}"#.as_slice()));
    let refused = host.engine.put_tenant(acme().kept(Some(b"no JSON".to_vec()))).await;
    assert!(matches!(refused, Err(Error::Tenant(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_kept_over_what_it_was_made_from_only() {
    let host = Host::new().await;
    let id: TenantId = "acme".parse().unwrap();
    let data = |plan: &str| json!({ "plan": plan }).to_string().into_bytes();
    host.put(acme().kept(Some(data("gold")))).await;
    let late = acme().kept(Some(data("silver"))).kept_over(data("bronze")).sender("billing").unwrap();
    let refused = host.engine.put_tenant(late).await.unwrap_err();
    let Error::Tenant(TenantError::Keep(KeepError::Ledger(LedgerError::SettingsChanged))) = refused else {
        panic!("{refused}");
    };
    assert!(host.engine.sender_list("acme", "billing").is_err(), "the tenant stays as it was");
    host.put(acme().kept(Some(data("silver"))).kept_over(data("gold"))).await;
    assert_eq!(host.engine.kept_of(&id), Some(data("silver")));
    // A tenant that is put as it is stored changes nothing.
    host.put(acme().kept(Some(data("gold"))).stored(true)).await;
    assert_eq!(host.engine.blocking_kept_of(&id).unwrap(), Some(data("silver")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_says_what_it_lacks_to_be_opened() {
    let error = portcullis_engine::Engine::builder().open().await.unwrap_err();
    assert!(matches!(error, OpenError::NoLedger), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("ledger.db").display());
    let error = portcullis_engine::Engine::builder().ledger(url).open().await.unwrap_err();
    assert!(matches!(error, OpenError::NoMasterKey), "{error}");
}
