//! The whole configuration that a file means, to be shown: with all defaults, and without secrets.

use portcullis_api::masked_url;
use portcullis_api::settings::MASK;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::Config;
use super::schema::{alternatives, schema};
use super::shape::{Secret, Shape};

/// All settings. A value from the environment is as it is written, `${NAME}`.
///
/// # Errors
/// If the text is not TOML, which a [`Config`] rules out.
pub(super) fn settings(config: &Config) -> Result<Table, toml::de::Error> {
    let mut settings: Table = config.text.0.parse()?;
    mask(&mut settings, Shape::of_the_file());
    let schema = schema();
    fill(&mut settings, &schema, &schema["$defs"]);
    depending(&mut settings, config);
    Ok(settings)
}

/// Adds what is left out and has a default.
fn fill(settings: &mut Table, schema: &Json, defs: &Json) {
    for table in alternatives(schema, defs) {
        for (name, setting) in table["properties"].as_object().into_iter().flatten() {
            if !settings.contains_key(name)
                && let Some(default) = setting.get("default")
                && let Ok(default) = Value::try_from(default)
            {
                settings.insert(name.clone(), default);
            }
            match settings.get_mut(name) {
                Some(Value::Table(inner)) => fill(inner, setting, defs),
                Some(Value::Array(items)) => {
                    let kinds = alternatives(setting, defs);
                    for item in items.iter_mut().filter_map(Value::as_table_mut) {
                        kinds
                            .iter()
                            .filter_map(|kind| kind.get("items"))
                            .for_each(|kind| fill(item, kind, defs));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Adds the defaults that depend on other settings.
fn depending(settings: &mut Table, config: &Config) {
    let key = config.master_key_file.to_string_lossy().into_owned();
    let grace = config.stopping.grace.as_secs();
    let bodies = config.limits.body_bytes(config.max_body_bytes) as u64;
    let mut add = |table: &str, name: &str, value: Option<Value>| {
        if let (Some(Value::Table(table)), Some(value)) = (settings.get_mut(table), value) {
            table.entry(name).or_insert(value);
        }
    };
    if config.master_key_command.is_none() {
        add("storage", "master_key_file", Some(key.into()));
    }
    add("server", "grace_seconds", integer(grace));
    let socket = config.hand_over_socket.as_ref().map(|path| path.to_string_lossy().into_owned().into());
    add("server", "hand_over_socket", socket);
    add("limits", "body_bytes", integer(bodies));
    let tenants = settings.get_mut("tenants").and_then(Value::as_array_mut);
    for tenant in tenants.into_iter().flatten() {
        if let Some(Value::Table(limit)) = tenant.get_mut("rate_limit")
            && let Some(rate) = limit.get("per_second").cloned()
        {
            limit.entry("burst").or_insert(rate);
        }
    }
}

fn integer(value: u64) -> Option<Value> {
    i64::try_from(value).ok().map(Value::Integer)
}

/// Replaces secrets, also those in URLs, and those that are in files.
fn mask(settings: &mut Table, shape: &Shape) {
    for secret in &shape.secrets {
        if let Some(named) = settings.remove(&secret.file) {
            let set = Value::from(MASK);
            let set = match named {
                Value::Array(files) => Value::Array(vec![set; files.len()]),
                _ if secret.is_one => set,
                _ => Value::Array(vec![set]),
            };
            settings.insert(secret.name.clone(), set);
        }
    }
    for (name, value) in settings.iter_mut() {
        if name == "master_key_command" {
            // Its arguments may be secrets. What it is, is shown.
            let arguments = value.as_array_mut().into_iter().flatten().skip(1);
            arguments.for_each(|argument| *argument = MASK.into());
            continue;
        }
        let secret = shape.secrets.iter().find(|secret| secret.name == *name);
        masked(value, secret, shape.table(name));
    }
}

/// Masks a secret that stands in the file itself.
fn hide(text: &mut String) {
    if !is_variable(text) {
        MASK.clone_into(text);
    }
}

fn masked(value: &mut Value, secret: Option<&Secret>, shape: &Shape) {
    match (value, secret) {
        (Value::String(text), Some(secret)) if !secret.is_url => hide(text),
        (Value::String(text), _) if text.contains("://") => *text = masked_url(text),
        (Value::Array(items), secret) => items.iter_mut().for_each(|item| masked(item, secret, shape)),
        (Value::Table(table), _) => mask(table, shape),
        _ => {}
    }
}

/// Whether the text is the name of a variable, and nothing else.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn everything_is_shown_except_for_secrets() {
        let text = r#"
            [server]
            listen = "127.0.0.1:0"
            admin_token = "admin-secret"
            [storage]
            url = "postgres://u:storage-secret@h/d?sslmode=disable"
            [traffic]
            upstream_timeout_seconds = 90
            [meta]
            app_secret = ["app-secret", "other-secret"]
            [[tenants]]
            id = "acme"
            tokens = ["acme-secret"]
            rate_limit = { per_second = 7 }
            events = { url = "https://u:url-secret@h.example/in", secret = "events-secret" }
            [[tenants.senders]]
            id = "support"
            access_token = "sender-secret"
        "#;
        let config = Config::parse(Path::new("/etc/p.toml"), text, |_| ["exact".to_owned()].into()).unwrap();
        let settings = settings(&config).unwrap();
        let shown = toml::to_string(&settings).unwrap();
        assert!(!shown.contains("secret\"") && !shown.contains("-secret"), "{shown}");
        assert_eq!(settings["server"]["admin_token"].as_str(), Some(MASK));
        assert_eq!(settings["server"]["grace_seconds"].as_integer(), Some(100));
        assert_eq!(settings["server"]["max_body_bytes"].as_integer(), Some(16 << 20));
        assert_eq!(settings["meta"]["app_secret"].as_array().unwrap().len(), 2);
        assert_eq!(settings["storage"]["url"].as_str(), Some("postgres://u:(set)@h/d?sslmode=disable"));
        assert_eq!(settings["storage"]["master_key_file"].as_str(), Some("/etc/portcullis.key"));
        let tenant = &settings["tenants"][0];
        assert_eq!((tenant["plugin"].as_str(), tenant["replicas"].as_integer()), (Some("exact"), Some(1)));
        assert_eq!(tenant["rate_limit"]["burst"].as_integer(), Some(7));
        assert_eq!(tenant["events"]["url"].as_str(), Some("https://u:(set)@h.example/in"));
        let sender = &tenant["senders"][0];
        assert_eq!(
            (sender["active"].as_bool(), sender["blocked_inbound"].as_str()),
            (Some(true), Some("drop"))
        );
        assert_eq!(settings["dialects"]["ninety_nine"]["list_reasons"]["failed"].as_integer(), Some(4));
        assert_eq!(settings.get("fleet"), None);
    }
}
