//! Events about changes of a tenant's lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::super::support::{Gateway, SERVER};
use super::stand::{Received, Reply, Stand};

fn gateway(stand: &Stand) -> Gateway {
    Gateway::with(&format!(
        "{SERVER}\n[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\n\
         events = {{ url = \"{}/changes\", secret = \"events-secret\" }}\n[[tenants.senders]]\nid = \"support\"\n",
        stand.url()
    ))
}

#[track_caller]
fn is_signed(received: &Received) {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"events-secret").unwrap();
    mac.update(&received.body);
    let digest = mac.finalize().into_bytes();
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received.header("x-portcullis-signature-256"), format!("sha256={digits}"));
}

fn told(received: &[Received]) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    for part in received {
        for record in part.json()["records"].as_array().unwrap() {
            let outcome = record["outcome"].as_str().unwrap().to_owned();
            all.push((record["sequence"].as_u64().unwrap(), outcome));
        }
    }
    all
}

#[test]
fn events_are_sent_in_order_and_signed() {
    let stand = Stand::good();
    let gateway = gateway(&stand);
    gateway.post("/senders/support/entries", json!({ "number": "+46732001122", "reason": "rude" })).ok();
    let first = stand.until(1)[0].clone();
    is_signed(&first);
    assert_eq!(first.path, "/changes");
    let body = first.json();
    assert_eq!((&body["tenant"], &body["sender"]), (&json!("acme"), &json!("support")));
    let record = &body["records"][0];
    assert_eq!((&record["number"], &record["reason"]), (&json!("+46732001122"), &json!("rude")));
    gateway.delete("/senders/support/entries", json!({ "number": "+46732001122" })).ok();
    gateway.post("/tenant/entries", json!({ "number": "+46732001122" })).ok();
    let all = stand.until(3);
    assert_eq!(all.iter().filter(|part| part.json()["sender"] == Value::Null).count(), 1);
    let of_sender: Vec<Received> =
        all.into_iter().filter(|part| part.json()["sender"] == "support").collect();
    assert_eq!(told(&of_sender), [(1, "added".to_owned()), (2, "removed".to_owned())]);
}

#[test]
fn failed_events_are_sent_later_even_after_a_kill() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let stand = Stand::start(move |_| Reply::Status(if down.load(Ordering::SeqCst) { 503 } else { 200 }));
    let mut gateway = gateway(&stand);
    let numbers: Vec<String> = (0..250).map(super::super::dialects::nth).collect();
    // Each number is a separate change, with its own sequence number.
    gateway.post("/senders/support/entries", json!({ "numbers": numbers, "brief": true })).ok();
    stand.until(1);
    gateway.kill_and_restart();
    stand.forget();
    is_down.store(false, Ordering::SeqCst);
    gateway.until("all are told", |_| told(&stand.received()).len() >= 250);
    let told: Vec<u64> = told(&stand.received()).into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(told, (1..251).collect::<Vec<_>>());
}
