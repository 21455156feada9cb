//! The history of changes.

use serde_json::{Value, json};

use super::support::{ACME, Gateway};

const ENTRIES: &str = "/senders/support/entries";

#[test]
fn each_change_is_recorded_with_before_and_after() {
    let gateway = Gateway::start();
    gateway
        .post(ENTRIES, json!({ "number": "073-200 11 22", "reason": "rude", "directions": ["inbound"] }))
        .ok();
    gateway.post(ENTRIES, json!({ "number": "+46732001122", "source": "opt_out" })).ok();
    gateway.post(ENTRIES, json!({ "number": "+46732002244" })).ok();
    gateway.delete(ENTRIES, json!({ "number": "+46732001122" })).ok();
    gateway.delete(ENTRIES, json!({ "number": "+46732003366" })).ok();

    let whole = gateway.get("/senders/support/history");
    let records = whole.ok()["records"].as_array().unwrap();
    let told: Vec<Value> = (records.iter())
        .map(|record| json!([record["sequence"], record["number"], record["outcome"], record["hold"]]))
        .collect();
    assert_eq!(
        json!(told),
        json!([
            [4, "+46732001122", "lifted", "operator"],
            [3, "+46732002244", "added", "operator"],
            [2, "+46732001122", "widened", "opt_out"],
            [1, "+46732001122", "added", "operator"],
        ])
    );
    assert_eq!(whole.json["older"], Value::Null);
    let both = json!(["inbound", "outbound"]);
    let operators = json!({ "kind": "operator", "directions": ["inbound"] });
    let persons = json!({ "kind": "opt_out", "directions": both });
    assert_eq!(records[3]["before"], json!({ "directions": [], "holds": [] }));
    assert_eq!(records[3]["after"], json!({ "directions": ["inbound"], "holds": [operators] }));
    assert_eq!(records[2]["after"], json!({ "directions": both, "holds": [operators, persons] }));
    assert_eq!(records[0]["after"], json!({ "directions": both, "holds": [persons] }));
    assert_eq!((&records[3]["reason"], &records[3]["display"]), (&json!("rude"), &json!("073-200 11 22")));
    let actor = &records[3]["actor"];
    assert_eq!((&actor["address"], &actor["interface"]), (&json!("127.0.0.1"), &json!("native")));

    let one = gateway.get(&format!("{ENTRIES}/46732001122/history"));
    let sequences: Vec<&Value> =
        one.ok()["records"].as_array().unwrap().iter().map(|r| &r["sequence"]).collect();
    assert_eq!(json!(sequences), json!([4, 2, 1]));
    gateway.get(&format!("{ENTRIES}/46732003366/history")).error(404, "entry_not_found");
    gateway.get(&format!("{ENTRIES}/nonsense/history")).error(400, "invalid_number");
}

#[test]
fn the_history_is_paged_and_survives_a_restart() {
    let mut gateway = Gateway::start();
    for n in 0..25 {
        gateway.block(&format!("4673200{n:04}"));
    }
    gateway.kill_and_restart();
    for path in ["/senders/support/history".to_owned(), format!("{ENTRIES}/46732000003/history")] {
        let (mut seen, mut query) = (Vec::new(), "?limit=10".to_owned());
        loop {
            let part = gateway.get(&format!("{path}{query}"));
            seen.extend(
                part.ok()["records"].as_array().unwrap().iter().map(|r| r["sequence"].as_u64().unwrap()),
            );
            match part.json["older"].as_u64() {
                Some(older) => query = format!("?limit=10&before={older}"),
                None => break,
            }
        }
        let expected: Vec<u64> =
            if path.ends_with("/support/history") { (1..26).rev().collect() } else { vec![4] };
        assert_eq!(seen, expected, "{path}");
    }
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?before=x", "?after=1"] {
        gateway.get(&format!("/senders/support/history{query}")).error(400, "invalid_request");
    }
    gateway.api("GET", "/senders/support/history", "", None).error(401, "missing_token");
    assert_eq!(*gateway.get("/tenant/history").ok(), json!({ "records": [], "older": null }));
}

#[test]
fn a_trusted_proxy_says_where_a_request_comes_from() {
    let config = format!("{}{}", super::support::SERVER, super::support::TENANTS)
        .replace("[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let gateway = Gateway::with(&config);
    let request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/portcullis/v1{ENTRIES}", gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "application/json")
        .header("x-forwarded-for", "198.51.100.9, 192.0.2.7");
    gateway.send(request.body(json!({ "number": "+46732001122" }).to_string()).unwrap()).ok();
    let history = gateway.get("/senders/support/history");
    assert_eq!(history.ok()["records"][0]["actor"]["address"], "192.0.2.7");
}
