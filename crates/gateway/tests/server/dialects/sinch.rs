//! Sinch.

use serde_json::{Value, json};

use super::super::support::{ACME, Answer, GLOBEX, Gateway};
use super::{Asked, BOUND, SINCH, bearer, block_many, passes, sorted, vendors, vendors_with};

fn add(gateway: &Gateway, numbers: Value) -> Answer {
    bearer(gateway, "POST", SINCH, Some(json!({ "numbers": numbers })))
}

fn remove(gateway: &Gateway, numbers: Value) -> Answer {
    bearer(gateway, "DELETE", SINCH, Some(json!({ "numbers": numbers })))
}

fn list(gateway: &Gateway, query: &str) -> Vec<String> {
    let answer = bearer(gateway, "GET", &format!("{SINCH}{query}"), None);
    sorted(answer.ok()["numbers"].as_array().unwrap())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, message: &str, reason: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.json, json!({ "message": message, "reason": reason, "details": reason }));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[test]
fn the_samples_of_the_document_are_answered_as_documented() {
    let gateway = vendors();
    let added = add(&gateway, json!(["46732001122", "46732002244"]));
    assert_eq!((added.status, added.text.as_str()), (200, ""));
    let listed = bearer(&gateway, "GET", SINCH, None);
    assert_eq!(sorted(listed.ok()["numbers"].as_array().unwrap()), ["46732001122", "46732002244"]);
    assert!(listed.text.contains("\"+46732001122\""), "with a plus: {}", listed.text);
    assert_eq!(listed.json.as_object().unwrap().len(), 1);
    assert_eq!(*bearer(&gateway, "GET", &format!("{SINCH}?page=1"), None).ok(), json!({ "numbers": [] }));
    let removed = remove(&gateway, json!(["46732001122", "46732002244"]));
    assert_eq!((removed.status, removed.text.as_str()), (200, ""));
    assert_eq!(list(&gateway, ""), Vec::<String>::new());
}

#[test]
fn errors_have_all_documented_shapes() {
    let gateway = vendors();
    let empty = "Field [numbers] can not be empty.";
    for body in [json!({ "numbers": [] }), json!({}), json!({ "numbers": null })] {
        refused(&bearer(&gateway, "POST", SINCH, Some(body)), 400, "Validation error", empty);
    }
    for (token, path) in [
        ("", SINCH),
        ("wrong-key", SINCH),
        (GLOBEX, SINCH),
        (ACME, "/whatsapp/v1/nobot/provision/blacklist"),
        (ACME, "/whatsapp/v1/globexbot/provision/blacklist"),
        (ACME, "/whatsapp/v1/asleepbot/provision/blacklist"),
        (BOUND, "/whatsapp/v1/israelbot/provision/blacklist"),
    ] {
        refused(&gateway.call("GET", path, token, None), 401, "401", "Unauthorized bot");
    }
    assert_eq!(gateway.call("GET", SINCH, BOUND, None).status, 200);
    let bad = add(&gateway, json!(["46732001122", "nonsense"]));
    assert_eq!((bad.status, &bad.json["message"]), (400, &json!("Validation error")));
    assert!(bad.json["reason"].as_str().unwrap().starts_with("Field [numbers][1] "), "{}", bad.text);
    assert!(!bad.text.contains("nonsense"));
    assert_eq!(list(&gateway, ""), Vec::<String>::new(), "nothing was added");
    for page in ["-1", "x", "2147483648", "1.5"] {
        let answer = bearer(&gateway, "GET", &format!("{SINCH}?page={page}"), None);
        refused(&answer, 400, "Validation error", "Field [page] must be an integer from 0 on.");
    }
    let put = bearer(&gateway, "PUT", SINCH, Some(json!({})));
    refused(&put, 405, "405", "Request method not supported");
    assert_eq!(put.header("allow"), "POST,DELETE,GET,HEAD");
    let broken = gateway.call("POST", SINCH, ACME, Some("{".to_owned()));
    assert_eq!((broken.status, &broken.json["message"]), (400, &json!("Validation error")));
    let large = gateway.call("POST", SINCH, ACME, Some(format!("\"{}\"", "x".repeat(2 << 20))));
    assert_eq!(large.status, 413);
}

#[test]
fn twenty_numbers_are_accepted_and_twenty_one_are_refused() {
    let gateway = vendors();
    let numbers = |count: u64| (0..count).map(super::nth).collect::<Vec<_>>();
    let more = add(&gateway, json!(numbers(21)));
    refused(&more, 400, "Validation error", "Field [numbers] must have 1 to 20 elements.");
    assert_eq!(add(&gateway, json!(numbers(20))).status, 200);
    assert_eq!(list(&gateway, "").len(), 20);
    assert_eq!(remove(&gateway, json!(numbers(21))).status, 400);
    assert_eq!(remove(&gateway, json!(numbers(20))).status, 200);
}

#[test]
fn a_page_has_a_hundred_and_an_empty_page_number_is_the_first() {
    let gateway = vendors();
    block_many(&gateway, 0..250);
    let counts: Vec<usize> = ["", "?page=", "?page=0", "?page=1", "?page=2", "?page=3", "?page=2147483647"]
        .map(|query| list(&gateway, query).len())
        .to_vec();
    assert_eq!(counts, [100, 100, 100, 100, 50, 0, 0]);
    let mut all: Vec<String> = (0..3).flat_map(|page| list(&gateway, &format!("?page={page}"))).collect();
    all.sort();
    assert_eq!(all, (0..250).map(super::nth).collect::<Vec<_>>());
}

#[test]
fn pages_omit_people_without_a_number() {
    let gateway = vendors();
    block_many(&gateway, 0..150);
    let users: Vec<Value> = (0..60).map(|n| json!({ "user_id": format!("US.13491208655{n:03}") })).collect();
    let body = json!({ "messaging_product": "whatsapp", "block_users": users });
    bearer(&gateway, "POST", super::META, Some(body)).ok();
    let counts = [0, 1, 2].map(|page| list(&gateway, &format!("?page={page}")).len());
    assert_eq!(counts, [100, 50, 0]);
}

#[test]
fn entries_are_inbound_only_and_a_delete_keeps_the_other_direction() {
    let gateway = vendors();
    add(&gateway, json!(["46732001122"])).status.eq(&200).then_some(()).unwrap();
    assert_eq!(passes(&gateway, "46732001122"), (false, true));
    gateway.block("46732002244");
    assert_eq!(passes(&gateway, "46732002244"), (false, false));
    assert_eq!(list(&gateway, "").len(), 2);
    assert_eq!(remove(&gateway, json!(["46732001122", "46732002244", "46732003366"])).status, 200);
    assert_eq!(passes(&gateway, "46732001122"), (true, true));
    assert_eq!(passes(&gateway, "46732002244"), (true, false));
    assert_eq!(list(&gateway, ""), Vec::<String>::new());
}

#[test]
fn an_opt_out_is_not_removed_unless_the_tenant_allows_it() {
    let opt_out = json!({ "number": "46732001122", "source": "opt_out" });
    let gateway = vendors();
    gateway.post("/senders/support/entries", opt_out.clone()).ok();
    let answer = remove(&gateway, json!(["46732002244", "46732001122"]));
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.json["reason"].as_str().unwrap().contains("opted out"), "{}", answer.text);
    assert_eq!(passes(&gateway, "46732001122"), (false, false));

    let gateway = vendors_with("dialects.lift_opt_outs = true", "");
    gateway.post("/senders/support/entries", opt_out).ok();
    assert_eq!(remove(&gateway, json!(["46732001122"])).status, 200);
    assert_eq!(passes(&gateway, "46732001122"), (true, false));
}

#[test]
fn numbers_may_be_written_with_a_plus_or_as_integers() {
    let gateway = vendors();
    assert_eq!(add(&gateway, json!(["+46 73-200 11 22", 46_732_002_244_u64])).status, 200);
    assert_eq!(list(&gateway, ""), ["46732001122", "46732002244"]);
    // Some clients send a DELETE without a content type.
    let body = json!({ "numbers": ["46732001122"] }).to_string();
    let headers = [("authorization", format!("Bearer {ACME}"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = headers.iter().fold(
        ureq::http::Request::builder().method("DELETE").uri(format!("{}{SINCH}", gateway.url())),
        |request, (name, value)| request.header(*name, *value),
    );
    assert_eq!(gateway.send(request.body(body).unwrap()).status, 200);
    assert_eq!(list(&gateway, ""), ["46732002244"]);
    assert_eq!(Asked { method: "GET", path: SINCH, headers: &headers, body: None }.of(&gateway).status, 200);
}
