//! Plugins that are uploaded to one gateway, or chosen at one, and serve at all.

use portcullis_plugin_bundle::{EVIL, EXACT};
use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster, name_of};
use crate::keys::Keys;
use crate::support::{ACME, ADMIN, Gateway, digest, variant};
use crate::{config, folder};

/// Starts a gateway that watches a plugin for so long before it commits to it. The first one creates the ledger.
fn node(url: &str, number: usize, watch_seconds: u32) -> Gateway {
    let more = format!("[plugins]\ndir = \"plugins\"\nproof_share = 0\nwatch_seconds = {watch_seconds}\n");
    let options: &[&str] = if number == 0 { &["--new-ledger"] } else { &[] };
    Gateway::in_folder(folder(), &config(url, &format!("n{number}"), &more), options)
}

/// Longer than any test takes.
const FOREVER: u32 = 3600;

/// Puts a tenant of the admin API, which is served by a plugin.
fn put_tenant(gateway: &Gateway, name: &str, settings: &Value) -> u16 {
    let mut settings = settings.clone();
    settings["tokens"] = json!([format!("{name}-secret")]);
    settings["senders"] = json!([{ "id": "bot" }]);
    gateway.admin("PUT", &format!("/{name}"), Some(settings)).status
}

/// The digest of the version that serves a tenant; null if the tenant is not there.
fn serving(gateway: &Gateway, tenant: &str) -> Value {
    gateway.admin("GET", &format!("/{tenant}/plugin"), None).json["serving"]["version"].clone()
}

fn stage(gateway: &Gateway, tenant: &str) -> Value {
    gateway.plugin(tenant)["stage"].clone()
}

/// Waits until a gateway has followed everything that another one stored before.
fn follow(from: &Gateway, to: &Gateway, marker: &str) {
    assert_eq!(put_tenant(from, marker, &json!({})), 201);
    to.until("followed", |gateway| serving(gateway, marker) != Value::Null);
}

/// The digest of the newest version of a plugin, for tenants that pin none.
fn newest(gateway: &Gateway, name: &str) -> Value {
    let plugins = gateway.api("GET", "/admin/plugins", ADMIN, None).ok()["plugins"].clone();
    let plugin = plugins.as_array().unwrap().iter().find(|plugin| plugin["plugin"] == name).cloned();
    let versions = plugin.map(|plugin| plugin["versions"].clone()).unwrap_or_default();
    let versions = versions.as_array().cloned().unwrap_or_default();
    versions
        .iter()
        .find(|version| version["newest"] == true)
        .map_or(Value::Null, |one| one["version"].clone())
}

/// Makes the plugin `evil` fail that serves the tenant with this token.
fn provoke(gateway: &Gateway, token: &str, sender: &str) {
    let numbers: Vec<String> = (0..2000).map(|n| format!("+4673300{n:04}")).collect();
    let check = json!({ "numbers": numbers, "direction": "inbound" });
    gateway.api("POST", &format!("/senders/{sender}/check"), token, Some(check)).ok();
}

#[test]
fn each_gateway_verifies_what_was_uploaded_to_another_and_keeps_it() {
    let url = cluster().database();
    let (keys, stranger) = (Keys::new("acme"), Keys::new("stranger"));
    let node = |number: usize, keys: &Keys, options: &[&str]| {
        let more =
            format!("[plugins]\ndir = \"plugins\"\nproof_share = 0\ntrusted_keys = [{}]\n", keys.trusted());
        Gateway::in_folder(folder(), &config(&url, &format!("n{number}"), &more), options)
    };
    let mut a = node(0, &keys, &["--new-ledger"]);
    let (mut b, c) = (node(1, &keys, &[]), node(2, &stranger, &[]));
    let component = variant(EXACT.component, b'a');
    a.put_plugin("vip", &component).error(400, "invalid_plugin");
    keys.push(&a, "vip", &component).ok();
    assert_eq!(put_tenant(&b, "initech", &json!({ "plugin": "vip" })), 201);
    assert_eq!(serving(&b, "initech"), digest(&component));
    c.until("it is refused there", |c| c.logged("is not trusted by this gateway: it is signed with the key"));
    assert!(c.logged("and needs a signature by stranger ("), "{}", c.log());
    assert_ne!(serving(&c, "initech"), digest(&component));
    for gateway in [&mut a, &mut b] {
        gateway.restart();
        assert_eq!(serving(gateway, "initech"), digest(&component));
    }
}

#[test]
fn a_plugin_that_is_uploaded_to_one_gateway_serves_a_tenant_of_another() {
    let url = cluster().database();
    let [a, b] = [node(&url, 0, 1), node(&url, 1, 1)];
    let component = variant(EXACT.component, b'a');
    a.put_plugin("vip", &component).ok();
    // At once, and not only when the other one has looked.
    assert_eq!(put_tenant(&b, "initech", &json!({ "plugin": "vip" })), 201);
    assert_eq!(serving(&b, "initech"), digest(&component));
    assert_eq!(std::fs::read(b.folder().join("plugins/vip.wasm")).unwrap(), component);
    a.until("the same there", |gateway| serving(gateway, "initech") == digest(&component));
    // The other way round, for a plugin that tenants name by its digest.
    let pinned = variant(EXACT.component, b'p');
    b.put_plugin("pinned", &pinned).ok();
    let chosen =
        a.admin("POST", "/acme/plugin", Some(json!({ "plugin": "pinned", "version": digest(&pinned) })));
    assert_eq!(chosen.ok()["serving"]["version"], digest(&pinned));
    b.until("chosen there, too", |gateway| serving(gateway, "acme") == digest(&pinned));
    assert_eq!(b.plugin("acme")["serving"]["pinned"], true);
}

#[test]
fn a_gateway_that_starts_later_has_the_plugins_that_its_tenants_need() {
    let url = cluster().database();
    let a = node(&url, 0, 1);
    let (old, new) = (variant(EXACT.component, b'a'), variant(EXACT.component, b'b'));
    a.put_plugin("vip", &old).ok();
    a.put_plugin("vip", &new).ok();
    assert_eq!(put_tenant(&a, "pinned", &json!({ "plugin": "vip", "plugin_version": digest(&old) })), 201);
    assert_eq!(put_tenant(&a, "newest", &json!({ "plugin": "vip" })), 201);
    let b = node(&url, 1, 1);
    assert_eq!((serving(&b, "pinned"), serving(&b, "newest")), (digest(&old).into(), digest(&new).into()));
    assert!(!b.logged("does not start"));
    assert_eq!(newest(&b, "vip"), digest(&new));
}

#[test]
fn a_file_in_a_gateway_s_folder_stays_until_the_next_upload() {
    let url = cluster().database();
    let a = node(&url, 0, 1);
    let [uploaded, own, next] = [b'a', b'b', b'c'].map(|name| variant(EXACT.component, name));
    a.put_plugin("vip", &uploaded).ok();
    let mut b = node(&url, 1, 1);
    assert_eq!(newest(&b, "vip"), digest(&uploaded));
    b.drop_plugin("vip", &own);
    b.until("its own", |gateway| newest(gateway, "vip") == digest(&own));
    b.restart();
    follow(&a, &b, "marker");
    b.until("still its own", |gateway| newest(gateway, "vip") == digest(&own));
    assert_eq!(newest(&a, "vip"), digest(&uploaded));
    a.put_plugin("vip", &next).ok();
    b.until("the next upload", |gateway| newest(gateway, "vip") == digest(&next));
}

#[test]
fn an_upload_is_tried_where_it_was_made_and_then_serves_everywhere() {
    let url = cluster().database();
    let [a, b] = [node(&url, 0, 2), node(&url, 1, 1)];
    let (old, new) = (variant(EXACT.component, b'a'), variant(EXACT.component, b'b'));
    a.put_plugin("vip", &old).ok();
    assert_eq!(put_tenant(&a, "initech", &json!({ "plugin": "vip" })), 201);
    b.until("there", |gateway| serving(gateway, "initech") == digest(&old));
    a.put_plugin("vip", &new).ok();
    a.until("it serves", |gateway| serving(gateway, "initech") == digest(&new));
    let status = a.plugin("initech");
    if status["stage"] == "watching" {
        assert!(status["summary"].as_str().unwrap().contains("the others follow"), "{status}");
    }
    b.until("it serves there", |gateway| {
        let serves = serving(gateway, "initech") == digest(&new);
        // In this order: the other one commits first.
        assert!(!serves || stage(&a, "initech") == "resting");
        serves
    });
    assert_eq!(b.plugin("initech")["serving"]["pinned"], false);
    for gateway in [&a, &b] {
        gateway.until("the newest", |gateway| newest(gateway, "vip") == digest(&new));
    }
}

#[test]
fn a_version_that_no_tenant_takes_where_it_was_uploaded_is_the_newest_nowhere() {
    let url = cluster().database();
    let [a, b] = [node(&url, 0, 1), node(&url, 1, 1)];
    let old = variant(EXACT.component, b'a');
    a.put_plugin("vip", &old).ok();
    assert_eq!(put_tenant(&a, "initech", &json!({ "plugin": "vip" })), 201);
    b.until("there", |gateway| serving(gateway, "initech") == digest(&old));
    // It does not start without options.
    a.put_plugin("vip", EVIL.component).ok();
    a.until("refused", |gateway| gateway.plugin("initech")["last"]["outcome"] == "refused");
    let given_up =
        |count| a.until("given up", |a| a.log_lines("no tenant kept the uploaded version") == count);
    given_up(1);
    // Uploaded again, it is not tried again, and was not tried by anybody else.
    a.put_plugin("vip", EVIL.component).ok();
    given_up(2);
    follow(&a, &b, "marker");
    for gateway in [&a, &b] {
        assert_eq!(
            (newest(gateway, "vip"), serving(gateway, "initech")),
            (digest(&old).into(), digest(&old).into())
        );
    }
    assert_eq!(b.plugin("initech")["last"], Value::Null);
}

#[test]
fn a_bad_plugin_is_rolled_back_where_it_was_chosen_and_never_serves_elsewhere() {
    let url = cluster().database();
    let [a, b] = [node(&url, 0, FOREVER), node(&url, 1, FOREVER)];
    assert_eq!(put_tenant(&a, "initech", &json!({})), 201);
    b.until("there", |gateway| serving(gateway, "initech") != Value::Null);
    a.put_plugin("evil", EVIL.component).ok();
    let evil = json!({ "plugin": "evil", "options": { "mode": "panic-later" } });
    let chosen = a.admin("POST", "/initech/plugin", Some(evil));
    assert_eq!(
        (&chosen.ok()["stage"], &chosen.json["serving"]["plugin"]),
        (&json!("watching"), &json!("evil"))
    );
    assert!(chosen.json["summary"].as_str().unwrap().contains("the others follow"), "{}", chosen.json);
    // A sender that is added meanwhile does not make the others follow.
    assert_eq!(a.admin("PUT", "/initech/senders/desk", Some(json!({}))).status, 201);
    let status = |gateway: &Gateway| gateway.api("GET", "/status", "initech-secret", None).text;
    b.until("has the sender", |gateway| status(gateway).contains("desk"));
    assert_eq!(a.plugin("initech")["serving"]["plugin"], "evil");
    provoke(&a, "initech-secret", "bot");
    a.until("rolled back", |gateway| gateway.plugin("initech")["last"]["outcome"] == "rolled_back");
    follow(&a, &b, "after");
    let status = b.plugin("initech");
    assert_eq!((&status["serving"]["plugin"], &status["last"]), (&json!("exact"), &Value::Null), "{status}");
    assert!(status["lists"].as_array().unwrap().iter().all(|list| list["generation"] == 1), "{status}");
    assert_eq!(a.plugin("initech")["serving"]["pinned"], false);
}

#[test]
fn a_breaker_at_any_gateway_puts_the_choice_back_everywhere() {
    let url = cluster().database();
    let [mut a, b] = [node(&url, 0, 1), node(&url, 1, FOREVER)];
    a.put_plugin("evil", EVIL.component).ok();
    let evil = json!({ "plugin": "evil", "options": { "mode": "panic-later" } });
    a.admin("POST", "/acme/plugin", Some(evil)).ok();
    b.until("it serves there", |gateway| gateway.plugin("acme")["serving"]["plugin"] == "evil");
    b.until("watched there", |gateway| stage(gateway, "acme") == "watching");
    provoke(&b, ACME, "support");
    b.until("rolled back", |gateway| gateway.plugin("acme")["last"]["outcome"] == "rolled_back");
    let exact = digest(EXACT.component);
    a.until("put back", |gateway| serving(gateway, "acme") == exact);
    a.until("over", |gateway| stage(gateway, "acme") == "resting");
    a.restart();
    assert_eq!((serving(&a, "acme"), serving(&b, "acme")), (exact.clone().into(), exact.into()));
}

#[test]
fn a_rollback_by_an_administrator_is_for_all() {
    let url = cluster().database();
    let [a, b] = [node(&url, 0, 1), node(&url, 1, 1)];
    let other = variant(EXACT.component, b'a');
    a.put_plugin("other", &other).ok();
    a.admin("POST", "/acme/plugin", Some(json!({ "plugin": "other" }))).ok();
    for gateway in [&a, &b] {
        gateway.until("it serves", |gateway| serving(gateway, "acme") == digest(&other));
        gateway.until("over", |gateway| stage(gateway, "acme") == "resting");
    }
    b.admin("POST", "/acme/plugin/rollback", None).ok();
    a.until("put back", |gateway| serving(gateway, "acme") == digest(EXACT.component));
}

#[test]
fn what_is_chosen_while_a_gateway_that_tries_a_plugin_is_frozen_holds() {
    let url = cluster().database();
    let [a, b] = [node(&url, 0, 1), node(&url, 1, 2)];
    let [first, second] = [b'a', b'b'].map(|name| variant(EXACT.component, name));
    a.put_plugin("first", &first).ok();
    a.put_plugin("second", &second).ok();
    b.until("there", |gateway| newest(gateway, "second") == digest(&second));
    let choose = |gateway: &Gateway, tenant: &str, plugin: &str| {
        gateway.admin("POST", &format!("/{tenant}/plugin"), Some(json!({ "plugin": plugin }))).ok();
    };
    let all_serve = |tenant: &str, component: &[u8]| {
        for gateway in [&a, &b] {
            gateway.until("it serves", |gateway| serving(gateway, tenant) == digest(component));
            gateway.until("over", |gateway| stage(gateway, tenant) == "resting");
        }
    };
    // Another choice, which is stored.
    choose(&a, "acme", "first");
    a.signal("-STOP");
    choose(&b, "acme", "second");
    // Of two that are tried at the same time, the one stands that is stored first.
    b.until("stored", |gateway| gateway.logged("the plugin is stored: other gateways follow"));
    a.signal("-CONT");
    all_serve("acme", &second);
    follow(&a, &b, "after-choice");
    all_serve("acme", &second);
    // All settings anew, which drops what was chosen.
    assert_eq!(put_tenant(&b, "initech", &json!({})), 201);
    a.until("there", |gateway| serving(gateway, "initech") != Value::Null);
    choose(&b, "initech", "first");
    all_serve("initech", &first);
    choose(&a, "initech", "second");
    a.signal("-STOP");
    assert_eq!(put_tenant(&b, "initech", &json!({})), 200);
    b.until("put", |gateway| serving(gateway, "initech") == digest(EXACT.component));
    // Its watch is over when it goes on, or soon.
    a.signal("-CONT");
    all_serve("initech", EXACT.component);
    follow(&a, &b, "after-put");
    all_serve("initech", EXACT.component);
}

#[test]
fn a_gateway_that_dies_while_it_tries_a_version_leaves_all_at_the_old_one() {
    let url = cluster().database();
    let [mut a, b] = [node(&url, 0, FOREVER), node(&url, 1, 1)];
    let (old, new) = (variant(EXACT.component, b'a'), variant(EXACT.component, b'b'));
    a.put_plugin("vip", &old).ok();
    assert_eq!(put_tenant(&a, "initech", &json!({ "plugin": "vip" })), 201);
    b.until("there", |gateway| serving(gateway, "initech") == digest(&old));
    a.put_plugin("vip", &new).ok();
    a.until("it serves", |gateway| serving(gateway, "initech") == digest(&new));
    let chosen = a.admin("POST", "/acme/plugin", Some(json!({ "plugin": "vip", "version": digest(&new) })));
    assert_eq!(chosen.ok()["stage"], "watching");
    a.kill();
    a.run_again_with(&[]);
    for (tenant, version) in [("initech", digest(&old)), ("acme", digest(EXACT.component))] {
        for gateway in [&a, &b] {
            assert_eq!(serving(gateway, tenant), version, "{tenant}");
        }
    }
    assert_eq!(newest(&a, "vip"), digest(&old));
    // It can be tried again, elsewhere.
    b.put_plugin("vip", &new).ok();
    a.until("it serves", |gateway| serving(gateway, "initech") == digest(&new));
}

#[test]
fn a_component_that_the_database_damaged_is_refused_by_its_digest() {
    let url = cluster().database();
    let a = node(&url, 0, 1);
    let component = variant(EXACT.component, b'a');
    a.put_plugin("vip", &component).ok();
    cluster().sql(
        name_of(&url),
        "UPDATE plugins SET component = set_byte(component, 2000, get_byte(component, 2000) # 1)",
    );
    let b = node(&url, 1, 1);
    b.until_logged("is damaged: upload it again");
    assert_eq!(put_tenant(&b, "initech", &json!({ "plugin": "vip" })), 400);
    let exchange = json!({ "plugin": "vip", "version": digest(&component) });
    b.admin("POST", "/acme/plugin", Some(exchange.clone())).error(409, "plugin_refused");
    assert!(!b.folder().join("plugins/vip.wasm").exists());
    assert_eq!(serving(&b, "acme"), digest(EXACT.component));
    a.put_plugin("vip", &component).ok();
    b.until("taken", |gateway| newest(gateway, "vip") == digest(&component));
    assert_eq!(
        b.admin("POST", "/acme/plugin", Some(exchange)).ok()["serving"]["version"],
        digest(&component)
    );
}

#[test]
fn while_the_database_is_away_what_is_there_serves_and_no_upload_is_acknowledged() {
    let cluster = Cluster::new();
    let url = cluster.database();
    let [a, b] = [node(&url, 0, 1), node(&url, 1, 1)];
    let component = variant(EXACT.component, b'a');
    a.put_plugin("vip", &component).ok();
    b.until("taken", |gateway| newest(gateway, "vip") == digest(&component));
    cluster.kill();
    a.put_plugin("vip", &variant(EXACT.component, b'b')).error(503, "unavailable");
    for gateway in [&a, &b] {
        assert_eq!(newest(gateway, "vip"), digest(&component));
        assert_eq!(gateway.verdict("+46732001122"), "allow");
    }
    cluster.start_again();
    let next = variant(EXACT.component, b'c');
    b.until("uploaded", |gateway| gateway.put_plugin("vip", &next).status == 200);
    a.until("taken", |gateway| newest(gateway, "vip") == digest(&next));
}

#[test]
fn a_file_that_appears_at_one_gateway_is_tried_there_and_serves_everywhere() {
    let url = cluster().database();
    let [a, mut b] = [node(&url, 0, 1), node(&url, 1, 1)];
    let new = variant(EXACT.component, b'a');
    a.drop_plugin("exact", &new);
    for tenant in ["acme", "globex"] {
        b.until("it serves there", |gateway| serving(gateway, tenant) == digest(&new));
    }
    // A start with an older file, or none, changes nothing.
    b.restart();
    follow(&b, &a, "marker");
    for gateway in [&a, &b] {
        assert_eq!(serving(gateway, "acme"), digest(&new));
    }
}
