//! Several gateways that answer for the same lists.

use std::thread;

use serde_json::json;

use crate::cluster::cluster;
use crate::nodes as start;
use crate::support::Gateway;

#[test]
fn a_write_holds_at_once_where_it_was_made_and_soon_everywhere() {
    let [a, b, c] = start(&cluster().database(), "");
    for (number, there) in [("+46732001122", &b), ("+46732001123", &c)] {
        a.block(number);
        assert_eq!(a.verdict(number), "block");
        there.until("blocked", |gateway| gateway.verdict(number) == "block");
    }
    let number = "+46732001122";
    let lifted = b.delete("/senders/support/entries", json!({ "number": number }));
    assert_eq!(lifted.status, 200, "{}", lifted.text);
    assert_eq!(b.verdict(number), "allow");
    a.until("allowed", |gateway| gateway.verdict(number) == "allow");
    c.until("allowed", |gateway| gateway.verdict(number) == "allow");
    // Another tenant's list is another list.
    let answer = a.api(
        "POST",
        "/senders/support/check",
        crate::support::GLOBEX,
        Some(json!({ "number": "+46732001123", "direction": "inbound" })),
    );
    assert_eq!(answer.json["verdict"], "allow");
}

#[test]
fn gateways_that_write_at_the_same_time_agree_in_the_end() {
    const EACH: usize = 60;
    let gateways: [_; 3] = start(&cluster().database(), "");
    // Each number is blocked by all, and every other one unblocked by all, so that many writes change nothing.
    thread::scope(|scope| {
        for gateway in &gateways {
            scope.spawn(move || {
                for n in 0..EACH {
                    gateway.block(&format!("+467320{:05}", 11_000 + n));
                }
                for n in (0..EACH).step_by(2) {
                    let number = format!("+467320{:05}", 11_000 + n);
                    gateway.delete("/senders/support/entries", json!({ "number": number }));
                }
                // Blocked last by all, so the order before does not matter.
                for n in 0..5 {
                    gateway.block(&format!("+467320{:05}", 11_000 + n));
                }
            });
        }
    });
    let expected = |n: usize| n < 5 || n % 2 == 1;
    for gateway in &gateways {
        gateway.until("all verdicts as in the ledger", |gateway| {
            (0..EACH).all(|n| {
                let verdict = gateway.verdict(&format!("+467320{:05}", 11_000 + n));
                (verdict == "block") == expected(n)
            })
        });
    }
}

#[test]
fn an_entry_that_expires_is_lifted_on_all_gateways() {
    let [a, b] = start(&cluster().database(), "");
    let number = "+46732001122";
    let expires = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3)).to_string();
    let blocked = a.post("/senders/support/entries", json!({ "number": number, "expires": expires }));
    assert_eq!(blocked.status, 200, "{}", blocked.text);
    b.until("blocked", |gateway| gateway.verdict(number) == "block");
    for gateway in [&a, &b] {
        gateway.until("lifted", |gateway| gateway.verdict(number) == "allow");
    }
}

#[test]
fn a_tenant_of_the_admin_api_is_served_by_all_gateways() {
    let [a, b] = start(&cluster().database(), "[limits]\nwrong_tokens_per_minute = 1000000\n");
    let settings = json!({ "tokens": ["initech-secret"], "senders": [{ "id": "bot" }] });
    let put = a.admin("PUT", "/initech", Some(settings));
    assert_eq!(put.status, 201, "{}", put.text);
    let check = json!({ "number": "+46732001122", "direction": "outbound" });
    let checked =
        |gateway: &Gateway| gateway.api("POST", "/senders/bot/check", "initech-secret", Some(check.clone()));
    b.until("served", |gateway| checked(gateway).status == 200);
    let entry = json!({ "number": "+46732001122" });
    let blocked = b.api("POST", "/senders/bot/entries", "initech-secret", Some(entry));
    assert_eq!(blocked.status, 200, "{}", blocked.text);
    a.until("blocked", |gateway| checked(gateway).json["verdict"] == "block");

    // A sender that is added at one gateway, and a token that is taken away at the other.
    assert_eq!(b.admin("PUT", "/initech/senders/desk", Some(json!({}))).status, 201);
    let status = |gateway: &Gateway, token: &str| gateway.api("GET", "/status", token, None);
    a.until("has the sender", |gateway| status(gateway, "initech-secret").text.contains("desk"));
    let settings = json!({ "tokens": ["another-secret"], "senders": [{ "id": "bot" }] });
    assert_eq!(a.admin("PUT", "/initech", Some(settings)).status, 200);
    b.until("has the new token", |gateway| status(gateway, "another-secret").status == 200);
    assert_eq!(status(&b, "initech-secret").status, 401);
    a.admin("DELETE", "/initech?confirm=initech", None).ok();
    b.until("forgotten", |gateway| status(gateway, "another-secret").status == 401);
    b.admin("GET", "/initech", None).error(404, "unknown_tenant");
}

#[test]
fn a_plugin_that_is_chosen_at_one_gateway_serves_at_all() {
    let [a, b] = start(&cluster().database(), "[plugins]\nwatch_seconds = 1\n");
    let version = a.plugin("acme")["serving"]["version"].clone();
    assert_eq!(b.plugin("acme")["serving"]["pinned"], false);
    a.admin("POST", "/acme/plugin", Some(json!({ "version": version }))).ok();
    b.until("the same choice", |gateway| gateway.plugin("acme")["serving"]["pinned"] == true);
    a.block("+46732001122");
    b.until("blocked", |gateway| gateway.verdict("+46732001122") == "block");
}
