//! Whats91.

use serde_json::{Value, json};

use super::super::support::{ACME, Answer, GLOBEX, Gateway};
use super::{Asked, BOUND, NUMBER, WHATS91, bearer, block_many, nth, passes, vendors, vendors_with};

const PHONE: &str = "98765 43210";

fn add(gateway: &Gateway, reason: &str) -> String {
    let body = json!({ "senderId": NUMBER, "phone": PHONE, "reason": reason, "source": "MANUAL" });
    let answer = bearer(gateway, "POST", WHATS91, Some(body));
    answer.ok()["data"]["blacklistEntry"]["blacklistUid"].as_str().unwrap().to_owned()
}

fn list(gateway: &Gateway, query: &str) -> Answer {
    bearer(gateway, "GET", &format!("{WHATS91}?senderId={NUMBER}{query}"), None)
}

fn entries(answer: &Answer) -> &Vec<Value> {
    answer.ok()["data"]["blacklistEntries"].as_array().unwrap()
}

/// The response without values that differ each time, after checking their format.
#[track_caller]
fn settled(answer: &Answer) -> Value {
    fn settle(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, value) in object.iter_mut() {
                    match key.as_str() {
                        "blacklistUid" | "uid" => {
                            assert!(value.as_str().unwrap().starts_with("bl_"));
                            *value = json!("bl_abc");
                        }
                        "createdAt" | "updatedAt" | "deactivatedAt" if value.is_string() => {
                            let time = value.as_str().unwrap();
                            assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
                            *value = json!("2026-06-06T08:00:00.000Z");
                        }
                        "requestId" => {
                            assert_eq!(value.as_str().unwrap().len(), 36);
                            *value = json!("request-uuid");
                        }
                        _ => settle(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(settle),
            _ => {}
        }
    }
    let mut json = answer.json.clone();
    settle(&mut json);
    json
}

#[test]
fn the_samples_of_the_document_are_answered_as_documented() {
    let gateway = vendors();
    let reason = "Customer requested opt-out";
    let body = json!({ "senderId": NUMBER, "phone": PHONE, "reason": reason, "source": "MANUAL" });
    let added = bearer(&gateway, "POST", WHATS91, Some(body));
    let metadata = json!({ "apiVersion": "v2", "requestId": "request-uuid" });
    let enveloped = |message: &str, data: Value| json!({ "success": true, "message": message, "data": data, "metadata": metadata });
    added.ok();
    assert_eq!(
        settled(&added),
        enveloped(
            "Blacklist entry saved",
            json!({ "blacklistEntry": {
            "blacklistUid": "bl_abc", "normalizedPhone": "919876543210", "displayPhone": "9876543210",
            "source": "MANUAL", "reason": reason, "status": "ACTIVE",
        } })
        )
    );
    let listed = list(&gateway, "&page=1&limit=50&status=ACTIVE");
    listed.ok();
    let time = "2026-06-06T08:00:00.000Z";
    assert_eq!(
        settled(&listed),
        enveloped(
            "Blacklist entries retrieved",
            json!({
                "senderId": NUMBER,
                "phoneNumberId": "1234567890",
                "wabaId": "9876543210",
                "blacklistEntries": [{
                    "blacklistUid": "bl_abc", "uid": "bl_abc", "phoneNumberId": "1234567890",
                    "senderPhoneNumber": NUMBER, "normalizedPhone": "919876543210", "displayPhone": "9876543210",
                    "source": "MANUAL", "reason": reason, "status": "ACTIVE", "createdAt": time, "updatedAt": time,
                    "deactivatedAt": null,
                }],
                "items": [{ "blacklistUid": "bl_abc", "normalizedPhone": "919876543210", "status": "ACTIVE" }],
                "pagination": { "page": 1, "limit": 50, "count": 1, "hasMore": false },
            })
        )
    );
    let uid = entries(&listed)[0]["uid"].as_str().unwrap();
    let path = format!("{WHATS91}/{uid}");
    let got = bearer(&gateway, "GET", &format!("{path}?senderId={NUMBER}"), None);
    got.ok();
    assert_eq!(
        settled(&got),
        enveloped(
            "Blacklist entry retrieved",
            json!({ "blacklistEntry": {
            "blacklistUid": "bl_abc", "uid": "bl_abc", "senderPhoneNumber": NUMBER,
            "normalizedPhone": "919876543210", "displayPhone": "9876543210", "source": "MANUAL",
            "reason": reason, "status": "ACTIVE", "deactivatedAt": null,
        } })
        )
    );
    let update = json!({ "senderId": NUMBER, "reason": "Updated opt-out reason", "status": "INACTIVE" });
    let updated = bearer(&gateway, "POST", &path, Some(update));
    updated.ok();
    assert_eq!(
        settled(&updated),
        enveloped(
            "Blacklist entry updated",
            json!({ "blacklistEntry": {
            "blacklistUid": "bl_abc", "reason": "Updated opt-out reason", "status": "INACTIVE",
            "deactivatedAt": time,
        } })
        )
    );
    let removed = bearer(&gateway, "DELETE", &format!("{path}?senderId={NUMBER}"), None);
    removed.ok();
    assert_eq!(
        settled(&removed),
        enveloped(
            "Blacklist entry removed",
            json!({ "blacklistEntry": {
            "blacklistUid": "bl_abc", "status": "INACTIVE", "deactivatedAt": time,
        } })
        )
    );
    let failed = |answer: Answer, status: u16, code: &str, message: &str| {
        assert_eq!(answer.status, status, "{}", answer.text);
        let expected =
            json!({ "success": false, "message": message, "error_code": code, "metadata": metadata });
        assert_eq!(settled(&answer), expected);
    };
    let missing = bearer(&gateway, "GET", &format!("{WHATS91}/bl_0000000000?senderId={NUMBER}"), None);
    failed(missing, 404, "BLACKLIST_ENTRY_NOT_FOUND", "Blacklist entry not found");
    let status = list(&gateway, "&status=OTHER");
    failed(status, 400, "VALIDATION_FAILED", "status must be ACTIVE, INACTIVE, or ALL");
    let stranger = gateway.call("GET", WHATS91, "", None);
    failed(stranger, 401, "MISSING_AUTH_TOKEN", "Missing authorization token");
}

#[test]
fn every_error_of_the_table_occurs() {
    let gateway = vendors();
    let failed = |answer: Answer, status: u16, code: &str| {
        assert_eq!((answer.status, &answer.json["error_code"]), (status, &json!(code)), "{}", answer.text);
        assert_eq!(answer.json["success"], false);
        assert!(answer.json["metadata"]["requestId"].is_string());
        answer
    };
    let post =
        |path: &str, token: &str, body: Value| gateway.call("POST", path, token, Some(body.to_string()));
    let uid = add(&gateway, "why");
    let entry = format!("{WHATS91}/{uid}");
    failed(gateway.call("GET", WHATS91, "wrong-key", None), 401, "INVALID_AUTH_TOKEN");
    let israel = "972771234567";
    let other = format!("{WHATS91}?senderId={israel}");
    failed(gateway.call("GET", &other, BOUND, None), 403, "SENDER_NOT_ALLOWED");
    failed(post(WHATS91, BOUND, json!({ "senderId": israel, "phone": PHONE })), 403, "SENDER_NOT_ALLOWED");
    for sender in ["", "46700000002", "1", "nonsense", "919407000009"] {
        let path = format!("{WHATS91}?senderId={sender}");
        failed(gateway.call("GET", &path, ACME, None), 400, "WHATSAPP_SETUP_INCOMPLETE");
    }
    failed(gateway.call("GET", WHATS91, ACME, None), 400, "WHATSAPP_SETUP_INCOMPLETE");
    failed(gateway.call("GET", WHATS91, GLOBEX, None), 400, "WHATSAPP_SETUP_INCOMPLETE");
    let of_support = |fields: Value| {
        let mut body = json!({ "senderId": NUMBER });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    for fields in [
        json!({}),
        json!({ "phone": "nonsense" }),
        json!({ "phone": "" }),
        json!({ "phone": "98765 43210", "reason": "x".repeat(501) }),
        json!({ "phone": "98765 43210", "source": "x".repeat(65) }),
        json!({ "phone": [] }),
    ] {
        failed(post(WHATS91, ACME, of_support(fields)), 400, "VALIDATION_FAILED");
    }
    for fields in [json!({}), json!({ "status": "ALL" }), json!({ "reason": "x".repeat(501) })] {
        failed(post(&entry, ACME, of_support(fields)), 400, "VALIDATION_FAILED");
    }
    for query in ["&page=0", "&page=x", "&limit=0", "&limit=-1", "&limit=1001", "&status=active"] {
        failed(list(&gateway, query), 400, "VALIDATION_FAILED");
    }
    for uid in ["bl_x", "e_0000000000", "bl_0000000000", "bl_"] {
        let path = format!("{WHATS91}/{uid}?senderId={NUMBER}");
        failed(gateway.call("GET", &path, ACME, None), 404, "BLACKLIST_ENTRY_NOT_FOUND");
        failed(gateway.call("DELETE", &path, ACME, None), 404, "BLACKLIST_ENTRY_NOT_FOUND");
    }
    // The uid means another entry for another sender.
    let path = format!("{WHATS91}/{uid}?senderId={israel}");
    failed(gateway.call("GET", &path, ACME, None), 404, "BLACKLIST_ENTRY_NOT_FOUND");
    let body = format!("senderId={NUMBER}&phone=919876543210");
    let request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}{WHATS91}", gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "application/x-www-form-urlencoded");
    failed(gateway.send(request.body(body).unwrap()), 415, "UNSUPPORTED_CONTENT_TYPE");
    assert_eq!(gateway.call("PATCH", &entry, ACME, None).json["error_code"], "METHOD_NOT_ALLOWED");

    let gateway = vendors_with("dialects.spoken = [\"meta\"]", "");
    let off = bearer(&gateway, "GET", &format!("{WHATS91}?senderId={NUMBER}"), None);
    assert_eq!((off.status, &off.json["error_code"]), (403, &json!("FEATURE_NOT_AVAILABLE")));
}

#[test]
fn the_token_may_be_in_the_query_or_in_the_body() {
    let gateway = vendors();
    for name in ["authToken", "auth_token", "token"] {
        let path = format!("{WHATS91}?senderId={NUMBER}&{name}={ACME}");
        gateway.call("GET", &path, "", None).ok();
        let body = json!({ "senderId": NUMBER, "phone": PHONE, name: ACME });
        Asked { method: "POST", path: WHATS91, headers: &[], body: Some(body) }.of(&gateway).ok();
    }
    // A token of one sender implies the sender.
    let body = json!({ "phone": PHONE });
    gateway.call("POST", WHATS91, BOUND, Some(body.to_string())).ok();
    assert_eq!(gateway.call("GET", WHATS91, BOUND, None).ok()["data"]["senderId"], NUMBER);
}

#[test]
fn a_user_id_is_refused_before_it_is_written() {
    let gateway = vendors();
    let id = "user:US.13491208655302741918";
    let answer = bearer(&gateway, "POST", WHATS91, Some(json!({ "senderId": NUMBER, "phone": id })));
    assert_eq!((answer.status, &answer.json["error_code"]), (400, &json!("VALIDATION_FAILED")));
    assert!(answer.json["message"].as_str().unwrap().contains("phone must be a telephone number"));
    assert_eq!(gateway.verdict_of("support", id, "outbound"), "allow");
    assert_eq!(gateway.get(&format!("/senders/support/entries/{id}")).status, 404);
}

#[test]
fn entries_are_outbound_only_and_keep_their_uid() {
    let gateway = vendors();
    let uid = add(&gateway, "why");
    assert_eq!(passes(&gateway, "919876543210"), (true, false));
    let path = format!("{WHATS91}/{uid}?senderId={NUMBER}");
    bearer(&gateway, "DELETE", &path, None).ok();
    assert_eq!(passes(&gateway, "919876543210"), (true, true));
    assert_eq!(entries(&list(&gateway, "")).len(), 0);
    assert_eq!(entries(&list(&gateway, "&status=INACTIVE"))[0]["uid"], json!(uid));
    // A second removal reports that it was removed.
    assert_eq!(bearer(&gateway, "DELETE", &path, None).ok()["data"]["blacklistEntry"]["status"], "INACTIVE");
    assert_eq!(add(&gateway, "again"), uid, "it is reactivated");
    let listed = list(&gateway, "&status=ALL");
    let entry = &entries(&listed)[0];
    assert_eq!((&entry["reason"], &entry["status"]), (&json!("again"), &json!("ACTIVE")));
    assert_eq!(entry["deactivatedAt"], Value::Null);
}

#[test]
fn an_update_changes_the_reason_the_status_or_both() {
    let gateway = vendors();
    let path = format!("{WHATS91}/{}", add(&gateway, "first"));
    let update = |fields: Value| {
        let mut body = json!({ "senderId": NUMBER });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = bearer(&gateway, "POST", &path, Some(body));
        let entry = &answer.ok()["data"]["blacklistEntry"];
        (entry["reason"].clone(), entry["status"].clone())
    };
    assert_eq!(update(json!({ "reason": "second" })), (json!("second"), json!("ACTIVE")));
    assert_eq!(update(json!({ "status": "INACTIVE" })), (json!("second"), json!("INACTIVE")));
    assert_eq!(update(json!({ "reason": "third" })), (json!("third"), json!("INACTIVE")));
    assert_eq!(passes(&gateway, "919876543210"), (true, true));
    assert_eq!(update(json!({ "status": "ACTIVE" })), (json!("third"), json!("ACTIVE")));
    assert_eq!(passes(&gateway, "919876543210"), (true, false));
    assert_eq!(
        update(json!({ "reason": "fourth", "status": "INACTIVE" })),
        (json!("fourth"), json!("INACTIVE"))
    );
    assert_eq!(entries(&list(&gateway, "&status=ALL"))[0]["source"], "MANUAL");
}

#[test]
fn a_source_is_shown_as_it_was_given() {
    let gateway = vendors();
    for (source, shown) in [(Some("CRM sync"), "CRM sync"), (Some("IMPORT"), "IMPORT"), (None, "MANUAL")] {
        let mut body = json!({ "senderId": NUMBER, "phone": PHONE });
        if let Some(source) = source {
            body["source"] = source.into();
        }
        let answer = bearer(&gateway, "POST", WHATS91, Some(body));
        assert_eq!(answer.ok()["data"]["blacklistEntry"]["source"], shown);
    }
    gateway.post("/senders/support/entries", json!({ "number": nth(1), "source": "opt_out" })).ok();
    let listed = list(&gateway, &format!("&search={}", nth(1)));
    assert_eq!(entries(&listed)[0]["source"], "UNSUBSCRIBE");
}

#[test]
fn an_opt_out_stays_until_the_person_lifts_it() {
    let gateway = vendors();
    gateway.post("/senders/support/entries", json!({ "number": nth(1), "source": "opt_out" })).ok();
    let uid = entries(&list(&gateway, ""))[0]["uid"].as_str().unwrap().to_owned();
    let path = format!("{WHATS91}/{uid}");
    let removed = bearer(&gateway, "DELETE", &format!("{path}?senderId={NUMBER}"), None);
    assert_eq!((removed.status, &removed.json["error_code"]), (400, &json!("VALIDATION_FAILED")));
    assert!(removed.json["message"].as_str().unwrap().contains("opted out"), "{}", removed.text);
    let body = json!({ "senderId": NUMBER, "status": "INACTIVE" });
    assert_eq!(bearer(&gateway, "POST", &path, Some(body)).status, 400);
    let body = json!({ "senderId": NUMBER, "reason": "wrote STOP twice" });
    let told = bearer(&gateway, "POST", &path, Some(body));
    assert_eq!(told.ok()["data"]["blacklistEntry"]["reason"], "wrote STOP twice");
    assert_eq!(passes(&gateway, &nth(1)), (false, false));
}

#[test]
fn search_finds_numbers_and_reasons_and_pages_are_counted() {
    let gateway = vendors();
    block_many(&gateway, 0..120);
    add(&gateway, "Angry Customer");
    for (search, count) in [
        ("angry", 1),
        ("9876543210", 1),
        ("98765%2043210", 1),
        ("919876", 1),
        ("%2B9198", 1),
        ("4673200007", 10),
        ("nothing", 0),
        ("", 121),
    ] {
        let listed = list(&gateway, &format!("&limit=200&search={search}"));
        assert_eq!(entries(&listed).len(), count, "{search}");
    }
    let page = |page: u32| {
        let listed = list(&gateway, &format!("&limit=50&page={page}"));
        let pagination = &listed.ok()["data"]["pagination"];
        assert_eq!((&pagination["page"], &pagination["limit"]), (&json!(page), &json!(50)));
        assert_eq!(pagination["count"], json!(entries(&listed).len()));
        (entries(&listed).len(), pagination["hasMore"].as_bool().unwrap())
    };
    assert_eq!([page(1), page(2), page(3), page(4)], [(50, true), (50, true), (21, false), (0, false)]);
    assert_eq!(list(&gateway, "").ok()["data"]["pagination"]["limit"], 50, "the default");
}

#[test]
fn the_log_has_the_request_id_of_the_response() {
    let gateway = vendors();
    let id = list(&gateway, "").json["metadata"]["requestId"].as_str().unwrap().to_owned();
    gateway.until("the request is logged", |gateway| gateway.logged(&id));
}

#[test]
fn a_person_is_found_by_every_spelling() {
    let gateway = vendors();
    for (blocked, searches) in [
        (
            "5215512345678",
            &["525512345678", "%2B52%201%2055%201234%205678", "%2B52%2055%201234%205678", "525512345"][..],
        ),
        ("525512345678", &["5215512345678", "00525512345678"]),
        ("541123456789", &["5491123456789", "%2B54%2011%2015%202345-6789", "54911234"]),
        ("5511987654321", &["551187654321", "%2B55%20011%2098765-4321"]),
        ("919876543210", &["098765%2043210", "9876543210", "%2B91%20098765%2043210"]),
    ] {
        let body = json!({ "senderId": NUMBER, "phone": blocked });
        bearer(&gateway, "POST", WHATS91, Some(body)).ok();
        for search in searches {
            let listed = list(&gateway, &format!("&search={search}"));
            let found: Vec<&Value> = entries(&listed).iter().map(|entry| &entry["normalizedPhone"]).collect();
            assert_eq!(found, [blocked], "{search}");
        }
        let uid = entries(&list(&gateway, ""))[0]["uid"].as_str().unwrap().to_owned();
        bearer(&gateway, "DELETE", &format!("{WHATS91}/{uid}?senderId={NUMBER}"), None).ok();
    }
}

#[test]
fn changing_the_reason_keeps_the_time_of_the_request() {
    let gateway = vendors();
    let asked = "2026-01-02T03:04:05.000Z";
    let requested = |number: &str, kind: &str| {
        let entry = gateway.get(&format!("/senders/support/entries/{number}"));
        let holds = entry.ok()["holds"].as_array().unwrap().clone();
        holds.iter().find(|hold| hold["kind"] == kind).unwrap()["requested"].clone()
    };
    let edit = |number: &str, fields: Value| {
        let listed = list(&gateway, &format!("&status=ALL&search={number}"));
        let uid = entries(&listed)[0]["uid"].as_str().unwrap().to_owned();
        let mut body = json!({ "senderId": NUMBER });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        bearer(&gateway, "POST", &format!("{WHATS91}/{uid}"), Some(body)).ok();
    };
    for (index, hold) in [(1, "opt_out"), (2, "operator")] {
        let number = nth(index);
        let body = json!({ "number": number, "hold": hold, "requested": asked, "reason": "first" });
        gateway.post("/senders/support/entries", body).ok();
        edit(&number, json!({ "reason": "second" }));
        assert_eq!(requested(&number, hold), asked, "{hold}");
    }
    let number = nth(2);
    edit(&number, json!({ "reason": "third", "status": "ACTIVE" }));
    assert_eq!(requested(&number, "operator"), asked, "it was active already");
    edit(&number, json!({ "status": "INACTIVE" }));
    let lifted = requested(&number, "operator");
    assert_ne!(lifted, asked);
    edit(&number, json!({ "reason": "fourth" }));
    assert_eq!(requested(&number, "operator"), lifted, "it is inactive still");
    // The person's later request counts.
    let start = json!({ "number": nth(1), "hold": "opt_out", "requested": "2026-01-02T03:05:00Z" });
    gateway.delete("/senders/support/entries", start).ok();
    assert_eq!(passes(&gateway, &nth(1)), (true, true));
}

#[test]
fn a_long_body_is_read_if_its_token_is_in_the_head() {
    let gateway = vendors();
    let body = json!({ "senderId": NUMBER, "phone": PHONE, "more": "x".repeat(9 << 10) });
    bearer(&gateway, "POST", WHATS91, Some(body.clone())).ok();
    assert_eq!(entries(&list(&gateway, "")).len(), 1);
    let mut broken = body.to_string();
    broken.pop();
    assert_eq!(gateway.call("POST", WHATS91, ACME, Some(broken)).status, 400);
    let mut with_token = body;
    with_token["token"] = json!(ACME);
    let refused = Asked { method: "POST", path: WHATS91, headers: &[], body: Some(with_token) }.of(&gateway);
    assert_eq!(refused.status, 413, "{}", refused.text);
}
