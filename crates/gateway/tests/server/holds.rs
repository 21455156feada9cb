//! Several independent holds on a number.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::support::{ACME, Gateway, outcomes};

const ENTRIES: &str = "/senders/support/entries";
const NUMBER: &str = "+46732001122";

fn unblock(gateway: &Gateway, hold: Option<&str>) -> String {
    let mut body = json!({ "number": NUMBER });
    if let Some(hold) = hold {
        body["hold"] = hold.into();
    }
    outcomes(&gateway.delete(ENTRIES, body))[0].to_owned()
}

#[test]
fn lifting_one_leaves_the_other() {
    let gateway = Gateway::start();
    gateway.post(ENTRIES, json!({ "number": NUMBER, "reason": "rude" })).ok();
    let opt_out =
        json!({ "number": NUMBER, "source": "opt_out", "directions": ["outbound"], "reason": "wrote STOP" });
    assert_eq!(outcomes(&gateway.post(ENTRIES, opt_out)), ["updated"]);
    let entry = gateway.get(&format!("{ENTRIES}/46732001122"));
    let holds: Vec<(&Value, &Value, &Value)> = (entry.ok()["holds"].as_array().unwrap().iter())
        .map(|hold| (&hold["kind"], &hold["directions"], &hold["reason"]))
        .collect();
    let both = json!(["inbound", "outbound"]);
    assert_eq!(
        holds,
        [
            (&json!("operator"), &both, &json!("rude")),
            (&json!("opt_out"), &json!(["outbound"]), &json!("wrote STOP")),
        ]
    );
    assert_eq!((&entry.json["source"], &entry.json["reason"]), (&json!("opt_out"), &json!("wrote STOP")));

    assert_eq!(unblock(&gateway, None), "narrowed", "the operator's goes, the person's stays");
    assert_eq!(gateway.verdict_of("support", NUMBER, "inbound"), "allow");
    assert_eq!(gateway.verdict_of("support", NUMBER, "outbound"), "block");
    assert_eq!(unblock(&gateway, None), "held");
    assert_eq!(unblock(&gateway, Some("operator")), "held");
    let path = format!("{ENTRIES}/46732001122");
    let refused = gateway.delete(&path, Value::Null);
    assert!(refused.error(409, "held").contains("hold=opt_out"));
    assert_eq!(gateway.delete(&format!("{path}?hold=opt_out"), Value::Null).ok()["outcome"], "removed");
    gateway.delete(&format!("{path}?hold=all"), Value::Null).error(404, "entry_not_found");
    gateway.delete(&format!("{path}?hold=any"), Value::Null).error(400, "invalid_request");
    assert_eq!(gateway.verdict_of("support", NUMBER, "outbound"), "allow");
}

#[test]
fn all_holds_can_be_lifted_together_or_one_by_one() {
    let gateway = Gateway::start();
    for hold in ["operator", "opt_out", "marketing"] {
        gateway.post(ENTRIES, json!({ "number": NUMBER, "hold": hold })).ok();
    }
    assert_eq!(unblock(&gateway, Some("operator")), "lifted");
    assert_eq!(unblock(&gateway, Some("marketing")), "lifted");
    gateway.post(ENTRIES, json!({ "number": NUMBER, "hold": "operator" })).ok();
    assert_eq!(unblock(&gateway, Some("all")), "removed");
    assert_eq!(gateway.verdict(NUMBER), "allow");
    gateway.post(ENTRIES, json!({ "number": NUMBER, "hold": "marketing" })).ok();
    assert_eq!(gateway.verdict(NUMBER), "allow", "a marketing hold blocks nothing by itself");
    gateway.post(ENTRIES, json!({ "number": NUMBER, "hold": "friend" })).error(400, "invalid_request");
}

#[test]
fn one_hold_expires_and_the_other_stays() {
    let gateway = Gateway::start();
    let soon = jiff::Timestamp::now() + std::time::Duration::from_millis(700);
    gateway.post(ENTRIES, json!({ "number": NUMBER, "expires": soon.to_string() })).ok();
    gateway.post(ENTRIES, json!({ "number": NUMBER, "source": "opt_out", "directions": ["outbound"] })).ok();
    gateway.until("the operator's hold is over", |gateway| gateway.verdict(NUMBER) == "allow");
    assert_eq!(gateway.verdict_of("support", NUMBER, "outbound"), "block");
    let history = gateway.get(&format!("{ENTRIES}/46732001122/history"));
    let newest = &history.ok()["records"][0];
    assert_eq!((&newest["actor"]["name"], &newest["hold"]), (&json!("expiry"), &json!("operator")));
    assert_eq!(newest["after"]["directions"], json!(["outbound"]));
}

/// Runs a command against a gateway, with the file that it reads or writes.
fn command(gateway: &Gateway, arguments: &str, file: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments.split(' ')).arg(file);
    command.env("PORTCULLIS_URL", gateway.url()).env("PORTCULLIS_TOKEN", ACME);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_accepted_time_can_be_imported_again() {
    let gateway = Gateway::start();
    for requested in [
        "1980-01-01T00:00:00Z",
        "1989-12-31T23:59:59.999Z",
        "1990-01-01T00:00:00+00:01",
        "-000001-01-01T00:00:00Z",
    ] {
        let body = json!({ "number": NUMBER, "hold": "opt_out", "requested": requested });
        let refused = gateway.post(ENTRIES, body.clone());
        assert!(refused.error(400, "invalid_request").contains("before 1990"), "{}", refused.text);
        let refused = gateway.delete(ENTRIES, body);
        assert!(refused.error(400, "invalid_request").contains("before 1990"), "{}", refused.text);
        let path = format!("{ENTRIES}/{NUMBER}?hold=opt_out&requested={}", requested.replace('+', "%2B"));
        let refused = gateway.delete(&path, Value::Null);
        assert!(refused.error(400, "invalid_request").contains("before 1990"), "{}", refused.text);
    }
    let taken = ["1990-01-01T00:00:00Z", "1990-01-01T02:00:00.0009+02:00", "2026-01-02T03:04:05.678Z"];
    for (index, requested) in taken.into_iter().enumerate() {
        let body =
            json!({ "number": format!("+4673200112{index}"), "hold": "opt_out", "requested": requested });
        gateway.post(ENTRIES, body).ok();
    }
    let wishes = |sender: &str| {
        let listed = gateway.get(&format!("/senders/{sender}/entries?limit=100"));
        let entries = listed.ok()["entries"].as_array().unwrap().clone();
        let wish = |entry: &Value| (entry["number"].to_string(), entry["holds"][0]["requested"].to_string());
        entries.iter().map(wish).collect::<BTreeSet<_>>()
    };
    assert_eq!(wishes("support").len(), taken.len());
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("list.csv", "csv"), ("list.ndjson", "ndjson")] {
        let file = folder.path().join(name);
        command(&gateway, &format!("export --sender support --format {format} --output"), &file);
        command(&gateway, "import --sender sales", &file);
        assert_eq!(wishes("sales"), wishes("support"), "{name}");
    }
}
