//! Ids of requests and of traces: kept or made, answered, logged and passed on.

use serde_json::json;
use ureq::http::Request;

use super::support::{ACME, Answer, Gateway, SERVER, TENANTS};
use super::traffic::stand::Stand;
use super::traffic::{PHONE_ID, Scene, payload, signed, text};

const ID: &str = "req-7f3a:checkout/42";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// Sends a request of acme's with these headers.
fn send(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: serde_json::Value) -> Answer {
    let mut request = Request::post(format!("{}{path}", gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway.send(request.body(body.to_string()).unwrap())
}

fn check() -> serde_json::Value {
    json!({ "number": "+46732001122", "direction": "outbound" })
}

const CHECK: &str = "/portcullis/v1/senders/support/check";
const ENTRIES: &str = "/portcullis/v1/senders/support/entries";

#[test]
fn a_clients_id_is_answered_and_logged() {
    let gateway = Gateway::start();
    let number = json!({ "number": "+46732001122" });
    for (path, body) in [(CHECK, check()), (ENTRIES, number), ("/nothing", json!({}))] {
        let id = format!("{ID}{path}").replace("/portcullis/v1", "");
        let answer = send(&gateway, path, &[("x-request-id", &id), ("traceparent", TRACE)], body);
        assert_eq!(answer.header("x-request-id"), id, "{path}");
        gateway.until_logged(&format!("request_id={id} trace_id={TRACE_ID}"));
    }
}

#[test]
fn an_id_that_is_not_sane_or_may_be_a_number_is_replaced() {
    let gateway = Gateway::start();
    for sent in ["+46732001122", "a\"b", "a b", &"x".repeat(129)] {
        for path in [CHECK, ENTRIES] {
            let answer = send(&gateway, path, &[("x-request-id", sent)], check());
            let id = answer.header("x-request-id");
            assert!(
                id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
                "{path}: {id}"
            );
        }
    }
    let ids = [(); 2].map(|()| send(&gateway, CHECK, &[], check()).header("x-request-id").to_owned());
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn ids_go_on_to_the_upstream_and_to_callbacks() {
    let scene = Scene::good();
    let message = json!({ "messaging_product": "whatsapp", "to": "+16505551299", "type": "text", "text": { "body": "Hi" } });
    let path = format!("/v25.0/{PHONE_ID}/messages");
    let headers = [("x-request-id", ID), ("traceparent", TRACE), ("tracestate", "a=1")];
    assert_eq!(send(&scene.gateway, &path, &headers, message.clone()).header("x-request-id"), ID);
    let received = scene.upstream.one();
    for (name, value) in headers {
        assert_eq!(received.header(name), value);
    }
    scene.upstream.forget();
    // What is not valid is not passed on.
    let headers = [("x-request-id", "a b"), ("traceparent", "00-x"), ("tracestate", "a=1")];
    let answer = send(&scene.gateway, &path, &headers, message);
    let received = scene.upstream.one();
    assert_eq!(received.header("x-request-id"), answer.header("x-request-id"));
    assert!(!received.headers.contains_key("traceparent") && !received.headers.contains_key("tracestate"));

    let body = payload(PHONE_ID, &[text("16505551299", "wamid.a", "Hello")]).to_string();
    let request = Request::post(format!("{}/webhooks/meta", scene.gateway.url()))
        .header("x-hub-signature-256", signed(body.as_bytes()))
        .header("x-request-id", ID);
    assert_eq!(scene.gateway.send(request.body(body).unwrap()).status, 200);
    assert_eq!(scene.callback.one().header("x-request-id"), ID);
}

#[test]
fn ids_go_on_to_the_next_hop_and_are_in_warnings() {
    let hop = Stand::good();
    let tenants = |hop: &str| {
        let hops = format!("default_region = \"SE\"\nnext_hops = {{ outbound = \"{hop}/hop\" }}");
        format!("{SERVER}{}", TENANTS.replace("default_region = \"SE\"", &hops))
    };
    let message = json!({ "sender": "support", "recipient": "+46732002244", "direction": "outbound" });
    let headers = [("x-request-id", ID), ("traceparent", TRACE)];
    let gateway = Gateway::with(&tenants(&hop.url()));
    assert_eq!(send(&gateway, "/portcullis/v1/route", &headers, message.clone()).status, 200);
    let received = hop.one();
    assert_eq!((received.header("x-request-id"), received.header("traceparent")), (ID, TRACE));

    let gateway = Gateway::with(&tenants("http://127.0.0.1:1"));
    let answer = send(&gateway, "/portcullis/v1/route", &headers, message);
    assert!(answer.error(502, "next_hop_failed").contains("connection refused"), "{}", answer.text);
    gateway.until("the warning has the id and the reason", |gateway| {
        let log = gateway.log();
        let line = log.lines().find(|line| line.contains("could not forward a message to the next hop"));
        line.is_some_and(|line| {
            line.contains(&format!("request_id={ID}")) && line.contains("connection refused")
        })
    });
}
