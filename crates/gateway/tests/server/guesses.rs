//! Clients that guess tokens.

use serde_json::{Value, json};
use ureq::http::Request;

use super::dialects::{KALEYRA, META, NUMBER, SINCH, WHATS91, vendors_with};
use super::support::{ACME, Answer, Gateway, SERVER, TENANTS};

/// Few unknown tokens are allowed here, so that the tests need few requests.
fn gateway(server: &str) -> Gateway {
    let config = format!("{SERVER}{TENANTS}").replace("[storage]", &format!("{server}\n[storage]"));
    Gateway::with(&format!("{config}\n[limits]\nwrong_tokens_per_minute = 3\n"))
}

fn guess(gateway: &Gateway, forwarded_for: &str) -> Answer {
    let request = Request::builder()
        .uri(format!("{}/portcullis/v1/status", gateway.url()))
        .header("authorization", "Bearer wrong-key")
        .header("x-forwarded-for", forwarded_for);
    gateway.send(request.body(String::new()).unwrap())
}

#[test]
fn who_guesses_tokens_is_slowed_down_and_valid_tokens_pass() {
    let gateway = gateway("");
    let refused = (0..9).map(|_| guess(&gateway, "")).find(|answer| answer.status == 429);
    let refused = refused.expect("nine guesses are more than three");
    assert!(refused.error(429, "too_many_requests").contains("from this address"));
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("connection"), "close", "a guess costs a connection");
    // The address is that of everybody behind a NAT.
    gateway.get("/status").ok();
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    gateway.admin("GET", "/acme", None).ok();
    // The others who guess are limited at every door, the administrator's included.
    gateway.api("GET", "/admin/tenants", "wrong-key", None).error(429, "too_many_requests");
    let check = json!({ "number": "+46732001122", "direction": "inbound" });
    gateway.api("POST", "/senders/support/check", "wrong-key", Some(check)).error(429, "too_many_requests");
    // No token is no guess.
    gateway.api("GET", "/status", "", None).error(401, "missing_token");
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let gateway = gateway("trusted_proxies = [\"127.0.0.1\"]");
    let is_refused =
        |client: &str| (0..9).map(|_| guess(&gateway, client)).any(|answer| answer.status == 429);
    assert!(is_refused("192.0.2.1"));
    assert_eq!(guess(&gateway, "192.0.2.2").status, 401);
    // One subscriber has all addresses of a /64.
    assert!(is_refused("2001:db8::1"));
    assert_eq!(guess(&gateway, "2001:db8::2").status, 429);
    assert_eq!(guess(&gateway, "2001:db8:0:1::1").status, 401);
}

#[test]
fn each_dialect_refuses_guesses_in_its_own_format() {
    let gateway = vendors_with("", "\n[limits]\nwrong_tokens_per_minute = 1\n");
    let wrong = ("authorization", "Bearer wrong-key");
    let whats91 = format!("{WHATS91}?senderId={NUMBER}");
    let ninety_nine = json!({ "apiKey": "wrong-key", "from": NUMBER });
    type Case<'a> = (&'a str, &'a str, (&'a str, &'a str), Option<Value>, &'a str, Value);
    let asked: [Case<'_>; 5] = [
        ("GET", SINCH, wrong, None, "/message", json!("429")),
        ("POST", "/whatsapp/v2/getBlockedList", wrong, Some(ninety_nine), "/status", json!("FAIL")),
        ("GET", &whats91, wrong, None, "/error_code", json!("RATE_LIMITED")),
        ("GET", KALEYRA, ("api-key", "wrong-key"), None, "/code", json!("WA429")),
        ("GET", META, wrong, None, "/error/code", json!(130_429)),
    ];
    guess(&gateway, "");
    for (method, path, header, body, pointer, expected) in asked {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", gateway.url()))
            .header(header.0, header.1)
            .header("content-type", "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = gateway.send(request.body(body).unwrap());
        assert_eq!(answer.status, 429, "{path}: {}", answer.text);
        assert_eq!(answer.json.pointer(pointer), Some(&expected), "{path}: {}", answer.text);
        assert_ne!(answer.header("retry-after"), "", "{path}");
        assert_eq!(answer.header("connection"), "close", "{path}");
    }
    let valid = Request::builder()
        .uri(format!("{}{META}", gateway.url()))
        .header("authorization", format!("Bearer {ACME}"));
    assert_eq!(gateway.send(valid.body(String::new()).unwrap()).status, 200);
}
