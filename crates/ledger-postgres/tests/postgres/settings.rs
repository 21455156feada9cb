//! Settings of tenants, which several nodes change.

use std::thread;

use portcullis_ledger::{Ledger, LedgerError, TenantId};

use crate::contract::fixture::tenant;
use crate::ledger_dir::LedgerDir;

/// What is stored of a tenant.
fn stored(ledger: &Ledger, id: &TenantId) -> Option<Vec<u8>> {
    ledger.settings().unwrap().into_iter().find(|(tenant, _)| tenant == id).map(|(_, settings)| settings)
}

#[test]
fn what_another_node_has_stored_since_is_not_replaced() {
    let dir = LedgerDir::new();
    let (a, b) = (dir.ledger(), dir.ledger());
    let acme = tenant("acme");
    let refused = |replaced: Result<(), LedgerError>| {
        assert!(matches!(replaced, Err(LedgerError::SettingsChanged)), "{replaced:?}");
    };
    let first = a.settings_version().unwrap();
    a.replace_settings(&acme, None, Some(b"one")).unwrap();
    refused(b.replace_settings(&acme, None, Some(b"two")));
    refused(b.replace_settings(&acme, Some(b"none"), Some(b"two")));
    assert_eq!(stored(&b, &acme).unwrap(), b"one");
    b.replace_settings(&acme, Some(b"one"), Some(b"two")).unwrap();
    refused(a.replace_settings(&acme, Some(b"one"), Some(b"three")));
    refused(a.replace_settings(&acme, Some(b"one"), None));
    assert_eq!(stored(&a, &acme).unwrap(), b"two");
    // Of another tenant it does not matter what is stored.
    b.put_settings(&tenant("globex"), b"one").unwrap();
    a.replace_settings(&acme, Some(b"two"), None).unwrap();
    assert_eq!(stored(&b, &acme), None);
    refused(b.replace_settings(&acme, Some(b"two"), Some(b"three")));
    assert_eq!(a.settings_version().unwrap(), first + 4, "what is refused changes nothing");
}

#[test]
fn settings_of_a_forgotten_tenant_are_not_replaced() {
    let dir = LedgerDir::new();
    let (a, b) = (dir.ledger(), dir.ledger());
    let acme = tenant("acme");
    a.replace_settings(&acme, None, Some(b"one")).unwrap();
    b.forget_tenant(&acme).unwrap();
    let replaced = a.replace_settings(&acme, Some(b"one"), Some(b"two"));
    assert!(matches!(replaced, Err(LedgerError::TenantForgotten)), "{replaced:?}");
    assert!(b.tenants().unwrap().is_empty(), "the tenant is not there again");
    a.replace_settings(&acme, None, Some(b"new")).unwrap();
    assert_eq!(stored(&b, &acme).unwrap(), b"new");
}

#[test]
fn changes_of_one_tenant_at_the_same_time_are_all_there_and_those_of_others_never_collide() {
    const NODES: u8 = 4;
    const EACH: u8 = 15;
    let dir = LedgerDir::new();
    let nodes: Vec<Ledger> = (0..NODES).map(|_| dir.ledger()).collect();
    let first = nodes[0].settings_version().unwrap();
    let shared = &tenant("shared");
    thread::scope(|scope| {
        for (name, node) in (0..NODES).zip(&nodes) {
            scope.spawn(move || {
                let own = tenant(&format!("own-{name}"));
                for number in 0..EACH {
                    let before = number.checked_sub(1).map(|number| vec![number]);
                    node.replace_settings(&own, before.as_deref(), Some(&[number])).unwrap();
                    loop {
                        let before = stored(node, shared);
                        let mut after = before.clone().unwrap_or_default();
                        after.push(name);
                        match node.replace_settings(shared, before.as_deref(), Some(&after)) {
                            Ok(()) => break,
                            Err(LedgerError::SettingsChanged) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let all = stored(&nodes[0], shared).unwrap();
    for name in 0..NODES {
        assert_eq!(all.iter().filter(|by| **by == name).count(), usize::from(EACH));
    }
    let changes = 2 * u64::from(NODES) * u64::from(EACH);
    assert_eq!(nodes[0].settings_version().unwrap(), first + changes);
}
