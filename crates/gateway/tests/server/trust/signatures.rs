//! What is signed, tampered with, unsigned or signed by an expired key, at every door.

use jiff::Timestamp;
use portcullis_plugin_bundle::{EVIL_RULES, EXACT};
use serde_json::{Value, json};

use super::super::support::{Gateway, SERVER, TENANTS, digest, refused_start, variant};
use super::keys::{Keys, drop_signature, put};

/// A configuration whose tenant acme has a plugin `vip`.
fn config(plugins: &str, tenant: &str) -> String {
    let server = SERVER.replace("[plugins]", &format!("[plugins]\n{plugins}"));
    let tenants = TENANTS.replacen("id = \"acme\"", &format!("id = \"acme\"\nplugin = \"vip\"\n{tenant}"), 1);
    format!("{server}{tenants}")
}

fn serving(gateway: &Gateway) -> Value {
    gateway.plugin("acme")["serving"]["version"].clone()
}

/// What became of the last attempt to serve acme.
fn last(gateway: &Gateway) -> String {
    gateway.plugin("acme")["last"].to_string()
}

fn restarted(gateway: &mut Gateway, config: &str) {
    std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
    gateway.restart();
}

#[test]
fn only_what_a_trusted_key_signed_is_admitted_and_each_refusal_says_what_to_do() {
    let (acme, stranger) = (Keys::new("acme"), Keys::new("stranger"));
    let [first, second, third] = [b'1', b'2', b'3'].map(|name| variant(EXACT.component, name));
    let rules = "rules = [{ plugin = \"evil-rules\" }]";
    let config = config(&format!("trusted_keys = [{}]", acme.trusted()), rules);
    // At the start, by the folder.
    let mut gateway = Gateway::with_plugin(&config, Some(("vip.wasm", &first)));
    // The folder is looked at once the tenants are served.
    gateway.until("it is refused", |gateway| last(gateway).contains("is not trusted by this gateway"));
    let why = last(&gateway);
    assert!(why.contains("it has no signature, and needs one by acme ("), "{why}");
    assert!(why.contains("portcullis plugin sign"), "{why}");
    // The plugins that are built in need none.
    assert_eq!(gateway.plugin("globex")["serving"]["version"], digest(EXACT.component));
    drop_signature(&gateway, "vip", &acme.signature(&first));
    gateway.until("the signed file serves", |gateway| serving(gateway) == digest(&first));
    let listed = gateway.api("GET", "/admin/plugins", "admin-secret", None);
    let plugins = listed.ok()["plugins"].as_array().unwrap();
    let signed_by =
        |name| &plugins.iter().find(|plugin| plugin["plugin"] == name).unwrap()["versions"][0]["signed_by"];
    assert!(signed_by("vip").as_str().unwrap().starts_with("acme ("), "{}", signed_by("vip"));
    assert_eq!(*signed_by("exact"), Value::Null);

    // By the folder, while it runs.
    drop_signature(&gateway, "vip", &acme.signature(&second));
    gateway.drop_plugin("vip", &third);
    gateway.until("it is refused", |gateway| last(gateway).contains("is of other bytes"));
    assert!(last(&gateway).contains("get both from their author"), "{}", last(&gateway));
    assert_eq!(serving(&gateway), digest(&first));

    // Uploads.
    let message = |answer: super::super::support::Answer| answer.error(400, "invalid_plugin").to_owned();
    let unsigned = message(put(&gateway, "vip", &second, None));
    assert!(unsigned.contains(&digest(&second)["sha256:".len()..][..12]), "{unsigned}");
    assert!(unsigned.contains("of the plugin vip") && unsigned.contains("it has no signature"), "{unsigned}");
    let strange = message(stranger.push(&gateway, "vip", &second));
    assert!(strange.contains("and needs a signature by acme ("), "{strange}");
    let tampered = message(put(&gateway, "vip", &second, Some(&acme.signature(&third))));
    assert!(
        tampered.contains("its signature by acme (") && tampered.contains("is of other bytes"),
        "{tampered}"
    );
    let garbled = put(&gateway, "vip", &second, Some(b"not a signature"));
    assert!(garbled.error(400, "invalid_request").contains("Portcullis-Signature"));
    acme.push(&gateway, "vip", &second).ok();
    gateway.until("the upload serves", |gateway| serving(gateway) == digest(&second));

    // Rules.
    let rule = |gateway: &Gateway| gateway.plugin("acme")["rules"][0].clone();
    message(put(&gateway, "evil-rules", EVIL_RULES.component, None));
    assert!(rule(&gateway)["problem"].is_string(), "{}", rule(&gateway));
    gateway.drop_plugin("evil-rules", EVIL_RULES.component);
    gateway.until("it is looked at", |gateway| rule(gateway).to_string().contains("it has no signature"));
    drop_signature(&gateway, "evil-rules", &acme.signature(EVIL_RULES.component));
    gateway.until("the rule serves", |gateway| rule(gateway)["version"] == digest(EVIL_RULES.component));

    // A reload of a version by its digest, from the archive. The others need no signature again after a restart.
    gateway.restart();
    assert_eq!(serving(&gateway), digest(&second));
    assert_eq!(rule(&gateway)["version"], digest(EVIL_RULES.component));
    let back = json!({ "version": digest(&first) });
    assert_eq!(gateway.admin("POST", "/acme/plugin", Some(back)).ok()["serving"]["version"], digest(&first));

    // The keys change while it runs.
    let other = config.replace(&acme.trusted(), &stranger.trusted());
    std::fs::write(gateway.folder().join("portcullis.toml"), format!("{other}\n# end\n")).unwrap();
    gateway.hang_up();
    gateway.until("the key is not trusted any more", |gateway| {
        last(gateway).contains("and needs a signature by stranger (")
    });
    assert_eq!(serving(&gateway), digest(&first), "what serves goes on");
    stranger.push(&gateway, "vip", &third).ok();
    let newest = json!({ "plugin": "vip" });
    assert_eq!(
        gateway.admin("POST", "/acme/plugin", Some(newest)).ok()["serving"]["version"],
        digest(&third)
    );
}

#[test]
fn an_expired_key_admits_nothing_new_and_what_it_admitted_goes_on() {
    let keys = Keys::new("acme");
    let [first, second] = [b'1', b'2'].map(|name| variant(EXACT.component, name));
    let until = |not_after: &str| config(&format!("trusted_keys = [{}]", keys.trusted_until(not_after)), "");
    let mut gateway = Gateway::with(&until("2999-12-31"));
    keys.push(&gateway, "vip", &first).ok();
    gateway.until("it serves", |gateway| serving(gateway) == digest(&first));
    let end = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap();
    gateway.until("the time is over", |_| Timestamp::now() > end);

    restarted(&mut gateway, &until(&end.to_string()));
    assert_eq!(serving(&gateway), digest(&first));
    keys.push(&gateway, "vip", &first).ok();
    let refused = keys.push(&gateway, "vip", &second);
    let message = refused.error(400, "invalid_plugin");
    assert!(
        message.contains("which admits nothing new after") && message.contains(&end.to_string()),
        "{message}"
    );
    assert!(message.contains("have it signed with a key that is in force"), "{message}");
    drop_signature(&gateway, "vip", &keys.signature(&second));
    gateway.drop_plugin("vip", &second);
    gateway.until("the file is refused", |gateway| last(gateway).contains("admits nothing new"));
    assert_eq!(serving(&gateway), digest(&first));

    // A key that leaked is dated back to before the leak. What it was to admit since goes.
    restarted(&mut gateway, &until("2020-01-01"));
    gateway.until("it is refused", |gateway| {
        last(gateway).contains("which admits nothing new after 2020-01-01")
    });
    assert_eq!(gateway.plugin("globex")["serving"]["version"], digest(EXACT.component));
}

#[test]
fn a_tenant_trusts_fewer_keys_than_the_gateway() {
    let (acme, other) = (Keys::new("acme"), Keys::new("other"));
    let [first, second] = [b'1', b'2'].map(|name| variant(EXACT.component, name));
    let trusted = format!("trusted_keys = [{}, {}]", acme.trusted(), other.trusted());
    let config = config(&trusted, &format!("trusted_keys = [{}]", acme.trusted()));
    let mut gateway = Gateway::with(&config);
    acme.push(&gateway, "vip", &first).ok();
    gateway.until("it serves", |gateway| serving(gateway) == digest(&first));
    other.push(&gateway, "vip", &second).ok();
    gateway.until("it is refused", |gateway| {
        let last = last(gateway);
        last.contains("is not trusted by the tenant: it is signed with the key") && last.contains("by acme (")
    });
    // Another tenant has the newest, and after a restart acme the newest of those that it trusts.
    gateway.restart();
    assert_eq!(serving(&gateway), digest(&first));
    let key = format!("\"key\": {}", acme.trusted().split("key = ").nth(1).unwrap().trim_end_matches(" }"));
    let settings = |keys: &str| {
        let text =
            format!("{{\"plugin\": \"vip\", \"tokens\": [\"initech-secret\"], \"trusted_keys\": [{keys}]}}");
        Some(serde_json::from_str::<Value>(&text).unwrap())
    };
    let of_initech = |gateway: &Gateway| gateway.plugin("initech")["serving"]["version"].clone();
    assert_eq!(gateway.admin("PUT", "/initech", settings("")).status, 201);
    assert_eq!(of_initech(&gateway), digest(&second));
    // It can't be narrowed to keys that do not trust what serves.
    let narrow = settings(&format!("{{\"name\": \"acme\", {key}}}"));
    let refused = gateway.admin("PUT", "/initech", narrow.clone());
    assert!(refused.text.contains("is not trusted by the tenant"), "{}", refused.text);
    assert_eq!(of_initech(&gateway), digest(&second));
    let mut pinned = narrow.unwrap();
    pinned["plugin_version"] = json!(digest(&first));
    gateway.admin("PUT", "/initech", Some(pinned)).ok();
    assert_eq!(of_initech(&gateway), digest(&first));

    let (folder, stranger) = (tempfile::tempdir().unwrap(), Keys::new("stranger"));
    let strange = config.replacen(
        &format!("vip\"\ntrusted_keys = [{}", acme.trusted()),
        &format!("vip\"\ntrusted_keys = [{}", stranger.trusted()),
        1,
    );
    assert_ne!(strange, config);
    let said = refused_start(folder.path(), &strange);
    assert!(said.contains("tenants[0].trusted_keys[0].key: the gateway does not trust this key"), "{said}");
}
