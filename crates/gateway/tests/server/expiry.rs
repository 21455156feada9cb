//! Entries that expire.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::support::Gateway;

#[test]
fn an_entry_expires_at_its_time() {
    let mut gateway = Gateway::start();
    let end = (Timestamp::now() + SignedDuration::from_millis(1500)).to_string();
    let entries =
        json!({ "entries": [{ "number": "+46732001122", "expires": end }, { "number": "+46732002244" }] });
    gateway.post("/senders/support/entries", entries).ok();
    assert_eq!(gateway.verdict("+46732001122"), "block");
    gateway.until("over", |gateway| gateway.verdict("+46732001122") == "allow");
    assert!(Timestamp::now() >= end.parse().unwrap(), "not before its time");
    let entry = gateway.get("/senders/support/entries/46732001122");
    assert_eq!((&entry.ok()["status"], entry.json["deactivated"].is_string()), (&json!("inactive"), true));
    assert_eq!(gateway.verdict("+46732002244"), "block");

    // An entry that expires while the gateway is down is inactive after the start.
    let end = (Timestamp::now() + SignedDuration::from_millis(50)).to_string();
    gateway.post("/tenant/entries", json!({ "number": "+46732003366", "expires": end })).ok();
    gateway.kill_and_restart();
    gateway.until("over", |gateway| gateway.verdict("+46732003366") == "allow");
}

#[test]
fn entries_expire_in_order_of_time_not_of_writing() {
    let gateway = Gateway::start();
    let at = |millis| (Timestamp::now() + SignedDuration::from_millis(millis)).to_string();
    gateway
        .post("/senders/support/entries", json!({ "number": "+46732001122", "expires": at(3_600_000) }))
        .ok();
    gateway.post("/senders/sales/entries", json!({ "number": "+46732001122", "expires": at(200) })).ok();
    gateway.until("over", |gateway| gateway.verdict_of("sales", "+46732001122", "inbound") == "allow");
    assert_eq!(gateway.verdict("+46732001122"), "block");
}
