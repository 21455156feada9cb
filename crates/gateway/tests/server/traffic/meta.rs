//! Webhooks as Meta sends them.

use std::sync::atomic::{AtomicI64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::super::support::{Answer, Gateway};

pub(crate) const APP_SECRET: &str = "app-secret";
pub(crate) const PHONE_ID: &str = "106540352242922";

pub(crate) fn signed(body: &[u8]) -> String {
    signed_with(APP_SECRET, body)
}

/// Meta's signature with another secret.
pub(crate) fn signed_with(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    format!("sha256={}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub(crate) fn webhook(gateway: &Gateway, body: &str, signature: &str) -> Answer {
    let mut request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/webhooks/meta", gateway.url()))
        .header("content-type", "application/json")
        .header("user-agent", "facebookexternalua");
    if !signature.is_empty() {
        request = request.header("x-hub-signature-256", signature);
    }
    gateway.send(request.body(body.to_owned()).unwrap())
}

/// A text message in Meta's webhook format, written now.
pub(crate) fn text(from: &str, id: &str, body: &str) -> Value {
    // Each is a second later than the one before.
    static SECOND: AtomicI64 = AtomicI64::new(0);
    let hour_ago = jiff::Timestamp::now().as_second() - 3600;
    let _ = SECOND.compare_exchange(0, hour_ago, Ordering::SeqCst, Ordering::SeqCst);
    text_at(SECOND.fetch_add(1, Ordering::SeqCst), from, id, body)
}

/// A text message written at this Unix time.
pub(crate) fn text_at(second: i64, from: &str, id: &str, body: &str) -> Value {
    let timestamp = second.to_string();
    json!({ "from": from, "id": id, "timestamp": timestamp, "type": "text", "text": { "body": body } })
}

/// A webhook with these messages for a phone-number-id.
pub(crate) fn payload(phone_id: &str, messages: &[Value]) -> Value {
    json!({ "object": "whatsapp_business_account", "entry": [entry(phone_id, messages)] })
}

pub(crate) fn entry(phone_id: &str, messages: &[Value]) -> Value {
    let contacts: Vec<Value> =
        messages.iter().map(|m| json!({ "profile": { "name": "N" }, "wa_id": m["from"] })).collect();
    json!({ "id": "102290129340398", "changes": [{ "field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": phone_id },
        "contacts": contacts,
        "messages": messages,
    } }] })
}

/// The ids of the messages in a webhook.
pub(crate) fn ids(payload: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    for entry in payload["entry"].as_array().unwrap() {
        for change in entry["changes"].as_array().unwrap() {
            let messages = change["value"]["messages"].as_array();
            ids.extend(messages.into_iter().flatten().map(|m| m["id"].as_str().unwrap().to_owned()));
        }
    }
    ids
}
