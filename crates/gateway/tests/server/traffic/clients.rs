//! Real clients of Meta's Cloud API send messages through the gateway.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::support::ACME;
use super::super::tools::{clients_folder, npm_client, python};
use super::stand::{Reply, Stand};
use super::{PHONE_ID, Scene};

/// Sends three messages with the client; the recipient of the second is blocked.
fn converse(program: &Path, script: Option<&Path>) {
    let upstream = Stand::start(|_| {
        let body = json!({
            "messaging_product": "whatsapp",
            "contacts": [{ "input": "+16505551234", "wa_id": "16505551234" }],
            "messages": [{ "id": "wamid.upstream" }],
        });
        Reply::Says(200, "application/json", body.to_string())
    });
    let scene = Scene::new(upstream, Stand::good(), Stand::good());
    scene.gateway.block("+16505551235");
    let send = |to: &str| -> Value {
        let mut command = Command::new(program);
        command.args(script).args(["messages", to]);
        if script.is_none() {
            command = Command::new("node");
            command.arg(program).args(["messages", to]);
        }
        let output = command
            .env("PORTCULLIS_URL", scene.gateway.url())
            .env("PORTCULLIS_TOKEN", ACME)
            .env("PORTCULLIS_PHONE_ID", PHONE_ID)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    };
    let sent = json!({ "sent": true, "id": "wamid.upstream" });
    assert_eq!(send("+16505551234"), sent);
    assert_eq!(send("+16505551235"), json!({ "sent": false, "code": 130_403 }));
    assert_eq!(send("+16505551234"), sent);
    let received = scene.upstream.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|one| one.path.ends_with(&format!("/{PHONE_ID}/messages"))));
    assert!(received.iter().all(|one| one.text().contains("16505551234")));
}

#[test]
fn pywa_sends_through_the_gateway() {
    let Some(python) = python() else { return };
    converse(python, Some(&clients_folder().join("pywa_client.py")));
}

#[test]
fn an_npm_client_sends_through_the_gateway() {
    let Some(client) = npm_client() else { return };
    converse(client, None);
}
