//! Plugins that are pulled from a registry.

use std::sync::atomic::Ordering;

use portcullis_plugin_bundle::EXACT;
use serde_json::Value;
use tempfile::TempDir;

use super::super::support::{Gateway, SERVER, TENANTS, digest, refused_start, variant};
use super::keys::{Keys, run};
use super::registry::{Liar, Registry, is_there};

/// A configuration whose tenant acme has a plugin `vip`, which comes from here.
pub(super) fn config(from: &str, trusted: &str) -> String {
    let plugins =
        format!("[plugins]\ntrusted_keys = [{trusted}]\nsources = [{{ name = \"vip\", from = \"{from}\" }}]");
    let server = SERVER.replace("[plugins]", &plugins);
    let tenants = TENANTS.replacen("id = \"acme\"", "id = \"acme\"\nplugin = \"vip\"", 1);
    format!("{server}{tenants}")
}

/// Pushes a component, with a signature if there are keys. Returns its name there, pinned.
fn push(folder: &TempDir, host: &str, component: &[u8], keys: Option<&Keys>) -> String {
    let file = folder.path().join("vip.wasm");
    std::fs::write(&file, component).unwrap();
    let beside = file.with_extension("wasm.minisig");
    match keys {
        Some(keys) => std::fs::write(beside, keys.signature(component)).unwrap(),
        None => drop(std::fs::remove_file(beside)),
    }
    let pinned =
        run(folder.path(), &["plugin", "push", "vip.wasm", "--to", &format!("oci://{host}/acme/vip:1")]);
    assert!(pinned.starts_with(&format!("oci://{host}/acme/vip@sha256:")), "{pinned}");
    pinned
}

fn serving(gateway: &Gateway) -> Value {
    gateway.plugin("acme")["serving"]["version"].clone()
}

pub(super) fn last(gateway: &Gateway) -> String {
    gateway.plugin("acme")["last"].to_string()
}

fn reconfigured(gateway: &Gateway, config: &str) {
    std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
    gateway.hang_up();
}

#[test]
fn a_signed_plugin_is_pulled_with_credentials_and_served_while_the_registry_is_away() {
    if !is_there() {
        return;
    }
    let (keys, authors) = (Keys::new("acme"), TempDir::new().unwrap());
    let [first, second] = [b'1', b'2'].map(|name| variant(EXACT.component, name));
    let mut registry = Registry::started(true);
    registry.log_in(authors.path());
    let pinned = push(&authors, &registry.host(), &first, Some(&keys));
    let config_of = |from: &str| config(from, &keys.trusted());

    // Without credentials.
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("docker")).unwrap();
    let mut gateway = Gateway::in_folder(folder, &config_of(&pinned), &[]);
    gateway.until("access is refused", |gateway| last(gateway).contains("refuses access: run `docker login"));
    assert!(
        last(&gateway).contains(&format!("has to come from {pinned}, and is not here yet")),
        "{}",
        last(&gateway)
    );
    assert_eq!(gateway.plugin("globex")["serving"]["version"], digest(EXACT.component));
    registry.log_in(gateway.folder());
    gateway.until("it is pulled", |gateway| serving(gateway) == digest(&first));

    // The next version, by another pin, and back without the registry.
    let next = push(&authors, &registry.host(), &second, Some(&keys));
    reconfigured(&gateway, &config_of(&next));
    gateway.until("the next version is pulled", |gateway| serving(gateway) == digest(&second));
    registry.stop();
    gateway.restart();
    assert_eq!(serving(&gateway), digest(&second));
    reconfigured(&gateway, &config_of(&pinned));
    gateway.until("the version before serves again", |gateway| serving(gateway) == digest(&first));

    // A gateway that has not pulled it before serves the others, and gets it once the registry is back.
    let folder = TempDir::new().unwrap();
    registry.log_in(folder.path());
    let other = Gateway::in_folder(folder, &config_of(&pinned), &[]);
    assert_eq!(other.plugin("globex")["serving"]["version"], digest(EXACT.component));
    other.until("the registry is missed", |other| last(other).contains("can't be reached"));
    other.until("telling it", |gateway| last(gateway).contains("it is tried again"));
    assert_eq!(other.call("GET", "/readyz", "", None).ok()["status"], "degraded");
    assert!(other.logged("the plugin can't be pulled"));
    registry.start();
    other.until("it is pulled", |other| serving(other) == digest(&first));
}

#[test]
fn what_has_another_digest_or_no_signature_is_not_used() {
    if !is_there() {
        return;
    }
    let (keys, authors) = (Keys::new("acme"), TempDir::new().unwrap());
    let [first, second] = [b'1', b'2'].map(|name| variant(EXACT.component, name));
    let registry = Registry::started(false);
    let liar = Liar::before(&registry);
    let pinned =
        push(&authors, &registry.host(), &first, Some(&keys)).replace(&registry.host(), &liar.host());
    let config_of = |from: &str| config(from, &keys.trusted());
    liar.changes_manifests.store(true, Ordering::Relaxed);
    let gateway = Gateway::with(&config_of(&pinned));
    let is_wrong = |gateway: &Gateway| last(gateway).contains("sent something else than the digest says");
    gateway.until("another manifest is refused", is_wrong);
    liar.changes_layers.store(true, Ordering::Relaxed);
    liar.changes_manifests.store(false, Ordering::Relaxed);
    reconfigured(&gateway, &config_of(&pinned));
    gateway.until("another layer is refused", |gateway| {
        gateway.log_lines("something else than the digest says") >= 2
    });
    assert!(is_wrong(&gateway) && !gateway.folder().join("plugins/vip.wasm").exists());
    liar.changes_layers.store(false, Ordering::Relaxed);
    reconfigured(&gateway, &config_of(&pinned));
    gateway.until("the right one is used", |gateway| serving(gateway) == digest(&first));

    let unsigned = push(&authors, &registry.host(), &second, None);
    assert_eq!(push(&authors, &registry.host(), &second, None), unsigned, "the same file has the same name");
    reconfigured(&gateway, &config_of(&unsigned));
    gateway.until("an unsigned one is refused", |gateway| {
        gateway.logged("is not trusted by this gateway: it has no signature")
    });
    assert_eq!(serving(&gateway), digest(&first));
    let absent = format!("oci://{}/acme/vip@sha256:{}", registry.host(), "0".repeat(64));
    reconfigured(&gateway, &config_of(&absent));
    gateway.until("what is not there is named", |gateway| gateway.logged("has no such artifact"));

    let folder = TempDir::new().unwrap();
    let said =
        refused_start(folder.path(), &config_of(&format!("oci://{}/acme/vip:latest", registry.host())));
    assert!(
        said.contains("plugins.sources[0].from: not pinned: a tag may come to mean something else"),
        "{said}"
    );
    let without = config_of(&pinned).replace("dir = \"plugins\"", "");
    assert!(refused_start(folder.path(), &without).contains("set plugins.dir"));
}
