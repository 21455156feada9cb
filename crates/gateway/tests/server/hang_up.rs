//! Reloading the configuration on SIGHUP.

use portcullis_plugin_bundle::EXACT;
use serde_json::json;

use super::support::{ACME, GLOBEX, Gateway, SERVER, TENANTS, digest};

fn write(gateway: &Gateway, config: &str) {
    std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
    gateway.hang_up();
}

#[test]
fn a_reload_applies_tenants_senders_and_tokens() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    let tenants = TENANTS
        .replace("\"acme-secret\"", "\"acme-secret\", \"acme-new\"")
        .replace("id = \"sales\"", "id = \"returns\"")
        .replace(
            "id = \"globex\"\ntokens = [\"globex-secret\"]",
            "id = \"initech\"\ntokens = [\"initech-secret\"]",
        );
    let server = SERVER.replace("\"admin-secret\"", "\"admin-new\"");
    // It removes a tenant and a sender, so it has to say that it is whole.
    write(&gateway, &format!("{server}{tenants}\n# end\n"));
    gateway.until("the new sender is there", |gateway| {
        gateway.api("GET", "/senders/returns/status", ACME, None).status == 200
    });
    gateway.api("GET", "/status", "acme-new", None).ok();
    // Existing lists stay in service.
    assert_eq!(gateway.verdict("+46732001122"), "block");
    assert_eq!(gateway.verdict_of("returns", "+46732001122", "inbound"), "allow");
    gateway.get("/senders/sales/status").error(404, "unknown_sender");
    gateway.api("GET", "/status", GLOBEX, None).error(401, "invalid_token");
    gateway.api("GET", "/status", "initech-secret", None).ok();
    gateway.api("GET", "/admin/tenants", "admin-secret", None).error(401, "invalid_token");
    gateway.api("GET", "/admin/tenants", "admin-new", None).ok();
}

#[test]
fn a_file_that_was_cut_off_changes_nothing() {
    let gateway = Gateway::start();
    let whole = format!("{SERVER}{TENANTS}");
    // It is a valid file, in which globex's sender has no number.
    let cut = whole.trim_end().strip_suffix("number = \"46700000002\"").unwrap();
    write(&gateway, cut);
    gateway.until("it is told", |gateway| gateway.logged("cut off"));
    write(&gateway, &format!("{cut}\n# end\n"));
    gateway.until("it is applied", |gateway| gateway.logged("applied the configuration file"));
}

#[test]
fn an_invalid_file_changes_nothing_and_is_logged_with_its_line() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    let wrong =
        TENANTS.replace("tokens = [\"acme-secret\"]", "tokens = [\"acme-new\"]\nplugin = \"unheard-of\"");
    write(&gateway, &format!("{SERVER}{wrong}"));
    gateway.until("it is told", |gateway| gateway.logged("the configuration file was rejected"));
    gateway.until_logged("portcullis.toml:");
    gateway.until_logged("there is no plugin of this name");
    gateway.api("GET", "/status", "acme-new", None).error(401, "invalid_token");
    gateway.api("GET", "/status", ACME, None).ok();
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn a_tenant_whose_plugin_refuses_its_new_options_stays_as_it_was() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    let wrong = TENANTS
        .replace("id = \"acme\"", "id = \"acme\"\nplugin_options = { treshold = 3 }")
        .replace("globex-secret", "globex-new");
    write(&gateway, &format!("{SERVER}{wrong}"));
    gateway
        .until("globex changes", |gateway| gateway.api("GET", "/status", "globex-new", None).status == 200);
    assert_eq!(gateway.verdict("+46732001122"), "block");
    let summary = gateway.plugin("acme")["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("has no options"), "{summary}");
}

#[test]
fn a_setting_that_needs_a_restart_is_logged() {
    let gateway = Gateway::start();
    write(&gateway, &format!("{}{TENANTS}", SERVER.replace("127.0.0.1:0", "127.0.0.1:9")));
    gateway.until("it is told", |gateway| gateway.logged("restart the gateway to apply it"));
    gateway.get("/status").ok();
}

#[test]
fn a_conflict_with_a_tenant_of_the_api_changes_nothing() {
    let mut gateway = Gateway::start();
    gateway.admin("POST", "/acme/plugin", Some(json!({ "version": digest(EXACT.component) }))).ok();
    let umbrella = json!({ "tokens": ["umbrella-secret"], "senders": [] });
    assert_eq!(gateway.admin("PUT", "/umbrella", Some(umbrella)).status, 201);
    // The file changes acme's plugin, and uses the token of a tenant of the API.
    let wrong = TENANTS
        .replace("id = \"acme\"", "id = \"acme\"\nplugin_options = {}\nplugin_version = \"00000000\"")
        .replace("globex-secret", "umbrella-secret");
    write(&gateway, &format!("{SERVER}{wrong}"));
    gateway.until("it is told", |gateway| gateway.logged("the configuration file can't be applied"));
    std::fs::write(gateway.folder().join("portcullis.toml"), format!("{SERVER}{TENANTS}")).unwrap();
    gateway.restart();
    assert_eq!(
        gateway.plugin("acme")["serving"]["pinned"],
        true,
        "what was chosen while running is still kept"
    );
}

/// The file's text up to each place where a table begins, which is a valid file.
fn cut_at_tables(text: &str) -> Vec<&str> {
    text.match_indices("\n[[tenants").map(|(at, _)| &text[..at]).collect()
}

#[test]
fn a_torn_file_removes_nothing() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    let whole = format!("{SERVER}{TENANTS}");
    let cuts = cut_at_tables(&whole);
    assert_eq!(cuts.len(), 5, "two tenants with three senders");
    for cut in cuts {
        write(&gateway, cut);
        let lines = || gateway.log_lines("so it may be torn");
        let before = lines();
        gateway.hang_up();
        gateway.until("it is refused", |_| lines() > before);
        gateway.get("/senders/sales/status").ok();
        gateway.api("GET", "/senders/support/status", GLOBEX, None).ok();
        assert_eq!(gateway.verdict("+46732001122"), "block");
    }
    gateway.until_logged("(globex)");
    gateway.until_logged("`# end`");
    // Less than a tenant or a sender may go without further ado.
    write(&gateway, &whole.replace("default_region = \"SE\"\n", ""));
    gateway.until("it is applied", |gateway| gateway.log_lines("applied the configuration file") == 1);
}

#[test]
fn a_file_that_says_that_it_is_whole_may_remove_anything_and_is_missed_later() {
    let whole = format!("{SERVER}{TENANTS}# end\n");
    let gateway = Gateway::with(&whole);
    // Only a table of settings is cut off, which no comparison of tenants would notice.
    let torn = whole.replace("default_region = \"SE\"\n", "").replace("# end\n", "");
    write(&gateway, &torn);
    gateway.until("it is refused", |gateway| {
        gateway.logged("ends with the line `# end`, and this one does not")
    });
    assert_eq!(gateway.verdict("0732001122"), "allow", "national numbers are still read");
    let (one, _) = whole.split_once("\n[[tenants]]\nid = \"globex\"").unwrap();
    write(&gateway, &format!("{one}\n# end\n"));
    gateway.until("it is applied", |gateway| gateway.api("GET", "/status", GLOBEX, None).status == 401);
    gateway.get("/status").ok();
}
