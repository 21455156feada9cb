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

fn status(gateway: &Gateway) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["--url", gateway.url(), "fleet", "status"]).env("PORTCULLIS_ADMIN_TOKEN", ADMIN);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
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
            && gateway.logged("another tenants.acme.default_region at n1")
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
}
