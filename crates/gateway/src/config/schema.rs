//! The JSON Schema of the configuration file, made from the types that read it.
//!
//! Besides what JSON Schema defines, a setting may have `x-secret` (its value is never shown), `x-file` (it may come from a file), and
//! `x-file-of` (it names the file that has the value of another setting).

use portcullis_engine::WhenStale;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::file::File;

/// What is added to the name of a secret setting for the one that names a file with its value.
pub(super) const FILE: &str = "_file";

/// The schema, in the dialect 2020-12.
pub(crate) fn schema() -> Value {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value();
    let defs = schema.get("$defs").cloned().unwrap_or_default();
    let names: Vec<String> = defs.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    for name in names {
        if let Some(def) = schema.pointer_mut(&format!("/$defs/{name}")) {
            if matches!(name.as_str(), "Tenant" | "Sender") {
                name_itself(def);
            }
            complete(def, &defs);
        }
    }
    complete(&mut schema, &defs);
    schema
}

/// The schema of [`WhenStale`], whose crate knows no schemas.
pub(super) fn when_stale(_: &mut SchemaGenerator) -> Schema {
    let names = ["answer", "unready", "closed"];
    debug_assert!(names.iter().all(|name| serde_json::from_value::<WhenStale>(json!(name)).is_ok()));
    json_schema!({ "type": "string", "enum": names, "default": names[0] })
}

/// What a reference points to.
pub(super) fn target<'a>(schema: &'a Value, defs: &'a Value) -> &'a Value {
    let mut schema = schema;
    while let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        schema = &defs[name];
    }
    schema
}

/// The schema, and each of its alternatives, with references followed.
pub(super) fn alternatives<'a>(schema: &'a Value, defs: &'a Value) -> Vec<&'a Value> {
    let schema = target(schema, defs);
    let mut all = vec![schema];
    for kind in ["anyOf", "oneOf"] {
        for alternative in schema[kind].as_array().into_iter().flatten() {
            all.extend(alternatives(alternative, defs));
        }
    }
    all
}

/// In a file, a tenant and a sender must say their name. In a request, the path does.
fn name_itself(def: &mut Value) {
    if let Some(id) = def["properties"]["id"].as_object_mut() {
        id.remove("default");
    }
    if let Some(def) = def.as_object_mut() {
        let required = def.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.push("id".into());
        }
    }
}

/// Completes the settings of a table, and of the tables in it that have no name.
fn complete(schema: &mut Value, defs: &Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut choices = Vec::new();
    if let Some(settings) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let mut files = Map::new();
        for (name, setting) in &mut *settings {
            let (one, many) = secret(name, setting, defs);
            if (one || many) && setting["x-file"] != true {
                setting["x-secret"] = true.into();
            }
            if one || many {
                let file = format!("{name}{FILE}");
                if required.contains(&name.as_str().into()) {
                    choices.push((
                        name.clone(),
                        json!({ "oneOf": [{ "required": [name] }, { "required": [file] }] }),
                    ));
                }
                files.insert(file, of_file(name, one, many));
            }
            // Each list may be left out, and is empty then.
            if setting["type"] == "array"
                && setting.get("default").is_none()
                && !required.contains(&name.as_str().into())
            {
                setting["default"] = json!([]);
            }
            let is_table = setting.get("$ref").is_some() && target(setting, defs)["type"] == "object";
            if is_table && setting.get("default").is_none() && !required.contains(&name.as_str().into()) {
                setting["default"] = json!({});
            }
            without_null(setting);
            complete(setting, defs);
        }
        settings.append(&mut files);
    }
    if !choices.is_empty() {
        let (names, choices): (Vec<String>, Vec<Value>) = choices.into_iter().unzip();
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|name| !names.iter().any(|secret| name == secret));
        }
        schema["allOf"] = choices.into();
    }
}

/// The setting that names the file of a secret, or of several.
fn of_file(name: &str, one: bool, many: bool) -> Value {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let mut setting = match (one, many) {
        (true, true) => json!({ "anyOf": [{ "type": "string" }, list] }),
        (false, true) => list,
        _ => json!({ "type": "string" }),
    };
    let what = if many { "The files with the values" } else { "The file with the value" };
    setting["description"] = format!(
        "{what} of `{name}`, without a final newline; `credential:NAME` for one of systemd's credentials."
    )
    .into();
    setting["x-file-of"] = name.into();
    setting
}

/// Whether the value of a setting may be a secret, and whether it may be a list of secrets.
fn secret(name: &str, setting: &Value, defs: &Value) -> (bool, bool) {
    let is_secret = |schema: &Value| {
        schema["format"] == "password" || (schema["type"] == "string" && is_secret_name(name))
    };
    let is_one = |schema: &Value| alternatives(schema, defs).into_iter().any(is_secret);
    let one = setting["x-file"] == true || is_one(setting);
    let many = alternatives(setting, defs).into_iter().filter_map(|schema| schema.get("items")).any(is_one);
    (one, many)
}

/// Whether a setting of this name is a secret whichever type it has.
fn is_secret_name(name: &str) -> bool {
    ["token", "tokens", "secret", "password"]
        .iter()
        .any(|end| name == *end || name.ends_with(&format!("_{end}")))
}

/// TOML knows no null: a setting may be left out instead.
fn without_null(setting: &mut Value) {
    if setting["default"].is_null()
        && let Some(setting) = setting.as_object_mut()
    {
        setting.remove("default");
    }
    if let Some(kind) = setting.get_mut("type") {
        let types = kind.as_array().into_iter().flatten().filter(|name| *name != "null");
        if let [only] = types.cloned().collect::<Vec<_>>().as_slice() {
            *kind = only.clone();
        }
    }
    let null = json!({ "type": "null" });
    let Some(choices) = setting["anyOf"].as_array().filter(|choices| choices.contains(&null)) else { return };
    let left: Vec<Value> = choices.iter().filter(|choice| **choice != null).cloned().collect();
    if let ([Value::Object(only)], Some(setting)) = (&left[..], setting.as_object_mut()) {
        setting.remove("anyOf");
        setting.extend(only.clone());
    } else {
        setting["anyOf"] = left.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_files_and_are_marked() {
        let schema = schema();
        let defs = &schema["$defs"];
        for (table, secret) in [
            ("Server", "admin_token"),
            ("MetaSettings", "app_secret"),
            ("MetaSettings", "verify_token"),
            ("Tenant", "access_token"),
            ("Tenant", "tokens"),
            ("Sender", "access_token"),
            ("Sender", "tokens"),
            ("Events", "secret"),
        ] {
            let settings = &defs[table]["properties"];
            assert_eq!(settings[secret]["x-secret"], true, "{table}.{secret}");
            assert_eq!(settings[format!("{secret}{FILE}")]["x-file-of"], secret, "{table}.{secret}");
        }
        assert_eq!(defs["Storage"]["properties"]["url_file"]["x-file-of"], "url");
        assert_eq!(defs["Storage"]["properties"]["url"].get("x-secret"), None);
        assert_eq!(defs["Storage"].get("required").map(|names| names.as_array().unwrap().len()), Some(0));
        assert_eq!(defs["Sender"]["properties"].get("number_file"), None);
    }

    #[test]
    fn a_list_of_secrets_and_tables_with_them_is_one_of_secrets() {
        let defs = json!({
            "Secret": { "type": "string", "format": "password" },
            "Token": { "anyOf": [{ "$ref": "#/$defs/Secret", "description": "…" }, { "$ref": "#/$defs/Named" }] },
            "Named": { "type": "object", "properties": { "token": { "$ref": "#/$defs/Secret" } } },
        });
        let list = json!({ "type": "array", "items": { "$ref": "#/$defs/Token" } });
        assert_eq!(secret("keys", &list, &defs), (false, true));
        assert_eq!(secret("key", &json!({ "$ref": "#/$defs/Token" }), &defs), (true, false));
        assert_eq!(secret("named", &json!({ "$ref": "#/$defs/Named" }), &defs), (false, false));
    }

    #[test]
    fn no_setting_may_be_null() {
        let text = schema().to_string();
        assert!(!text.contains("null"), "{text}");
    }
}
