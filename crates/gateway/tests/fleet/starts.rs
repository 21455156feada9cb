//! Starting a gateway on a shared ledger.

use crate::cluster::{cluster, name_of};
use crate::support::{Gateway, refused_start, refused_start_with};
use crate::{config, folder, nodes, put_key};

#[test]
fn an_empty_database_is_not_taken_for_the_ledger() {
    let url = cluster().database();
    let folder = folder();
    let error = refused_start(folder.path(), &config(&url, "n0", ""));
    assert!(error.contains("--new-ledger"), "{error}");
    let gateway = Gateway::in_folder(folder, &config(&url, "n0", ""), &["--new-ledger"]);
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    drop(gateway);
    let error = refused_start_with(crate::folder().path(), &config(&url, "n0", ""), &["--new-ledger"]);
    assert!(error.contains("start without --new-ledger"), "{error}");
    let without_key = tempfile::TempDir::new().unwrap();
    let error = refused_start_with(without_key.path(), &config(&url, "n0", ""), &["--new-ledger"]);
    assert!(error.contains("start without --new-ledger"), "{error}");
    assert!(!without_key.path().join("portcullis.key").exists(), "the key that was made is of no use");
    let error = refused_start_with(crate::folder().path(), &config(&url, "n0", ""), &["--restored"]);
    assert!(error.contains("start without --restored"), "{error}");
}

#[test]
fn a_ledger_is_not_created_in_a_database_of_another_encoding() {
    let url = cluster().database();
    let name = name_of(&url);
    cluster().sql("postgres", &format!("DROP DATABASE {name}"));
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    cluster().sql("postgres", &create);
    let error = refused_start_with(folder().path(), &config(&url, "n0", ""), &["--new-ledger"]);
    assert!(error.contains("has the encoding LATIN1"), "{error}");
}

#[test]
fn a_gateway_needs_the_fleet_s_master_key() {
    let url = cluster().database();
    let [_first] = nodes(&url, "");
    let without = tempfile::TempDir::new().unwrap();
    let error = refused_start(without.path(), &config(&url, "n1", ""));
    assert!(error.contains("portcullis.key") && error.contains("--new-ledger"), "{error}");
    assert!(!without.path().join("portcullis.key").exists(), "no key was made");
    put_key(without.path(), &"2a".repeat(32));
    let error = refused_start(without.path(), &config(&url, "n1", ""));
    assert!(error.contains("another master key") || error.contains("master key"), "{error}");
}

#[test]
fn gateways_with_one_name_in_one_folder_don_t_share_their_states() {
    let url = cluster().database();
    let [first] = nodes(&url, "");
    let error = refused_start(first.folder(), &config(&url, "n0", ""));
    assert!(error.contains("give each gateway a name or a folder of its own"), "{error}");
}

#[test]
fn a_password_in_the_url_is_nowhere_shown() {
    let url = "postgres://portcullis:hunter2-secret@127.0.0.1:1/lists?sslmode=disable";
    let error = refused_start(folder().path(), &config(url, "n0", ""));
    assert!(!error.contains("hunter2") && error.contains("can't be reached"), "{error}");
    let error = refused_start(folder().path(), &config(&url.replace("disable", "prefer"), "n0", ""));
    assert!(!error.contains("hunter2") && error.contains("sslmode=verify-full"), "{error}");
}

#[test]
fn the_settings_of_a_fleet_are_checked() {
    let url = "postgres://portcullis@127.0.0.1/lists?sslmode=disable";
    for (more, what) in [
        ("stale_after = \"soon\"", "stale_after: must be a duration from 100ms to 24h"),
        ("stale_after = \"2 days\"", "stale_after: must be a duration from 100ms to 24h"),
        ("when_stale = \"never\"", "when_stale"),
    ] {
        let error = refused_start(folder().path(), &config(url, "n0", more));
        assert!(error.contains(what), "{more}: {error}");
    }
    let error = refused_start(folder().path(), &config(url, "two words", ""));
    assert!(error.contains("fleet.node: must have 1 to 64 letters"), "{error}");
    let error = refused_start(folder().path(), &config("sqlite://portcullis.db", "n0", ""));
    assert!(error.contains("fleet: applies to gateways that share a ledger"), "{error}");
}
