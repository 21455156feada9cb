//! Real clients of Meta's Cloud API, unchanged, against the gateway.

use std::process::Command;

use super::super::support::ACME;
use super::super::tools::{clients_folder, npm_client, python};
use super::vendors;

fn run(mut command: Command, gateway: &super::Gateway) {
    let output = command
        .env("PORTCULLIS_URL", gateway.url())
        .env("PORTCULLIS_TOKEN", ACME)
        .env("PORTCULLIS_PHONE_ID", "1234567890")
        // No country has this code.
        .env("PORTCULLIS_INVALID", "+9991")
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains(": ok"), "{text}");
}

#[test]
fn pywa_blocks_lists_and_unblocks() {
    let Some(python) = python() else { return };
    let gateway = vendors();
    let mut command = Command::new(python);
    command.arg(clients_folder().join("pywa_client.py"));
    run(command, &gateway);
}

#[test]
fn an_npm_client_blocks_lists_and_unblocks() {
    let Some(client) = npm_client() else { return };
    let gateway = vendors();
    let mut command = Command::new("node");
    command.arg(client);
    run(command, &gateway);
}
