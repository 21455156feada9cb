//! Kaleyra.

use serde_json::{Value, json};

use super::super::support::{ACME, Answer, GLOBEX, Gateway};
use super::{Asked, BOUND, KALEYRA, block_many, kaleyra, nth, passes, sorted, users, vendors, vendors_with};

fn list(gateway: &Gateway) -> Vec<String> {
    let answer = kaleyra(gateway, "GET", "?limit=1000", None);
    sorted(answer.ok()["data"].as_array().unwrap().iter().map(|user| &user["wa_id"]))
}

#[test]
fn the_samples_of_the_document_are_answered_as_documented() {
    let gateway = vendors();
    let numbers = ["919408000001", "918074000002"];
    let added = kaleyra(&gateway, "POST", "", Some(users(&numbers)));
    let person = |number: &str| json!({ "input": number, "wa_id": number });
    let all: Vec<Value> = numbers.iter().map(|number| person(number)).collect();
    let data = |list: &str| json!({ "messaging_product": "whatsapp", "block_users": { list: all } });
    let good =
        |data: Value| json!({ "code": "WA200", "message": "Request Processed Successfully", "data": data });
    assert_eq!(*added.ok(), good(data("added_users")));

    let listed = kaleyra(&gateway, "GET", "?limit=10", None);
    let (before, after) =
        (&listed.ok()["paging"]["cursors"]["before"], &listed.json["paging"]["cursors"]["after"]);
    let mut users_listed = listed.json["data"].as_array().unwrap().clone();
    users_listed.sort_by_key(|user| user["wa_id"].as_str().map(str::to_owned));
    assert_eq!(
        users_listed,
        [
            json!({ "messaging_product": "whatsapp", "wa_id": "918074000002" }),
            json!({ "messaging_product": "whatsapp", "wa_id": "919408000001" }),
        ]
    );
    let mut expected = good(listed.json["data"].clone());
    expected["paging"] = json!({ "cursors": { "before": before, "after": after } });
    assert_eq!(listed.json, expected);
    // The vendor's sample sends both cursors.
    let query = format!("?limit=10&before={}&after={}", before.as_str().unwrap(), after.as_str().unwrap());
    assert_eq!(kaleyra(&gateway, "GET", &query, None).ok()["data"], json!([]));

    let removed = kaleyra(&gateway, "DELETE", "", Some(users(&numbers)));
    assert_eq!(*removed.ok(), good(data("removed_users")));
    assert_eq!(*kaleyra(&gateway, "GET", "", None).ok(), good(json!([])));
}

#[test]
fn the_failures_of_the_document_are_answered_as_documented() {
    let gateway = vendors();
    let ask = |path: &str, key: &str| {
        let headers = [("api-key", key)];
        let headers = if key.is_empty() { &headers[..0] } else { &headers[..] };
        Asked { method: "GET", path, headers, body: None }.of(&gateway)
    };
    let failed = |answer: Answer, status: u16, expected: Value| {
        assert_eq!((answer.status, &answer.json), (status, &expected), "{}", answer.text);
    };
    let inactive = "The phone number you're using not active";
    failed(
        ask("/v2/HXAP16ACME/whatsapp/+919407000009/block_users", ACME),
        401,
        json!({ "code": "WA401", "message": inactive, "data": {}, "error": { "phone_number": inactive } }),
    );
    let unknown = "Phone number is not present or does not belong to the account.";
    let unknown =
        json!({ "code": "WA401", "message": unknown, "data": {}, "error": { "phone_number": unknown } });
    for (path, key) in [
        ("/v2/HXAP16ACME/whatsapp/+919407000001/block_users", ACME),
        ("/v2/HXAP16ACME/whatsapp/+46700000002/block_users", ACME),
        ("/v2/HXAP16ACME/whatsapp/nonsense/block_users", ACME),
        ("/v2/HXAP16ACME/whatsapp/972771234567/block_users", BOUND),
    ] {
        failed(ask(path, key), 401, unknown.clone());
    }
    let wrong = "Incorrect SID or API key.";
    let wrong = json!({ "code": "RBC001", "message": wrong, "data": [], "error": { "error": wrong } });
    for (path, key) in [
        (KALEYRA, ""),
        (KALEYRA, "wrong-key"),
        (KALEYRA, GLOBEX),
        ("/v2/HXGLOBEX/whatsapp/+916268662275/block_users", ACME),
        ("/v2/HXNOBODY/whatsapp/+916268662275/block_users", ACME),
    ] {
        failed(ask(path, key), 401, wrong.clone());
    }
    let payload = |what: &str| {
        json!({
            "code": "WA400", "message": "Refer to correct payload format", "data": {}, "error": { "payload": what },
        })
    };
    for body in [
        json!({}),
        json!({ "messaging_product": "whatsapp" }),
        json!({ "messaging_product": "whatsapp", "block_users": [] }),
        json!({ "messaging_product": "whatsapp", "block_users": [{}] }),
        json!({ "messaging_product": "sms", "block_users": [{ "user": "919408000001" }] }),
        json!({ "messaging_product": "whatsapp", "block_users": [{ "user": [] }] }),
        json!([]),
    ] {
        for method in ["POST", "DELETE"] {
            let answer = kaleyra(&gateway, method, "", Some(body.clone()));
            failed(answer, 400, payload("Incorrect payload format"));
        }
    }
    failed(kaleyra(&gateway, "GET", "?limit=x", None), 400, payload("Incorrect limit"));
    failed(kaleyra(&gateway, "GET", "?after=x", None), 400, payload("Incorrect after"));
    assert_eq!(ask("/v3/HXAP16ACME/whatsapp/+916268662275/block_users", ACME).status, 404);
    assert_eq!(kaleyra(&gateway, "PUT", "", None).json["code"], "WA405");
}

#[test]
fn both_versions_and_both_forms_of_the_number_in_the_path_are_accepted() {
    let gateway = vendors();
    for path in [
        "/v1/HXAP16ACME/whatsapp/+916268662275/block_users",
        "/v1/HXAP16ACME/whatsapp/%2B916268662275/block_users",
        "/v2/HXAP16ACME/whatsapp/916268662275/block_users",
    ] {
        let headers = [("api-key", ACME)];
        Asked { method: "GET", path, headers: &headers, body: None }.of(&gateway).ok();
    }
}

#[test]
fn the_default_page_has_25() {
    let gateway = vendors();
    block_many(&gateway, 0..30);
    assert_eq!(kaleyra(&gateway, "GET", "", None).ok()["data"].as_array().unwrap().len(), 25);
}

#[test]
fn foreign_blocks_are_listed_and_lifted_only_if_the_tenant_allows_it() {
    let number = nth(7);
    let gateway = vendors();
    gateway.block(&number);
    assert_eq!(list(&gateway), [number.as_str()]);
    let answer = kaleyra(&gateway, "DELETE", "", Some(users(&[&number, "919408000001"])));
    assert_eq!((answer.status, &answer.json["code"]), (400, &json!("WA400")));
    let lists = &answer.json["data"]["block_users"];
    assert_eq!(lists["failed_users"][0]["input"], json!(number));
    assert_eq!(lists["removed_users"][0]["input"], "919408000001");
    assert_eq!(passes(&gateway, &number), (false, false));

    let gateway =
        vendors_with("dialects.kaleyra_lifts_foreign = true", "[dialects]\nkaleyra_partial_status = 200");
    gateway.block(&number);
    kaleyra(&gateway, "DELETE", "", Some(users(&[&number]))).ok();
    assert_eq!(passes(&gateway, &number), (true, true));
    let partly = kaleyra(&gateway, "POST", "", Some(users(&["nonsense"])));
    assert_eq!((partly.status, &partly.json["code"]), (200, &json!("WA400")));
}
