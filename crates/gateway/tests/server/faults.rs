//! Plugins that fail, and the policy that answers meanwhile.

use portcullis_plugin_bundle::EVIL;
use serde_json::{Value, json};
use ureq::http::Request;

use super::support::{Gateway, SERVER, TENANTS, outcomes, refused_start};

/// A gateway with a tenant whose plugin misbehaves in this way, and another with a good one.
fn evil(mode: &str, on_failure: &str) -> Gateway {
    let tenant = format!(
        "[[tenants]]\nid = 'evil'\nplugin = 'evil'\nplugin_options = {{ mode = '{mode}' }}\non_failure = '{on_failure}'\n\
         tokens = ['evil-secret']\n[[tenants.senders]]\nid = 'support'\n"
    );
    Gateway::with_plugin(&format!("{SERVER}{TENANTS}{tenant}"), Some(("evil.wasm", EVIL.component)))
}

fn request(gateway: &Gateway, method: &str, path: &str, body: Value) -> super::support::Answer {
    gateway.api(method, &format!("/senders/support{path}"), "evil-secret", Some(body))
}

fn check(gateway: &Gateway, number: &str) -> (String, String) {
    let answer = request(gateway, "POST", "/check", json!({ "number": number, "direction": "inbound" }));
    let text = |field: &str| answer.ok()[field].as_str().unwrap().to_owned();
    (text("verdict"), text("source"))
}

fn policy(verdict: &str, source: &str) -> (String, String) {
    (verdict.to_owned(), source.to_owned())
}

#[test]
fn while_a_plugin_fails_the_tenants_policy_answers() {
    for (mode, on_failure, answer) in [
        ("panic", "closed", policy("block", "policy")),
        ("panic", "open", policy("allow", "policy")),
        ("recurse", "open", policy("allow", "policy")),
        ("spin-in-check", "closed", policy("block", "policy")),
    ] {
        let gateway = evil(mode, on_failure);
        for _ in 0..3 {
            assert_eq!(check(&gateway, "+46732001122"), answer, "{mode}");
        }
        // Other tenants are not affected.
        assert_eq!(gateway.verdict("+46732001122"), "allow");
    }
}

#[test]
fn the_ledger_answers_exactly_if_that_is_the_policy() {
    let gateway = evil("panic", "ledger");
    request(&gateway, "POST", "/entries", json!({ "number": "+46732001122", "directions": ["inbound"] }))
        .ok();
    assert_eq!(check(&gateway, "+46732001122"), policy("block", "ledger"));
    assert_eq!(check(&gateway, "+46732002244"), policy("allow", "ledger"));
    let body = json!({ "numbers": ["+46732002244", "+46732001122"], "direction": "inbound" });
    let many = request(&gateway, "POST", "/check", body);
    assert_eq!((&many.ok()["blocked"], &many.json["source"]), (&json!(["+46732001122"]), &json!("ledger")));
    let outbound = json!({ "number": "+46732001122", "direction": "outbound" });
    assert_eq!(request(&gateway, "POST", "/check", outbound).ok()["verdict"], "allow");
}

#[test]
fn a_check_with_a_position_is_answered_by_the_ledger_instead() {
    let gateway = evil("panic", "open");
    let (own, wide, neither) = ("+46732001122", "+46732002244", "+46732003355");
    let blocked_wide = gateway.api("POST", "/tenant/entries", "evil-secret", Some(json!({ "number": wide })));
    let written = [request(&gateway, "POST", "/entries", json!({ "number": own })), blocked_wide];
    let positions = written.each_ref().map(|answer| answer.header("portcullis-position")).join(", ");
    let check_since = |body: Value| {
        let request = Request::post(format!("{}/portcullis/v1/senders/support/check", gateway.url()))
            .header("authorization", "Bearer evil-secret")
            .header("content-type", "application/json")
            .header("portcullis-position", positions.as_str());
        gateway.send(request.body(body.to_string()).unwrap()).ok().clone()
    };
    for (number, verdict) in [(own, "block"), (wide, "block"), (neither, "allow")] {
        assert_eq!(check(&gateway, number), policy("allow", "policy"));
        let seen = check_since(json!({ "number": number, "direction": "inbound" }));
        assert_eq!((&seen["verdict"], &seen["source"]), (&json!(verdict), &json!("ledger")), "{number}");
    }
    let seen = check_since(json!({ "numbers": [neither, own, wide], "direction": "inbound" }));
    assert_eq!((&seen["blocked"], &seen["source"]), (&json!([own, wide]), &json!("ledger")));
}

#[test]
fn a_batch_follows_the_policy_too() {
    let gateway = evil("short-bitmap", "closed");
    let body = json!({ "numbers": ["+46732001122", "+46732002244"], "direction": "inbound" });
    let answer = request(&gateway, "POST", "/check", body);
    assert_eq!(
        (answer.ok()["blocked"].as_array().unwrap().len(), &answer.json["source"]),
        (2, &json!("policy"))
    );
}

#[test]
fn a_write_is_kept_even_if_the_plugin_refuses_it() {
    let gateway = evil("refuse-entries", "ledger");
    let written = request(&gateway, "POST", "/entries", json!({ "number": "+46732001122" }));
    assert_eq!(outcomes(&written), ["added"]);
    assert_eq!(check(&gateway, "+46732001122"), policy("block", "ledger"));
    let status = gateway.api("GET", "/senders/support/status", "evil-secret", None);
    assert_eq!((&status.ok()["state"], &status.json["count"]), (&json!("recovering"), &json!(1)));
    // Without that entry the plugin can be filled again.
    request(&gateway, "DELETE", "/entries", json!({ "number": "+46732001122" })).ok();
    gateway.until("recovered", |gateway| {
        gateway.api("GET", "/senders/support/status", "evil-secret", None).ok()["state"] == "serving"
    });
    assert_eq!(check(&gateway, "+46732001122"), policy("allow", "plugin"));
}

#[test]
fn a_failed_plugin_is_filled_again() {
    let gateway = evil("panic-later", "closed");
    let is_policy = |answer: (String, String)| answer.1 == "policy";
    gateway.until("it fails in service", |gateway| is_policy(check(gateway, "+46732002244")));
    gateway.until("recovered", |gateway| {
        gateway.api("GET", "/senders/support/status", "evil-secret", None).ok()["state"] == "serving"
    });
    let (log, _folder) = gateway.log_after_the_end();
    let warning = log.lines().find(|line| line.contains("WARN") && line.contains("tenant=evil")).unwrap();
    assert!(warning.contains("trapped") && warning.contains("on purpose"), "{warning}");
}

#[test]
fn a_gateway_whose_plugin_can_not_be_filled_starts_under_the_policy() {
    let mut gateway = evil("miscount", "ledger");
    request(&gateway, "POST", "/entries", json!({ "number": "+46732001122" })).ok();
    gateway.kill_and_restart();
    assert_eq!(check(&gateway, "+46732001122"), policy("block", "ledger"));
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}

#[test]
fn a_plugin_that_can_not_be_loaded_refuses_the_start_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    let file = folder.path().join("plugins/noise.wasm");
    let config = |plugin: &str, options: &str| {
        format!(
            "{SERVER}on_start_failure = \"refuse\"\n[[tenants]]\nid = 'a'\nplugin = '{plugin}'\nplugin_options = {{ {options} }}\n"
        )
    };
    std::fs::write(&file, [0x7f, 0x45, 0x4c, 0x46, 0x99]).unwrap();
    let message = refused_start(folder.path(), &config("noise", ""));
    assert!(message.contains("tenant a") && message.contains("plugins/noise.wasm"), "{message}");
    assert!(message.contains("does not fit"), "{message}");

    std::fs::write(&file, b"").unwrap();
    assert!(refused_start(folder.path(), &config("noise", "")).contains("plugins/noise.wasm"));

    std::fs::write(&file, EVIL.component).unwrap();
    let message = refused_start(folder.path(), &config("noise", "mode = 'spin-in-configure'"));
    assert!(message.contains("interrupted"), "{message}");
    let message = refused_start(folder.path(), &config("noise", ""));
    assert!(message.contains("is not the name of a mode"), "{message}");
}

#[test]
fn a_file_overrides_the_built_in_plugin_of_its_name() {
    let config = format!(
        "{SERVER}[[tenants]]\nid = 'a'\nplugin_options = {{ mode = 'panic' }}\ntokens = ['acme-secret']\n"
    );
    let gateway = Gateway::with_plugin(&config, Some(("exact.wasm", EVIL.component)));
    assert_eq!(gateway.get("/tenant/status").ok()["plugin"]["name"], "evil");
}
