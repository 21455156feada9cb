//! Tokens with names, scopes and an expiry.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::dialects::{Asked, KALEYRA, META, NUMBER, SINCH, VENDORS, WHATS91};
use super::support::{ACME, ADMIN, Gateway, SERVER, TENANTS, refused_start};

const CHECKS: &str = "checks-secret";
const BLOCKS: &str = "blocks-secret";
const READS: &str = "reads-secret";
const ENDED: &str = "ended-secret";

const TOKENS: &str = r#"tokens = [
    "acme-secret",
    { name = "checker", token = "checks-secret", scopes = ["check"] },
    { name = "crm", token = "blocks-secret", scopes = ["block"] },
    { name = "report", token = "reads-secret", scopes = ["read"] },
    { name = "old", token = "ended-secret", expires = "2020-01-01T00:00:00Z" },
]"#;

fn gateway() -> Gateway {
    let tenants = TENANTS.replace("tokens = [\"acme-secret\"]", TOKENS);
    Gateway::with(&format!("{SERVER}{tenants}"))
}

#[test]
fn a_token_is_good_for_its_scopes_only() {
    let gateway = gateway();
    let number = || Some(json!({ "number": "+46732001122" }));
    let check = || Some(json!({ "number": "+46732001122", "direction": "inbound" }));
    let message =
        json!({ "sender": "support", "recipient": "+46732002244", "direction": "outbound", "body": "x" });
    let requests = [
        ("check", "POST", "/senders/support/check", check()),
        ("check", "POST", "/tenant/check", check()),
        ("check", "POST", "/route", Some(message)),
        ("block", "POST", "/senders/support/entries", number()),
        ("block", "DELETE", "/senders/support/entries", number()),
        ("block", "POST", "/tenant/entries", number()),
        ("block", "DELETE", "/tenant/entries/%2B46732001122", None),
        ("read", "GET", "/senders/support/entries", None),
        ("read", "GET", "/senders/support/entries/%2B46732001122", None),
        ("read", "GET", "/senders/support/entries/%2B46732001122/history", None),
        ("read", "GET", "/senders/support/history", None),
        ("read", "GET", "/tenant/status", None),
        ("read", "GET", "/status", None),
    ];
    for (scope, method, path, body) in requests {
        for (of_token, token) in [("check", CHECKS), ("block", BLOCKS), ("read", READS)] {
            let answer = gateway.api(method, path, token, body.clone());
            if of_token == scope {
                answer.ok();
            } else {
                let message = answer.error(403, "scope_not_allowed");
                assert!(message.contains(&format!("lacks the scope `{scope}`")), "{message}");
            }
        }
        // Only blocking a number a second time, or unblocking it, depends on what was before.
        if method != "DELETE" || body.is_some() {
            gateway.api(method, path, ACME, body.clone()).ok();
        }
        let message = gateway.api(method, path, ENDED, body).error(401, "token_expired").to_owned();
        assert!(message.contains("has expired"), "{message}");
    }
    assert_eq!(gateway.metric("portcullis_refused_tokens_total", "expired"), 13);
    assert_eq!(gateway.metric("portcullis_refused_tokens_total", "scope"), 26);
    gateway.until("the log names it", |gateway| {
        gateway.log_lines("a token is used that has expired") > 0
            && gateway.log().lines().any(|line| line.contains("has expired") && line.contains("old"))
    });
}

#[test]
fn the_history_shows_the_names_of_tokens() {
    let gateway = gateway();
    let block = |token: &str, number: &str| {
        let body = json!({ "number": number });
        gateway.api("POST", "/senders/support/entries", token, Some(body)).ok();
    };
    block(BLOCKS, "+46732001122");
    block(ACME, "+46732001133");
    let history = gateway.get("/senders/support/history");
    let names: Vec<&str> = history.ok()["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["actor"]["name"].as_str().unwrap())
        .collect();
    assert!(names[0].starts_with("token-") && names[1] == "crm", "{names:?}");
}

#[test]
fn a_token_expires_while_the_gateway_runs() {
    let gateway = Gateway::start();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let settings = json!({
        "tokens": [{ "name": "crm", "token": "initech-secret", "expires": soon.to_string() }],
        "senders": [{ "id": "billing" }],
    });
    assert_eq!(gateway.admin("PUT", "/initech", Some(settings)).status, 201);
    gateway.until("it expires", |gateway| {
        let answer = gateway.api("GET", "/status", "initech-secret", None);
        answer.json["error"]["code"] == "token_expired"
    });
    assert!(jiff::Timestamp::now() >= soon);
}

#[test]
fn vendors_clients_learn_in_their_form_that_a_token_is_not_good_for_it() {
    let config = format!("{SERVER}{VENDORS}").replacen("tokens = [\"acme-secret\"]", TOKENS, 1);
    assert!(config.contains(READS));
    let gateway = Gateway::with(&config);

    let bearer = |token: &str, method: &'static str, path: &str, body: Option<Value>| {
        gateway.call(method, path, token, body.map(|body| body.to_string()))
    };
    let kaleyra = |token: &str| {
        Asked { method: "GET", path: KALEYRA, headers: &[("api-key", token)], body: None }.of(&gateway)
    };
    let ninety_nine = |token: &str| {
        let body = json!({ "apiKey": token, "from": NUMBER });
        let path = "/whatsapp/v2/getBlockedList";
        Asked { method: "POST", path, headers: &[], body: Some(body) }.of(&gateway)
    };
    let whats91 = format!("{WHATS91}?senderId={NUMBER}");
    // All of these read the list.
    for token in [ACME, READS] {
        for path in [SINCH, META, whats91.as_str()] {
            bearer(token, "GET", path, None).ok();
        }
        kaleyra(token).ok();
        assert_eq!(ninety_nine(token).ok()["status"], "OK");
    }
    let sinch = [bearer(BLOCKS, "GET", SINCH, None), bearer(ENDED, "GET", SINCH, None)];
    assert_eq!((sinch[0].status, &sinch[0].json["message"]), (403, &json!("403")));
    assert!(sinch[0].json["reason"].as_str().unwrap().contains("scope read"));
    assert_eq!((sinch[1].status, &sinch[1].json["message"]), (401, &json!("401")));
    assert!(sinch[1].json["reason"].as_str().unwrap().contains("expired"));
    let meta = [bearer(BLOCKS, "GET", META, None), bearer(ENDED, "GET", META, None)];
    assert_eq!((meta[0].status, &meta[0].json["error"]["code"]), (403, &json!(10)));
    assert!(meta[0].json["error"]["error_data"]["details"].as_str().unwrap().contains("scope read"));
    assert_eq!((meta[1].status, &meta[1].json["error"]["code"]), (401, &json!(190)));
    assert_eq!(meta[1].json["error"]["error_subcode"], 463);
    let of_whats91 = [bearer(BLOCKS, "GET", &whats91, None), bearer(ENDED, "GET", &whats91, None)];
    assert_eq!(
        (of_whats91[0].status, &of_whats91[0].json["error_code"]),
        (403, &json!("INSUFFICIENT_SCOPE"))
    );
    assert_eq!(
        (of_whats91[1].status, &of_whats91[1].json["error_code"]),
        (401, &json!("INVALID_AUTH_TOKEN"))
    );
    let of_kaleyra = [kaleyra(BLOCKS), kaleyra(ENDED)];
    assert_eq!((of_kaleyra[0].status, &of_kaleyra[0].json["code"]), (403, &json!("RBC003")));
    assert_eq!((of_kaleyra[1].status, &of_kaleyra[1].json["code"]), (401, &json!("RBC001")));
    assert!(of_kaleyra[1].json["error"].to_string().contains("expired"));
    let of_ninety_nine = [ninety_nine(BLOCKS), ninety_nine(ENDED)];
    assert_eq!((of_ninety_nine[0].status, &of_ninety_nine[0].json["status"]), (403, &json!("FAIL")));
    assert_eq!((of_ninety_nine[1].status, &of_ninety_nine[1].json["status"]), (401, &json!("FAIL")));
    // And these block.
    let numbers = || Some(json!({ "numbers": ["46732001122"] }));
    assert_eq!(bearer(READS, "POST", SINCH, numbers()).status, 403);
    bearer(BLOCKS, "POST", SINCH, numbers()).ok();
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn administrators_have_tokens_of_their_own() {
    let more = r#"admin_token = "admin-secret"
admin_tokens = [
    "second-secret",
    { name = "graphs", token = "graphs-secret", scopes = ["read"] },
    { name = "gone", token = "gone-secret", expires = "2020-01-01T00:00:00Z" },
]"#;
    let server = SERVER.replace("admin_token = \"admin-secret\"", more);
    let gateway = Gateway::with(&format!("{server}{TENANTS}"));
    let put = |token: &str| {
        gateway.api("PUT", "/admin/tenants/initech", token, Some(json!({ "tokens": ["initech-secret"] })))
    };
    for token in [ADMIN, "second-secret", "graphs-secret"] {
        gateway.api("GET", "/admin/tenants", token, None).ok();
        assert_eq!(gateway.call("GET", "/metrics", token, None).status, 200);
    }
    assert!(put("graphs-secret").error(403, "scope_not_allowed").contains("`admin`"));
    put("gone-secret").error(401, "token_expired");
    put(ACME).error(401, "invalid_token");
    gateway.api("GET", "/admin/tenants/initech", ADMIN, None).error(404, "unknown_tenant");
    assert_eq!(put("second-secret").status, 201);
    // No client has an administrator's token.
    gateway.api("GET", "/status", "second-secret", None).error(401, "invalid_token");
    let taken = json!({ "tokens": ["graphs-secret"] });
    let taken = gateway.admin("PUT", "/umbrella", Some(taken));
    assert!(taken.error(409, "conflict").contains("the administrator's already"));

    // They are exchanged by SIGHUP.
    let file = gateway.folder().join("portcullis.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("\"second-secret\"", "\"third-secret\"")).unwrap();
    gateway.hang_up();
    gateway.until("the new one holds", |gateway| {
        gateway.api("GET", "/admin/tenants", ADMIN, None).ok();
        gateway.logged("applied the configuration file")
    });
    gateway.api("GET", "/admin/tenants", "third-secret", None).ok();
    gateway.api("GET", "/admin/tenants", "second-secret", None).error(401, "invalid_token");
}

#[test]
fn mistakes_in_tokens_are_told_with_their_place() {
    let folder = TempDir::new().unwrap();
    for (tokens, what) in [
        (r#"[{ name = "crm" }]"#, "missing field `token`"),
        (r#"[{ name = "CRM", token = "a" }]"#, "tenants[0].tokens[0].name: "),
        (r#"[{ name = "token-abcdef", token = "a" }]"#, "tokens that have none"),
        (r#"[{ name = "a", token = "a" }, { name = "a", token = "b" }]"#, "named a already"),
        (r#"[{ name = "a", token = "a", scopes = ["admin"] }]"#, "server.admin_tokens"),
        (r#"[{ name = "a", token = "a", scopes = [] }]"#, "could be used for nothing"),
        (
            r#"[{ name = "a", token = "a", scopes = ["write"] }]"#,
            "must be one of `check`, `block`, `read`, `admin`",
        ),
        (
            r#"[{ name = "a", token = "a", expires = "2027" }]"#,
            "tenants[0].tokens[0].expires: not a time in RFC 3339",
        ),
        (r#"[{ name = "a", token = "a", role = "x" }]"#, "unknown field `role`"),
        ("[1]", "must be a string or a table with name and token"),
    ] {
        let tenants = TENANTS.replace("[\"acme-secret\"]", tokens);
        let said = refused_start(folder.path(), &format!("{SERVER}{tenants}"));
        assert!(said.contains(what), "{tokens}: {said}");
    }
    let many: Vec<String> = (0..257).map(|index| format!("\"acme-{index}\"")).collect();
    let tenants = TENANTS.replace("[\"acme-secret\"]", &format!("[{}]", many.join(",")));
    let said = refused_start(folder.path(), &format!("{SERVER}{tenants}"));
    assert!(said.contains("257 tokens, and 256 are the most"), "{said}");
    // Not two of a tenant, even if one is a sender's.
    let gateway = Gateway::start();
    let twice = json!({
        "tokens": [{ "name": "a", "token": "one-secret" }],
        "senders": [{ "id": "billing", "tokens": [{ "name": "a", "token": "other-secret" }] }],
    });
    let refused = gateway.admin("PUT", "/initech", Some(twice));
    assert!(refused.error(409, "conflict").contains("named a already"));
    assert_eq!(refused.json["error"]["details"][0]["field"], "senders[0].tokens[0].name");
}

const NEW: &str = "initech-secret";

/// A gateway with a tenant of the admin API, with a plain token and a sender.
fn with_initech() -> Gateway {
    let gateway = Gateway::start();
    let settings = json!({ "tokens": [NEW], "senders": [{ "id": "billing" }, { "id": "news" }] });
    assert_eq!(gateway.admin("PUT", "/initech", Some(settings)).status, 201);
    gateway
}

/// Makes a token, and returns it.
#[track_caller]
fn made(gateway: &Gateway, path: &str, request: Value) -> (String, Value) {
    let answer = gateway.admin("POST", path, Some(request));
    assert_eq!(answer.status, 201, "{}", answer.text);
    let token = answer.json["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("pct_") && token.len() == 68);
    (token, answer.json)
}

fn status(gateway: &Gateway, token: &str) -> (u16, Value) {
    let answer = gateway.api("GET", "/senders/billing/status", token, None);
    (answer.status, answer.json["error"]["code"].clone())
}

#[test]
fn a_token_is_made_shown_once_and_removed() {
    let mut gateway = with_initech();
    let request = json!({ "name": "crm", "scopes": ["read", "block"], "expires": "2099-01-31T00:00:00Z" });
    let (token, answer) = made(&gateway, "/initech/tokens", request);
    assert_eq!(answer["scopes"], json!(["block", "read"]));
    assert_eq!(status(&gateway, &token).0, 200);
    let check = json!({ "number": "+46732001122", "direction": "inbound" });
    gateway.api("POST", "/senders/billing/check", &token, Some(check)).error(403, "scope_not_allowed");
    let listed = gateway.admin("GET", "/initech/tokens", None);
    let crm = json!({
        "name": "crm", "scopes": ["block", "read"], "expires": "2099-01-31T00:00:00.000Z", "expired": false,
    });
    assert_eq!(listed.ok()["tokens"][1], crm);
    let plain = listed.json["tokens"][0]["name"].as_str().unwrap().to_owned();
    assert!(plain.starts_with("token-"), "{plain}");
    assert!(!listed.text.contains("sha256:"));
    // It is stored as a digest.
    let shown = gateway.admin("GET", "/initech", None).ok()["settings"]["tokens"][1].clone();
    assert!(shown["name"] == "crm" && shown["token"].as_str().unwrap().starts_with("sha256:"));

    gateway.kill_and_restart();
    assert_eq!(status(&gateway, &token).0, 200);
    assert_eq!(gateway.admin("DELETE", "/initech/tokens/crm", None).ok()["removed"], "crm");
    assert_eq!(status(&gateway, &token), (401, json!("invalid_token")));
    gateway.admin("DELETE", "/initech/tokens/crm", None).error(404, "token_not_found");
    // One without a name goes by the name that it is shown with.
    gateway.admin("DELETE", &format!("/initech/tokens/{plain}"), None).ok();
    assert_eq!(status(&gateway, NEW).0, 401);
}

#[test]
fn a_token_is_rotated_without_a_moment_in_which_none_holds() {
    let gateway = with_initech();
    let plain = gateway.admin("GET", "/initech/tokens", None).ok()["tokens"][0]["name"].clone();
    let (first, answer) = made(&gateway, "/initech/tokens", json!({ "name": "crm", "replaces": plain }));
    assert_eq!((&answer["replaced"]["name"], &answer["replaced"]["expired"]), (&plain, &json!(false)));
    assert_eq!((status(&gateway, NEW).0, status(&gateway, &first).0), (200, 200));
    assert_eq!(gateway.admin("GET", "/initech/tokens", None).ok()["tokens"].as_array().unwrap().len(), 2);

    // Its scopes are those of the one that it replaces.
    let request = json!({ "name": "crm-2", "replaces": "crm", "overlap_seconds": 1 });
    let (second, answer) = made(&gateway, "/initech/tokens", request);
    assert_eq!(answer["scopes"], json!(["check", "block", "read"]));
    assert_eq!(status(&gateway, &second).0, 200);
    gateway
        .until("the first one expires", |gateway| status(gateway, &first) == (401, json!("token_expired")));
    let (third, answer) = made(
        &gateway,
        "/initech/tokens",
        json!({ "name": "crm-2", "replaces": "crm-2", "overlap_seconds": 0 }),
    );
    assert_eq!(answer["replaced"]["expired"], true);
    assert_eq!((status(&gateway, &second), status(&gateway, &third).0), ((401, json!("invalid_token")), 200));
}

#[test]
fn a_sender_has_tokens_of_its_own() {
    let gateway = with_initech();
    let (token, _) = made(&gateway, "/initech/senders/billing/tokens", json!({ "name": "desk" }));
    assert_eq!(status(&gateway, &token).0, 200);
    gateway.api("GET", "/senders/news/status", &token, None).error(403, "sender_not_allowed");
    let listed = gateway.admin("GET", "/initech/senders/billing/tokens", None);
    assert_eq!(listed.ok()["tokens"][0]["name"], "desk");
    let twice = gateway.admin("POST", "/initech/tokens", Some(json!({ "name": "desk" })));
    assert!(twice.error(409, "conflict").contains("named desk already"));
    gateway.admin("GET", "/initech/senders/nobody/tokens", None).error(404, "unknown_sender");
    gateway
        .admin("POST", "/initech/senders/nobody/tokens", Some(json!({ "name": "x" })))
        .error(404, "unknown_sender");
    gateway.admin("DELETE", "/initech/senders/billing/tokens/desk", None).ok();
    assert_eq!(status(&gateway, &token).0, 401);
}

#[test]
fn mistakes_in_requests_for_tokens_change_nothing() {
    let gateway = with_initech();
    let before = gateway.admin("GET", "/initech", None);
    for (request, code, what) in [
        (json!({}), 400, "missing field `name`"),
        (json!({ "name": "CRM" }), 400, "one of a-z"),
        (json!({ "name": "a", "scopes": ["admin"] }), 400, "server.admin_tokens"),
        (json!({ "name": "a", "expires": "tomorrow" }), 400, "RFC 3339"),
        (json!({ "name": "a", "overlap_seconds": 5 }), 400, "no token is replaced"),
        (json!({ "name": "a", "replaces": "b", "overlap_seconds": 2_592_001 }), 400, "30 days"),
        (json!({ "name": "a", "token": "x" }), 400, "unknown field `token`"),
        (json!({ "name": "a", "replaces": "nobody" }), 404, "no token of this name"),
    ] {
        let refused = gateway.admin("POST", "/initech/tokens", Some(request.clone()));
        let message = refused.json["error"]["message"].as_str().unwrap_or_default();
        assert!(refused.status == code && message.contains(what), "{request}: {}", refused.text);
    }
    gateway.admin("POST", "/nobody/tokens", Some(json!({ "name": "a" }))).error(404, "unknown_tenant");
    // Those of the file are listed, and changed there.
    assert_eq!(gateway.admin("GET", "/acme/tokens", None).ok()["tokens"].as_array().unwrap().len(), 1);
    gateway.admin("POST", "/acme/tokens", Some(json!({ "name": "a" }))).error(409, "conflict");
    assert_eq!(gateway.admin("GET", "/initech", None).ok(), before.ok());
}
