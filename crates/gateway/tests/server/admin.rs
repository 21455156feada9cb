//! Managing tenants and senders while the gateway runs.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use super::support::{Gateway, files};

const NEW: &str = "initech-secret";

fn initech() -> Value {
    json!({ "tokens": [NEW], "senders": [{ "id": "billing", "number": "46700000009" }] })
}

fn check(gateway: &Gateway, sender: &str) -> super::support::Answer {
    let body = json!({ "number": "+46732001122", "direction": "inbound" });
    gateway.api("POST", &format!("/senders/{sender}/check"), NEW, Some(body))
}

fn block(gateway: &Gateway, sender: &str) {
    let body = json!({ "number": "+46732001122" });
    gateway.api("POST", &format!("/senders/{sender}/entries"), NEW, Some(body)).ok();
}

#[test]
fn a_tenant_that_is_added_is_served_at_once_and_after_a_restart() {
    let mut gateway = Gateway::start();
    check(&gateway, "billing").error(401, "invalid_token");
    let added = gateway.admin("PUT", "/initech", Some(initech()));
    assert_eq!(added.status, 201, "{}", added.json);
    assert_eq!((&added.json["id"], &added.json["managed_by"]), (&json!("initech"), &json!("api")));
    block(&gateway, "billing");

    gateway.kill_and_restart();
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "block");
    let shown = gateway.admin("GET", "/initech", None);
    assert_eq!(shown.ok(), &added.json);
    let token = shown.json["settings"]["tokens"][0].as_str().unwrap();
    assert!(token.starts_with("sha256:") && !shown.json.to_string().contains(NEW));

    // The settings in the response can be sent back.
    let again = gateway.admin("PUT", "/initech", Some(shown.json["settings"].clone()));
    assert_eq!(again.ok(), shown.ok());
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "block");
}

#[test]
fn tenants_are_listed_with_where_they_are_managed() {
    let gateway = Gateway::start();
    gateway.admin("PUT", "/initech", Some(initech()));
    let listed = gateway.admin("GET", "", None);
    let tenants: Vec<_> = listed.ok()["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| (tenant["id"].as_str().unwrap(), tenant["managed_by"].as_str().unwrap()))
        .collect();
    assert_eq!(tenants, [("acme", "file"), ("globex", "file"), ("initech", "api")]);
    assert_eq!(gateway.admin("GET", "/acme", None).ok()["settings"]["default_region"], "SE");
    gateway.admin("GET", "/nobody", None).error(404, "unknown_tenant");
}

#[test]
fn senders_come_and_go_and_their_entries_stay() {
    let gateway = Gateway::start();
    gateway.admin("PUT", "/initech", Some(initech()));
    block(&gateway, "billing");
    assert_eq!(
        gateway.admin("PUT", "/initech/senders/news", Some(json!({ "bot_id": "newsbot" }))).status,
        201
    );
    assert_eq!(check(&gateway, "news").ok()["verdict"], "allow");
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "block");
    let replaced = gateway.admin("PUT", "/initech/senders/news", Some(json!({ "id": "news" })));
    assert_eq!(replaced.ok()["settings"]["senders"][1], json!({ "id": "news" }));

    assert_eq!(gateway.admin("DELETE", "/initech/senders/billing", None).ok()["removed"], "billing");
    check(&gateway, "billing").error(404, "unknown_sender");
    gateway.admin("DELETE", "/initech/senders/billing", None).error(404, "unknown_sender");
    gateway.admin("PUT", "/initech/senders/billing", Some(json!({})));
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "block");
    gateway.admin("PUT", "/nobody/senders/x", Some(json!({}))).error(404, "unknown_tenant");
}

#[test]
fn a_deleted_tenant_leaves_no_data() {
    let mut gateway = Gateway::start();
    gateway.admin("PUT", "/initech", Some(initech()));
    block(&gateway, "billing");
    let unconfirmed = gateway.admin("DELETE", "/initech", None);
    assert!(unconfirmed.error(400, "invalid_request").contains("?confirm=initech"));
    gateway.admin("DELETE", "/initech?confirm=acme", None).error(400, "invalid_request");
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "block");

    assert_eq!(gateway.admin("DELETE", "/initech?confirm=initech", None).ok()["removed"], "initech");
    check(&gateway, "billing").error(401, "invalid_token");
    gateway.admin("DELETE", "/initech?confirm=initech", None).error(404, "unknown_tenant");
    gateway.restart();
    check(&gateway, "billing").error(401, "invalid_token");
    let ledger = gateway.folder().join("portcullis.db");
    assert!(
        !std::fs::read(ledger).unwrap().windows(7).any(|bytes| bytes == b"initech"),
        "{:?}",
        files(gateway.folder())
    );

    // A new tenant of the same name starts with an empty list.
    gateway.admin("PUT", "/initech", Some(initech()));
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "allow");
}

#[test]
fn tenants_of_the_file_can_not_be_changed_through_the_api() {
    let gateway = Gateway::start();
    for (method, path, body) in [
        ("PUT", "/acme", Some(json!({ "tokens": ["x"] }))),
        ("DELETE", "/acme?confirm=acme", None),
        ("PUT", "/acme/senders/x", Some(json!({}))),
        ("DELETE", "/acme/senders/support", None),
    ] {
        let answer = gateway.admin(method, path, body);
        assert!(answer.error(409, "conflict").contains("configuration file"), "{method} {path}");
    }
}

#[test]
fn of_two_tenants_that_are_added_at_the_same_time_one_gets_the_token() {
    let gateway = Gateway::start();
    for round in 0..20 {
        let start = Barrier::new(2);
        let mut statuses = thread::scope(|scope| {
            let put = |side| {
                let (start, gateway) = (&start, &gateway);
                scope.spawn(move || {
                    let settings = json!({ "tokens": [format!("token-of-round-{round}")] });
                    start.wait();
                    gateway.admin("PUT", &format!("/{side}-{round}"), Some(settings)).status
                })
            };
            ["left", "right"].map(put).map(|put| put.join().unwrap())
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
}

#[test]
fn contradictions_and_mistakes_are_refused() {
    let gateway = Gateway::start();
    for (settings, field, what) in [
        (json!({ "tokens": ["acme-secret"] }), "tokens[0]", "tenant acme's already"),
        (json!({ "tokens": ["admin-secret"] }), "tokens[0]", "the administrator's already"),
        (
            json!({ "senders": [{ "id": "a", "number": "+46 700000001" }] }),
            "senders[0].number",
            "sender support of tenant acme",
        ),
        (json!({ "senders": [{ "id": "a" }, { "id": "a" }] }), "senders[1].id", "two senders a"),
    ] {
        let answer = gateway.admin("PUT", "/initech", Some(settings));
        assert!(answer.error(409, "conflict").contains(what), "{}", answer.json);
        assert_eq!(answer.json["error"]["details"][0]["field"], field);
    }
    for (path, settings, what) in [
        ("/initech", json!({ "tokens": [""] }), "empty"),
        ("/initech", json!({ "plugin": "exactly" }), "no plugin of this name"),
        ("/initech", json!({ "plugin_options": { "no_such": 1 } }), "leave plugin_options out"),
        ("/initech", json!({ "default_region": "SWE" }), "ISO 3166-1"),
        ("/initech", json!({ "id": "acme" }), "must match the name in the path"),
        ("/initech", json!({ "senders": [{ "id": "Big" }] }), "one of a-z"),
        ("/initech", json!({ "senders": [{ "id": "a", "callback_url": "ftp://x" }] }), "http://"),
        ("/initech", json!({ "memory_limit_bytes": 5 }), "1 MiB"),
        ("/initech", json!({ "token": "x" }), "unknown field `token`"),
        ("/Initech", json!({}), "one of a-z"),
    ] {
        let answer = gateway.admin("PUT", path, Some(settings.clone()));
        assert!(answer.error(400, "invalid_request").contains(what), "{settings}: {}", answer.json);
    }
    gateway.admin("GET", "/initech", None).error(404, "unknown_tenant");
}

#[test]
fn a_tenant_moves_from_the_api_into_the_file_with_its_entries() {
    let mut gateway = Gateway::start();
    gateway.admin("PUT", "/initech", Some(initech()));
    block(&gateway, "billing");
    let file = gateway.folder().join("portcullis.toml");
    let mut config = std::fs::read_to_string(&file).unwrap();
    config.push_str(
        "[[tenants]]\nid = 'initech'\ntokens = ['initech-secret']\n[[tenants.senders]]\nid = 'billing'\n",
    );
    std::fs::write(&file, config).unwrap();
    gateway.restart();
    assert_eq!(check(&gateway, "billing").ok()["verdict"], "block");
    assert_eq!(gateway.admin("GET", "/initech", None).ok()["managed_by"], "file");
}

#[test]
fn a_message_chooses_no_host_and_passwords_in_urls_are_not_shown() {
    let gateway = Gateway::start();
    for hop in ["http://{recipient}/send", "http://h.example:{body}/", "{sender}://h.example/"] {
        let refused = gateway.admin("PUT", "/initech", Some(json!({ "next_hops": { "outbound": hop } })));
        assert!(refused.error(400, "invalid_request").contains("can't come from a message"));
    }
    let settings = json!({
        "next_hops": {
            "outbound": "http://kannel:13013/cgi-bin/sendsms?username=u&password=hop-secret&to={recipient}",
            "inbound": "http://u:in-secret@127.0.0.1:9000/in",
        },
        "events": { "url": "https://h.example/e?token=event-secret", "secret": "events-secret" },
        "senders": [{ "id": "billing", "callback_url": "https://u:cb-secret@h.example/", "quarantine_url": "https://h.example/?key=q-secret" }],
    });
    let put = gateway.admin("PUT", "/initech", Some(settings));
    assert_eq!(put.status, 201, "{}", put.json);
    for shown in [put, gateway.admin("GET", "/initech", None), gateway.admin("GET", "", None)] {
        let text = shown.json.to_string();
        assert!(!text.contains("-secret"), "{text}");
        assert!(
            text.contains("password=(set)&to={recipient}") && text.contains("u:(set)@127.0.0.1:9000"),
            "{text}"
        );
    }
    // What is not shown can be sent back, but not to another place.
    let mut shown = gateway.admin("GET", "/initech", None).ok()["settings"].clone();
    let again = gateway.admin("PUT", "/initech", Some(shown.clone()));
    assert_eq!(again.ok()["settings"], shown);
    shown["events"]["url"] = "https://other.example/e?token=(set)".into();
    let refused = gateway.admin("PUT", "/initech", Some(shown));
    assert!(refused.error(400, "invalid_request").contains("placeholder for a secret"));
}
