//! Requests of clients that nobody knows: they take no memory that others need, and leave little in the log.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use portcullis_plugin_bundle::EXACT;
use serde_json::json;

use super::dialects::{KALEYRA, META, SINCH, WHATS91};
use super::raw::{answer_to_head, connect, flood, head, read_head, status};
use super::support::{ACME, GLOBEX, Gateway, SERVER, Surroundings, TENANTS};
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

/// Sends so many bytes of a body that is declared as longer. The gateway may have refused it before the end.
fn begun(gateway: &Gateway, path: &str, headers: &[String], declared: usize, sent: usize) -> TcpStream {
    let mut headers = headers.to_vec();
    headers.push(format!("content-length: {declared}"));
    let mut stream = connect(gateway);
    stream.write_all(head("POST", path, &headers).as_bytes()).unwrap();
    let _ = stream.write_all(&vec![b' '; sent]);
    stream
}

#[test]
fn a_body_that_finds_no_memory_is_answered_with_retry_after_and_does_not_stop_short_ones() {
    // An address gets a quarter: 4 MiB.
    let gateway = webhooks("[limits]\nunverified_body_bytes = 16777216");
    let webhook_of =
        |length: usize, sent: usize| begun(&gateway, "/webhooks/meta", &[wrong_signature()], length, sent);
    let body = payload("1", &[text("16505551234", "1", "x")]).to_string();
    gateway.until("a body finds no memory", |gateway| {
        let pending = webhook_of(4_000_000, 3_999_999);
        let refused = read_head(&mut webhook_of(3_000_000, 3_000_000));
        // Short webhooks pass meanwhile.
        assert_eq!(webhook(gateway, &body, &signed(body.as_bytes())).status, 404, "it is nobody's");
        drop(pending);
        let is_refused = status(&refused) == 503;
        assert!(!is_refused || refused.to_ascii_lowercase().contains("retry-after: 1"), "{refused}");
        is_refused
    });
    gateway.until("the memory is free again", |_| {
        status(&read_head(&mut webhook_of(3_000_000, 3_000_000))) == 401
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
fn successful_requests_are_logged_at_a_bounded_rate() {
    let surroundings = Surroundings { log: "info", ..Surroundings::default() };
    let gateway = Gateway::within(surroundings, &format!("{SERVER}{TENANTS}"));
    let path = "/portcullis/v1/senders/support/entries";
    flood(&gateway, &head("GET", path, &[format!("authorization: Bearer {ACME}")]), 5_000, 200);
    gateway.block("+46732001122");
    let (log, _folder) = gateway.log_after_the_end();
    let of_route = |line: &&str| line.contains("senders/{sender}/entries");
    let lines = log.lines().filter(|line| line.contains("method=GET")).filter(of_route).count();
    assert!((100..2_500).contains(&lines), "{lines}");
    assert!(log.lines().filter(of_route).any(|line| line.contains("suppressed=")), "{log}");
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

/// A gateway with little memory for bodies: a tenant gets 2 MiB, the tokens of a sender 1 MiB, and the administrator has 2 MiB apart.
/// The senders of acme have tokens.
fn little_memory() -> Gateway {
    let limits = "max_body_bytes = 1048576\n\n[limits]\nbody_bytes = 4194304\n\n[storage]";
    let senders = [("id = \"support\"\n", SUPPORT), ("id = \"sales\"\n", SALES)];
    let config = senders.iter().fold(format!("{SERVER}{TENANTS}"), |config, (sender, token)| {
        config.replacen(sender, &format!("{sender}tokens = [\"{token}\"]\n"), 1)
    });
    Gateway::with(&config.replace("[storage]", limits))
}

const SUPPORT: &str = "acme-support-secret";
const SALES: &str = "acme-sales-secret";
/// Just under `max_body_bytes`.
const LARGE: usize = 1_000_000;

/// Begins a check of a sender with a large body, of which so many bytes are sent.
fn large_check(gateway: &Gateway, sender: &str, token: &str, sent: usize) -> TcpStream {
    let lines = [format!("authorization: Bearer {token}"), "content-type: application/json".to_owned()];
    begun(gateway, &format!("/portcullis/v1/senders/{sender}/check"), &lines, LARGE, sent)
}

/// A check whose body has 100 KiB.
fn medium_check(gateway: &Gateway, sender: &str, token: &str) -> u16 {
    let check = json!({ "number": "+46732001122", "direction": "inbound" }).to_string();
    let body = format!("{check}{}", " ".repeat(100 << 10));
    gateway.call("POST", &format!("/portcullis/v1/senders/{sender}/check"), token, Some(body)).status
}

/// Begins checks with large bodies that never end, and waits until they have taken all memory of this token's owner.
fn fill(gateway: &Gateway, token: &str, count: usize) -> Vec<TcpStream> {
    let pending = (0..count).map(|_| large_check(gateway, "support", token, LARGE - 1)).collect();
    gateway.until("all memory is taken", |gateway| medium_check(gateway, "support", token) == 503);
    pending
}

#[test]
fn a_body_takes_no_memory_before_it_arrives() {
    let gateway = little_memory();
    let _pending: Vec<TcpStream> = (0..8).map(|_| large_check(&gateway, "support", SUPPORT, 1)).collect();
    for (sender, token) in [("support", SUPPORT), ("sales", SALES), ("sales", ACME)] {
        assert_eq!(medium_check(&gateway, sender, token), 200, "{token}");
    }
}

#[test]
fn large_bodies_of_one_sender_leave_memory_for_the_tenant_s_others() {
    let gateway = little_memory();
    let _pending = fill(&gateway, SUPPORT, 1);
    for (sender, token) in [("sales", SALES), ("sales", ACME)] {
        assert_eq!(medium_check(&gateway, sender, token), 200, "{token}");
    }
}

#[test]
fn large_bodies_of_one_tenant_leave_memory_for_the_others_and_those_of_all_for_the_administrator() {
    let gateway = little_memory();
    let _acme = fill(&gateway, ACME, 2);
    assert_eq!(medium_check(&gateway, "support", GLOBEX), 200);
    let _globex = fill(&gateway, GLOBEX, 2);
    // Short bodies are not counted.
    gateway.post("/senders/support/entries", json!({ "number": "+46732001122" })).ok();
    // An unknown section of 300,002 bytes makes it larger than what is left.
    let section = [&[0, 0xe2, 0xa7, 0x12, 1, b'p'][..], &[0; 300_000]].concat();
    gateway.put_plugin("exact", &[EXACT.component, &section].concat()).ok();
}

#[test]
fn the_head_of_a_request_is_short_and_arrives_in_time() {
    let gateway = Gateway::start();
    let mut idle = connect(&gateway);
    let of = |bytes: usize| head("GET", "/healthz", &[format!("x: {}", "x".repeat(bytes))]);
    assert_eq!(status(&answer_to_head(&gateway, &of(15_000))), 200);
    assert_eq!(status(&answer_to_head(&gateway, &of(17_000))), 431);
    // The idle one has sent a request, too.
    idle.write_all(of(1).as_bytes()).unwrap();
    assert_eq!(status(&read_head(&mut idle)), 200);
    idle.read_exact(&mut [0; r#"{"status":"ok"}"#.len()]).unwrap();
    let mut unfinished: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect(&gateway);
            stream.write_all(&of(10_000).as_bytes()[..10_000]).unwrap();
            stream
        })
        .collect();
    for stream in &mut unfinished {
        assert_eq!(read_head(stream), "", "it is closed without an answer");
    }
    let late = gateway.metric("portcullis_closed_connections_total", "reason=\"late\"");
    assert_eq!(late, 20);
    idle.write_all(of(1).as_bytes()).unwrap();
    assert_eq!(status(&read_head(&mut idle)), 200, "it may be idle for longer");
}
