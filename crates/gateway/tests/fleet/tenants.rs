//! Tenants of the admin API that are forgotten through one gateway while others serve them, and lists that a failover loses.

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster, name_of};
use crate::failover::pair;
use crate::support::{Answer, Gateway};
use crate::{config, nodes, start};

const ROUNDS: usize = 3;

fn number(n: usize) -> String {
    format!("+467320{:05}", 11_000 + n)
}

fn put(gateway: &Gateway) -> Answer {
    let settings = json!({ "tokens": ["initech-secret"], "senders": [{ "id": "bot" }] });
    gateway.admin("PUT", "/initech", Some(settings))
}

fn forget(gateway: &Gateway) -> Answer {
    gateway.admin("DELETE", "/initech?confirm=initech", None)
}

/// Whether a gateway serves the tenant. Ask it before a token is tried again and again: who guesses tokens is kept out.
fn serves(gateway: &Gateway) -> bool {
    gateway.admin("GET", "/initech", None).status == 200
}

/// Blocks a number. Returns whether that was acknowledged.
fn blocks(gateway: &Gateway, number: &str) -> bool {
    let body = json!({ "number": number });
    gateway.api("POST", "/senders/bot/entries", "initech-secret", Some(body)).status == 200
}

/// The verdict on a message from a number; null if the gateway does not know the tenant.
fn verdict(gateway: &Gateway, number: &str) -> Value {
    let body = json!({ "number": number, "direction": "inbound" });
    gateway.api("POST", "/senders/bot/check", "initech-secret", Some(body)).json["verdict"].clone()
}

/// All gateways know the tenant by the same lists: what each writes, all see.
fn agree(gateways: &[Gateway], first: usize) {
    let numbers: Vec<String> = (first..).take(gateways.len()).map(number).collect();
    for (gateway, number) in gateways.iter().zip(&numbers) {
        gateway.until("writing", |gateway| serves(gateway) && blocks(gateway, number));
    }
    for gateway in gateways {
        for number in &numbers {
            gateway.until("a write of each gateway", |gateway| verdict(gateway, number) == "block");
        }
    }
}

#[test]
fn a_tenant_that_is_forgotten_at_one_gateway_and_put_again_at_another_is_a_new_one_at_all() {
    let gateways: [Gateway; 3] = nodes(&cluster().database(), "");
    let [a, b, _] = &gateways;
    assert_eq!(put(a).status, 201);
    agree(&gateways, 0);
    for round in 1..=ROUNDS {
        // Before the others may have followed the first of them.
        forget(a).ok();
        let again = put(b);
        assert!([200, 201].contains(&again.status), "{}", again.text);
        agree(&gateways, 10 * round);
        for gateway in &gateways {
            let forgotten = number(10 * (round - 1));
            gateway.until("who was blocked before", |gateway| verdict(gateway, &forgotten) == "allow");
        }
    }
    forget(b).ok();
    for gateway in &gateways {
        gateway.until("it is forgotten", |gateway| verdict(gateway, &number(0)).is_null());
    }
}

#[test]
fn a_tenant_that_cannot_be_forgotten_goes_on_being_served() {
    let cluster = Cluster::new();
    let url = cluster.database();
    let gateways: [Gateway; 2] = nodes(&url, "");
    let [a, b] = &gateways;
    assert_eq!(put(a).status, 201);
    agree(&gateways, 0);

    cluster.freeze();
    let refused = forget(a);
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.text);
    assert_eq!(verdict(a, &number(0)), "block");
    cluster.thaw();
    agree(&gateways, 10);

    // The database answers, but does not do it.
    let stalled = cluster.stall(name_of(&url));
    let refused = forget(a);
    assert_eq!(refused.status, 503, "{}", refused.text);
    drop(stalled);
    for gateway in &gateways {
        gateway.until("it is served", |gateway| serves(gateway) && verdict(gateway, &number(0)) == "block");
    }
    agree(&gateways, 20);

    forget(a).ok();
    b.until("it is forgotten", |gateway| verdict(gateway, &number(0)).is_null());
}

#[test]
fn a_token_made_at_one_gateway_holds_at_all_and_so_does_the_version_of_the_settings() {
    let gateways: [Gateway; 2] = nodes(&cluster().database(), "");
    let [a, b] = &gateways;
    assert_eq!(put(a).status, 201);
    agree(&gateways, 0);
    let made = a.admin("POST", "/initech/tokens", Some(json!({ "name": "crm" })));
    assert_eq!(made.status, 201, "{}", made.text);
    let token = made.json["token"].as_str().unwrap();
    // Listed without its token, so that nobody guesses.
    let lists = |gateway: &Gateway| gateway.admin("GET", "/initech/tokens", None).json["tokens"].clone();
    b.until("following", |gateway| lists(gateway).as_array().is_some_and(|tokens| tokens.len() == 2));
    b.api("GET", "/status", token, None).ok();
    let tag = |gateway: &Gateway| gateway.admin("GET", "/initech", None).header("etag").to_owned();
    assert_eq!(tag(a), tag(b));
    b.admin("DELETE", "/initech/tokens/crm", None).ok();
    a.until("following", |gateway| lists(gateway).as_array().is_some_and(|tokens| tokens.len() == 1));
    a.api("GET", "/status", token, None).error(401, "invalid_token");
}

#[test]
fn a_list_of_the_configuration_that_a_failover_loses_is_put_again() {
    const NEW: &str = "[[tenants.senders]]\nid = \"sales\"\n";
    let (primary, standby, url) = pair();
    let configs = ["n0", "n1"].map(|node| config(&url, node, ""));
    let gateways = start(configs.clone().map(|config| config.replace(NEW, "")));
    let [a, b]: &[Gateway; 2] = &gateways;
    a.block(&number(1));
    primary.catch_up(&standby);
    standby.cut_off();
    let writes = |gateway: &Gateway, number: &str| {
        gateway.post("/senders/sales/entries", json!({ "number": number })).status == 200
    };
    for (gateway, config) in gateways.iter().zip(&configs) {
        assert!(config.contains(NEW));
        std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
        gateway.hang_up();
        gateway.until("the new sender", |gateway| writes(gateway, &number(2)));
    }

    primary.kill();
    standby.promote();
    a.until("writing again", |gateway| writes(gateway, &number(3)));
    b.until("writing again", |gateway| writes(gateway, &number(4)));
    for gateway in [a, b] {
        for blocked in [3, 4] {
            gateway.until("blocked", |gateway| {
                gateway.verdict_of("sales", &number(blocked), "inbound") == "block"
            });
        }
        gateway.until("a plugin answers", |gateway| {
            gateway.verdict_of("sales", &number(5), "inbound") == "allow"
        });
    }
}
