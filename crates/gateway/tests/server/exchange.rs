//! Replacing a tenant's plugin while it serves. The list stays intact, and a new plugin that fails leaves the old one serving.

use portcullis_plugin_bundle::{ECHO_RULES, EVIL, EVIL_RULES, EXACT, PREFIX};
use serde_json::{Value, json};

use super::support::{ACME, Gateway, SERVER, TENANTS, digest, variant};

fn exchange(gateway: &Gateway, body: Value) -> super::support::Answer {
    gateway.admin("POST", "/acme/plugin", Some(body))
}

fn serving(gateway: &Gateway) -> String {
    gateway.plugin("acme")["serving"]["version"].as_str().unwrap().to_owned()
}

fn summary(gateway: &Gateway) -> String {
    gateway.plugin("acme")["summary"].as_str().unwrap().to_owned()
}

/// Asserts that the list is unchanged and accepts writes.
fn is_intact(gateway: &Gateway) {
    assert_eq!(gateway.verdict("+46732001122"), "block");
    assert_eq!(gateway.verdict("+46732002244"), "allow");
    gateway.block("+46732003366");
    assert_eq!(gateway.verdict("+46732003366"), "block");
    gateway.delete("/senders/support/entries", json!({ "number": "+46732003366" })).ok();
    assert_eq!(gateway.verdict("+46732003366"), "allow");
}

fn with_an_entry() -> Gateway {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    gateway
}

/// Starts a gateway with a tenant that grants numbers in clear.
fn granting() -> Gateway {
    let tenants = TENANTS.replace("id = \"acme\"", "id = \"acme\"\nclear_numbers = true");
    let gateway = Gateway::with(&format!("{SERVER}{tenants}"));
    gateway.block("+46732001122");
    gateway
}

#[test]
fn a_new_file_serves_with_the_list_intact() {
    let gateway = with_an_entry();
    assert_eq!(serving(&gateway), digest(EXACT.component));
    for name in [b'a', b'b'] {
        let component = variant(EXACT.component, name);
        gateway.drop_plugin("exact", &component);
        gateway.until("the new version serves", |gateway| serving(gateway) == digest(&component));
        is_intact(&gateway);
    }
    let status = gateway.plugin("acme");
    let lists = status["lists"].as_array().unwrap();
    assert_eq!(lists.len(), 3);
    assert!(lists.iter().all(|list| list["serving"] == true && list["generation"] == 3), "{status}");
    assert_eq!((&status["stage"], &status["last"]["outcome"]), (&json!("watching"), &json!("served")));
    // Globex uses the same plugin.
    let version = &status["serving"]["version"];
    gateway.until("globex has it, too", |gateway| gateway.plugin("globex")["serving"]["version"] == *version);
}

#[test]
fn a_half_written_file_is_reported_and_the_complete_one_serves() {
    let gateway = with_an_entry();
    let component = variant(EXACT.component, b'a');
    gateway.drop_plugin("exact", &component[..component.len() / 2]);
    gateway.until("it is refused", |gateway| summary(gateway).contains("was refused"));
    let told = summary(&gateway);
    assert!(told.contains("exact.wasm") && told.contains("damaged or truncated"), "{told}");
    assert_eq!(serving(&gateway), digest(EXACT.component));
    is_intact(&gateway);
    gateway.drop_plugin("exact", &component);
    gateway.until("the whole one serves", |gateway| serving(gateway) == digest(&component));
    is_intact(&gateway);
}

#[test]
fn a_file_that_is_no_plugin_is_refused_and_changes_nothing() {
    let gateway = with_an_entry();
    let module = b"\0asm\x01\0\0\0";
    for (component, why) in
        [(&b"random bytes"[..], "not WebAssembly"), (module, "not a component"), (b"", "not WebAssembly")]
    {
        let answer = gateway.put_plugin("exact", component);
        assert!(answer.error(400, "invalid_plugin").contains(why), "{}", answer.json);
    }
    gateway.put_plugin("E%20vil", EXACT.component).error(400, "invalid_plugin");
    let path = "/portcullis/v1/admin/plugins/exact";
    gateway.call("PUT", path, ACME, Some("{}".to_owned())).error(401, "invalid_token");
    gateway.call("PUT", path, "admin-secret", Some("{}".to_owned())).error(415, "unsupported_media_type");
    assert!(!gateway.folder().join("plugins/exact.wasm").exists());
    assert_eq!(serving(&gateway), digest(EXACT.component));
    is_intact(&gateway);
}

#[test]
fn a_rollback_survives_a_restart() {
    let mut gateway = with_an_entry();
    let component = variant(EXACT.component, b'a');
    let put = gateway.put_plugin("exact", &component);
    assert_eq!((&put.ok()["version"], &put.json["tenants"]), (&json!(digest(&component)), &json!(2)));
    gateway.until("it serves", |gateway| serving(gateway) == digest(&component));
    let back = gateway.admin("POST", "/acme/plugin/rollback", None);
    assert_eq!(back.ok()["serving"]["version"], digest(EXACT.component), "{}", back.json);
    assert_eq!(
        (&back.json["serving"]["pinned"], &back.json["last"]["outcome"]),
        (&json!(true), &json!("rolled_back"))
    );
    is_intact(&gateway);
    // The file still exists, and is still the newest.
    gateway.restart();
    assert_eq!(serving(&gateway), digest(EXACT.component));
    assert_eq!(gateway.plugin("globex")["serving"]["version"], digest(&component));
    is_intact(&gateway);
    assert_eq!(exchange(&gateway, json!({})).ok()["serving"]["version"], digest(&component));
    is_intact(&gateway);
    let nothing = gateway.admin("POST", "/globex/plugin/rollback", None);
    nothing.error(409, "nothing_to_do");
}

#[test]
fn a_version_can_be_pinned() {
    let gateway = with_an_entry();
    let (one, other) = (variant(EXACT.component, b'a'), variant(EXACT.component, b'b'));
    gateway.put_plugin("exact", &one).ok();
    gateway.until("it serves", |gateway| serving(gateway) == digest(&one));
    let chosen = exchange(&gateway, json!({ "version": digest(EXACT.component) }));
    assert_eq!(chosen.ok()["serving"]["pinned"], true);
    gateway.put_plugin("exact", &other).ok();
    gateway.until("globex has the newest", |gateway| {
        gateway.plugin("globex")["serving"]["version"] == digest(&other)
    });
    assert_eq!(serving(&gateway), digest(EXACT.component));
    let unknown = exchange(&gateway, json!({ "version": "sha256:0000000000" }));
    assert!(unknown.error(409, "plugin_refused").contains("has no version"), "{}", unknown.json);
    let versions = gateway.api("GET", "/admin/plugins", "admin-secret", None);
    let exact = versions.ok()["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .find(|plugin| plugin["plugin"] == "exact")
        .unwrap();
    assert_eq!(exact["versions"].as_array().unwrap().len(), 3, "{exact}");
    assert_eq!(
        (&exact["versions"][0]["version"], &exact["versions"][0]["newest"]),
        (&json!(digest(&other)), &json!(true))
    );
}

#[test]
fn options_that_the_plugin_refuses_leave_the_old_ones() {
    let gateway = with_an_entry();
    let refused = exchange(&gateway, json!({ "options": { "treshold": 3 } }));
    let why = refused.error(409, "plugin_refused").to_owned();
    assert!(why.contains("has no options"), "{why}");
    assert!(summary(&gateway).contains("has no options"), "{}", summary(&gateway));
    is_intact(&gateway);
    exchange(&gateway, json!({ "plugin": "unheard-of" })).error(409, "plugin_refused");
    exchange(&gateway, json!({ "pluggin": "exact" })).error(400, "invalid_request");
    gateway.admin("POST", "/nobody/plugin", Some(json!({}))).error(404, "unknown_tenant");
}

#[test]
fn a_plugin_with_wrong_answers_is_refused_before_it_serves() {
    let gateway = with_an_entry();
    for n in 0..30 {
        gateway.block(&format!("+467320044{n:02}"));
    }
    gateway.put_plugin("evil", EVIL.component).ok();
    for (mode, why) in [
        ("forget-every-third", "sampled entries"),
        ("miscount", "counts"),
        ("refuse-entries", "it takes no entries today"),
        ("panic", "trapped"),
        ("spin-in-check", "interrupted"),
        ("spin-in-configure", "interrupted"),
    ] {
        let refused = exchange(&gateway, json!({ "plugin": "evil", "options": { "mode": mode } }));
        let told = refused.error(409, "plugin_refused").to_owned();
        assert!(told.contains(why), "{mode}: {told}");
        assert!(summary(&gateway).contains(why), "{}", summary(&gateway));
        assert_eq!(serving(&gateway), digest(EXACT.component));
        is_intact(&gateway);
    }
}

#[test]
fn a_tenant_moves_to_prefix_rules_and_back_with_its_entries() {
    let gateway = granting();
    let rules = json!({ "block": ["4673555"], "allow": ["46735551"] });
    let moved = exchange(&gateway, json!({ "plugin": "prefix", "options": rules }));
    assert_eq!(moved.ok()["serving"]["plugin"], "prefix");
    is_intact(&gateway);
    assert_eq!(gateway.verdict("+46735552222"), "block");
    assert_eq!(gateway.verdict("+46735551222"), "allow");
    gateway.block("+46735551222");
    assert_eq!(gateway.verdict("+46735551222"), "block", "whoever opted out stays so");
    let back = exchange(&gateway, json!({ "plugin": "exact" }));
    assert_eq!(back.ok()["serving"]["plugin"], "exact");
    assert_eq!(gateway.verdict("+46735552222"), "allow");
    assert_eq!(gateway.verdict("+46735551222"), "block");
    is_intact(&gateway);
}

#[test]
fn without_the_grant_a_plugin_for_numbers_in_clear_is_refused() {
    let gateway = with_an_entry();
    let refused = exchange(&gateway, json!({ "plugin": "prefix" }));
    let why = refused.error(409, "plugin_refused").to_owned();
    assert!(why.contains("clear_numbers = true"), "{why}");
    is_intact(&gateway);
}

#[test]
fn a_shadow_run_reports_disagreements_and_discards_or_promotes() {
    let gateway = granting();
    let shadow = |max: u64, checks: Option<u64>| {
        let rules = json!({ "block": ["4673555"] });
        let terms = json!({ "max_disagreements": max, "checks": checks.unwrap_or(1_000_000) });
        exchange(&gateway, json!({ "plugin": "prefix", "options": rules, "shadow": terms })).ok().clone()
    };
    // One disagreement is too many.
    assert_eq!(shadow(0, None)["stage"], "shadowing");
    assert_eq!(gateway.verdict("+46735552222"), "allow", "nobody hears it");
    gateway.until("it is discarded", |gateway| gateway.plugin("acme")["stage"] == "resting");
    let status = gateway.plugin("acme");
    assert_eq!(
        (&status["last"]["outcome"], &status["serving"]["plugin"]),
        (&json!("refused"), &json!("exact"))
    );
    assert!(summary(&gateway).contains("disagreed"), "{}", summary(&gateway));
    let told = &status["shadow"]["latest"][0];
    assert_eq!((&told["number"], &told["serving"]), (&json!("+46*******22"), &json!("allow")), "{status}");

    assert!(gateway.metrics().contains(r#"portcullis_reloads_total{tenant="acme",outcome="refused"} 1"#));

    // If some are allowed, the plugin is promoted after enough checks.
    shadow(100, Some(20));
    for _ in 0..20 {
        assert_eq!(gateway.verdict("+46732002244"), "allow");
    }
    gateway.until("it is promoted", |gateway| gateway.plugin("acme")["serving"]["plugin"] == "prefix");
    assert_eq!(gateway.verdict("+46735552222"), "block");
    gateway.admin("POST", "/acme/plugin/rollback", None).ok();
    assert_eq!(gateway.verdict("+46735552222"), "allow");

    // Manually: promote and roll back.
    shadow(100, None);
    let given_up = gateway.admin("POST", "/acme/plugin/rollback", None);
    assert_eq!(
        (&given_up.ok()["stage"], &given_up.json["serving"]["plugin"]),
        (&json!("resting"), &json!("exact"))
    );
    gateway.admin("POST", "/acme/plugin/promote", None).error(409, "nothing_to_do");
    shadow(100, None);
    let promoted = gateway.admin("POST", "/acme/plugin/promote", None);
    assert_eq!(promoted.ok()["serving"]["plugin"], "prefix");
    is_intact(&gateway);
}

#[test]
fn a_choice_made_while_running_holds_until_the_file_changes() {
    let mut gateway = granting();
    exchange(&gateway, json!({ "plugin": "prefix", "options": { "block": ["4673555"] } })).ok();
    gateway.restart();
    assert_eq!(gateway.verdict("+46735552222"), "block");
    let file = gateway.folder().join("portcullis.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        config.replacen(
            "clear_numbers = true",
            "clear_numbers = true\nplugin_options = {}\nplugin = 'prefix'",
            1,
        ),
    )
    .unwrap();
    gateway.restart();
    assert_eq!(gateway.verdict("+46735552222"), "allow");
    is_intact(&gateway);
}

#[test]
fn all_replicas_give_the_same_answers() {
    let tenants = TENANTS.replace("id = \"acme\"", "id = \"acme\"\nreplicas = 3");
    let gateway = Gateway::with(&format!("{SERVER}{tenants}"));
    gateway.block("+46732001122");
    is_intact(&gateway);
    assert_eq!(gateway.plugin("acme")["lists"][0]["replicas"], 3);
    assert_eq!(exchange(&gateway, json!({})).ok()["lists"][1]["replicas"], 3);
    is_intact(&gateway);
}

#[test]
fn reloads_are_counted() {
    let gateway = with_an_entry();
    gateway.verdict("+46732001122");
    gateway.verdict("+46732002244");
    exchange(&gateway, json!({})).ok();
    exchange(&gateway, json!({ "options": { "x": 1 } })).error(409, "plugin_refused");
    let metrics = gateway.metrics();
    for line in [
        r#"portcullis_checks_total{tenant="acme",verdict="block",source="plugin"} 1"#,
        r#"portcullis_checks_total{tenant="acme",verdict="allow",source="plugin"} 1"#,
        r#"portcullis_reloads_total{tenant="acme",outcome="served"} 1"#,
        r#"portcullis_reloads_total{tenant="acme",outcome="refused"} 1"#,
        r#"portcullis_list_generation{tenant="acme",list="support"} 2"#,
        r#"portcullis_list_entries{tenant="acme",list="support"} 1"#,
        r#"portcullis_list_serving{tenant="acme",list="tenant-wide"} 1"#,
        r#"portcullis_list_breaker{tenant="acme",list="support",state="closed"} 1"#,
        r#"portcullis_check_seconds_count 2"#,
        r#"portcullis_reload_stage_seconds_count{stage="filling",result="done"} 1"#,
        r#"portcullis_reload_stage_seconds_count{stage="preparing",result="failed"} 1"#,
    ] {
        assert!(metrics.lines().any(|there| there == line), "{line} is not in:\n{metrics}");
    }
    // By default, lists in order are counted by tenant.
    let usual = gateway.call("GET", "/metrics", "admin-secret", None);
    assert!(!usual.text.contains("list_entries{"), "{}", usual.text);
    for line in [
        r#"portcullis_tenant_lists{tenant="acme",state="serving"} 3"#,
        r#"portcullis_tenant_entries{tenant="acme"} 1"#,
    ] {
        assert!(usual.text.lines().any(|there| there == line), "{line} is not in:\n{}", usual.text);
    }
    assert!(!usual.text.contains("portcullis_messages_total{"), "nothing was counted");
    gateway.call("GET", "/metrics?lists=some", "admin-secret", None).error(400, "invalid_request");
    gateway.call("GET", "/metrics", "", None).error(401, "missing_token");
    gateway.call("GET", "/metrics", ACME, None).error(401, "invalid_token");
}

#[test]
fn a_new_plugin_that_fails_in_service_is_rolled_back_automatically() {
    // The background proof's checks count, too, and might find out first.
    let gateway = Gateway::with(&format!("{SERVER}proof_share = 0\n{TENANTS}"));
    gateway.block("+46732001122");
    gateway.put_plugin("evil", EVIL.component).ok();
    let evil = exchange(&gateway, json!({ "plugin": "evil", "options": { "mode": "panic-later" } }));
    assert_eq!(evil.ok()["serving"]["plugin"], "evil", "it behaves while it is proved");
    gateway.block("+46732005500");
    let numbers: Vec<String> = (0..2000).map(|n| format!("+4673300{n:04}")).collect();
    let body = json!({ "numbers": numbers, "direction": "inbound" });
    // The plugin before may be back in time to answer.
    let answer = gateway.post("/senders/support/check", body);
    let answered_by = answer.ok()["source"].clone();
    assert!(answered_by == "policy" || answered_by == "plugin", "{answered_by}");
    gateway.until("the one before serves", |gateway| serving(gateway) == digest(EXACT.component));
    gateway.until("nothing is under way", |gateway| gateway.plugin("acme")["stage"] == "resting");
    let status = gateway.plugin("acme");
    assert_eq!(status["last"]["outcome"], "rolled_back", "{status}");
    assert!(summary(&gateway).contains("it failed in service"), "{}", summary(&gateway));
    // Writes during the reload are kept.
    assert_eq!(gateway.verdict("+46732005500"), "block");
    is_intact(&gateway);
    let metrics = gateway.metrics();
    assert!(
        metrics.contains(r#"portcullis_reloads_total{tenant="acme",outcome="rolled_back"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"portcullis_plugin_faults_total{tenant="acme",list="support",kind="trapped"} 1"#),
        "{metrics}"
    );
}

#[test]
fn a_list_without_a_previous_instance_is_filled_with_the_previous_plugin() {
    // It never served: its plugin traps while it is being proven.
    let tenants = TENANTS
        .replace("id = \"acme\"", "id = \"acme\"\nplugin = 'evil'\nplugin_options = { mode = 'panic' }");
    let gateway = Gateway::with_plugin(&format!("{SERVER}{tenants}"), Some(("evil.wasm", EVIL.component)));
    let better = exchange(&gateway, json!({ "options": { "mode": "panic-later" } }));
    assert!(
        better.ok()["lists"].as_array().unwrap().iter().all(|list| list["serving"] == true),
        "{}",
        better.json
    );
    let numbers: Vec<String> = (0..2000).map(|n| format!("+4673300{n:04}")).collect();
    gateway.post("/senders/support/check", json!({ "numbers": numbers, "direction": "inbound" })).ok();
    gateway.until("it is rolled back", |gateway| gateway.plugin("acme")["last"]["outcome"] == "rolled_back");
    // It is retried until it succeeds.
    gateway.until("each list is being filled", |gateway| {
        gateway.plugin("acme")["lists"].as_array().unwrap().iter().all(|list| list["breaker"] == "open")
    });
    assert_eq!(
        exchange(&gateway, json!({ "plugin": "exact", "options": {} })).ok()["lists"][0]["serving"],
        true
    );
    assert_eq!(gateway.verdict("+46732002244"), "allow");
}

#[test]
fn a_plugin_that_leaked_all_memory_is_seen_and_can_be_replaced_and_put_back_at_any_time() {
    const LIMIT: u64 = 24 << 20;
    let tenants = TENANTS.replace("id = \"acme\"", &format!("id = \"acme\"\nmemory_limit_bytes = {LIMIT}"));
    // Two that are full leave no more than the replacement of one needs.
    let limits = format!("[plugins]\ndir = \"plugins\"\nmemory_limit_bytes = {}\n", 64 << 20);
    let server = SERVER.replace("[plugins]\ndir = \"plugins\"\n", &limits);
    let gateway = Gateway::with_plugin(&format!("{server}{tenants}"), Some(("evil.wasm", EVIL.component)));
    gateway.block("+46732001122");
    assert_eq!(gateway.plugin("acme").get("memory_warning"), None);
    let leaking = || json!({ "plugin": "evil", "options": { "mode": "leak-until-full" } });
    exchange(&gateway, leaking()).ok();
    let leak = || {
        let used = |gateway: &Gateway| gateway.plugin("acme")["memory_bytes"].as_u64().unwrap();
        gateway.until("its memory is full", |gateway| {
            assert_eq!(gateway.verdict("+46732002244"), "allow");
            used(gateway) > LIMIT - (2 << 20)
        });
        let status = gateway.plugin("acme");
        assert_eq!(status["memory_limit_bytes"], LIMIT);
        assert!(status["memory_warning"].as_str().unwrap().contains("memory_limit_bytes"), "{status}");
    };
    leak();
    gateway.until("it is logged", |gateway| gateway.logged("more than 80 % of its memory_limit_bytes"));
    // Another plugin, the same one anew, and back to a full one, again and again.
    for _ in 0..3 {
        exchange(&gateway, json!({ "plugin": "exact" })).ok();
        assert_eq!(gateway.plugin("acme").get("memory_warning"), None);
        is_intact(&gateway);
        assert_eq!(gateway.admin("POST", "/acme/plugin/rollback", None).ok()["serving"]["plugin"], "evil");
        leak();
        exchange(&gateway, leaking()).ok();
        leak();
    }
    assert_eq!(gateway.admin("POST", "/acme/plugin/rollback", None).ok()["serving"]["plugin"], "evil");
    exchange(&gateway, json!({ "plugin": "exact" })).ok();
    is_intact(&gateway);
}

/// Starts a gateway whose tenant has a plugin of its own, which is this.
fn with_its_own(component: &[u8]) -> Gateway {
    let tenants = TENANTS.replace("id = \"acme\"", "id = \"acme\"\nplugin = \"mine\"");
    let gateway = Gateway::with_plugin(&format!("{SERVER}{tenants}"), Some(("mine.wasm", component)));
    gateway.block("+46732001122");
    gateway
}

#[test]
fn a_component_of_another_kind_takes_no_plugin_s_place() {
    let mine = variant(EXACT.component, b'a');
    let mut gateway = with_its_own(&mine);
    let rules = EVIL_RULES.component;
    for (name, why) in [("exact", "it is built in as one"), ("mine", "tenants are served by it as one")] {
        let refused = gateway.put_plugin(name, rules);
        let told = refused.error(400, "invalid_plugin");
        assert!(
            told.contains(&format!("no list plugin, and {name} has to be one")) && told.contains(why),
            "{told}"
        );
    }
    let refused = gateway.put_plugin("policy", EXACT.component);
    assert!(refused.error(400, "invalid_plugin").contains("no rules plugin"), "{}", refused.text);
    assert!(!gateway.folder().join("plugins/exact.wasm").exists());
    // Nobody uses this name.
    gateway.put_plugin("spare", EXACT.component).ok();
    gateway.put_plugin("spare", rules).ok();
    // A file is refused likewise, and no version of the plugin.
    gateway.drop_plugin("mine", rules);
    gateway.until("the file is refused", |gateway| summary(gateway).contains("has to be one"));
    for _ in 0..2 {
        assert_eq!(serving(&gateway), digest(&mine));
        is_intact(&gateway);
        gateway.restart();
    }
    gateway.until("the file is refused again", |gateway| summary(gateway).contains("has to be one"));
    let next = variant(EXACT.component, b'b');
    gateway.drop_plugin("mine", &next);
    gateway.until("another one serves", |gateway| serving(gateway) == digest(&next));
}

#[test]
fn a_version_that_was_refused_in_service_is_no_outage_after_a_restart() {
    // One needs numbers in clear, and the other blocks everybody.
    for (refused, why) in [(PREFIX, "clear_numbers = true"), (ECHO_RULES, "the plugin mine")] {
        let mine = variant(EXACT.component, b'a');
        let mut gateway = with_its_own(&mine);
        gateway.put_plugin("mine", refused.component).ok();
        gateway.until("it is refused", |gateway| summary(gateway).contains("was refused"));
        is_intact(&gateway);
        for _ in 0..2 {
            gateway.restart();
            gateway.until("the version before serves", |gateway| serving(gateway) == digest(&mine));
            let status = gateway.plugin("acme");
            let told = status["last"]["why"].as_str().unwrap();
            assert!(told.contains("the newest version can't serve") && told.contains(why), "{status}");
            assert_eq!(
                (&status["last"]["outcome"], &status["serving"]["pinned"]),
                (&json!("served"), &json!(false)),
                "{status}"
            );
            gateway.until_logged("an earlier version of the tenant's plugin serves");
            is_intact(&gateway);
        }
        let next = variant(EXACT.component, b'b');
        gateway.put_plugin("mine", &next).ok();
        gateway.until("a newer one serves", |gateway| serving(gateway) == digest(&next));
        is_intact(&gateway);
    }
}

#[test]
fn a_version_that_is_used_under_another_name_can_be_removed() {
    let (used, next) = (variant(EXACT.component, b'a'), variant(EXACT.component, b'b'));
    let gateway = with_its_own(&used);
    for component in [&used, &next] {
        gateway.put_plugin("unused", component).ok();
    }
    let remove = |name: &str, component: &[u8]| {
        let path = format!("/portcullis/v1/admin/plugins/{name}/versions/{}", digest(component));
        gateway.call("DELETE", &path, "admin-secret", None)
    };
    remove("unused", &used).ok();
    gateway.put_plugin("mine", &next).ok();
    gateway.until("it serves", |gateway| serving(gateway) == digest(&next));
    let kept = remove("mine", &used);
    assert!(kept.error(409, "conflict").contains("a tenant uses it"), "{}", kept.text);
    is_intact(&gateway);
}
