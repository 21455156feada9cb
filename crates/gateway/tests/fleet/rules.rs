//! What rules count, at two gateways.

use portcullis_plugin_bundle::EVIL_RULES;
use serde_json::{Value, json};

use crate::cluster::cluster;
use crate::support::{Gateway, digest, variant};
use crate::{config, folder};

/// Gateways of a tenant whose rule blocks people who got three messages within a minute.
fn gateways() -> [Gateway; 2] {
    gateways_with(r#"{ plugin = "evil-rules" }"#)
}

fn gateways_with(rule: &str) -> [Gateway; 2] {
    let url = cluster().database();
    let mut options: &[&str] = &["--new-ledger"];
    ["n0", "n1"].map(|node| {
        let folder = folder();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::write(folder.path().join("plugins/evil-rules.wasm"), EVIL_RULES.component).unwrap();
        let more = "\n[plugins]\ndir = \"plugins\"\nwatch_seconds = 1\n";
        let config = config(&url, node, more);
        let rules = format!("id = \"acme\"\nrules = [{rule}]");
        let config = config.replacen("id = \"acme\"", &rules, 1);
        Gateway::in_folder(folder, &config, std::mem::take(&mut options))
    })
}

fn check(gateway: &Gateway, number: &str) -> Value {
    gateway.post("/senders/support/check", json!({ "number": number, "direction": "outbound" })).ok().clone()
}

fn send(gateway: &Gateway, number: &str) -> u16 {
    let body = json!({ "sender": "support", "recipient": number, "direction": "outbound", "body": "Hello" });
    gateway.post("/route", body).status
}

fn allowed(gateway: &Gateway) -> String {
    let mut numbers = (0..1000).map(|number| format!("+46732{number:06}"));
    numbers.find(|number| check(gateway, number)["verdict"] == "allow").unwrap()
}

#[test]
fn each_gateway_counts_what_the_others_sent() {
    let [a, mut b] = gateways();
    let number = allowed(&a);
    for _ in 0..2 {
        assert_eq!(send(&a, &number), 200);
    }
    // The third one in all.
    assert_eq!(send(&b, &number), 200);
    for gateway in [&a, &b] {
        gateway.until("it knows of all three", |gateway| check(gateway, &number)["reason"] == "too-many");
        assert_eq!(send(gateway, &number), 403);
    }
    let meters = a.admin("GET", "/acme/meters", None);
    assert_eq!(meters.ok()["meters"][0]["highest"][0]["count"], 3, "{}", meters.text);
    assert!(!meters.text.contains(number.trim_start_matches('+')), "{}", meters.text);
    // It is told all, with what it has counted itself before.
    b.restart();
    b.until("it knows of all three again", |b| check(b, &number)["reason"] == "too-many");
}

#[test]
fn a_cap_of_the_plugin_policy_holds_over_all_gateways() {
    let caps = r#"{ plugin = "policy", grants = ["country", "local-time"], options = { caps = [{ per_day = 2 }] } }"#;
    let gateways = gateways_with(caps);
    let (person, other) = ("+46732001122", "+46732002244");
    let send = |gateway: &Gateway, number: &str, purpose: &str| {
        let body = json!({
            "sender": "support", "recipient": number, "direction": "outbound", "body": "Hello", "purpose": purpose,
        });
        gateway.post("/route", body)
    };
    for gateway in &gateways {
        send(gateway, person, "marketing").ok();
    }
    for gateway in &gateways {
        let body = json!({ "number": person, "direction": "outbound", "purpose": "marketing" });
        gateway.until("it knows of both", |gateway| {
            gateway.post("/senders/support/check", body.clone()).ok()["reason"] == "cap-day"
        });
        let stopped = send(gateway, person, "marketing");
        assert!(stopped.error(403, "blocked").contains("cap-day"), "{}", stopped.text);
        send(gateway, person, "authentication").ok();
        send(gateway, other, "marketing").ok();
    }
    gateways[0]
        .until("it knows of both of the other's", |gateway| send(gateway, other, "marketing").status == 403);
}

#[test]
fn an_exchange_of_a_rule_is_followed() {
    let [a, b] = gateways();
    let component = variant(EVIL_RULES.component, b'a');
    a.put_plugin("evil-rules", &component).ok();
    for gateway in [&a, &b] {
        gateway.until("it has the new version", |gateway| {
            gateway.plugin("acme")["rules"][0]["version"] == digest(&component)
        });
    }
    let number = allowed(&a);
    let options = json!({ "options": { "mode": "stop-all" } });
    a.admin("POST", "/acme/rules/evil-rules", Some(options)).ok();
    assert_eq!(check(&a, &number)["verdict"], "block");
    b.until("it follows", |b| check(b, &number)["verdict"] == "block");
    b.admin("POST", "/acme/rules/evil-rules/rollback", None).ok();
    a.until("it follows back", |a| check(a, &number)["verdict"] == "allow");
}
