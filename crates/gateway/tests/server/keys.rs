//! The master key is rotated while the gateway serves.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{ADMIN, Gateway, SERVER, TENANTS, refused_start};

const BLOCKED: &str = "+46732001122";
const FREE: &str = "+46732002244";

pub(crate) fn config() -> String {
    format!("{SERVER}{TENANTS}")
}

pub(crate) fn key(byte: &str) -> String {
    byte.repeat(32)
}

/// The digits of the keys in a file.
fn keys_in(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn key_file(gateway: &Gateway) -> PathBuf {
    gateway.folder().join("portcullis.key")
}

fn in_use(gateway: &Gateway) -> String {
    let status = gateway.api("GET", "/admin/keys/master", ADMIN, None);
    status.ok()["fingerprint"].as_str().unwrap().to_owned()
}

fn command(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["--url", gateway.url(), "key"])
        .args(arguments)
        .env("PORTCULLIS_ADMIN_TOKEN", ADMIN)
        .output()
        .unwrap()
}

fn told(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = command(gateway, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn verify(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["verify", "--config", "portcullis.toml"])
        .current_dir(folder)
        .env_remove("PORTCULLIS_MASTER_KEY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_master_key_is_rotated_while_messages_are_checked() {
    let mut gateway = Gateway::start();
    gateway.block(BLOCKED);
    let first = keys_in(&key_file(&gateway));
    let before = in_use(&gateway);
    let status = told(&gateway, &["status"]);
    assert_eq!(status, format!("master key {before}, in use since the ledger was created\n"));

    let said = told(&gateway, &["rotate"]);
    let after = in_use(&gateway);
    assert_eq!(said, format!("the master key was rotated from {before} to {after}\n"));
    assert_ne!(before, after);
    let status = told(&gateway, &["status"]);
    assert!(status.starts_with(&format!("master key {after}, in use since 20")), "{status}");
    assert_eq!(status.lines().count(), 1, "the gateway's file has one key: {status}");
    assert_eq!(gateway.verdict(BLOCKED), "block");
    gateway.block(FREE);

    let second = keys_in(&key_file(&gateway));
    let previous = gateway.folder().join("portcullis.key.previous");
    assert!(second.len() == 1 && second != first);
    assert_eq!(keys_in(&previous), first);
    for file in [&key_file(&gateway), &previous] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    gateway.until("the file is in order", |gateway| {
        gateway.call("GET", "/readyz", "", None).json["status"] == "ready"
    });
    let (log, digits) = (gateway.log(), [&first, &second]);
    assert!(digits.iter().all(|digits| !log.contains(&digits[0])), "{log}");
    assert!(gateway.logged("the master key was rotated"));

    gateway.stop();
    assert!(verify(gateway.folder()).contains("nothing is damaged"));
    // The key before opens nothing any more.
    fs::copy(&previous, key_file(&gateway)).unwrap();
    let refused = refused_start(gateway.folder(), &config());
    assert!(refused.contains("the master key is not the one"), "{refused}");
    fs::write(key_file(&gateway), format!("{}\n", second[0])).unwrap();
    gateway.run_again_with(&[]);
    assert_eq!((gateway.verdict(BLOCKED), gateway.verdict(FREE)), ("block".into(), "block".into()));
    assert_eq!(in_use(&gateway), after);
}

#[test]
fn a_key_that_stands_after_the_one_in_use_is_the_next_one() {
    let gateway = Gateway::start();
    gateway.block(BLOCKED);
    let first = keys_in(&key_file(&gateway)).remove(0);
    fs::write(key_file(&gateway), format!("{first}\n{}\n", key("5f"))).unwrap();
    gateway.api("POST", "/admin/keys/master/rotate", ADMIN, None).ok();
    assert_eq!(keys_in(&key_file(&gateway)), [key("5f")]);
    assert_eq!(gateway.verdict(BLOCKED), "block");

    // A file without the key in use is not to be relied on.
    fs::write(key_file(&gateway), format!("{}\n", key("6a"))).unwrap();
    let refused = gateway.api("POST", "/admin/keys/master/rotate", ADMIN, None);
    assert!(refused.error(409, "key_not_rotated").contains("does not hold the master key in use"));
    assert_eq!(keys_in(&key_file(&gateway)), [key("6a")]);
    fs::write(key_file(&gateway), format!("{}\n", key("5f"))).unwrap();
    gateway.api("POST", "/admin/keys/master/rotate", "acme-secret", None).error(401, "invalid_token");
    assert_eq!(keys_in(&key_file(&gateway)), [key("5f")]);
}

#[test]
fn a_rotation_may_be_killed_at_any_moment() {
    let many: String = (0..200).map(|n| format!("\n[[tenants]]\nid = \"t{n}\"\n")).collect();
    let mut gateway = Gateway::with(&format!("{SERVER}{TENANTS}{many}"));
    gateway.block(BLOCKED);
    let mut keys = vec![in_use(&gateway)];
    for round in 0..9 {
        let previous = gateway.folder().join("portcullis.key.previous");
        let _ = fs::remove_file(&previous);
        let rotate = || {
            let mut stream = TcpStream::connect(gateway.address()).unwrap();
            let request = format!(
                "POST /portcullis/v1/admin/keys/master/rotate HTTP/1.1\r\nhost: gateway\r\n\
                 authorization: Bearer {ADMIN}\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        match round % 3 {
            0 => drop(rotate()),
            1 => {
                let _stream = rotate();
                gateway.until("the new key is stored", |gateway| {
                    keys_in(&key_file(gateway)).len() == 2 || previous.exists()
                });
            }
            _ => drop(gateway.api("POST", "/admin/keys/master/rotate", ADMIN, None).ok()),
        }
        gateway.kill();
        let left = keys_in(&key_file(&gateway));
        assert!(matches!(left.len(), 1 | 2) && left.iter().all(|key| key.len() == 64), "{round}");
        gateway.run_again_with(&[]);
        assert_eq!(gateway.verdict(BLOCKED), "block", "{round}");
        keys.push(in_use(&gateway));
    }
    keys.dedup();
    assert!(keys.len() > 3, "some rotations were committed: {keys:?}");
    let before = in_use(&gateway);
    gateway.api("POST", "/admin/keys/master/rotate", ADMIN, None).ok();
    assert_ne!(in_use(&gateway), before);
    assert_eq!(keys_in(&key_file(&gateway)).len(), 1);
    gateway.stop();
    assert!(verify(gateway.folder()).contains("nothing is damaged"));
}
