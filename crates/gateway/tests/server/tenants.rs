//! Isolation of tenants.

use serde_json::json;

use super::support::{ACME, GLOBEX, Gateway};

#[test]
fn a_tenant_can_not_see_or_change_another() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    gateway.post("/tenant/entries", json!({ "number": "+46732002244" })).ok();
    let globex = |method: &str, path: &str, body| gateway.api(method, path, GLOBEX, body);

    for number in ["+46732001122", "+46732002244"] {
        let check = json!({ "number": number, "direction": "inbound" });
        assert_eq!(globex("POST", "/senders/support/check", Some(check)).ok()["verdict"], "allow");
    }
    assert_eq!(globex("GET", "/senders/support/entries", None).ok()["entries"], json!([]));
    globex("GET", "/senders/sales/status", None).error(404, "unknown_sender");
    globex("POST", "/senders/sales/entries", Some(json!({ "number": "+46732001122" })))
        .error(404, "unknown_sender");
    let status = globex("GET", "/status", None);
    assert_eq!(
        (&status.ok()["tenant"], status.json["senders"].as_array().unwrap().len()),
        (&json!("globex"), 1)
    );

    // Not even by id: the id of an entry means another entry on another list.
    let id = gateway.get("/senders/support/entries").ok()["entries"][0]["id"].as_str().unwrap().to_owned();
    globex("GET", &format!("/senders/support/entries/{id}"), None).error(404, "entry_not_found");
    gateway.api("DELETE", &format!("/senders/sales/entries/{id}"), ACME, None).error(404, "entry_not_found");

    globex("POST", "/senders/support/entries", Some(json!({ "number": "+46732001122" }))).ok();
    globex("DELETE", "/senders/support/entries", Some(json!({ "number": "+46732001122" }))).ok();
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn a_tenant_reads_numbers_by_its_own_region() {
    let gateway = Gateway::start();
    let check = json!({ "number": "073-200 11 22", "direction": "inbound" });
    gateway.api("POST", "/senders/support/check", ACME, Some(check.clone())).ok();
    let refused = gateway.api("POST", "/senders/support/check", GLOBEX, Some(check));
    assert!(refused.error(400, "invalid_number").contains("country code"));
}
