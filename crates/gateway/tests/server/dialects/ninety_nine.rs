//! 99 Digital.

use serde_json::{Value, json};

use super::super::support::{ACME, Answer, Gateway};
use super::{Asked, BOUND, block_many, ninety_nine, nth, passes, sorted, vendors, vendors_with};

const FROM: &str = "972771234567";

fn ask(gateway: &Gateway, operation: &str, body: Value) -> Answer {
    let path = format!("/whatsapp/v2/{operation}");
    Asked { method: "POST", path: &path, headers: &[], body: Some(body) }.of(gateway)
}

#[test]
fn the_samples_of_the_document_are_answered_as_documented() {
    let gateway = vendors();
    let one = json!({ "apiKey": ACME, "from": FROM, "whatsapp": "972501234567" });
    let done = json!({ "status": "OK", "from": FROM, "whatsapp": "972501234567", "reason": 1 });
    assert_eq!(*ask(&gateway, "block", one.clone()).ok(), done);
    let other = json!({ "apiKey": ACME, "from": FROM, "whatsapp": "972502958372" });
    ask(&gateway, "block", other).ok();
    let all = json!({ "apiKey": ACME, "from": FROM });
    let listed = ask(&gateway, "getBlockedList", all.clone());
    let numbers = sorted(listed.ok()["numbers"].as_array().unwrap());
    assert_eq!(numbers, ["972501234567", "972502958372"]);
    let mut rest = listed.json.clone();
    rest["numbers"] = json!([]);
    assert_eq!(rest, json!({ "status": "OK", "from": FROM, "numbers": [], "reason": 1 }));
    assert_eq!(*ask(&gateway, "unblock", one).ok(), done);
    for alias in ["getBlockedList", "getBlockList", "getBlocked", "blockedList", "blocked"] {
        let listed = ask(&gateway, alias, all.clone());
        assert_eq!(listed.ok()["numbers"], json!(["972502958372"]), "{alias}");
    }
}

#[test]
fn a_body_with_its_token_is_short() {
    let gateway = vendors();
    let of = |bytes: usize| {
        let one = json!({ "apiKey": ACME, "from": FROM, "whatsapp": "972501234567" }).to_string();
        let padding = " ".repeat(bytes - one.len());
        gateway.call("POST", "/whatsapp/v2/block", "", Some(one + &padding))
    };
    of(8 << 10).ok();
    let longer = of((8 << 10) + 1);
    assert_eq!((longer.status, &longer.json["status"]), (413, &json!("FAIL")), "{}", longer.text);
}

#[test]
fn failures_have_a_reason_and_repeat_the_request() {
    let gateway = vendors();
    let number = "972501234567";
    for (operation, body, reason) in [
        ("block", json!({ "apiKey": "wrong-key", "from": FROM, "whatsapp": number }), 3),
        ("block", json!({ "from": FROM, "whatsapp": number }), 3),
        ("block", json!({ "apiKey": "", "from": FROM, "whatsapp": number }), 3),
        ("block", json!({ "apiKey": ACME, "from": "972771234568", "whatsapp": number }), 2),
        ("block", json!({ "apiKey": ACME, "from": "46700000002", "whatsapp": number }), 2),
        ("block", json!({ "apiKey": ACME, "from": "919407000009", "whatsapp": number }), 2),
        ("block", json!({ "apiKey": BOUND, "from": FROM, "whatsapp": number }), 2),
        ("block", json!({ "apiKey": ACME, "whatsapp": number }), 2),
        ("block", json!({ "apiKey": ACME, "from": FROM, "whatsapp": "nonsense" }), 4),
        ("block", json!({ "apiKey": ACME, "from": FROM }), 4),
        ("block", json!({ "apiKey": ACME, "from": FROM, "whatsapp": FROM }), 4),
        ("unblock", json!({ "apiKey": ACME, "from": FROM, "whatsapp": "nonsense" }), 4),
        ("getBlockedList", json!({ "apiKey": "wrong-key", "from": FROM }), 3),
        ("getBlockedList", json!({ "apiKey": ACME, "from": "1" }), 2),
        ("block", json!("x"), 7),
    ] {
        let answer = ask(&gateway, operation, body.clone());
        assert_eq!((answer.status, &answer.json["status"]), (200, &json!("FAIL")), "{body}: {}", answer.text);
        assert_eq!(answer.json["reason"], reason, "{operation} {body}");
        for field in ["from", "whatsapp"] {
            assert_eq!(answer.json.get(field), body.get(field), "{operation} {body}");
        }
    }
    assert_eq!(gateway.call("GET", "/whatsapp/v2/block", "", None).status, 405);
    // Unblocking a number that is not blocked is not a failure.
    assert_eq!(ninety_nine(&gateway, "unblock", Some(number)).ok()["status"], "OK");
}

#[test]
fn undocumented_details_are_configurable() {
    let gateway = vendors_with(
        "",
        "[dialects.ninety_nine]\nunblock_paths = [\"/whatsapp/v2/letThemIn\"]\nfail_status = 400\n\
         block_reasons = { invalid_number = 40, outside_window = 50, list_full = 60, failed = 70 }",
    );
    let body = json!({ "apiKey": ACME, "from": FROM, "whatsapp": "nonsense" });
    let answer = ask(&gateway, "block", body.clone());
    assert_eq!((answer.status, &answer.json["reason"]), (400, &json!(40)));
    assert_eq!(ask(&gateway, "letThemIn", body.clone()).json["reason"], 4);
    assert_eq!(ask(&gateway, "unblock", body).status, 404);
}

#[test]
fn both_directions_are_blocked() {
    let gateway = vendors();
    ninety_nine(&gateway, "block", Some("972501234567")).ok();
    assert_eq!(passes(&gateway, "972501234567"), (false, false));
    ninety_nine(&gateway, "unblock", Some("972501234567")).ok();
    assert_eq!(passes(&gateway, "972501234567"), (true, true));
}

#[test]
fn with_the_24_hour_rule_only_recent_visitors_can_be_blocked() {
    let mut gateway = vendors_with("dialects.within_24_hours = true", "");
    let number = "972501234567";
    let answer = ninety_nine(&gateway, "block", Some(number));
    assert_eq!((&answer.json["status"], &answer.json["reason"]), (&json!("FAIL"), &json!(5)));
    // A check of an inbound message records a visit; a check of an outbound one does not.
    gateway.verdict_of("support", number, "outbound");
    assert_eq!(ninety_nine(&gateway, "block", Some(number)).json["reason"], 5);
    gateway.verdict_of("support", number, "inbound");
    gateway.restart();
    assert_eq!(ninety_nine(&gateway, "block", Some(number)).ok()["status"], "OK");
    // The rule does not apply to unblocking.
    assert_eq!(ninety_nine(&gateway, "unblock", Some(number)).ok()["status"], "OK");
    let users = super::users(&["+16505551234", number]);
    let answer = super::bearer(&gateway, "POST", super::META, Some(users));
    assert_eq!(answer.json["block_users"]["failed_users"][0]["errors"][0]["code"], 131_047);
    assert_eq!(answer.json["block_users"]["added_users"][0]["input"], number);
}

#[test]
fn the_64_001st_entry_is_refused_if_the_vendor_has_that_limit() {
    let gateway = vendors();
    block_many(&gateway, 0..63_999);
    let number = "972501234567";
    assert_eq!(ninety_nine(&gateway, "block", Some(number)).ok()["status"], "OK");
    let all = ninety_nine(&gateway, "getBlockedList", None);
    assert_eq!(all.ok()["numbers"].as_array().unwrap().len(), 64_000);

    let full = ninety_nine(&gateway, "block", Some("972502958372"));
    assert_eq!((&full.json["status"], &full.json["reason"]), (&json!("FAIL"), &json!(6)));
    assert_eq!(ninety_nine(&gateway, "block", Some(number)).ok()["status"], "OK", "it is there already");
    let failed = |answer: Answer| {
        assert_eq!(answer.status, 400);
        let lists = if answer.json["data"].is_null() { &answer.json } else { &answer.json["data"] };
        lists["block_users"]["failed_users"][0]["errors"][0]["code"].clone()
    };
    let users = super::users(&["972502958372"]);
    assert_eq!(failed(super::bearer(&gateway, "POST", super::META, Some(users.clone()))), 139_101);
    assert_eq!(failed(super::kaleyra(&gateway, "POST", "", Some(users))), 139_101);
    assert_eq!(passes(&gateway, "972502958372"), (true, true));
    // Sinch and Whats91 document no limit.
    let body = json!({ "numbers": ["972502958372"] });
    assert_eq!(super::bearer(&gateway, "POST", super::SINCH, Some(body)).status, 200);
    ninety_nine(&gateway, "unblock", Some(&nth(0))).ok();
    let body = json!({ "senderId": super::NUMBER, "phone": "16505551234" });
    assert_eq!(super::bearer(&gateway, "POST", super::WHATS91, Some(body)).status, 200);
}

#[test]
fn a_tenant_may_set_another_limit_or_none() {
    let gateway = vendors_with("dialects.capacity = 2", "");
    block_many(&gateway, 0..2);
    assert_eq!(ninety_nine(&gateway, "block", Some("972501234567")).json["reason"], 6);
    let gateway = vendors_with("dialects.capacity = 0", "");
    block_many(&gateway, 0..64_000);
    assert_eq!(ninety_nine(&gateway, "block", Some("972501234567")).ok()["status"], "OK");
}
