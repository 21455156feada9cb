//! `portcullis migrate`: the program, on the ledgers of real gateways.

use std::path::Path;
use std::process::Command;

use portcullis_ledger::MasterKey;
use portcullis_ledger::store::sealed::{open_secret, open_settings, seal_check};
use portcullis_plugin_bundle::EXACT;
use serde_json::{Value, json};

use crate::cluster::{cluster, name_of};
use crate::support::{Gateway, SERVER, TENANTS, digest, refused_start, variant};
use crate::{KEY, config, folder};

/// Runs `portcullis migrate` in a folder. Returns its exit code, and what it printed and said.
fn migrate(folder: &Path, options: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("migrate")
        .args(options)
        .current_dir(folder)
        .env_remove("PORTCULLIS_MASTER_KEY")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn in_a_file(name: &str) -> String {
    format!("{SERVER}{TENANTS}").replace("sqlite://portcullis.db", &format!("sqlite://{name}"))
}

/// What clients see of a gateway.
fn seen(gateway: &Gateway) -> Vec<Value> {
    let list = |path: &str| gateway.get(path).ok().clone();
    let of_initech = gateway.api("GET", "/senders/bot/entries", "initech-secret", None);
    vec![
        list("/senders/support/entries"),
        list("/senders/support/history"),
        list("/tenant/history"),
        of_initech.ok().clone(),
        gateway.verdict("+46732001122"),
        gateway.verdict("+46732001123"),
    ]
}

#[test]
fn a_gateway_moves_to_a_fleet_and_back() {
    let url = cluster().database();
    let gateway = Gateway::in_folder(folder(), &in_a_file("portcullis.db"), &["--new-ledger"]);
    let settings = json!({ "tokens": ["initech-secret"], "senders": [{ "id": "bot" }] });
    assert_eq!(gateway.admin("PUT", "/initech", Some(settings)).status, 201);
    let entry = json!({ "number": "+46732001122" });
    gateway.api("POST", "/senders/bot/entries", "initech-secret", Some(entry)).ok();
    gateway.block("+46732001122");
    gateway.block("+46732001123");
    gateway.delete("/senders/support/entries", json!({ "number": "+46732001123" })).ok();
    gateway.post("/tenant/entries", json!({ "number": "user:MX.1", "reason": "lives at no. 7" })).ok();
    let before = seen(&gateway);

    let there = ["--from", "sqlite://portcullis.db", "--to", &url];
    let (code, _, said) = migrate(gateway.folder(), &there);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is in use") && said.contains("stop"), "{said}");
    let (_, folder) = gateway.log_after_the_end();
    let (code, printed, said) = migrate(folder.path(), &[&there[..], &["--dry-run"]].concat());
    assert_eq!(code, 0, "{said}");
    let list =
        "tenant acme, list support: 2 entries, of which 1 are in force, and 3 records of its history\n";
    assert!(printed.contains(list), "{printed}");
    assert!(said.contains("3 tenants") && said.contains("would be moved"), "{said}");
    let (code, printed, said) = migrate(folder.path(), &there);
    assert_eq!((code, printed.as_str()), (0, ""), "{said}");
    assert!(said.starts_with("checking\ncopying\ncomparing\ncompleting\n"), "{said}");
    assert!(said.contains("were moved from sqlite:///") && said.contains("set storage.url"), "{said}");
    assert!(!said.contains("master_key_file"), "the key is where it is looked for: {said}");
    let error = refused_start(folder.path(), &in_a_file("portcullis.db"));
    assert!(error.contains("was moved to postgres://") && error.contains("--return"), "{error}");
    let gateway = Gateway::in_folder(folder, &config(&url, "n0", ""), &[]);
    assert_eq!(seen(&gateway), before);
    let other = Gateway::in_folder(crate::folder(), &config(&url, "n1", ""), &[]);
    assert_eq!(seen(&other), before);
    gateway.block("+46732001124");
    let after = seen(&gateway);
    let back = ["--from", &url, "--to", "sqlite://back.db"];
    let (code, _, said) = migrate(gateway.folder(), &back);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("in use by"), "{said}");
    drop(other);
    let (_, folder) = gateway.log_after_the_end();

    let (code, _, said) = migrate(folder.path(), &back);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("looks for the master key in back.key, which is not there"), "{said}");
    let error = refused_start(folder.path(), &config(&url, "n0", ""));
    assert!(error.contains("was moved to sqlite:///"), "{error}");
    let key = "[storage]\nmaster_key_file = \"portcullis.key\"";
    let gateway = Gateway::in_folder(folder, &in_a_file("back.db").replace("[storage]", key), &[]);
    assert_eq!(seen(&gateway), after);
    gateway.block("+46732001125");
}

#[test]
fn a_ledger_that_was_moved_is_taken_back() {
    let url = cluster().database();
    let gateway = Gateway::in_folder(folder(), &in_a_file("portcullis.db"), &["--new-ledger"]);
    gateway.block("+46732001122");
    let (_, folder) = gateway.log_after_the_end();
    let (code, _, said) = migrate(folder.path(), &["--from", "sqlite://portcullis.db", "--to", &url]);
    assert_eq!(code, 0, "{said}");
    let take_back = ["--from", "sqlite://portcullis.db", "--return"];
    let (code, _, said) = migrate(folder.path(), &take_back);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("is the ledger in use again"), "{said}");
    let (code, _, said) = migrate(folder.path(), &take_back);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("was not moved"), "{said}");
    let gateway = Gateway::in_folder(folder, &in_a_file("portcullis.db"), &[]);
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

/// A ledger in a database that a gateway of format 1 has created.
fn older_ledger() -> String {
    let key = MasterKey::from_env_or_file(Some(KEY.trim()), Path::new(""), false).unwrap().0;
    let sealed = seal_check(&key.seal()).unwrap();
    let sealed = sealed.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let url = cluster().database();
    let tables = include_str!("../../../ledger-postgres/tests/postgres/format_1.sql");
    let add = format!(
        "{tables}; INSERT INTO ledger (format, identity, sealed) VALUES (1, gen_random_uuid(), '\\x{sealed}')"
    );
    cluster().sql(name_of(&url), &add);
    url
}

/// The version of the plugin that is stored for a tenant.
fn stored_version(url: &str, tenant: &str) -> Value {
    let sql = format!(
        "SELECT encode(wrapped, 'hex') || '/' || encode(sealed, 'hex')
         FROM settings JOIN secrets USING (tenant) JOIN tenants ON id = tenant WHERE name = '{tenant}'"
    );
    let stored = cluster().sql(name_of(url), &sql);
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let Some((wrapped, sealed)) = stored.trim().split_once('/') else { return Value::Null };
    let master = MasterKey::from_env_or_file(Some(KEY.trim()), Path::new(""), false).unwrap().0;
    let keys = open_secret(&master.seal(), &tenant.parse().unwrap(), &bytes(wrapped)).unwrap();
    let settings: Value = serde_json::from_slice(&open_settings(&keys, &bytes(sealed)).unwrap()).unwrap();
    settings["choice"]["at"].clone()
}

#[test]
fn an_upgrade_is_finished_while_gateways_of_the_new_version_run() {
    const PLUGINS: &str = "[plugins]\ndir = \"plugins\"\nproof_share = 0\nwatch_seconds = 1\n";
    let url = older_ledger();
    let older = cluster().hold(name_of(&url), "SET application_name = 'portcullis'");
    let [one, other] =
        ["n0", "n1"].map(|node| Gateway::in_folder(folder(), &config(&url, node, PLUGINS), &[]));
    for gateway in [&one, &other] {
        gateway.until_logged("run `portcullis migrate --finish`");
    }
    one.block("+46732001122");
    other.until("the other has it", |gateway| gateway.verdict("+46732001122") == "block");
    // Nothing is stored that the older one could not read.
    let is_followed = |component: &[u8]| {
        other.until("it serves there, too", |gateway| {
            gateway.admin("GET", "/acme/plugin", None).json["serving"]["version"] == digest(component)
        });
    };
    let [first, next] = [b'a', b'b'].map(|name| variant(EXACT.component, name));
    one.put_plugin("vip", &first).ok();
    one.admin("POST", "/acme/plugin", Some(json!({ "plugin": "vip" }))).ok();
    is_followed(&first);
    assert_eq!(stored_version(&url, "acme"), Value::Null);
    let waiting = json!({ "tokens": ["initech-secret"], "acknowledge": "fleet" });
    let refused = one.admin("PUT", "/initech", Some(waiting.clone()));
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("acknowledge") && refused.text.contains("--finish"), "{}", refused.text);
    let finish = ["--from", url.as_str(), "--finish"];
    let (code, _, said) = migrate(one.folder(), &finish);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("a gateway at a local socket, which is of an older version"), "{said}");
    drop(older);
    let (code, printed, said) = migrate(one.folder(), &finish);
    assert_eq!((code, printed.as_str()), (0, ""), "{said}");
    assert!(said.contains("has format 2 now"), "{said}");
    let (code, _, said) = migrate(one.folder(), &finish);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("has format 2 already"), "{said}");
    assert_eq!(one.admin("PUT", "/initech", Some(waiting)).status, 201);
    one.put_plugin("vip", &next).ok();
    is_followed(&next);
    assert_eq!(stored_version(&url, "acme"), digest(&next));
    other.block("+46732001123");
    one.until("the other has it", |gateway| gateway.verdict("+46732001123") == "block");
    let late = Gateway::in_folder(folder(), &config(&url, "n2", ""), &[]);
    assert_eq!(late.verdict("+46732001122"), "block");
    assert!(!late.logged("portcullis migrate --finish"));
    let (code, _, said) = migrate(
        one.folder(),
        &["--from", "sqlite://a.db", "--finish", "--master-key-file", "portcullis.key"],
    );
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nothing has to be finished"), "{said}");
}

#[test]
fn what_can_t_be_moved_is_said_without_passwords() {
    let folder = folder();
    let secret = "postgres://portcullis:hunter2-secret@127.0.0.1:1/lists?sslmode=disable";
    for (options, expected) in [
        (
            vec!["--from", secret, "--to", "sqlite://a.db"],
            "can't be reached: 127.0.0.1:1: error connecting to server: Connection refused",
        ),
        (
            vec!["--from", "sqlite://a.db", "--to", secret, "--master-key-file", "portcullis.key"],
            "can't be reached",
        ),
        (vec!["--from", "postgres://u:hunter2@h/db", "--to", "sqlite://a.db"], "sslmode=verify-full"),
        (vec!["--from", "mysql://u:hunter2@h/db", "--to", "sqlite://a.db"], "use sqlite:// or postgres://"),
        (vec!["--from", "sqlite://a.db", "--to", "sqlite://b.db"], "a.key"),
        (
            vec!["--from", "sqlite://a.db", "--to", "sqlite://b.db", "--master-key-file", "portcullis.key"],
            "a.db",
        ),
        (vec!["--from", "sqlite://a.db"], "--to"),
    ] {
        let (code, printed, said) = migrate(folder.path(), &options);
        assert_eq!((code, printed.as_str()), (2, ""), "{options:?}: {said}");
        assert!(said.contains(expected) && !said.contains("hunter2"), "{options:?}: {said}");
    }
    assert!(!folder.path().join("b.db").exists());
}
