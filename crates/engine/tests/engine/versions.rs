//! Versions of plugins, and choices between them, over restarts.

use portcullis_engine::ledger::TenantId;
use portcullis_engine::{Engine, PluginRef, TenantSpec};

use crate::support::{Host, acme, is_blocked};

/// A component with another digest for each note.
fn component(note: u8) -> Vec<u8> {
    // A custom section: its id, its size, the size of its name, the name, the note.
    [portcullis_plugin_bundle::EXACT.component, &[0, 6, 4], b"note", &[note]].concat()
}

async fn put_versions(engine: &Engine, notes: std::ops::Range<u8>) -> Vec<String> {
    let mut digests = Vec::new();
    for note in notes {
        let (version, _) = engine.put_plugin("mine", component(note), None).await.unwrap();
        digests.push(version.digest.to_string());
    }
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_that_a_spec_is_pinned_to_survives_a_restart() {
    let host = Host::new().await;
    let first = put_versions(&host.engine, 0..1).await.remove(0);
    let spec = || acme().plugin(PluginRef::version("mine", &first));
    host.put(spec()).await;
    put_versions(&host.engine, 1..12).await;
    let Host { dir, engine, .. } = host;
    engine.close().await.unwrap();
    std::fs::write(dir.path().join("plugins/mine.wasm"), component(99)).unwrap();
    let host = Host::in_dir(dir, |builder| builder).await;
    // The new file is found before the tenant is put.
    host.engine.rescan_plugins().await.unwrap();
    let list = host.put(spec()).await;
    assert!(!is_blocked(&list, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_that_a_reload_chose_survives_new_ones_while_the_tenant_is_removed() {
    let host = Host::new().await;
    let first = put_versions(&host.engine, 0..1).await.remove(0);
    let id: TenantId = "acme".parse().unwrap();
    host.put(acme()).await;
    host.engine.reload("acme", PluginRef::version("mine", &first)).await.unwrap();
    host.engine.put_tenant(TenantSpec::new("initech").unwrap()).await.unwrap();
    host.engine.remove_tenants(vec![id.clone()]).await.unwrap();
    put_versions(&host.engine, 1..12).await;
    host.put(acme()).await;
    assert_eq!(host.engine.plugin_of(&id).unwrap().pinned_version(), Some(first.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_ends_when_a_spec_names_another_plugin_and_not_when_that_spec_is_refused() {
    let host = Host::new().await;
    let id: TenantId = "acme".parse().unwrap();
    host.put(acme()).await;
    host.engine.reload("acme", PluginRef::latest("prefix")).await.unwrap();
    let chosen = |host: &Host| host.engine.plugin_of(&id).unwrap().name().to_owned();
    // The same plugin in the spec: the choice stays.
    host.put(acme().sender("billing").unwrap()).await;
    assert_eq!(chosen(&host), "prefix");
    host.engine.put_tenant(acme().plugin(PluginRef::latest("missing"))).await.unwrap_err();
    assert_eq!(chosen(&host), "prefix");
    let host = host.reopened().await;
    host.put(acme()).await;
    assert_eq!(chosen(&host), "prefix");
    let options = serde_json::Map::from_iter([("prefixes".to_owned(), serde_json::json!(["+4670"]))]);
    let other = acme().plugin(PluginRef::latest("prefix").options(options));
    if host.engine.put_tenant(other).await.is_ok() {
        assert!(!host.engine.plugin_of(&id).unwrap().plugin_options().is_empty());
        host.put(acme()).await;
        assert_eq!(chosen(&host), "exact", "the choice was dropped for good");
    }
    host.engine.reload("acme", PluginRef::latest("prefix")).await.unwrap();
    // A forgotten tenant's choice does not apply to another tenant with its name.
    host.engine.forget_tenant(&id).await.unwrap();
    host.put(acme()).await;
    assert_eq!(chosen(&host), "exact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_compiled_once_for_all_starts_and_again_if_somebody_changed_it() {
    let is_from_cache = |host: &Host| host.engine.plugins().latest("exact").unwrap().compiled.is_from_cache();
    let host = Host::new().await;
    host.put(acme()).await;
    assert!(!is_from_cache(&host));
    let host = host.reopened().await;
    host.put(acme()).await;
    assert!(is_from_cache(&host));

    let Host { dir, engine, .. } = host;
    engine.close().await.unwrap();
    // Beside the ledger. Somebody can write there, but does not have the master key.
    for file in std::fs::read_dir(dir.path().join("ledger.db.compiled")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let host = Host::in_dir(dir, |builder| builder).await;
    let list = host.put(acme()).await;
    assert!(!is_from_cache(&host) && !is_blocked(&list, 1).await);
}
