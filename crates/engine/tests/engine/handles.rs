//! Handles of lists that are no longer served.

use portcullis_engine::ledger::{Link, TenantId, UserId};
use portcullis_engine::{CheckError, Identity, List, NeedsDisk, NotServed, TenantSpec, WriteError};

use crate::support::{Host, OUT, acme, actor, block, is_blocked, number, try_block, try_is_blocked};

fn id() -> TenantId {
    "acme".parse().unwrap()
}

async fn assert_dead(list: &List, why: &NotServed) {
    assert_eq!(list.not_served().as_ref(), Some(why));
    assert_eq!(list.try_check(number(1), OUT), Err(NeedsDisk));
    assert_eq!(list.try_check_many(&[number(1).into()], OUT), Err(NeedsDisk));
    let user: UserId = "US.1".parse().unwrap();
    for identity in [Identity::from(number(1)), user.clone().into()] {
        let error = list.check(&identity, OUT).await.unwrap_err();
        assert!(matches!(&error, CheckError::NotServed(cause) if cause == why), "{error}");
    }
    let error = list.blocking_check_many(&[number(1).into()], OUT).unwrap_err();
    assert!(matches!(&error, CheckError::NotServed(cause) if cause == why), "{error}");
    let tie = Link { number: None, users: vec![user.clone()], left: None, at: None, actor: actor() };
    for error in [
        try_block(list, 1).await.unwrap_err(),
        list.blocking_write(Vec::new()).unwrap_err(),
        list.tie(tie).await.unwrap_err(),
        list.ensure_person(&user.into()).unwrap_err(),
        list.set_passed_on(list.census().map_or_else(|_| Default::default(), |census| census.sequence))
            .unwrap_err(),
    ] {
        assert!(matches!(&error, WriteError::NotServed(cause) if cause == why), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_of_a_removed_tenant_is_dead_also_when_the_tenant_is_put_again() {
    let host = Host::new().await;
    let old = host.put(acme()).await;
    let wide = old.tenant_wide();
    block(&old, 7).await;
    assert_eq!(host.engine.remove_tenants(vec![id()]).await.unwrap(), 1);
    let why = NotServed::TenantRemoved(id());
    assert_dead(&old, &why).await;
    assert_dead(&wide, &why).await;
    let new = host.put(acme()).await;
    // It would be acknowledged on a list that nobody asks.
    assert_dead(&old, &why).await;
    assert!(is_blocked(&new, 7).await && !is_blocked(&new, 1).await);
    block(&new, 1).await;
    assert!(is_blocked(&new, 1).await);
    host.engine.forget_tenant(&id()).await.unwrap();
    assert_dead(&new, &why).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_of_a_removed_sender_is_dead_also_when_the_sender_is_added_again() {
    let host = Host::new().await;
    let old = host.put(acme()).await;
    block(&old, 7).await;
    let without = TenantSpec::new("acme").unwrap().sender("billing").unwrap().clear_numbers(true);
    host.engine.put_tenant(without).await.unwrap();
    let why = NotServed::SenderRemoved { tenant: id(), sender: "support".parse().unwrap() };
    assert_dead(&old, &why).await;
    // The tenant-wide list stays.
    let wide = old.tenant_wide();
    block(&wide, 8).await;
    let new = host.put(acme()).await;
    assert_dead(&old, &why).await;
    assert!(is_blocked(&new, 7).await && is_blocked(&new, 8).await && !is_blocked(&new, 1).await);
    assert_eq!(wide.not_served(), None);
}

/// Whatever is removed and put meanwhile: the check after an acknowledged write sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_acknowledged_by_the_list_that_is_checked() {
    let host = Host::new().await;
    host.put(acme()).await;
    let (engine, done) =
        (host.engine.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stop = std::sync::Arc::clone(&done);
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (engine, done) = (engine.clone(), std::sync::Arc::clone(&done));
            tokio::spawn(async move {
                let mut acknowledged = 0;
                let mut n = writer;
                let mut list = None;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    n += 2;
                    let Some(held) = &list else {
                        list = engine.sender_list("acme", "support").ok();
                        continue;
                    };
                    if let Err(error) = try_block(held, n).await {
                        assert!(matches!(error, WriteError::NotServed(_)), "{error}");
                        list = None;
                        continue;
                    }
                    acknowledged += 1;
                    let Ok(now) = engine.sender_list("acme", "support") else { continue };
                    match try_is_blocked(&now, n).await {
                        Ok(is_blocked) => assert!(is_blocked, "write {n} was acknowledged and is not seen"),
                        Err(error) => assert!(matches!(error, CheckError::NotServed(_)), "{error}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    let without = TenantSpec::new("acme").unwrap().clear_numbers(true);
    for round in 0..20 {
        if round % 2 == 0 {
            engine.remove_tenants(vec![id()]).await.unwrap();
        } else {
            engine.put_tenant(without.clone()).await.unwrap();
        }
        let list = host.put(acme()).await;
        // Some writes get through between two changes.
        let before = list.census().unwrap().sequence;
        crate::support::until(|| list.census().unwrap().sequence > before).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.unwrap();
    }
    let list = engine.sender_list("acme", "support").unwrap();
    assert_eq!(list.census().unwrap().active, acknowledged, "a write that failed left no entry");
}
