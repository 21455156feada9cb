//! Rate limits, and tokens of single senders.

use serde_json::{Value, json};

use super::dialects::{Asked, KALEYRA, META, NUMBER, SINCH, WHATS91, vendors_with};
use super::support::{ACME, Answer, Gateway, SERVER};

const SLOW: &str = r#"
[[tenants]]
id = "acme"
tokens = ["acme-secret"]
rate_limit = { per_second = 1, burst = 3 }

[[tenants.senders]]
id = "support"
number = "46700000001"
tokens = ["acme-support-secret"]

[[tenants.senders]]
id = "sales"
tokens = ["sha256:6ed33f2ec5d1fed60be6ee7aab7f6cb1ab5a5a2ba3ab9b8b2b0ae0f9d2b8a1ce"]
"#;

#[test]
fn a_token_over_its_rate_limit_gets_429_with_retry_after() {
    let gateway = Gateway::with(&format!("{SERVER}{SLOW}"));
    let answers: Vec<Answer> = (0..8).map(|_| gateway.get("/status")).collect();
    let refused =
        answers.iter().find(|answer| answer.status == 429).expect("eight at once are more than three");
    let message = refused.error(429, "too_many_requests");
    assert!(message.contains("retry in 1 s"), "{message}");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    // Each token has its own limit.
    gateway.api("GET", "/senders/support/status", "acme-support-secret", None).ok();
    // Unknown tokens are not counted.
    gateway.api("GET", "/status", "wrong-secret", None).error(401, "invalid_token");
    gateway.until("it may ask again", |gateway| gateway.get("/status").status == 200);
}

#[test]
fn each_dialect_reports_the_rate_limit_in_its_own_format() {
    let gateway = vendors_with("rate_limit = { per_second = 1, burst = 1 }", "");
    let bearer = format!("Bearer {ACME}");
    let sinch = [("authorization", bearer.as_str())];
    let kaleyra = [("api-key", ACME)];
    let whats91 = format!("{WHATS91}?senderId={NUMBER}");
    let ninety_nine = json!({ "apiKey": ACME, "from": NUMBER });
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<Value>, &'a str, Value);
    let asked: [Case<'_>; 5] = [
        ("GET", SINCH, &sinch, None, "/message", json!("429")),
        ("POST", "/whatsapp/v2/getBlockedList", &[], Some(ninety_nine), "/status", json!("FAIL")),
        ("GET", &whats91, &sinch, None, "/error_code", json!("RATE_LIMITED")),
        ("GET", KALEYRA, &kaleyra, None, "/code", json!("WA429")),
        ("GET", META, &sinch, None, "/error/code", json!(130_429)),
    ];
    for (method, path, headers, body, pointer, expected) in asked {
        let ask = || Asked { method, path, headers, body: body.clone() }.of(&gateway);
        let refused = (0..9).map(|_| ask()).find(|answer| answer.status == 429);
        let refused = refused.unwrap_or_else(|| panic!("{path}: nine at once are more than one"));
        assert_eq!(refused.json.pointer(pointer), Some(&expected), "{path}: {}", refused.text);
        assert_eq!(refused.header("retry-after"), "1", "{path}");
    }
}

#[test]
fn a_sender_s_token_is_valid_for_that_sender_only() {
    let gateway =
        Gateway::with(&format!("{SERVER}{}", SLOW.replace("per_second = 1, burst = 3", "per_second = 999")));
    let token = "acme-support-secret";
    let check = json!({ "number": "+46732001122", "direction": "inbound" });
    gateway.api("POST", "/senders/support/check", token, Some(check.clone())).ok();
    gateway.api("POST", "/senders/sales/check", token, Some(check.clone())).error(403, "sender_not_allowed");
    gateway.api("POST", "/tenant/check", token, Some(check.clone())).error(403, "sender_not_allowed");
    gateway.api("POST", "/senders/nobody/check", token, Some(check)).error(404, "unknown_sender");
    gateway.api("GET", "/senders/support/status", token, None).ok();
    gateway.api("GET", "/tenant/status", token, None).error(403, "sender_not_allowed");
    gateway.api("GET", "/status", token, None).error(403, "sender_not_allowed");
}
