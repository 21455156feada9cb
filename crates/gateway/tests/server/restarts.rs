//! Acknowledged writes survive restarts.

use portcullis_plugin_bundle::{EVIL, EXACT};
use serde_json::json;

use super::support::{GLOBEX, Gateway, SERVER, TENANTS};

#[test]
fn entries_survive_a_restart() {
    let mut gateway = Gateway::start();
    gateway
        .post("/senders/support/entries", json!({ "number": "+46732001122", "reason": "wrote STOP" }))
        .ok();
    gateway.post("/tenant/entries", json!({ "number": "+46732002244", "directions": ["outbound"] })).ok();
    gateway.block("+46732003366");
    gateway.delete("/senders/support/entries", json!({ "number": "+46732003366" })).ok();
    let before = gateway.get("/senders/support/entries?status=all");
    gateway.restart();
    assert_eq!(gateway.get("/senders/support/entries?status=all").ok(), before.ok());
    assert_eq!(gateway.verdict("+46732001122"), "block");
    assert_eq!(gateway.verdict_of("sales", "+46732002244", "outbound"), "block");
    assert_eq!(gateway.verdict("+46732002244"), "allow");
    assert_eq!(gateway.verdict("+46732003366"), "allow");
}

#[test]
fn an_acknowledged_write_survives_sigkill() {
    let mut gateway = Gateway::start();
    for round in 0..5 {
        let number = format!("+4673200112{round}");
        gateway.block(&number);
        gateway.kill_and_restart();
        assert_eq!(gateway.verdict(&number), "block", "{number}");
    }
    gateway.delete("/senders/support/entries", json!({ "number": "+46732001120" })).ok();
    gateway.kill_and_restart();
    assert_eq!(gateway.verdict("+46732001120"), "allow");
    assert_eq!(gateway.get("/senders/support/status").ok()["count"], 4);
}

#[test]
fn a_plugin_whose_file_was_removed_serves_after_a_restart() {
    let config = format!("{SERVER}{}", TENANTS.replace("id = \"acme\"", "id = \"acme\"\nplugin = \"mine\""));
    let mut gateway = Gateway::with_plugin(&config, Some(("mine.wasm", EXACT.component)));
    gateway.block("+46732001122");
    gateway.stop();
    std::fs::remove_file(gateway.folder().join("plugins/mine.wasm")).unwrap();
    gateway.run_again_with(&[]);
    let answer =
        gateway.post("/senders/support/check", json!({ "number": "+46732001122", "direction": "inbound" }));
    assert_eq!((&answer.ok()["verdict"], &answer.ok()["source"]), (&json!("block"), &json!("plugin")));
}

#[test]
fn a_tenant_whose_plugin_is_lost_does_not_keep_the_others_from_being_served() {
    let config = format!("{SERVER}{}", TENANTS.replace("id = \"acme\"", "id = \"acme\"\nplugin = \"mine\""));
    let mut gateway = Gateway::with_plugin(&config, Some(("mine.wasm", EXACT.component)));
    gateway.block("+46732001122");
    gateway.stop();
    std::fs::remove_dir_all(gateway.folder().join("plugins")).unwrap();
    gateway.run_again_with(&[]);
    gateway.until_logged("the tenant's plugin is not there");
    let number = json!({ "number": "+46732001122", "direction": "inbound" });
    assert_eq!(gateway.post("/senders/support/check", number.clone()).ok()["source"], "policy");
    let other = gateway.api("POST", "/senders/support/check", GLOBEX, Some(number.clone()));
    assert_eq!(other.ok()["source"], "plugin");
    // The file of settings can be changed all the same.
    let changed = config.replace("globex-secret", "globex-new");
    std::fs::write(gateway.folder().join("portcullis.toml"), changed).unwrap();
    gateway.hang_up();
    gateway.until("the token changes", |gateway| {
        gateway.api("GET", "/status", "globex-new", None).status == 200
    });
    gateway.drop_plugin("mine", EXACT.component);
    gateway.until("its file is back", |gateway| {
        gateway.post("/senders/support/check", number.clone()).ok()["source"] == "plugin"
    });
}

#[test]
fn the_tenants_that_were_used_most_are_served_while_others_are_loaded() {
    let stuck = |extra: &str| -> String {
        let tenant =
            |n| format!("[[tenants]]\nid = \"stuck-{n}\"\ntokens = [\"stuck-secret-{n}\"]\n{extra}\n");
        (0..80).map(tenant).collect()
    };
    // In the order of the file, acme and globex are the last ones.
    let config = format!("{SERVER}{}{TENANTS}", stuck(""));
    let mut gateway = Gateway::with_plugin(&config, Some(("evil.wasm", EVIL.component)));
    gateway.block("+46732001122");
    assert_eq!(gateway.verdict("+46732001122"), "block");
    gateway.stop();
    let kept = std::fs::read_to_string(gateway.folder().join("portcullis.db.usage")).unwrap();
    assert_eq!(kept, "1 acme\n");
    // Each of them is waited for, for some seconds.
    let config = format!(
        "{SERVER}{}{TENANTS}",
        stuck("plugin = \"evil\"\nplugin_options = { mode = \"spin-in-configure\" }")
    );
    std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
    gateway.start_again();
    let check = |gateway: &Gateway, token| {
        let number = json!({ "number": "+46732001122", "direction": "outbound" });
        gateway.api("POST", "/senders/support/check", token, Some(number))
    };
    gateway.until("acme is served", |gateway| check(gateway, "acme-secret").status != 503);
    assert_eq!(check(&gateway, "acme-secret").ok()["verdict"], "block");
    gateway.block("+46732001133");
    assert_eq!(gateway.verdict("+46732001133"), "block");
    // The others are not unknown, but not there yet.
    assert_eq!(gateway.call("GET", "/readyz", "", None).status, 503);
    let early = check(&gateway, GLOBEX);
    early.error(503, "unavailable");
    assert_eq!(early.header("retry-after"), "1");
    check(&gateway, "nobody-s").error(503, "unavailable");
    gateway.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
    assert_eq!(check(&gateway, GLOBEX).ok()["verdict"], "allow");
    assert_eq!(check(&gateway, "nobody-s").status, 401);
}

#[test]
fn tenants_that_the_file_lacks_are_named_at_a_start() {
    let mut gateway = Gateway::start();
    gateway.stop();
    let (torn, _) = TENANTS.split_once("[[tenants]]\nid = \"globex\"").unwrap();
    std::fs::write(gateway.folder().join("portcullis.toml"), format!("{SERVER}{torn}")).unwrap();
    gateway.run_again_with(&[]);
    gateway.until_logged("is the file whole?");
    gateway.until_logged("globex");
}

#[test]
fn a_second_gateway_on_the_same_ledger_is_refused() {
    let gateway = Gateway::start();
    let config = std::fs::read_to_string(gateway.folder().join("portcullis.toml")).unwrap();
    let message = super::support::refused_start(gateway.folder(), &config);
    assert!(message.contains("in use"), "{message}");
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}
