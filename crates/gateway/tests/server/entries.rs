//! Blocking, unblocking, and reading what is blocked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{Gateway, outcomes};

const ENTRIES: &str = "/senders/support/entries";

#[test]
fn each_number_has_an_outcome() {
    let gateway = Gateway::start();
    let block = |body: Value| gateway.post(ENTRIES, body);
    let unblock = |body: Value| gateway.delete(ENTRIES, body);
    let first = block(json!({ "numbers": ["+46732001122", "+46 732001122"], "directions": ["inbound"] }));
    // The second number is the first in another spelling.
    assert_eq!(outcomes(&first), ["added", "updated"]);
    assert_eq!((&first.json["changed"], &first.json["unchanged"]), (&json!(2), &json!(0)));
    assert_eq!(
        (&first.json["sequence"], &first.json["results"][0]["number"]),
        (&json!(1), &json!("+46732001122"))
    );
    let again = block(json!({ "number": "+46732001122", "directions": ["inbound"] }));
    assert_eq!(outcomes(&again), ["already"]);
    assert_eq!((&again.json["changed"], &again.json["sequence"]), (&json!(0), &json!(1)));
    assert_eq!(outcomes(&block(json!({ "number": "+46732001122" }))), ["widened"]);
    assert_eq!(outcomes(&block(json!({ "number": "+46732001122", "reason": "wrote STOP" }))), ["updated"]);
    assert_eq!(
        outcomes(&unblock(json!({ "number": "+46732001122", "directions": ["inbound"] }))),
        ["narrowed"]
    );
    assert_eq!(outcomes(&unblock(json!({ "number": "+46732001122" }))), ["removed"]);
    assert_eq!(outcomes(&unblock(json!({ "number": "+46732001122" }))), ["absent"]);
    assert_eq!(outcomes(&block(json!({ "number": "+46732001122" }))), ["reactivated"]);
}

#[test]
fn an_entry_shows_all_its_fields() {
    let gateway = Gateway::start();
    let body = json!({
        "entries": [
            { "number": "073-200 11 22", "directions": ["outbound"], "reason": "skrev STOPP", "source": "opt_out" },
            { "number": "+46732002244", "expires": "2099-01-02T03:04:05.678+01:00" },
        ],
        "source": "manual", "directions": ["inbound"],
    });
    gateway.post(ENTRIES, body).ok();

    let first = gateway.get("/senders/support/entries/%2B46732001122");
    let entry = first.ok();
    let id = entry["id"].as_str().unwrap();
    assert!(id.starts_with("e_") && id.len() == 12, "{id}");
    assert_eq!(entry["number"], "+46732001122");
    assert_eq!(entry["display"], "073-200 11 22");
    assert_eq!((&entry["directions"], &entry["status"]), (&json!(["outbound"]), &json!("active")));
    assert_eq!((&entry["reason"], &entry["source"]), (&json!("skrev STOPP"), &json!("opt_out")));
    assert!(entry["actor"].as_str().unwrap().starts_with("token-"));
    let created = entry["created"].as_str().unwrap();
    assert!(created.len() == 24 && created.ends_with('Z'), "{created}");

    let second = gateway.get("/senders/support/entries/46732002244");
    assert_eq!(second.ok()["expires"], "2099-01-02T02:04:05.678Z");
    assert_eq!((&second.json["source"], &second.json["directions"]), (&json!("manual"), &json!(["inbound"])));
    assert_eq!(second.json.get("display"), None, "digits need no other form");

    let by_id = gateway.get(&format!("/senders/support/entries/{id}"));
    assert_eq!(by_id.ok(), entry);
}

#[test]
fn an_entry_can_be_removed_by_its_id_or_its_number_and_keeps_its_id() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    let id = gateway.get("/senders/support/entries/46732001122").ok()["id"].as_str().unwrap().to_owned();
    let path = format!("/senders/support/entries/{id}");

    let narrowed = gateway.delete(&format!("{path}?direction=inbound"), Value::Null);
    assert_eq!(*narrowed.ok(), json!({ "outcome": "narrowed", "directions": ["outbound"], "sequence": 2 }));
    gateway.delete(&format!("{path}?direction=inbound"), Value::Null).error(404, "entry_not_found");
    assert_eq!(gateway.delete("/senders/support/entries/0732001122", Value::Null).ok()["outcome"], "removed");
    gateway.delete(&path, Value::Null).error(404, "entry_not_found");
    assert_eq!(gateway.verdict("+46732001122"), "allow");

    // The entry is kept as inactive, and keeps its id when the number is blocked again.
    let gone = gateway.get(&path);
    assert_eq!((&gone.ok()["status"], &gone.json["directions"]), (&json!("inactive"), &json!([])));
    assert!(gone.json["deactivated"].is_string());
    gateway.block("+46732001122");
    assert_eq!(gateway.get("/senders/support/entries/46732001122").ok()["id"], id);

    gateway.get("/senders/support/entries/46732009999").error(404, "entry_not_found");
    gateway.get("/senders/support/entries/e_0123456789").error(404, "entry_not_found");
    gateway.get("/senders/support/entries/e_zu").error(404, "entry_not_found");
    gateway.get("/senders/support/entries/stop").error(400, "invalid_number");
}

#[test]
fn paging_neither_skips_nor_repeats_entries_while_the_list_changes() {
    let gateway = Gateway::start();
    let numbers: Vec<String> = (0..250).map(|i| format!("+4673{i:07}")).collect();
    gateway.post(ENTRIES, json!({ "numbers": numbers, "brief": true })).ok();
    let mut seen = Vec::new();
    let mut path = format!("{ENTRIES}?limit=100");
    loop {
        let page = gateway.get(&path);
        let entries = page.ok()["entries"].as_array().unwrap();
        seen.extend(entries.iter().map(|entry| entry["number"].as_str().unwrap().to_owned()));
        let Some(next) = page.json["next"].as_str() else { break };
        assert_eq!(entries.len(), 100);
        // The entry of the cursor is removed, and others are added.
        let last = entries.last().unwrap()["number"].as_str().unwrap().to_owned();
        gateway.delete(ENTRIES, json!({ "number": last })).ok();
        gateway.block(&format!("+4670{:07}", seen.len()));
        path = format!("{ENTRIES}?limit=100&after={next}");
    }
    let unique: BTreeSet<_> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "none twice");
    assert!(numbers.iter().all(|number| unique.contains(number)), "none skipped");
}

#[test]
fn a_page_shows_active_inactive_or_all_entries() {
    let gateway = Gateway::start();
    gateway.post(ENTRIES, json!({ "numbers": ["+46732001122", "+46732002244"] })).ok();
    gateway.delete(ENTRIES, json!({ "number": "+46732001122" })).ok();
    let shown = |query: &str| {
        let page = gateway.get(&format!("{ENTRIES}{query}"));
        page.ok()["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["number"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(""), ["+46732002244"]);
    assert_eq!(shown("?status=active"), ["+46732002244"]);
    assert_eq!(shown("?status=inactive"), ["+46732001122"]);
    assert_eq!(shown("?status=all&limit=10000").len(), 2);
    assert_eq!(gateway.get("/senders/sales/entries").ok()["entries"], json!([]));
}

#[test]
fn invalid_rows_fail_the_request_or_are_skipped() {
    let gateway = Gateway::start();
    let rows = json!([
        { "number": "+46732001122" },
        { "number": "not a number" },
        { "number": "+46732002244", "expires": "2001-01-01T00:00:00Z" },
        { "number": "+46732003366", "reason": "x".repeat(501) },
        { "number": "+46732004488", "directions": [] },
    ]);
    let refused = gateway.post(ENTRIES, json!({ "entries": rows }));
    refused.error(400, "invalid_request");
    assert_eq!(refused.json["error"]["details"].as_array().unwrap().len(), 4);
    assert_eq!(gateway.verdict("+46732001122"), "allow");

    let skipped = gateway.post(ENTRIES, json!({ "entries": rows, "on_invalid": "skip", "brief": true }));
    assert_eq!((&skipped.ok()["changed"], skipped.json.get("results")), (&json!(1), None));
    let indices: Vec<_> = skipped.json["invalid"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices, [1, 2, 3, 4]);
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn a_dry_run_changes_nothing() {
    let gateway = Gateway::start();
    let body = json!({ "numbers": ["+46732001122", "x"], "on_invalid": "skip", "dry_run": true });
    let answer = gateway.post(ENTRIES, body.clone());
    assert_eq!(outcomes(&answer), ["valid"]);
    assert_eq!(
        (&answer.json["changed"], &answer.json["sequence"], &answer.json["dry_run"]),
        (&json!(0), &json!(0), &json!(true))
    );
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    gateway.block("+46732001122");
    assert_eq!(outcomes(&gateway.delete(ENTRIES, body)), ["valid"]);
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn nor_does_a_long_one() {
    let gateway = Gateway::start();
    let numbers: Vec<String> = (0..10_000).map(|i| format!("073{i:07}")).collect();
    let body = |dry_run: bool| json!({ "numbers": numbers, "brief": true, "dry_run": dry_run });
    let answer = gateway.post(ENTRIES, body(true));
    assert_eq!((&answer.ok()["sequence"], &answer.json["dry_run"]), (&json!(0), &json!(true)));
    assert_eq!(gateway.verdict(&numbers[9_999]), "allow");
    assert_eq!(gateway.post(ENTRIES, body(false)).ok()["changed"], 10_000);
    assert_eq!(gateway.delete(ENTRIES, body(true)).ok()["changed"], 0);
    assert_eq!(gateway.verdict(&numbers[9_999]), "block");
}

#[test]
fn status_counts_what_is_blocked() {
    let gateway = Gateway::start();
    gateway.post(ENTRIES, json!({ "numbers": ["+46732001122", "+46732002244"] })).ok();
    gateway.delete(ENTRIES, json!({ "number": "+46732001122" })).ok();
    let one = gateway.get("/senders/support/status");
    assert_eq!(
        (&one.ok()["id"], &one.json["count"], &one.json["sequence"]),
        (&json!("support"), &json!(1), &json!(3))
    );
    assert_eq!((&one.json["state"], &one.json["plugin"]["name"]), (&json!("serving"), &json!("exact")));
    assert!(one.json["memory_bytes"].as_u64() > Some(0) && one.json["code_bytes"].as_u64() > Some(0));
    let all = gateway.get("/status");
    let senders: Vec<_> =
        all.ok()["senders"].as_array().unwrap().iter().map(|sender| sender["id"].clone()).collect();
    assert_eq!((&all.json["tenant"], senders), (&json!("acme"), vec![json!("sales"), json!("support")]));
    assert_eq!(all.json["tenant_wide"]["count"], 0);
    assert_eq!(gateway.get("/tenant/status").ok().get("id"), None);
}
