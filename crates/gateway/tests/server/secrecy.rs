//! Numbers, reasons and tokens must not occur in logs or on disk.

use serde_json::json;

use super::support::{ACME, ADMIN, Gateway, files};

#[test]
fn no_number_and_no_token_is_in_the_logs_or_on_disk() {
    let gateway = Gateway::start();
    let secret = "e4b1c2-initech-secret";
    gateway.admin("PUT", "/initech", Some(json!({ "tokens": [secret], "senders": [{ "id": "billing" }] })));
    let number = "+46732001122";
    let body = json!({ "entries": [{ "number": "073-200 11 22", "reason": "lives at 46732001122" }] });
    gateway.post("/senders/support/entries", body).ok();
    gateway.post("/tenant/entries", json!({ "number": number })).ok();
    gateway.verdict(number);
    gateway.get("/senders/support/entries").ok();
    gateway.get("/senders/support/entries/%2B46732001122").ok();
    gateway.get("/senders/support/entries?after=46732001122").error(400, "invalid_request");
    gateway.get("/senders/46732001122/entries/46732001122").error(404, "unknown_sender");
    gateway.get("/46732001122").error(404, "not_found");
    gateway.get("/senders/support/entries/46732001122x").error(400, "invalid_number");
    gateway
        .post("/senders/support/check", json!({ "number": 46732001122_u64 }))
        .error(400, "invalid_request");
    gateway.post("/senders/support/check", json!({ "46732001122": 1 })).error(400, "invalid_request");
    gateway.api("GET", "/status", "wrong-secret", None).error(401, "invalid_token");
    gateway.delete("/senders/support/entries/46732001122", json!(null)).ok();

    let (log, folder) = gateway.log_after_the_end();
    assert!(log.contains("request") && log.contains("/senders/{sender}/entries/{entry}"), "{log}");
    let secrets = ["46732001122", "732001122", "073-200", "lives at", ACME, ADMIN, secret, "wrong-secret"];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    for file in files(folder.path()) {
        if file.file_name().is_some_and(|name| name == "portcullis.toml") {
            continue;
        }
        let content = std::fs::read(&file).unwrap();
        for secret in secrets {
            let found = content.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "{secret} is in {}", file.display());
        }
        // Nor as binary integers.
        for bytes in [46732001122_u64.to_le_bytes(), 46732001122_u64.to_be_bytes()] {
            assert!(!content.windows(8).any(|window| window == bytes), "{}", file.display());
        }
    }
}
