//! Checks.

use serde_json::json;

use super::support::{ACME, Gateway};

#[test]
fn a_block_is_seen_by_the_next_check_in_its_directions() {
    let gateway = Gateway::start();
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    gateway
        .post("/senders/support/entries", json!({ "number": "+46732001122", "directions": ["inbound"] }))
        .ok();

    let blocked =
        gateway.post("/senders/support/check", json!({ "number": "+46732001122", "direction": "inbound" }));
    assert_eq!(
        *blocked.ok(),
        json!({ "verdict": "block", "direction": "inbound", "list": "sender", "source": "plugin", "blocked": true })
    );
    let allowed =
        gateway.post("/senders/support/check", json!({ "number": "+46732001122", "direction": "outbound" }));
    assert_eq!(*allowed.ok(), json!({ "verdict": "allow", "direction": "outbound", "source": "plugin" }));
    assert_eq!(gateway.verdict("+46732001123"), "allow");

    gateway.delete("/senders/support/entries", json!({ "number": "+46732001122" })).ok();
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}

#[test]
fn all_spellings_of_a_number_are_the_same_number() {
    let gateway = Gateway::start();
    gateway.block("073-200 11 22");
    for number in ["+46732001122", "46732001122", "0046 73 200 11 22", "0732001122", "(073) 200.11.22"] {
        assert_eq!(gateway.verdict(number), "block", "{number}");
    }
}

#[test]
fn the_tenant_wide_list_applies_to_all_senders() {
    let gateway = Gateway::start();
    gateway.post("/tenant/entries", json!({ "number": "+46732001122" })).ok();
    for sender in ["support", "sales"] {
        let answer = gateway.post(
            &format!("/senders/{sender}/check"),
            json!({ "number": "+46732001122", "direction": "outbound" }),
        );
        assert_eq!((&answer.ok()["verdict"], &answer.json["list"]), (&json!("block"), &json!("tenant")));
    }
    // A sender's own list does not apply to the tenant.
    gateway.block("+46732002244");
    let wide = gateway.post("/tenant/check", json!({ "number": "+46732002244", "direction": "inbound" }));
    assert_eq!(wide.ok()["verdict"], "allow");
    assert_eq!(gateway.verdict_of("sales", "+46732002244", "inbound"), "allow");
}

#[test]
fn many_numbers_are_checked_at_once_and_returned_as_written() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    gateway.post("/tenant/entries", json!({ "number": "+46732002244" })).ok();
    let numbers = ["46 73-200 22 44", "+46732003366", "0732001122", "+46732001122"];
    let answer =
        gateway.post("/senders/support/check", json!({ "numbers": numbers, "direction": "inbound" }));
    assert_eq!(
        *answer.ok(),
        json!({
            "blocked": ["46 73-200 22 44", "0732001122", "+46732001122"],
            "checked": 4, "direction": "inbound", "source": "plugin",
        })
    );
    let none = gateway.post("/senders/support/check", json!({ "numbers": [], "direction": "inbound" }));
    assert_eq!(none.ok()["checked"], 0);
}

#[test]
fn ten_thousand_numbers_are_checked_at_once_and_no_more() {
    let gateway = Gateway::start();
    let numbers: Vec<String> = (0..10_001).map(|i| format!("+4673{i:07}")).collect();
    gateway.block(&numbers[9_999]);
    let answer = gateway
        .post("/senders/support/check", json!({ "numbers": numbers[..10_000], "direction": "inbound" }));
    assert_eq!(answer.ok()["blocked"], json!([numbers[9_999]]));
    let answer =
        gateway.post("/senders/support/check", json!({ "numbers": numbers, "direction": "inbound" }));
    assert!(answer.error(400, "too_many_numbers").contains("10000"));
}

#[test]
fn numbers_in_national_form_are_checked_alike_in_batches_of_any_length() {
    let gateway = Gateway::start();
    let numbers: Vec<String> = (0..10_000).map(|i| format!("073{i:07}")).collect();
    gateway.block(&numbers[7]);
    // Read at once, elsewhere, with low priority, and after a long body was parsed there.
    for count in [8, 100, 450, 10_000] {
        let body = json!({ "numbers": numbers[..count], "direction": "inbound" });
        let answer = gateway.post("/senders/support/check", body);
        assert_eq!((&answer.ok()["blocked"], &answer.json["checked"]), (&json!([numbers[7]]), &json!(count)));
    }
}

#[test]
fn an_invalid_number_fails_the_batch_and_each_is_reported() {
    let gateway = Gateway::start();
    let numbers = ["+46732001122", "STOP", "", "+46732001122", "46 (0)73"];
    let answer =
        gateway.post("/senders/support/check", json!({ "numbers": numbers, "direction": "inbound" }));
    answer.error(400, "invalid_number");
    let details = answer.json["error"]["details"].as_array().unwrap();
    let indices: Vec<_> = details.iter().map(|detail| detail["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [1, 2, 4]);
    assert!(details[0]["reason"].as_str().unwrap().contains("letter"));
}

#[test]
fn a_number_that_two_countries_have_is_refused_as_ambiguous() {
    let region = super::support::TENANTS.replace("default_region = \"SE\"", "default_region = \"US\"");
    let gateway = Gateway::with(&format!("{}{region}", super::support::SERVER));
    let answer = gateway.api(
        "POST",
        "/senders/support/check",
        ACME,
        Some(json!({ "number": "4792345678", "direction": "inbound" })),
    );
    assert!(answer.error(400, "invalid_number").contains("with +"));
}
