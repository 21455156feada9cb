//! Gateways whose configuration files differ.

use std::process::Command;

use serde_json::json;

use crate::cluster::cluster;
use crate::support::{ADMIN, Gateway};
use crate::{config, folder};

fn node(url: &str, number: usize, config_of: impl Fn(String) -> String) -> Gateway {
    let options: &[&str] = if number == 0 { &["--new-ledger"] } else { &[] };
    let more = "[plugins]\nwatch_seconds = 1\n";
    Gateway::in_folder(folder(), &config_of(config(url, &format!("n{number}"), more)), options)
}

pub(crate) fn status(gateway: &Gateway) -> String {
    try_status(gateway).unwrap()
}

/// Or what is said if the database does not answer.
pub(crate) fn try_status(gateway: &Gateway) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["--url", gateway.url(), "fleet", "status"]).env("PORTCULLIS_ADMIN_TOKEN", ADMIN);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn differences(gateway: &Gateway) -> u64 {
    gateway.metric("portcullis_fleet_configuration_differences ", "")
}

#[test]
fn a_difference_is_a_warning_a_metric_and_a_line_of_the_status() {
    let url = cluster().database();
    let german = |config: String| config.replace("default_region = \"SE\"", "default_region = \"DE\"");
    let a = node(&url, 0, |config| config);
    let b = node(&url, 1, german);
    // Who listens elsewhere, and writes things in another way, is no other gateway for that.
    let c = node(&url, 2, |config| config.replace("[\"acme-secret\"]", "[ 'acme-secret' ]"));
    a.until("all are known", |gateway| gateway.metric("portcullis_fleet_nodes ", "") == 3);
    a.until("a difference", |gateway| differences(gateway) == 1);
    a.until("a warning", |gateway| {
        gateway.log_lines("THE CONFIGURATION FILES DIFFER") == 1
            && gateway.logged("tenants.acme.default_region is not the same at n1")
    });
    let told = status(&a);
    assert!(told.contains("DIFFERS: tenants.acme.default_region at n1\n"), "{told}");
    assert!(told.contains("n0: this gateway, version 0."), "{told}");
    assert!(told.contains("n2: live, version 0."), "{told}");
    b.until("differences", |gateway| status(gateway).contains("default_region at n0, n2\n"));

    let file = b.folder().join("portcullis.toml");
    let german = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, german.replace("default_region = \"DE\"", "default_region = \"SE\"")).unwrap();
    b.hang_up();
    for gateway in [&a, &b, &c] {
        gateway.until("no difference", |gateway| {
            differences(gateway) == 0 && gateway.metric("portcullis_fleet_nodes ", "") == 3
        });
    }
    assert_eq!(a.log_lines("THE CONFIGURATION FILES DIFFER"), 1, "it is said once");

    // One that dies is missed, and one that comes back is greeted.
    let (mut b, mut c) = (b, c);
    b.kill();
    a.until_logged("another gateway has not been heard of for 4 seconds");
    assert_eq!(a.metric("portcullis_fleet_nodes ", ""), 2);
    let greeted = a.log_lines("another gateway is there");
    b.run_again_with(&[]);
    a.until("greeting it", |gateway| gateway.log_lines("another gateway is there") > greeted);
    c.stop();
    a.until_logged("another gateway has stopped");
}

#[test]
fn a_setting_that_needs_a_restart_differs_until_the_restart() {
    const HERE: &str = "DIFFERS: plugins.watch_seconds at n1\n";
    const REGION: &str = "DIFFERS: tenants.acme.default_region at n1\n";
    let url = cluster().database();
    let a = node(&url, 0, |config| config);
    let mut b = node(&url, 1, |config| config.replace("watch_seconds = 1", "watch_seconds = 2"));
    a.until("a difference", |gateway| status(gateway).contains(HERE));
    let file = b.folder().join("portcullis.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("watch_seconds = 2", "watch_seconds = 1");
    std::fs::write(&file, text.replace("default_region = \"SE\"", "default_region = \"DE\"")).unwrap();
    b.hang_up();
    // What is applied at once tells that the file was read.
    a.until("the new file", |gateway| status(gateway).contains(REGION));
    let told = status(&a);
    assert!(told.contains(HERE), "{told}");
    b.restart();
    a.until("the restart", |gateway| {
        let told = status(gateway);
        told.contains(REGION) && !told.contains("watch_seconds")
    });
}

#[test]
fn a_tenant_that_one_file_lacks_is_one_difference() {
    let url = cluster().database();
    let a = node(&url, 0, |config| config);
    let more = "\n[[tenants]]\nid = \"only\"\ntokens = [\"only-secret\"]\n";
    let b = node(&url, 1, |config| config + more);
    a.until("a difference", |gateway| status(gateway).contains("DIFFERS: tenants.only at n1\n"));
    b.until("a difference", |gateway| status(gateway).contains("DIFFERS: tenants.only at n0\n"));
    a.until("one", |gateway| differences(gateway) == 1);
    let told = status(&a);
    assert!(!told.contains("tenants.only."), "{told}");
}

#[test]
fn two_gateways_with_one_name_are_noticed() {
    let url = cluster().database();
    let a = node(&url, 0, |config| config);
    let _twin = Gateway::in_folder(folder(), &config(&url, "n0", ""), &[]);
    a.until("both", |gateway| status(gateway).contains("SAME NAME: 2 live gateways are called n0\n"));
    a.until_long("a warning", |gateway| gateway.logged("another gateway has the name of this one, n0"));
}

#[test]
fn a_gateway_that_stops_is_gone_and_who_does_what_is_shown() {
    let url = cluster().database();
    let a = node(&url, 0, |config| config);
    let mut b = node(&url, 1, |config| config);
    a.until("both", |gateway| status(gateway).contains("n1: live"));
    let fleet = a.api("GET", "/admin/fleet", ADMIN, None);
    assert_eq!((&fleet.ok()["shared"], &fleet.json["differences"]), (&json!(true), &json!([])));
    b.stop();
    a.until("one", |gateway| !status(gateway).contains("n1"));
    a.api("GET", "/admin/fleet", "acme-secret", None).error(401, "invalid_token");
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    wrong.args(["--url", a.url(), "fleet", "status"]).env("PORTCULLIS_ADMIN_TOKEN", "acme-secret");
    let said = String::from_utf8(wrong.output().unwrap().stderr).unwrap();
    assert!(said.contains("(--admin-token, PORTCULLIS_ADMIN_TOKEN)"), "{said}");
}
