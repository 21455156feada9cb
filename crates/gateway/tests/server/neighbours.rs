//! Tenants whose plugins are slow or don't start, and the others beside them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis_plugin_bundle::EVIL;
use serde_json::json;

use super::raw;
use super::support::{ACME, Gateway, SERVER, TENANTS, refused_start};

/// A tenant whose plugin misbehaves in this way.
fn tenant(mode: &str) -> String {
    format!(
        "[[tenants]]\nid = 'evil'\nplugin = 'evil'\nplugin_options = {{ mode = '{mode}' }}\non_failure = 'ledger'\n\
         tokens = ['evil-secret']\n[[tenants.senders]]\nid = 'support'\n"
    )
}

/// Sends requests of the evil tenant on many connections. Returns how many were unanswered when `others` ended.
fn beside(
    gateway: &Gateway,
    path: &str,
    body: impl Fn(usize) -> String + Sync,
    others: impl FnOnce(),
) -> usize {
    const REQUESTS: usize = 100;
    let (begun, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for n in 0..REQUESTS {
            let (begun, answered, body) = (&begun, &answered, &body);
            scope.spawn(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let answer = gateway.call("POST", path, "evil-secret", Some(body(n)));
                answered.fetch_add(1, Ordering::SeqCst);
                assert_eq!(answer.status, 200, "{}", answer.json);
            });
        }
        while begun.load(Ordering::SeqCst) < REQUESTS {
            thread::yield_now();
        }
        others();
        REQUESTS - answered.load(Ordering::SeqCst)
    })
}

fn number(n: usize) -> String {
    format!("+4673200{n:04}")
}

#[test]
fn slow_checks_hold_up_no_other_tenant() {
    let config = format!("{SERVER}check_patience_ms = 60000\n{TENANTS}{}", tenant("slow-check"));
    let gateway = Gateway::with_plugin(&config, Some(("evil.wasm", EVIL.component)));
    gateway.block(&number(5));
    let check = |n: usize| json!({ "number": number(n), "direction": "inbound" }).to_string();
    let unanswered = beside(&gateway, "/portcullis/v1/senders/support/check", check, || {
        for n in 0..20 {
            assert_eq!(gateway.verdict(&number(n)), if n == 5 { "block" } else { "allow" });
        }
        assert_eq!(gateway.call("GET", "/healthz", "", None).status, 200);
    });
    assert!(unanswered > 0, "the others were answered first");
}

#[test]
fn slow_writes_hold_up_no_other_tenant() {
    let config = format!("{SERVER}{TENANTS}{}", tenant("slow-block"));
    let gateway = Gateway::with_plugin(&config, Some(("evil.wasm", EVIL.component)));
    // 20 entries of 2 ms each.
    let entries = |n: usize| {
        let numbers: Vec<String> = (0..20).map(|entry| number(n * 20 + entry)).collect();
        json!({ "numbers": numbers }).to_string()
    };
    let unanswered = beside(&gateway, "/portcullis/v1/senders/support/entries", entries, || {
        for n in 0..5 {
            gateway.block(&number(n));
            assert_eq!(gateway.verdict(&number(n)), "block");
        }
        assert_eq!(gateway.call("GET", "/readyz", "", None).status, 200);
        assert_eq!(gateway.call("GET", "/portcullis/v1/tenant/status", ACME, None).status, 200);
    });
    assert!(unanswered > 0, "the others were answered first");
}

#[test]
fn a_tenant_that_is_slow_to_fill_holds_up_no_change_of_another() {
    let gateway = Gateway::with_plugin(&format!("{SERVER}{TENANTS}"), Some(("evil.wasm", EVIL.component)));
    // It takes a second or more to verify each of its lists.
    let senders: Vec<_> = (0..8).map(|n| json!({ "id": format!("sender-{n}") })).collect();
    let slow = json!({ "plugin": "evil", "plugin_options": { "mode": "slow-check" }, "senders": senders });
    thread::scope(|scope| {
        let put = scope.spawn(|| gateway.admin("PUT", "/slow", Some(slow)));
        let quick = json!({ "senders": [{ "id": "support" }] });
        let change = |_: &i32| {
            let answer = gateway.admin("PUT", "/quick", Some(quick.clone()));
            assert!(matches!(answer.status, 200 | 201), "{}", answer.json);
            !put.is_finished()
        };
        let changes = (0..10).take_while(change).count();
        assert!(changes == 10 && !put.is_finished(), "{changes} changes before it was filled");
        assert_eq!(put.join().unwrap().status, 201);
    });
}

#[test]
fn a_tenant_whose_plugin_does_not_start_is_out_of_service_and_the_others_are_served() {
    for (mode, why) in [("spin-in-configure", "interrupted"), ("no-such-mode", "not the name of a mode")] {
        let config = format!("{SERVER}{TENANTS}{}", tenant(mode));
        let gateway = Gateway::with_plugin(&config, Some(("evil.wasm", EVIL.component)));
        gateway.block(&number(5));
        assert_eq!(gateway.verdict(&number(5)), "block");
        let body = json!({ "number": number(5), "direction": "inbound" });
        let answer = gateway.api("POST", "/senders/support/check", "evil-secret", Some(body));
        assert_eq!((&answer.ok()["verdict"], &answer.json["source"]), (&json!("allow"), &json!("ledger")));
        let last = &gateway.plugin("evil")["last"];
        // On a busy machine it may go on in the background.
        let is_said = |text: &str| text.contains(why) || text.contains("takes long to start");
        assert!(last["why"].as_str().is_some_and(is_said), "{last}");
        let (log, _folder) = gateway.log_after_the_end();
        let line = log.lines().find(|line| line.contains("ERROR")).unwrap();
        assert!(line.contains("tenant=evil") && is_said(line), "{line}");
    }
}

#[test]
fn a_file_that_is_no_plugin_keeps_nobody_else_from_being_served() {
    let config = format!("{SERVER}{TENANTS}{}", tenant("well-behaved"));
    let gateway = Gateway::with_plugin(&config, Some(("evil.wasm", b"\x7fELF")));
    assert_eq!(gateway.verdict(&number(5)), "allow");
    gateway.drop_plugin("evil", EVIL.component);
    gateway.until("served", |gateway| {
        gateway.api("GET", "/senders/support/status", "evil-secret", None).ok()["state"] == "serving"
    });
}

#[test]
fn the_strict_form_refuses_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    std::fs::write(folder.path().join("plugins/evil.wasm"), EVIL.component).unwrap();
    let config = format!("{SERVER}on_start_failure = \"refuse\"\n{TENANTS}{}", tenant("no-such-mode"));
    let message = refused_start(folder.path(), &config);
    assert!(message.contains("tenant evil") && message.contains("is not the name of a mode"), "{message}");
}

#[test]
fn pipelined_requests_are_all_answered_while_others_are() {
    let gateway = Gateway::start();
    gateway.block(&number(5));
    let health = raw::head("GET", "/healthz", &[]);
    let body = json!({ "number": number(5), "direction": "inbound" }).to_string();
    let headers = [
        format!("authorization: Bearer {ACME}"),
        "content-type: application/json".to_owned(),
        format!("content-length: {}", body.len()),
    ];
    let check = raw::head("POST", "/portcullis/v1/senders/support/check", &headers) + &body;
    thread::scope(|scope| {
        for request in [&health, &health, &check, &check] {
            scope.spawn(|| raw::flood(&gateway, request, 2_000, 200));
        }
        for n in 0..100 {
            assert_eq!(gateway.verdict(&number(n)), if n == 5 { "block" } else { "allow" });
        }
    });
}

#[test]
fn a_tenant_that_finds_no_memory_may_be_put_later() {
    let config = format!("{SERVER}memory_limit_bytes = 134217728\n{TENANTS}");
    let gateway = Gateway::with_plugin(&config, Some(("evil.wasm", EVIL.component)));
    // Each of its two lists takes 40 MiB.
    let put = |id: &str, plugin: &str, mode: &str| {
        let options = if mode.is_empty() { json!({}) } else { json!({ "mode": mode }) };
        let senders = json!([{ "id": "support" }]);
        let settings = json!({ "plugin": plugin, "plugin_options": options, "senders": senders });
        gateway.admin("PUT", &format!("/{id}"), Some(settings))
    };
    assert_eq!(put("first", "evil", "fat").status, 201);
    let refused = put("second", "evil", "fat");
    assert!(refused.error(503, "unavailable").contains("the plugins of all tenants"), "{}", refused.json);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    gateway.admin("GET", "/second", None).error(404, "unknown_tenant");
    assert_eq!(put("third", "exact", "").status, 201);
    // The same holds for a change of the plugin.
    let change = json!({ "plugin": "evil", "options": { "mode": "fat" } });
    let refused = gateway.admin("POST", "/third/plugin", Some(change));
    refused.error(503, "unavailable");
    assert_eq!(gateway.plugin("third")["serving"]["plugin"], "exact");
    assert_eq!(gateway.admin("DELETE", "/first?confirm=first", None).status, 200);
    let put_again = put("second", "evil", "fat");
    assert_eq!(put_again.status, 201, "{}", put_again.json);
}
