//! Requests of clients that nobody knows: they take no memory that others need, and leave little in the log.

use std::io::{Read as _, Write as _};
use std::thread;

use serde_json::json;

use super::dialects::{KALEYRA, META, SINCH, WHATS91};
use super::raw::{answer_to_head, connect, flood, head, read_head, status};
use super::support::{ADMIN, Gateway, SERVER, Surroundings, TENANTS};
use super::traffic::{PHONE_ID, payload, signed, text, webhook};

const MEGABYTE: u64 = 1_000_000;

/// Whether the long forms of tests run.
fn soaks() -> bool {
    std::env::var_os("PORTCULLIS_SOAK").is_some()
}

fn webhooks(limits: &str) -> Gateway {
    Gateway::with(&format!("{SERVER}\n[meta]\napp_secret = \"app-secret\"\n{limits}\n{TENANTS}"))
}

/// A signature that no body has.
fn wrong_signature() -> String {
    format!("x-hub-signature-256: sha256={}", "0".repeat(64))
}

/// Sends this many bodies of this length at once, and returns the statuses of the responses. A body that the gateway does not want
/// may be cut off: then the status is 0.
fn pour(gateway: &Gateway, count: usize, length: usize, headers: &[String], is_chunked: bool) -> Vec<u16> {
    let mut headers = headers.to_vec();
    headers.push(if is_chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {length}")
    });
    let head = head("POST", "/webhooks/meta", &headers);
    let piece = vec![b'x'; 100_000];
    let chunk = [b"186a0\r\n", &piece[..], b"\r\n"].concat();
    thread::scope(|scope| {
        let pouring: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = connect(gateway);
                    let mut written = stream.write_all(head.as_bytes());
                    for _ in 0..length / piece.len() {
                        written =
                            written.and_then(|()| stream.write_all(if is_chunked { &chunk } else { &piece }));
                    }
                    if is_chunked {
                        let _ = written.and_then(|()| stream.write_all(b"0\r\n\r\n"));
                    }
                    status(&read_head(&mut stream))
                })
            })
            .collect();
        pouring.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn bodies_without_a_valid_signature_take_no_more_memory_than_there_is_for_them() {
    let gateway = webhooks("");
    let before = gateway.memory("VmHWM");
    for (count, length, headers, is_chunked, statuses) in [
        // Not read at all.
        (40, 12_000_000, vec![], false, &[0, 401][..]),
        (100, 15_000_000, vec![], true, &[0, 401]),
        (40, 12_000_000, vec!["x-hub-signature-256: sha1=00".to_owned()], false, &[0, 401]),
        // Read and dropped, because no webhook is as long.
        (40, 12_000_000, vec![wrong_signature()], false, &[413]),
        (100, 15_000_000, vec![wrong_signature()], true, &[0, 413, 503]),
        // Read within the budget.
        (100, 4_000_000, vec![wrong_signature()], false, &[0, 401, 503]),
        (100, 4_000_000, vec![wrong_signature()], true, &[0, 401, 503]),
    ] {
        let given = pour(&gateway, count, length, &headers, is_chunked);
        let unexpected = given.iter().find(|status| !statuses.contains(status));
        assert_eq!(unexpected, None, "{count} × {length}: {given:?}");
        let more = gateway.memory("VmHWM") - before;
        assert!(more < 100 * MEGABYTE, "{count} × {length} took {more} bytes");
    }
    // The memory is not only free for others, but the system's again.
    let kept = gateway.memory("VmRSS").saturating_sub(before);
    assert!(kept < 30 * MEGABYTE, "{kept} bytes are kept");
    let body = payload("1", &[text("16505551234", "1", "x")]).to_string();
    assert_eq!(webhook(&gateway, &body, &signed(body.as_bytes())).status, 404, "it is nobody's");
}

#[test]
fn a_body_that_finds_no_memory_is_answered_with_retry_after_and_does_not_stop_short_ones() {
    // An address gets a quarter: 4 MiB.
    let gateway = webhooks("[limits]\nunverified_body_bytes = 16777216");
    let large = |length: usize| {
        head("POST", "/webhooks/meta", &[wrong_signature(), format!("content-length: {length}")])
    };
    let mut pending = connect(&gateway);
    // `Expect` shows when the gateway begins to read.
    let headers =
        [wrong_signature(), "content-length: 4000000".to_owned(), "expect: 100-continue".to_owned()];
    pending.write_all(head("POST", "/webhooks/meta", &headers).as_bytes()).unwrap();
    assert_eq!(status(&read_head(&mut pending)), 100);
    let refused = answer_to_head(&gateway, &large(3_000_000));
    assert_eq!(status(&refused), 503, "{refused}");
    assert!(refused.to_ascii_lowercase().contains("retry-after: 1"), "{refused}");
    // Short webhooks pass meanwhile, and long ones of the others.
    let body = payload("1", &[text("16505551234", "1", "x")]).to_string();
    assert_eq!(webhook(&gateway, &body, &signed(body.as_bytes())).status, 404, "it is nobody's");
    drop(pending);
    gateway.until("the memory is free again", |gateway| {
        let mut stream = connect(gateway);
        let head = large(3_000_000).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        status(&read_head(&mut stream)) == 100
    });
}

#[test]
fn nothing_of_a_body_is_read_before_its_token_is_known_to_be_valid() {
    let upstream = "\n[meta]\nupstream = \"http://127.0.0.1:9\"\napp_secret = \"app-secret\"\n";
    let gateway = Gateway::with(&format!("{SERVER}{upstream}{TENANTS}"));
    let wrong = "authorization: Bearer wrong-key".to_owned();
    let wrong_key = "api-key: wrong-key".to_owned();
    let messages = format!("/v25.0/{PHONE_ID}/messages");
    for (method, path, headers, expected) in [
        ("POST", "/portcullis/v1/senders/support/check", vec![&wrong], 401),
        ("POST", "/portcullis/v1/senders/support/check", vec![], 401),
        ("POST", "/portcullis/v1/tenant/check", vec![&wrong], 401),
        ("POST", "/portcullis/v1/senders/support/entries", vec![&wrong], 401),
        ("DELETE", "/portcullis/v1/senders/support/entries", vec![&wrong], 401),
        ("POST", "/portcullis/v1/route", vec![&wrong], 401),
        ("PUT", "/portcullis/v1/admin/plugins/exact", vec![&wrong], 401),
        ("PUT", "/portcullis/v1/admin/tenants/initech", vec![&wrong], 401),
        ("POST", SINCH, vec![&wrong], 401),
        ("POST", SINCH, vec![], 401),
        ("POST", KALEYRA, vec![&wrong_key], 401),
        ("POST", META, vec![&wrong], 401),
        ("POST", META, vec![], 401),
        ("POST", WHATS91, vec![&wrong], 401),
        ("POST", &messages, vec![&wrong], 401),
        ("POST", &messages, vec![], 401),
        ("POST", "/v25.0/1/whatsapp_business_profile", vec![&wrong], 401),
        ("POST", "/webhooks/meta", vec![], 401),
        ("POST", "/nowhere", vec![&wrong], 401),
        ("POST", "/webhooks/nowhere", vec![&wrong], 404),
        ("POST", "/healthz", vec![], 405),
    ] {
        let mut lines: Vec<String> = headers.into_iter().cloned().collect();
        lines.extend(["content-type: application/json".to_owned(), "content-length: 1000000".to_owned()]);
        // If the gateway waited for the body, it would not answer: the body never comes.
        let answer = answer_to_head(&gateway, &head(method, path, &lines));
        assert_eq!(status(&answer), expected, "{method} {path}: {answer}");
        lines.push("expect: 100-continue".to_owned());
        let answer = answer_to_head(&gateway, &head(method, path, &lines));
        assert_eq!(status(&answer), expected, "{method} {path} asks for the body");
    }
}

#[test]
fn a_short_body_that_is_refused_is_dropped_and_its_connection_stays() {
    let gateway = Gateway::start();
    for (path, header) in
        [(SINCH, "authorization: Bearer wrong-key"), (KALEYRA, "api-key: wrong-key"), (META, "x: x")]
    {
        let lines = [header, "content-type: application/json", "content-length: 2", "expect: 100-continue"];
        let mut stream = connect(&gateway);
        stream.write_all(head("POST", path, &lines.map(str::to_owned)).as_bytes()).unwrap();
        assert_eq!(status(&read_head(&mut stream)), 100, "{path}");
        stream.write_all(b"{}").unwrap();
        let refused = read_head(&mut stream);
        assert_eq!(status(&refused), 401, "{path}: {refused}");
        let (_, length) = refused.split_once("content-length: ").unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).unwrap();
        stream.write_all(head("GET", "/healthz", &[]).as_bytes()).unwrap();
        assert_eq!(status(&read_head(&mut stream)), 200, "{path}");
    }
}

#[test]
fn a_body_that_has_its_token_in_it_is_short() {
    let gateway = Gateway::start();
    for path in ["/whatsapp/v2/block", WHATS91] {
        let lines = ["content-type: application/json".to_owned(), "content-length: 65537".to_owned()];
        let mut stream = connect(&gateway);
        stream.write_all(head("POST", path, &lines).as_bytes()).unwrap();
        stream.write_all(&[b' '; 65_537]).unwrap();
        let answer = read_head(&mut stream);
        assert_eq!(status(&answer), 413, "{path}: {answer}");
    }
}

#[test]
fn refused_requests_are_counted_and_logged_at_a_bounded_rate() {
    let surroundings = Surroundings { log: "info", ..Surroundings::default() };
    let gateway = Gateway::within(surroundings, &format!("{SERVER}{TENANTS}"));
    let count = if soaks() { 250_000 } else { 25_000 };
    let before = gateway.log_length();
    let number = "46732001122";
    for (request, status) in [
        (head(number, "/portcullis/v1/status", &[]), 405),
        (head(number, &format!("/{number}"), &[format!("{number}: {number}")]), 404),
        (head("GET", "/portcullis/v1/status", &[format!("user-agent: {number}")]), 401),
        (head("POST", "/webhooks/meta", &["content-length: 0".to_owned()]), 404),
    ] {
        flood(&gateway, &request, count, status);
    }
    let refused = gateway.metric("portcullis_refused_requests_total", "");
    assert!(refused >= 4 * count as u64, "{refused}");
    assert!(gateway.metric("portcullis_refused_requests_total", "status=\"405\"") >= count as u64);
    let logged = gateway.log_length() - before;
    assert!(logged < 4 * count, "{logged} bytes about {} requests", 4 * count);
    gateway.until("a made-up method is logged as other", |gateway| {
        gateway.logged("method=other route=\"/portcullis/v1/status\" status=405")
    });
    let (log, _folder) = gateway.log_after_the_end();
    let suppressed = log.lines().find(|line| line.contains("suppressed=") && line.contains("status=405"));
    assert!(suppressed.is_some(), "{log}");
    assert!(!log.contains(number), "{log}");
}

#[test]
fn documents_that_anybody_may_read_leave_nothing_in_the_log() {
    let surroundings = Surroundings { log: "info", ..Surroundings::default() };
    let gateway = Gateway::within(surroundings, &format!("{SERVER}{TENANTS}"));
    for path in ["/portcullis/v1/openapi.json", "/portcullis/v1/dialects/meta/openapi.json", "/healthz"] {
        flood(&gateway, &head("GET", path, &[]), 300, 200);
    }
    let (log, _folder) = gateway.log_after_the_end();
    assert!(!log.contains("openapi.json") && !log.contains("/healthz"), "{log}");
}

#[test]
fn large_bodies_of_one_tenant_leave_memory_for_the_others() {
    let limits = "max_body_bytes = 1048576\n\n[limits]\nbody_bytes = 2097152\n\n[storage]";
    let gateway = Gateway::with(&format!("{SERVER}{TENANTS}").replace("[storage]", limits));
    let entries = |token: &str, length: usize| {
        let lines = [
            format!("authorization: Bearer {token}"),
            "content-type: application/json".to_owned(),
            format!("content-length: {length}"),
            "expect: 100-continue".to_owned(),
        ];
        let mut stream = connect(&gateway);
        stream.write_all(head("POST", "/portcullis/v1/senders/support/entries", &lines).as_bytes()).unwrap();
        let answer = read_head(&mut stream);
        (stream, status(&answer))
    };
    let (_pending, first) = entries("acme-secret", 1_000_000);
    let (_, second) = entries("acme-secret", 1_000_000);
    assert_eq!((first, second), (100, 503), "a tenant gets half");
    assert_eq!(entries("globex-secret", 1_000_000).1, 100);
    // Short bodies are not counted.
    gateway.post("/senders/support/entries", json!({ "number": "+46732001122" })).ok();
    gateway.api("GET", "/admin/tenants", ADMIN, None).ok();
}
