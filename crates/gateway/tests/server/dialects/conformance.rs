//! Every response conforms to the API documents: schemathesis sends random requests for the native document and those of the
//! dialects.

use std::fmt::Write as _;
use std::process::Command;

use super::super::support::{ACME, ADMIN, Gateway};
use super::super::tools::python;
use super::{NUMBER, vendors};

/// Checks that apply to every document.
const CONFIG: &str = r#"
headers = { HEADER = "${PORTCULLIS_CREDENTIAL}" }
seed = 20261124
workers = 1
request-timeout = 20
color = false
parameters = { PARAMETERS }

[output.sanitization]
enabled = true

[generation]
mode = "all"
max-examples = 15
database = "none"

[phases.stateful]
enabled = false

[checks]
enabled = false
not_a_server_error.enabled = true
status_code_conformance.enabled = true
content_type_conformance.enabled = true
response_schema_conformance.enabled = true
"#;

fn conforms(
    gateway: &Gateway,
    document: &str,
    header: &str,
    credential: &str,
    parameters: &[(&str, &str)],
    arguments: &[&str],
) {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut pinned = String::new();
    for (name, value) in parameters {
        write!(pinned, "{}\"{name}\" = \"{value}\"", if pinned.is_empty() { "" } else { ", " }).unwrap();
    }
    let config = CONFIG.replace("HEADER", header).replace("PARAMETERS", &pinned);
    let file = folder.path().join("conformance.toml");
    std::fs::write(&file, config).unwrap();
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&file)
        .arg("run")
        .arg(format!("{}/portcullis/v1/{document}", gateway.url()))
        .args(arguments)
        .current_dir(folder.path())
        .env("PORTCULLIS_CREDENTIAL", credential)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{document}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("generated"), "{document}:\n{text}");
}

fn bearer() -> String {
    format!("Bearer {ACME}")
}

#[test]
fn the_native_api_conforms_to_its_document() {
    let gateway = vendors();
    let parameters = [("path.sender", "support"), ("path.tenant", "initech"), ("path.plugin", "exact")];
    let arguments = ["--exclude-path-regex", "/admin/|/metrics"];
    conforms(&gateway, "openapi.json", "Authorization", &bearer(), &parameters, &arguments);
}

#[test]
fn the_admin_api_conforms_to_its_document() {
    let gateway = vendors();
    let parameters = [("path.sender", "billing"), ("path.tenant", "initech"), ("path.plugin", "exact")];
    // Components can't be generated at random.
    let arguments = ["--include-path-regex", "/admin/|/metrics", "--exclude-operation-id", "put_plugin"];
    let bearer = format!("Bearer {ADMIN}");
    conforms(&gateway, "openapi.json", "Authorization", &bearer, &parameters, &arguments);
}

#[test]
fn sinch_conforms_to_its_document() {
    let parameters = [("path.bot", "acmebot")];
    conforms(&vendors(), "dialects/sinch/openapi.json", "Authorization", &bearer(), &parameters, &[]);
}

#[test]
fn ninety_nine_conforms_to_its_document() {
    conforms(&vendors(), "dialects/ninety_nine/openapi.json", "X-Nothing", "nothing", &[], &[]);
}

#[test]
fn whats91_conforms_to_its_document() {
    let gateway = vendors();
    gateway.block("919876543210");
    let listed = super::bearer(&gateway, "GET", &format!("{}?senderId={NUMBER}", super::WHATS91), None);
    let uid = listed.ok()["data"]["items"][0]["blacklistUid"].as_str().unwrap().to_owned();
    let parameters = [("path.uid", uid.as_str()), ("query.senderId", NUMBER)];
    conforms(&gateway, "dialects/whats91/openapi.json", "Authorization", &bearer(), &parameters, &[]);
}

#[test]
fn kaleyra_conforms_to_its_document() {
    let parameters = [("path.version", "v2"), ("path.sid", "HXAP16ACME"), ("path.phone", "+916268662275")];
    conforms(&vendors(), "dialects/kaleyra/openapi.json", "api-key", ACME, &parameters, &[]);
}

#[test]
fn meta_conforms_to_its_document() {
    let parameters = [("path.version", "v25.0"), ("path.id", "1234567890")];
    conforms(&vendors(), "dialects/meta/openapi.json", "Authorization", &bearer(), &parameters, &[]);
}
