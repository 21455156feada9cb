//! `portcullis plugin`.

use std::path::Path;
use std::process::Command;

use portcullis_engine::plugin_store::{Distrust, Signature, TrustedKey, TrustedKeys};
use portcullis_plugin_bundle::EXACT;

use crate::gateway::{CONFIG, Gateway, command};

#[test]
fn a_plugin_is_shown_reloaded_and_rolled_back() {
    let gateway = Gateway::start();
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let status = admin("plugin status --tenant acme").good().out;
    let lines: Vec<&str> = status.lines().collect();
    assert!(lines[0].starts_with("exact ") && lines[0].ends_with(" serves"), "{status}");
    assert!(lines[1].starts_with("memory: ") && lines[1].ends_with(" MiB of 1024.0 MiB"), "{status}");
    assert_eq!(lines[2], "tenant-wide: serving, generation 1, instances 1, breaker closed, recoveries 0");
    assert_eq!(lines.len(), 5, "{status}");

    let reloaded = admin("plugin reload --tenant acme").good().out;
    assert!(reloaded.contains("stage: watching") && reloaded.contains("generation 2"), "{reloaded}");
    let back = admin("plugin rollback --tenant acme").good().out;
    assert!(back.contains("serves again") && back.contains("generation 3"), "{back}");

    let refused = admin("plugin reload --tenant acme --plugin prefix").ends(2);
    assert!(refused.err.contains("clear_numbers = true"), "{}", refused.err);
    let status = admin("plugin status --tenant acme").good().out;
    assert!(status.contains("was refused") && status.contains("clear_numbers = true"), "{status}");

    let shadow = admin("plugin shadow --tenant acme --checks 1000000").good().out;
    assert!(shadow.contains("stage: shadowing") && shadow.contains("0 checks compared"), "{shadow}");
    let promoted = admin("plugin promote --tenant acme").good().out;
    assert!(promoted.contains("stage: watching"), "{promoted}");
    let json: serde_json::Value =
        serde_json::from_str(&admin("plugin status --tenant acme --json").good().out).unwrap();
    assert_eq!((&json["tenant"], &json["serving"]["plugin"]), (&"acme".into(), &"exact".into()));
}

#[test]
fn a_shadow_run_of_a_rule_says_whether_it_goes_on() {
    let rules = r#"id = "acme"
rules = [{ plugin = "policy", grants = ["country", "local-time"], options = {} }]"#;
    let gateway = Gateway::with(&CONFIG.replacen(r#"id = "acme""#, rules, 1));
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let shadow =
        admin("plugin shadow --tenant acme --rule policy --options").arg(r#"{"caps":[{"per_day":3}]}"#);
    let begun = shadow.good().out;
    assert!(begun.contains("rule policy ") && begun.contains("shadow run, under way: 0 messages"), "{begun}");
    let ended = admin("plugin rollback --tenant acme --rule policy").good().out;
    assert!(ended.contains("an administrator ended its shadow run"), "{ended}");
    assert!(ended.contains("shadow run, over, ended by an administrator: 0 messages"), "{ended}");
    let nothing = admin("plugin rollback --tenant acme --rule policy").ends(2);
    assert!(nothing.err.contains("nothing to roll back to"), "{}", nothing.err);
}

#[test]
fn errors_say_what_to_do() {
    let gateway = Gateway::start();
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let no_token = gateway.command("plugin status --tenant acme").ends(2);
    assert!(no_token.err.contains("PORTCULLIS_ADMIN_TOKEN"), "{}", no_token.err);
    for (arguments, told) in [
        ("plugin promote --tenant acme", "no shadow run is under way"),
        ("plugin rollback --tenant acme", "no exchange is under way"),
        ("plugin status --tenant nobody", "no tenant of this name"),
        ("plugin reload --tenant acme --options [1]", "not a JSON object"),
        ("plugin reload --tenant acme --version 0000000000", "has no version"),
    ] {
        let refused = admin(arguments).ends(2);
        assert!(refused.err.contains(told), "{arguments}: {}", refused.err);
        assert_eq!(refused.out, "");
    }
    let nowhere = command("plugin status --tenant acme --url http://127.0.0.1:9 --admin-token x").ends(2);
    assert!(nowhere.err.contains("can't be reached"), "{}", nowhere.err);
}

#[test]
fn what_is_no_component_is_neither_signed_nor_pushed_to_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    command("plugin keygen --no-password").arg(&file("acme")).good();
    std::fs::write(file("rule.wasm"), EXACT.component).unwrap();
    for (name, bytes) in [
        ("passwd", &b"root:x:0:0:root:/root:/bin/bash\n"[..]),
        ("empty", b""),
        ("module", b"\0asm\x01\0\0\0"),
    ] {
        std::fs::write(file(name), bytes).unwrap();
        let signed = command("plugin sign").arg(&file(name)).arg("--key").arg(&file("acme.key")).ends(2);
        assert!(signed.err.contains("is no WebAssembly component"), "{}", signed.err);
        assert!(!folder.path().join(format!("{name}.minisig")).exists());
        let pushed = command("plugin push --to oci://127.0.0.1:9/acme/rule:1").arg(&file(name)).ends(2);
        assert!(pushed.err.contains("is no WebAssembly component"), "{}", pushed.err);
    }
    let public = command("plugin sign").arg(&file("rule.wasm")).arg("--key").arg(&file("acme.pub")).ends(2);
    assert!(public.err.contains("acme.pub is a public key"), "{}", public.err);
    command("plugin sign").arg(&file("rule.wasm")).arg("--key").arg(&file("acme.key")).good();
}

/// Whether minisign is there. If not, says so, and fails if it is required.
#[expect(clippy::print_stderr, reason = "somebody reads it")]
fn is_minisign_there() -> bool {
    let is_there = Path::new("/usr/bin/minisign").exists();
    if !is_there {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_MINISIGN").is_none(), "minisign is not there");
        eprintln!("SKIPPED: minisign is not installed (apt-get install minisign)");
    }
    is_there
}

#[test]
fn minisign_makes_and_verifies_the_same_keys_and_signatures() {
    if !is_minisign_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let minisign = |arguments: &[&str]| {
        let output = Command::new("/usr/bin/minisign").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::write(file("rule.wasm"), EXACT.component).unwrap();
    let signature = file("rule.wasm.minisig");
    let trusted =
        |key: &str| -> TrustedKeys { [TrustedKey::parse("k", key, None).unwrap()].into_iter().collect() };
    let verify = |key: &str| {
        let signature = Signature::parse(&std::fs::read(&signature).unwrap()).unwrap();
        trusted(key).verify(EXACT.component, Some(&signature), jiff::Timestamp::now())
    };

    // Ours, verified by both, with a password.
    let with_password = |arguments: &str| command(arguments).env("PORTCULLIS_SIGNING_PASSWORD", "a password");
    let line = with_password("plugin keygen").arg(&file("ours")).good().out;
    let key = line.split('"').nth(3).unwrap();
    with_password("plugin sign").arg(&file("rule.wasm")).arg("--key").arg(&file("ours.key")).good();
    minisign(&["-V", "-q", "-p", &file("ours.pub"), "-m", &file("rule.wasm")]);
    assert_eq!(verify(key), Ok(()));
    let wrong = command("plugin sign").env("PORTCULLIS_SIGNING_PASSWORD", "another");
    let wrong = wrong.arg(&file("rule.wasm")).arg("--key").arg(&file("ours.key")).ends(2);
    assert!(wrong.err.contains("is the password right?"), "{}", wrong.err);
    let again = with_password("plugin keygen").arg(&file("ours")).ends(2);
    assert!(again.err.contains("is there already"), "{}", again.err);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file("ours.key")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // minisign's, used by both. Its old format is not trusted.
    minisign(&["-G", "-W", "-p", &file("theirs.pub"), "-s", &file("theirs.key")]);
    let public = std::fs::read_to_string(file("theirs.pub")).unwrap();
    let key = public.lines().nth(1).unwrap();
    command("plugin sign").arg(&file("rule.wasm")).arg("--key").arg(&file("theirs.key")).good();
    minisign(&["-V", "-q", "-p", &file("theirs.pub"), "-m", &file("rule.wasm")]);
    assert_eq!(verify(key), Ok(()));
    minisign(&["-S", "-s", &file("theirs.key"), "-m", &file("rule.wasm")]);
    assert_eq!(verify(key), Ok(()));
    minisign(&["-S", "-l", "-s", &file("theirs.key"), "-m", &file("rule.wasm")]);
    assert!(matches!(verify(key), Err(Distrust::Legacy { .. })), "{:?}", verify(key));
}
