//! A plugin's way from a template to a gateway.

use std::fs;

use portcullis_plugin_bundle::{EVIL, EXACT, TRIVIAL};

use crate::gateway::{Gateway, command};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
[storage]
url = "sqlite://portcullis.db"
[plugins]
dir = "plugins"
[[tenants]]
id = "acme"
plugin = "mine"
tokens = ["acme-secret"]
[[tenants.senders]]
id = "support"
"#;

/// A plugin with another digest.
fn noted(component: &[u8], note: &str) -> Vec<u8> {
    let section = [&[4], &b"note"[..], note.as_bytes()].concat();
    [component, &[0, u8::try_from(section.len()).unwrap()], &section].concat()
}

#[test]
fn a_plugin_is_pushed_listed_and_removed() {
    let gateway = Gateway::with(CONFIG);
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let mut versions = Vec::new();
    for note in ["one", "two"] {
        let file = gateway.write("mine.wasm", noted(EXACT.component, note));
        let pushed = admin("plugin push").arg(&file).good();
        assert!(pushed.err.contains("offered to the tenant that has it"), "{}", pushed.err);
        assert!(pushed.err.contains("the plugin mine calls itself exact"), "{}", pushed.err);
        versions.push(pushed.out.trim().rsplit(' ').next().unwrap().to_owned());
    }
    let status = admin("plugin reload --tenant acme").good().out;
    assert!(status.starts_with("mine 0.1.0"), "{status}");

    let listed = admin("plugin list").good().out;
    assert!(listed.contains("mine: tenants: acme\n  note: the plugin mine calls itself exact"), "{listed}");
    assert!(listed.contains("exact: no tenant has it"), "{listed}");
    assert!(
        listed.lines().any(|line| line.contains(&versions[1][..19]) && line.ends_with("newest")),
        "{listed}"
    );
    let json: serde_json::Value = serde_json::from_str(&admin("plugin list --json").good().out).unwrap();
    assert!(json["plugins"].as_array().is_some_and(|plugins| plugins.len() >= 3), "{json}");

    let newest = admin(&format!("plugin remove mine {}", versions[1])).ends(2);
    assert!(newest.err.contains("it is the newest"), "{}", newest.err);
    // It is kept ready for a rollback.
    admin("plugin reload --tenant acme --plugin exact").good();
    admin("plugin reload --tenant acme --plugin exact").good();
    let removed = admin(&format!("plugin remove mine {}", versions[0])).good();
    assert!(removed.err.contains("removed mine sha256:"), "{}", removed.err);
    let gone = admin(&format!("plugin remove mine {}", versions[0])).ends(2);
    assert!(gone.err.contains("has no version"), "{}", gone.err);
    let unknown = admin("plugin remove nobody 0123456789").ends(2);
    assert!(unknown.err.contains("there is no plugin nobody"), "{}", unknown.err);

    let file = gateway.write("evil.wasm", &EVIL.component[..1000]);
    let refused = admin("plugin push").arg(&file).ends(2);
    assert!(refused.err.contains("damaged or truncated"), "{}", refused.err);
}

#[test]
fn a_plugin_that_failed_says_why_in_its_status() {
    let gateway = Gateway::with(
        &CONFIG.replace("plugin = \"mine\"", "plugin = \"evil\"\nplugin_options = { mode = \"panic\" }"),
    );
    fs::create_dir_all(gateway.file("plugins")).unwrap();
    let admin = |arguments: &str| gateway.command(arguments).env("PORTCULLIS_ADMIN_TOKEN", "admin-secret");
    let file = gateway.write("evil.wasm", EVIL.component);
    admin("plugin push").arg(&file).good();
    let reloaded = admin("plugin reload --tenant acme").run();
    let status = admin("plugin status --tenant acme").good().out;
    for told in ["the plugin trapped in check", "plugins/evil/src/lib.rs:", "on purpose"] {
        assert!(status.contains(told), "{status}{}", reloaded.err);
    }
    let verified = command("plugin verify").arg("--options").arg(r#"{"mode":"panic"}"#).arg(&file).ends(1);
    assert!(verified.out.contains("on purpose"), "{}", verified.out);
}

#[test]
fn a_file_is_verified_and_inspected_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let exact = path("exact.wasm", EXACT.component);
    let good = command("plugin verify --bench").arg(&exact).good().out;
    for told in [
        "contract      portcullis:blacklist@0.1.0",
        "plugin        exact 0.1.0, hashed numbers",
        "  a check, ns",
    ] {
        assert!(good.contains(told), "{told}: {good}");
    }
    assert!(good.ends_with("good: it fits, and does what its contract says\n"), "{good}");

    let limited = command("plugin verify --limit functions=3").arg(&exact).ends(1).out;
    assert!(
        limited.contains("wrong: it has") && limited.contains("functions, and 3 are allowed"),
        "{limited}"
    );
    assert!(limited.contains("[plugins.limits.exact] functions = "), "{limited}");
    let unknown = command("plugin verify --limit function=3").arg(&exact).ends(2);
    assert!(unknown.err.contains("there is no limit function; known are component_bytes"), "{}", unknown.err);

    let evil = path("evil.wasm", EVIL.component);
    let json =
        command("plugin verify --json").arg("--options").arg(r#"{"mode":"miscount"}"#).arg(&evil).ends(1).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["problems"][0].as_str().is_some_and(|problem| problem.contains("count said 0")), "{json}");
    let nothing = command("plugin verify /nowhere.wasm").ends(2);
    assert!(nothing.err.contains("can't read /nowhere.wasm"), "{}", nothing.err);

    let inspected = command("plugin inspect").arg(&exact).good().out;
    for told in ["exports interface portcullis:blacklist/blacklist@0.1.0", "imports nothing", " of code"] {
        assert!(inspected.contains(told), "{told}: {inspected}");
    }
    let noise = path("noise.wasm", b"noise");
    command("plugin inspect --json").arg(&noise).ends(1);
    let told = command("plugin inspect").arg(&noise).ends(1).out;
    assert!(
        told.starts_with("wrong: it is not WebAssembly: it is text") && told.lines().count() == 1,
        "{told}"
    );
    let module = path("module.wasm", b"\0asm\x01\0\0\0");
    let told = command("plugin inspect").arg(&module).good().out;
    assert!(told.contains("a core module: `portcullis plugin component` makes a component"), "{told}");
    let recording = path("hour.ndjson", b"");
    let unknown = command("plugin replay --plugin nope").arg(&recording).ends(2);
    let told = "there is no built-in plugin nope, and no file of this name; built in are exact, prefix, policy, policy-numbers";
    assert!(unknown.err.contains(told), "{}", unknown.err);
    let trivial = path("trivial.wasm", TRIVIAL.component);
    let refused = command("plugin component --output x.wasm").arg(&trivial).ends(2);
    assert!(refused.err.contains("it is a component already"), "{}", refused.err);
}
