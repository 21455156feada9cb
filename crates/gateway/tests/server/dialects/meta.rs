//! Meta.

use serde_json::{Value, json};

use super::super::support::{ACME, Answer, GLOBEX, Gateway};
use super::{BOUND, META, bearer, block_many, nth, passes, sorted, users, vendors, vendors_with};

const NUMBER: &str = "+16505551234";
const DIGITS: &str = "16505551234";

fn ask(gateway: &Gateway, method: &str, body: Value) -> Answer {
    bearer(gateway, method, META, Some(body))
}

#[track_caller]
fn graph_error(answer: &Answer, status: u16, code: u64) {
    let error = &answer.json["error"];
    assert_eq!((answer.status, error["code"].as_u64()), (status, Some(code)), "{}", answer.text);
    assert!(error["message"].is_string() && error["type"].is_string(), "{}", answer.text);
    assert!(error["fbtrace_id"].as_str().unwrap().starts_with('A'), "{}", answer.text);
}

#[test]
fn the_samples_of_the_document_are_answered_as_documented() {
    let gateway = vendors();
    let done = |list: &str| {
        let person = json!([{ "input": NUMBER, "wa_id": DIGITS }]);
        json!({ "messaging_product": "whatsapp", "block_users": { list: person } })
    };
    assert_eq!(*ask(&gateway, "POST", users(&[NUMBER])).ok(), done("added_users"));
    let listed = bearer(&gateway, "GET", META, None);
    // `input` is not documented, but clients read it from the live service.
    assert_eq!(
        listed.ok()["data"],
        json!([{ "messaging_product": "whatsapp", "wa_id": DIGITS, "input": DIGITS }])
    );
    let cursors = listed.json["paging"]["cursors"].as_object().unwrap();
    assert!(cursors["before"].as_str().unwrap().starts_with("eyJv"), "{}", listed.text);
    assert!(cursors["after"].as_str().unwrap().starts_with("eyJv"), "{}", listed.text);
    assert_eq!(*ask(&gateway, "DELETE", users(&[NUMBER])).ok(), done("removed_users"));
    assert_eq!(*bearer(&gateway, "GET", META, None).ok(), json!({ "data": [] }));
}

#[test]
fn a_mixed_result_has_both_lists_and_an_error() {
    let gateway = vendors();
    let answer = ask(&gateway, "POST", users(&[NUMBER, "nonsense", "916268662275"]));
    graph_error(&answer, 400, 139_100);
    let mut expected = json!({
        "messaging_product": "whatsapp",
        "block_users": {
            "added_users": [{ "input": NUMBER, "wa_id": DIGITS }],
            "failed_users": [
                { "input": "nonsense", "errors": [{
                    "message": "Re-engagement required", "code": 131_047,
                    "error_data": { "details": "Not the number or id of a WhatsApp user" },
                }] },
                { "input": "916268662275", "wa_id": "916268662275", "errors": [{
                    "message": "Self block", "code": 131_021,
                    "error_data": { "details": "The number is the business's own" },
                }] },
            ],
        },
        "error": {
            "message": "(#139100) Failed to block/unblock users", "type": "OAuthException", "code": 139_100,
            "error_data": { "details": "Failed to block some users, see the block_users response list for details" },
        },
    });
    expected["error"]["fbtrace_id"] = answer.json["error"]["fbtrace_id"].clone();
    assert_eq!(answer.json, expected);
    assert_eq!(passes(&gateway, NUMBER), (false, false));

    gateway.post("/senders/support/entries", json!({ "number": nth(1), "source": "opt_out" })).ok();
    let answer = ask(&gateway, "DELETE", users(&[&nth(1), NUMBER]));
    graph_error(&answer, 400, 139_100);
    assert_eq!(answer.json["block_users"]["removed_users"][0]["input"], NUMBER);
    assert_eq!(answer.json["block_users"]["failed_users"][0]["errors"][0]["code"], 131_050);
    assert_eq!(passes(&gateway, &nth(1)), (false, false));
}

#[test]
fn credentials_and_parameters_have_graph_errors() {
    let gateway = vendors();
    let get = |path: &str, token: &str| gateway.call("GET", path, token, None);
    graph_error(&get(META, ""), 401, 104);
    graph_error(&get(META, "wrong-key"), 401, 190);
    graph_error(&get("/v25.0/106540352242922/block_users", BOUND), 403, 10);
    graph_error(&get("/v25.0/106540352242929/block_users", ACME), 403, 10);
    for (path, token) in
        [("/v25.0/1/block_users", ACME), ("/v25.0/106540352242930/block_users", ACME), (META, GLOBEX)]
    {
        graph_error(&get(path, token), 400, 100);
        assert_eq!(get(path, token).json["error"]["error_subcode"], 33);
    }
    graph_error(&get("/vx/1234567890/block_users", ACME), 404, 2500);
    for body in [
        json!({}),
        json!({ "messaging_product": "whatsapp" }),
        json!({ "messaging_product": "whatsapp", "block_users": [] }),
        json!({ "messaging_product": "whatsapp", "block_users": [{}] }),
        json!({ "messaging_product": "whatsapp", "block_users": [{ "user": "" }] }),
        json!({ "messaging_product": "whatsapp", "block_users": "x" }),
        json!({ "block_users": [{ "user": NUMBER }] }),
    ] {
        graph_error(&ask(&gateway, "POST", body.clone()), 400, 100);
        graph_error(&ask(&gateway, "DELETE", body), 400, 100);
    }
    for query in ["?limit=0", "?limit=x", "?after=x", "?before=e30"] {
        graph_error(&bearer(&gateway, "GET", &format!("{META}{query}"), None), 400, 100);
    }
    graph_error(&bearer(&gateway, "PUT", META, None), 405, 100);
    let broken = gateway.call("POST", META, ACME, Some("{".to_owned()));
    graph_error(&broken, 400, 100);
}

#[test]
fn the_token_may_be_in_the_query_and_the_version_may_be_omitted() {
    let gateway = vendors();
    gateway.call("GET", &format!("{META}?access_token={ACME}"), "", None).ok();
    gateway.call("GET", "/1234567890/block_users", BOUND, None).ok();
    let one = users(&[NUMBER]);
    gateway.call("POST", "/1234567890/block_users", ACME, Some(one.to_string())).ok();
    assert_eq!(passes(&gateway, NUMBER), (false, false));
}

#[test]
fn a_thousand_users_are_accepted_and_a_thousand_and_one_are_refused() {
    let gateway = vendors();
    let numbers: Vec<String> = (0..1001).map(nth).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    graph_error(&ask(&gateway, "POST", users(&numbers)), 400, 130_429);
    let added = ask(&gateway, "POST", users(&numbers[..1000]));
    assert_eq!(added.ok()["block_users"]["added_users"].as_array().unwrap().len(), 1000);
    graph_error(&ask(&gateway, "DELETE", users(&numbers)), 400, 130_429);
    let removed = ask(&gateway, "DELETE", users(&numbers[..1000]));
    assert_eq!(removed.ok()["block_users"]["removed_users"].as_array().unwrap().len(), 1000);
}

#[test]
fn people_without_a_number_are_blocked_and_listed_exactly() {
    let gateway = vendors();
    let id = "US.13491208655302741918";
    let body = |field: &str| json!({ "messaging_product": "whatsapp", "block_users": [{ field: id }] });
    let person = json!([{ "input": id, "user_id": id }]);
    assert_eq!(ask(&gateway, "POST", body("user_id")).ok()["block_users"]["added_users"], person);
    let listed = bearer(&gateway, "GET", META, None);
    assert_eq!(listed.ok()["data"], json!([{ "messaging_product": "whatsapp", "user_id": id, "input": id }]));
    let check = |id: &str| gateway.verdict(&format!("user:{id}"));
    assert_eq!(check(id), "block");
    for stranger in ["US.13491208655302741917", "US.1349120865530274191", "GB.13491208655302741918"] {
        assert_eq!(check(stranger), "allow", "{stranger}");
    }
    let native = gateway.get(&format!("/senders/support/entries/user:{id}"));
    assert_eq!(native.ok()["number"], format!("user:{id}"));
    // An id in the field of a number is still an id.
    assert_eq!(ask(&gateway, "DELETE", body("user")).ok()["block_users"]["removed_users"], person);
    assert_eq!(check(id), "allow");
    let many = json!({ "numbers": [format!("user:{id}"), NUMBER], "direction": "inbound" });
    assert_eq!(gateway.post("/senders/support/check", many).ok()["blocked"], json!([]));
}

#[test]
fn pages_are_followed_by_cursor_and_by_url() {
    let gateway = vendors();
    block_many(&gateway, 0..60);
    assert_eq!(bearer(&gateway, "GET", META, None).ok()["data"].as_array().unwrap().len(), 25);
    let ids = |page: &Answer| {
        let data = page.ok()["data"].as_array().unwrap();
        data.iter().map(|user| user["wa_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut page = bearer(&gateway, "GET", &format!("{META}?limit=25"), None);
    assert_eq!(page.ok()["paging"].get("previous"), None);
    let (mut seen, mut pages) = (Vec::new(), vec![ids(&page)]);
    while let Some(next) = page.json["paging"]["next"].as_str() {
        assert!(next.starts_with(&format!("{}{META}?limit=25&after=", gateway.url())), "{next}");
        page = bearer(&gateway, "GET", &next[gateway.url().len()..], None);
        pages.push(ids(&page));
    }
    pages.iter().for_each(|page| seen.extend(page.clone()));
    seen.sort();
    assert_eq!(seen, (0..60).map(nth).collect::<Vec<_>>());
    // Back again.
    let mut back = vec![ids(&page)];
    while let Some(previous) = page.json["paging"]["previous"].as_str() {
        page = bearer(&gateway, "GET", &previous[gateway.url().len()..], None);
        back.insert(0, ids(&page));
        assert!(back.len() < 9);
    }
    assert_eq!(back.concat().len(), 60);
    assert_eq!(back.concat(), pages.concat());
    // Some clients continue until a page is empty.
    let after =
        bearer(&gateway, "GET", &format!("{META}?limit=1000"), None).json["paging"]["cursors"]["after"]
            .as_str()
            .unwrap()
            .to_owned();
    let end = bearer(&gateway, "GET", &format!("{META}?after={after}"), None);
    assert_eq!(*end.ok(), json!({ "data": [] }));
    let all = bearer(&gateway, "GET", &format!("{META}?limit=100000"), None);
    assert_eq!(sorted(all.ok()["data"].as_array().unwrap().iter().map(|user| &user["wa_id"])).len(), 60);
}

#[test]
fn a_tenant_s_gateway_may_refuse_cursors_of_an_older_list() {
    let gateway = vendors_with("", "[dialects]\nmeta_strict_cursors = true\nmeta_default_limit = 2");
    block_many(&gateway, 0..5);
    let first = bearer(&gateway, "GET", META, None);
    let after = first.ok()["paging"]["cursors"]["after"].as_str().unwrap();
    let path = format!("{META}?after={after}");
    assert_eq!(bearer(&gateway, "GET", &path, None).ok()["data"].as_array().unwrap().len(), 2);
    block_many(&gateway, 5..6);
    graph_error(&bearer(&gateway, "GET", &path, None), 400, 139_102);
}

#[test]
fn ids_of_parent_businesses_are_people_too() {
    let gateway = vendors();
    let longest = format!("US.ENT.{}", "1".repeat(128));
    for id in ["US.ENT.123", "GB.ENT.a1B2", &longest] {
        for field in ["user", "user_id"] {
            let body = json!({ "messaging_product": "whatsapp", "block_users": [{ field: id }] });
            let person = json!([{ "input": id, "user_id": id }]);
            assert_eq!(ask(&gateway, "POST", body.clone()).ok()["block_users"]["added_users"], person);
            assert_eq!(gateway.verdict(&format!("user:{id}")), "block");
            assert_eq!(ask(&gateway, "DELETE", body).ok()["block_users"]["removed_users"], person);
            assert_eq!(gateway.verdict(&format!("user:{id}")), "allow");
        }
    }
    for id in ["US.ENT.", "US.ent.123", "US.ENT.ENT.1", "USA.ENT.1"] {
        graph_error(&ask(&gateway, "POST", users(&[id])), 400, 139_100);
    }
}
