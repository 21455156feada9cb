//! Invalid configurations, as the program reports them. The single problems are tested beside the parser.

use super::support::{Gateway, SERVER, TENANTS, refused_start};

#[test]
fn an_invalid_configuration_is_reported_with_file_line_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        format!("{SERVER}{TENANTS}").replace("default_region = \"SE\"", "default_region = \"Sweden\"");
    let message = refused_start(folder.path(), &config);
    let line = 1 + config.lines().position(|line| line.contains("Sweden")).unwrap();
    assert!(message.contains(&format!("portcullis.toml:{line}: tenants[0].default_region: ")), "{message}");
    assert!(message.contains("such as SE"), "{message}");
    assert!(!folder.path().join("portcullis.db").exists(), "nothing was made");
}

#[test]
fn a_wrong_master_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.key"), "not a key").unwrap();
    let message = refused_start(folder.path(), SERVER);
    assert!(message.contains("portcullis.key"), "{message}");
}

#[test]
fn a_missing_configuration_file_is_named() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--config", "/nowhere/portcullis.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("/nowhere/portcullis.toml") && message.contains("--config"), "{message}");
}

#[test]
fn logs_can_be_json() {
    let config = format!("{SERVER}{TENANTS}").replace("[storage]", "log_format = \"json\"\n[storage]");
    let gateway = Gateway::with(&config);
    gateway.get("/status").ok();
    let (log, _folder) = gateway.log_after_the_end();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let request = lines.iter().find(|line| line["route"] == "/portcullis/v1/status").unwrap();
    assert_eq!((&request["message"], &request["status"]), (&"request".into(), &200.into()), "{request}");
}
