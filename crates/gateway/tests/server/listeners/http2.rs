//! HTTP/2 with prior knowledge, and what it is bounded by.

use std::io::{Read as _, Write as _};

use futures_core::future::BoxFuture;
use http_body_util::{BodyExt as _, Either};
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::super::support::{ACME, Gateway, SERVER, TENANTS};
use super::connect;
use super::stream::{Never, Sent, http2, read, request, whole};

const WINDOW: u32 = 1 << 16;
const CHECK: &str = "http://gateway/portcullis/v1/senders/support/check";
const ENTRIES: &str = "http://gateway/portcullis/v1/senders/support/entries";

async fn open(gateway: &Gateway, window: u32) -> SendRequest<Sent> {
    http2(TcpStream::connect(gateway.address()).await.unwrap(), window).await
}

fn limited(limits: &str) -> Gateway {
    Gateway::with(&format!("{SERVER}\n[limits]\n{limits}\n{TENANTS}"))
}

#[test]
fn many_requests_share_a_connection() {
    let gateway = Gateway::start();
    Runtime::new().unwrap().block_on(async {
        let mut sender = open(&gateway, WINDOW).await;
        let block = json!({ "number": "+46732001122" }).to_string();
        let (status, said) =
            read(sender.send_request(request("POST", ENTRIES, ACME, whole(block))).await.unwrap()).await;
        assert_eq!(status, 200, "{said}");
        let check = json!({ "number": "+46732001122", "direction": "inbound" }).to_string();
        let asked: Vec<_> = (0..100)
            .map(|_| sender.send_request(request("POST", CHECK, ACME, whole(check.clone()))))
            .collect();
        for asked in asked {
            let (status, said) = read(asked.await.unwrap()).await;
            assert_eq!((status, said["verdict"].as_str()), (200, Some("block")));
        }
        let missing = sender.send_request(request("GET", "http://gateway/nowhere", ACME, whole(""))).await;
        assert_eq!(read(missing.unwrap()).await.0, 404);
    });
}

/// Asks for a check whose body never comes.
fn hang(sender: &mut SendRequest<Sent>) -> BoxFuture<'static, hyper::Result<Response<Incoming>>> {
    Box::pin(sender.send_request(request("POST", CHECK, ACME, Either::Right(Never))))
}

#[test]
fn an_address_has_as_many_requests_as_connections() {
    let gateway = limited("max_connections = 100\nmax_connections_per_address = 8");
    Runtime::new().unwrap().block_on(async {
        let (mut sender, mut other) = (open(&gateway, WINDOW).await, open(&gateway, WINDOW).await);
        let hanging: Vec<_> = (0..8).map(|_| hang(&mut sender)).collect();
        let (status, said) = read(sender.send_request(check()).await.unwrap()).await;
        assert_eq!(status, 503, "{said}");
        // On another connection, too.
        assert_eq!(read(other.send_request(check()).await.unwrap()).await.0, 503);
        drop(hanging);
        while read(other.send_request(check()).await.unwrap()).await.0 == 503 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(sender.send_request(check()).await.unwrap()).await.0, 200);
    });
}

fn check() -> axum::http::Request<Sent> {
    let body = json!({ "number": "+46732001122", "direction": "inbound" }).to_string();
    request("POST", CHECK, ACME, whole(body))
}

#[test]
fn a_response_that_is_not_read_is_reset_and_the_others_go_on() {
    let gateway = limited("response_timeout_seconds = 1");
    let document = gateway.call("GET", "/portcullis/v1/openapi.json", "", None).text;
    assert!(document.len() > 64 << 10, "it is more than a window");
    Runtime::new().unwrap().block_on(async {
        let mut sender = open(&gateway, 16 << 10).await;
        let asked = request("GET", "http://gateway/portcullis/v1/openapi.json", "", whole(""));
        let response = sender.send_request(asked).await.unwrap();
        assert_eq!(response.status(), 200);
        while gateway.metric("portcullis_closed_connections_total", "reason=\"stalled\"") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(sender.send_request(check()).await.unwrap()).await.0, 200);
        let (mut body, mut received) = (response.into_body(), 0);
        while let Some(Ok(frame)) = body.frame().await {
            received += frame.into_data().map_or(0, |data| data.len());
        }
        assert!(received < document.len(), "{received} bytes");
    });
}

/// A frame of HTTP/2: its length, kind, flags and stream, and its content.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

#[test]
fn a_client_that_resets_all_its_requests_is_disconnected() {
    const GOAWAY: u8 = 7;
    let gateway = Gateway::start();
    let mut stream = connect(gateway.address());
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(4, 0, 0, &[]));
    // GET / of the authority x, whose stream ends; and then a reset with CANCEL.
    let head = [0x82, 0x84, 0x86, 0x41, 1, b'x'];
    for request in 0..5_000 {
        sent.extend(frame(1, 5, 2 * request + 1, &head));
        sent.extend(frame(3, 0, 2 * request + 1, &8_u32.to_be_bytes()));
    }
    // It may be disconnected before it has sent all.
    let _ = stream.write_all(&sent);
    let mut kinds = Vec::new();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        kinds.push(head[3]);
        if head[3] == GOAWAY || stream.read_exact(&mut vec![0; length]).is_err() {
            break;
        }
    }
    // What it said may be lost with the connection, if the client still sends.
    let is_ended = kinds.last() == Some(&GOAWAY) || stream.read(&mut head).map_or(true, |read| read == 0);
    assert!(is_ended, "{kinds:?}");
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let gateway = Gateway::start();
    Runtime::new().unwrap().block_on(async {
        let mut sender = open(&gateway, WINDOW).await;
        let mut asked = check();
        asked.headers_mut().insert("x-long", "x".repeat(20 << 10).parse().unwrap());
        // Hyper's client does not even send it, if it has seen the gateway's limit.
        let answered = sender.send_request(asked).await;
        assert!(answered.is_err() || answered.unwrap().status() == 431);
        let mut sender = open(&gateway, WINDOW).await;
        assert_eq!(read(sender.send_request(check()).await.unwrap()).await.0, 200);
    });
}

#[test]
fn an_idle_connection_does_not_delay_shutdown() {
    let gateway = Gateway::start();
    let runtime = Runtime::new().unwrap();
    let mut sender = runtime.block_on(open(&gateway, WINDOW));
    runtime.block_on(async { assert_eq!(read(sender.send_request(check()).await.unwrap()).await.0, 200) });
    let (log, _folder) = gateway.log_after_the_end();
    assert!(!log.contains("aborting requests"), "{log}");
}
