//! Changes of settings: secrets that stay, merge patches, and conditions.

use std::thread;

use portcullis_plugin_bundle::EXACT;
use serde_json::{Value, json};
use ureq::http::Request;

use super::support::{ADMIN, Answer, Gateway, SERVER, digest};
use super::traffic::stand::Stand;
use super::traffic::{OTHER_ID, PHONE_ID, signed_with};

const NEW: &str = "initech-secret";

/// A request of the administrator for initech, with further headers.
fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}/portcullis/v1/admin/tenants/initech{path}", gateway.url()))
        .header("authorization", format!("Bearer {ADMIN}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway.send(request.body(body.to_string()).unwrap())
}

fn patch(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    ask(gateway, "PATCH", path, &[("content-type", "application/merge-patch+json")], body)
}

fn settings(gateway: &Gateway) -> Value {
    gateway.admin("GET", "/initech", None).ok()["settings"].clone()
}

/// A gateway before an upstream, with a tenant that has secrets of every kind.
fn with_secrets(upstream: &Stand, events: &Stand) -> Gateway {
    let gateway = Gateway::with(&format!("{SERVER}\n[meta]\nupstream = \"{}\"\n", upstream.url()));
    let settings = json!({
        "tokens": [NEW, { "name": "crm", "token": "crm-secret" }],
        "access_token": "tenant-access-secret",
        "events": { "url": format!("{}/events?token=events-url-secret", events.url()), "secret": "events-secret" },
        "next_hops": { "outbound": "http://u:hop-secret@127.0.0.1:9/out" },
        "senders": [
            {
                "id": "own", "number": "15550783881", "phone_number_id": PHONE_ID,
                "access_token": "sender-access-secret", "callback_url": "https://u:callback-secret@h.example/",
                "tokens": [{ "name": "desk", "token": "desk-secret", "scopes": ["read"] }],
            },
            { "id": "plain", "number": "15550783999", "phone_number_id": OTHER_ID },
        ],
    });
    assert_eq!(gateway.admin("PUT", "/initech", Some(settings)).status, 201);
    gateway
}

/// The token with which a message of a sender arrives at the upstream.
fn forwarded(gateway: &Gateway, upstream: &Stand, phone_id: &str) -> String {
    upstream.forget();
    let body = json!({
        "messaging_product": "whatsapp", "to": "+46732001122", "type": "text", "text": { "body": "Hello" },
    });
    let sent = gateway.call("POST", &format!("/v25.0/{phone_id}/messages"), NEW, Some(body.to_string()));
    assert_eq!(sent.status, 200, "{}", sent.text);
    upstream.one().header("authorization").to_owned()
}

#[track_caller]
fn assert_secrets_hold(gateway: &Gateway, upstream: &Stand, events: &Stand) {
    assert_eq!(forwarded(gateway, upstream, PHONE_ID), "Bearer sender-access-secret");
    assert_eq!(forwarded(gateway, upstream, OTHER_ID), "Bearer tenant-access-secret");
    gateway.api("GET", "/status", "crm-secret", None).ok();
    gateway.api("GET", "/senders/own/status", "desk-secret", None).ok();
    events.forget();
    let number = json!({ "number": "+46732001133" });
    for method in ["POST", "DELETE"] {
        gateway.api(method, "/senders/plain/entries", NEW, Some(number.clone())).ok();
    }
    let event = events.until(1).remove(0);
    assert_eq!(event.path, "/events?token=events-url-secret");
    assert_eq!(event.header("x-portcullis-signature-256"), signed_with("events-secret", &event.body));
}

#[test]
fn what_is_read_can_be_put_back_and_no_secret_is_lost() {
    let (upstream, events) = (Stand::good(), Stand::good());
    let mut gateway = with_secrets(&upstream, &events);
    let shown = settings(&gateway);
    assert!(!shown.to_string().contains("-secret"), "{shown}");
    assert_secrets_hold(&gateway, &upstream, &events);

    gateway.admin("PUT", "/initech", Some(shown.clone())).ok();
    assert_eq!(settings(&gateway), shown);
    assert_secrets_hold(&gateway, &upstream, &events);

    // Secrets that are left out stay as well. The URL that has one is a setting like others.
    let mut short = shown.clone();
    for name in ["access_token", "events", "tokens"] {
        short.as_object_mut().unwrap().remove(name);
    }
    for name in ["access_token", "tokens"] {
        short["senders"][0].as_object_mut().unwrap().remove(name);
    }
    gateway.admin("PUT", "/initech", Some(short)).ok();
    assert_eq!(settings(&gateway), shown);

    // The same of a sender.
    let read = gateway.admin("GET", "/initech/senders/own", None);
    assert_eq!(read.ok()["settings"], shown["senders"][0]);
    gateway.admin("PUT", "/initech/senders/own", Some(read.json["settings"].clone())).ok();
    patch(&gateway, "", &json!({ "default_region": "SE" })).ok();
    patch(&gateway, "/senders/own", &json!({ "blocked_inbound": "mark" })).ok();
    gateway.restart();
    assert_secrets_hold(&gateway, &upstream, &events);
}

#[test]
fn null_removes_a_secret_and_a_placeholder_needs_one() {
    let (upstream, events) = (Stand::good(), Stand::good());
    let gateway = with_secrets(&upstream, &events);
    patch(&gateway, "/senders/own", &json!({ "access_token": null })).ok();
    assert_eq!(forwarded(&gateway, &upstream, PHONE_ID), "Bearer tenant-access-secret");
    let mut shown = settings(&gateway);
    shown["access_token"] = Value::Null;
    shown["events"] = Value::Null;
    shown["senders"][0]["tokens"] = json!([]);
    gateway.admin("PUT", "/initech", Some(shown)).ok();
    assert_eq!(forwarded(&gateway, &upstream, PHONE_ID), format!("Bearer {NEW}"));
    let shown = settings(&gateway);
    assert!(shown.get("access_token").is_none() && shown.get("events").is_none());
    gateway.api("GET", "/senders/own/status", "desk-secret", None).error(401, "invalid_token");

    for (change, field) in [
        (json!({ "access_token": "(set)" }), "access_token"),
        (json!({ "events": { "url": "https://h.example/", "secret": "(set)" } }), "events.secret"),
        (json!({ "tokens": ["(set)"] }), "tokens[0]"),
        (json!({ "tokens": [{ "name": "nobody", "token": "(set)" }] }), "tokens[0].token"),
        (json!({ "senders": [{ "id": "new", "access_token": "(set)" }] }), "senders[0].access_token"),
    ] {
        for refused in [gateway.admin("PUT", "/initech", Some(change.clone())), patch(&gateway, "", &change)]
        {
            assert!(refused.error(400, "invalid_request").contains("is set"), "{}", refused.text);
            assert_eq!(refused.json["error"]["details"][0]["field"], field);
        }
    }
    assert_eq!(settings(&gateway), shown);
    // A new tenant has no secrets that could stay.
    let new = gateway.admin("PUT", "/umbrella", Some(json!({ "access_token": "(set)" })));
    new.error(400, "invalid_request");
    // A named token stays by its name.
    let renewed = json!({ "tokens": [{ "name": "crm", "token": "(set)", "scopes": ["read"] }] });
    patch(&gateway, "", &renewed).ok();
    gateway.api("GET", "/status", "crm-secret", None).ok();
    gateway.api("GET", "/status", NEW, None).error(401, "invalid_token");
}

#[test]
fn a_patch_changes_what_it_names_or_nothing() {
    let gateway = Gateway::start();
    let initech = json!({ "tokens": [NEW], "default_region": "SE", "senders": [{ "id": "billing" }] });
    assert_eq!(gateway.admin("PUT", "/initech", Some(initech)).status, 201);
    let before = settings(&gateway);
    let answer = patch(&gateway, "", &json!({ "on_failure": "open", "opt_out": { "stop": ["BASTA"] } }));
    let mut expected = before.clone();
    expected["on_failure"] = "open".into();
    expected["opt_out"]["stop"] = json!(["BASTA"]);
    assert_eq!(answer.ok()["settings"], expected);
    assert_eq!(settings(&gateway), expected);
    gateway.api("GET", "/status", NEW, None).ok();
    // `null` is the default.
    let answer = patch(&gateway, "", &json!({ "on_failure": null, "opt_out": null, "default_region": null }));
    assert_eq!(answer.ok()["settings"].get("default_region"), None);
    assert_eq!(answer.json["settings"]["opt_out"], before["opt_out"]);
    let answer = patch(&gateway, "/senders/billing", &json!({ "active": false }));
    assert_eq!(answer.ok()["settings"]["senders"][0], json!({ "id": "billing", "active": false }));

    let before = gateway.admin("GET", "/initech", None);
    for (path, change, what) in [
        ("", json!({ "on_failure": "open", "default_region": "Sweden" }), "ISO 3166-1"),
        ("", json!({ "on_failure": "open", "plugin": "exactly" }), "no plugin of this name"),
        ("", json!({ "on_failure": "open", "no_such": 1 }), "unknown field `no_such`"),
        ("", json!({ "id": "other" }), "must match the name in the path"),
        ("", json!({ "on_failure": "open", "senders": [{ "id": "a" }, { "id": "a" }] }), "two senders a"),
        ("", json!({ "on_failure": "open", "tokens": ["acme-secret"] }), "tenant acme's already"),
        ("", json!({ "replicas": "two" }), "`replicas` is invalid"),
        ("/senders/billing", json!({ "active": true, "callback_url": "ftp://x" }), "http://"),
        ("", json!([]), "must be a map"),
    ] {
        let refused = patch(&gateway, path, &change);
        let message = refused.json["error"]["message"].as_str().unwrap_or_default();
        assert!([400, 409].contains(&refused.status) && message.contains(what), "{change}: {}", refused.text);
    }
    let after = gateway.admin("GET", "/initech", None);
    assert_eq!((after.ok(), after.header("etag")), (before.ok(), before.header("etag")));

    let json = [("content-type", "application/json")];
    ask(&gateway, "PATCH", "", &json, &json!({ "on_failure": "ledger" })).ok();
    let text = [("content-type", "text/plain")];
    ask(&gateway, "PATCH", "", &text, &json!({})).error(415, "unsupported_media_type");
    patch(&gateway, "/senders/nobody", &json!({})).error(404, "unknown_sender");
    gateway.admin("PATCH", "/nobody", Some(json!({}))).error(404, "unknown_tenant");
    gateway.admin("PATCH", "/acme", Some(json!({}))).error(409, "conflict");
    gateway.admin("PATCH", "/acme/senders/support", Some(json!({}))).error(409, "conflict");
}

#[test]
fn a_condition_keeps_a_change_from_undoing_another() {
    let mut gateway = Gateway::start();
    let initech = json!({
        "tokens": [NEW], "access_token": "one-access-secret", "senders": [{ "id": "billing" }, { "id": "news" }],
    });
    let put = gateway.admin("PUT", "/initech", Some(initech));
    let tag = |path: &str| {
        let answer = gateway.admin("GET", &format!("/initech{path}"), None);
        assert_eq!(answer.status, 200);
        answer.header("etag").to_owned()
    };
    let first = tag("");
    assert_eq!(put.header("etag"), first);
    assert!(first.starts_with('"') && first.len() == 34, "{first}");
    let with = |method: &str, path: &str, tag: &str, body: Value| {
        ask(&gateway, method, path, &[("content-type", "application/json"), ("if-match", tag)], &body)
    };
    // A secret counts, although it is not shown.
    let changed = with("PATCH", "", &first, json!({ "access_token": "other-access-secret" }));
    changed.ok();
    let second = tag("");
    assert!(second != first && changed.header("etag") == second);
    let shown = settings(&gateway);
    for (method, body) in [("PATCH", json!({ "on_failure": "open" })), ("PUT", shown.clone())] {
        let refused = with(method, "", &first, body);
        assert!(refused.error(412, "precondition_failed").contains("read them again"));
    }
    assert_eq!(
        ask(&gateway, "DELETE", "?confirm=initech", &[("if-match", first.as_str())], &json!({})).status,
        412
    );
    assert_eq!((settings(&gateway), tag("")), (shown.clone(), second.clone()));
    // Nothing changed, so the version is the same.
    with("PUT", "", &second, shown).ok();
    assert_eq!(tag(""), second);
    with("PATCH", "", &format!("\"x\", {second}"), json!({})).ok();
    with("PATCH", "", "*", json!({})).ok();

    // A sender has a version of its own, which changes of others don't change.
    let billing = tag("/senders/billing");
    with("PATCH", "/senders/news", "*", json!({ "active": false })).ok();
    assert_eq!(tag("/senders/billing"), billing);
    with("PATCH", "/senders/billing", &billing, json!({ "active": false })).ok();
    with("PATCH", "/senders/billing", &billing, json!({ "active": true })).error(412, "precondition_failed");
    with("PUT", "/senders/billing", &billing, json!({})).error(412, "precondition_failed");
    with("DELETE", "/senders/billing", &billing, json!({})).error(412, "precondition_failed");
    with("PUT", "/senders/new", "*", json!({})).error(412, "precondition_failed");

    let last = tag("");
    gateway.restart();
    let answer = gateway.admin("GET", "/initech", None);
    assert_eq!(answer.header("etag"), last);
    // One that is not there has no version.
    assert_eq!(gateway.admin("DELETE", "/initech?confirm=initech", None).status, 200);
    let gone = ask(
        &gateway,
        "PUT",
        "",
        &[("content-type", "application/json"), ("if-match", "*")],
        &json!({ "tokens": [NEW] }),
    );
    gone.error(412, "precondition_failed");
}

#[test]
fn patches_at_the_same_time_are_all_made() {
    const SENDERS: usize = 8;
    let gateway = Gateway::start();
    let senders: Vec<Value> = (0..SENDERS).map(|index| json!({ "id": format!("s{index}") })).collect();
    assert_eq!(gateway.admin("PUT", "/initech", Some(json!({ "senders": senders }))).status, 201);
    thread::scope(|scope| {
        for index in 0..SENDERS {
            let gateway = &gateway;
            scope.spawn(move || {
                patch(gateway, &format!("/senders/s{index}"), &json!({ "active": false })).ok();
            });
        }
    });
    let shown = settings(&gateway);
    assert!(shown["senders"].as_array().unwrap().iter().all(|sender| sender["active"] == false), "{shown}");
}

#[test]
fn a_plugin_that_an_exchange_chose_stays_unless_a_patch_names_another() {
    let gateway = Gateway::start();
    assert_eq!(gateway.admin("PUT", "/initech", Some(json!({ "senders": [{ "id": "a" }] }))).status, 201);
    gateway.admin("POST", "/initech/plugin", Some(json!({ "version": digest(EXACT.component) }))).ok();
    assert_eq!(gateway.plugin("initech")["serving"]["pinned"], true);
    patch(&gateway, "", &json!({ "on_failure": "open" })).ok();
    assert_eq!(gateway.plugin("initech")["serving"]["pinned"], true);
    let shown = settings(&gateway);
    assert_eq!(shown["plugin_version"], digest(EXACT.component));
    patch(&gateway, "", &json!({ "plugin_version": null })).ok();
    assert_ne!(gateway.plugin("initech")["serving"]["pinned"], true);
    assert_eq!(settings(&gateway).get("plugin_version"), None);
}
