//! Clients that do not take what they asked for.

use std::io::Write as _;
use std::net::TcpStream;

use axum::body::Bytes;
use serde_json::json;

use super::raw::{connect, head, read_head, status};
use super::support::{ACME, GLOBEX, Gateway, SERVER, TENANTS};
use super::traffic::stand::{Received, Reply, Stand};
use super::traffic::{PHONE_ID, Scene};

const FROM: &str = "16505551234";
const SENDER: &str = "acme-support-secret";

/// An upstream whose answers to GET are longer than what the system buffers. It hangs on a message with the text "hang".
fn upstream() -> Stand {
    let long = Bytes::from(vec![b'x'; 32 << 20]);
    Stand::start(move |received: &Received| match received.method.as_str() {
        "GET" => Reply::Long(long.clone()),
        _ if received.body.windows(4).any(|window| window == b"hang") => Reply::Hangs,
        _ => Reply::Status(200),
    })
}

fn scene(limits: &str) -> Scene {
    Scene::with(upstream(), Stand::good(), Stand::good(), |config| {
        let own = format!("phone_number_id = \"{PHONE_ID}\"");
        config
            .replace(
                "upstream_timeout_seconds = 1",
                "upstream_timeout_seconds = 60\nmax_in_flight_per_tenant = 8",
            )
            .replacen(&own, &format!("{own}\ntokens = [\"{SENDER}\"]"), 1)
            .replace("[traffic]", &format!("{limits}\n\n[traffic]"))
    })
}

/// Asks for a long answer, and never reads it.
fn ask_and_never_read(scene: &Scene) -> TcpStream {
    let mut stream = connect(&scene.gateway);
    let path = format!("/v25.0/{PHONE_ID}/whatsapp_business_profile");
    let request = head("GET", &path, &[format!("authorization: Bearer {ACME}")]);
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn readers_that_do_not_read_stop_no_messages() {
    let scene = scene("");
    // More than the tenant may have in progress.
    let readers: Vec<TcpStream> = (0..12).map(|_| ask_and_never_read(&scene)).collect();
    scene.upstream.until(8);
    // Each counts as in progress until its answer begins.
    scene.gateway.until("messages pass", |_| scene.send(FROM).status == 200);
    for _ in 0..20 {
        assert_eq!(scene.send(FROM).status, 200);
    }
    // Some of the twelve were refused, because only eight long answers may be on their way, and that is all.
    drop(readers);
    scene.gateway.until("another long answer passes", |gateway| {
        let path = format!("/v25.0/{PHONE_ID}/whatsapp_business_profile");
        let mut stream = connect(gateway);
        let request = head("GET", &path, &[format!("authorization: Bearer {ACME}")]);
        stream.write_all(request.as_bytes()).unwrap();
        status(&read_head(&mut stream)) == 200
    });
}

#[test]
fn a_reader_that_does_not_read_is_disconnected() {
    let scene = scene("[limits]\nresponse_timeout_seconds = 1");
    let _reader = ask_and_never_read(&scene);
    scene.gateway.until("it is disconnected", |gateway| {
        gateway.metric("portcullis_closed_connections_total", "reason=\"stalled\"") == 1
    });
}

/// Asks for a page of entries, and reads the head of the answer only.
fn ask_for_page(gateway: &Gateway, token: &str) -> (TcpStream, String) {
    let mut stream = connect(gateway);
    let path = "/portcullis/v1/senders/support/entries?limit=10000";
    let request = head("GET", path, &[format!("authorization: Bearer {token}")]);
    stream.write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut stream);
    (stream, head)
}

#[test]
fn answers_that_nobody_reads_take_no_more_memory_than_there_is_for_them() {
    // A tenant gets a quarter: 16 MiB. The tokens of a sender get 8.
    let limits = "[limits]\nanswer_bytes = 67108864\nresponse_timeout_seconds = 600\n\n[storage]";
    let config = format!("{SERVER}{TENANTS}").replace("[storage]", limits);
    let sender = "id = \"support\"\n";
    let gateway = Gateway::with(&config.replacen(sender, &format!("{sender}tokens = [\"{SENDER}\"]\n"), 1));
    let numbers: Vec<String> = (0..6_000).map(|n| format!("+4673200{n:04}")).collect();
    let reason = "x".repeat(420);
    for token in [ACME, GLOBEX] {
        let body = json!({ "numbers": numbers, "reason": reason, "brief": true });
        gateway.api("POST", "/senders/support/entries", token, Some(body)).ok();
    }
    let page = gateway.get("/senders/support/entries?limit=10000");
    assert!((7_450_000..8 << 20).contains(&page.text.len()), "{}", page.text.len());

    let before = gateway.memory("VmHWM");
    let ask = |token: &str| {
        let (stream, head) = ask_for_page(&gateway, token);
        (stream, status(&head), head.to_ascii_lowercase().contains("retry-after: 1"))
    };
    let mut asked = Vec::new();
    for (token, statuses) in [(SENDER, [200, 503, 503, 503]), (ACME, [200, 503, 503, 503])] {
        for expected in statuses {
            let (stream, given, has_time) = ask(token);
            assert_eq!((given, has_time), (expected, expected == 503), "{token}");
            asked.push(stream);
        }
    }
    // Short answers, and long ones of the others.
    gateway.get("/senders/support/entries?limit=1").ok();
    let other = gateway.api("GET", "/senders/support/entries?limit=10000", GLOBEX, None);
    assert_eq!(other.ok()["entries"].as_array().map(Vec::len), Some(6_000));
    // A write whose answer may be long is refused before anything is written.
    let many: Vec<String> = (0..10_000).map(|n| format!("+4673200{n:04}")).collect();
    let long = json!({ "numbers": many, "on_invalid": "skip" });
    gateway.post("/senders/sales/entries", long).error(503, "unavailable");
    let short = json!({ "numbers": many, "brief": true });
    assert_eq!(gateway.post("/senders/sales/entries", short).ok()["changed"], 10_000);
    let more = gateway.memory("VmHWM") - before;
    assert!(more < 150_000_000, "{more} bytes");
    drop(asked);
    for token in [SENDER, ACME] {
        gateway.until("the memory is free again", |_| ask(token).1 == 200);
    }
}

#[test]
fn one_sender_s_token_takes_half_of_the_tenant_s_messages_at_most() {
    let scene = scene("");
    let message =
        |text: &str| json!({ "messaging_product": "whatsapp", "to": FROM, "text": { "body": text } });
    let send = |token: &str, text: &str| {
        let body = message(text).to_string();
        scene.gateway.call("POST", &format!("/v25.0/{PHONE_ID}/messages"), token, Some(body))
    };
    let hanging: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = connect(&scene.gateway);
            let body = message("hang").to_string();
            let lines = [
                format!("authorization: Bearer {SENDER}"),
                "content-type: application/json".to_owned(),
                format!("content-length: {}", body.len()),
            ];
            let request = head("POST", &format!("/v25.0/{PHONE_ID}/messages"), &lines);
            stream.write_all((request + &body).as_bytes()).unwrap();
            stream
        })
        .collect();
    scene.upstream.until(4);
    let refused = send(SENDER, "x");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(send(ACME, "x").status, 200);
    drop(hanging);
}
