//! `portcullis plugin`.

use crate::gateway::{Gateway, command};

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
