//! The OpenAPI document and the table of metrics match the gateway.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::support::{ACME, ADMIN, Gateway};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn document(gateway: &Gateway) -> Value {
    gateway.api("GET", "/openapi.json", "", None).ok().clone()
}

/// A path with its parameters filled in.
fn filled(path: &str) -> String {
    path.replace("{sender}/tokens/{token}", "{sender}/tokens/desk")
        .replace("{token}", "crm")
        .replace("{sender}", "support")
        .replace("{entry}", "%2B46732001122")
        .replace("{tenant}", "initech")
        .replace("{plugin}", "exact")
}

fn token_for(operation: &Value) -> &'static str {
    match &operation["security"][0] {
        Value::Object(scheme) if scheme.contains_key("tenant") => ACME,
        Value::Object(scheme) if scheme.contains_key("admin") => ADMIN,
        _ => "",
    }
}

fn fields(value: &Value) -> BTreeSet<&str> {
    // Optional fields that depend on earlier writes.
    let optional = ["before", "deactivated", "display", "expires", "last", "problem", "reason", "shadow"];
    let fields = value.as_object().into_iter().flat_map(|object| object.keys());
    fields.map(String::as_str).filter(|field| !optional.contains(field)).collect()
}

#[test]
fn the_document_names_exactly_the_routes() {
    let gateway = Gateway::start();
    let document = document(&gateway);
    for (path, operations) in document["paths"].as_object().unwrap() {
        let mut allowed = BTreeSet::new();
        for method in METHODS {
            // Without a token nothing happens, but the status shows whether the route exists.
            let answer = gateway.call(&method.to_uppercase(), &filled(path), "", None);
            if answer.status == 405 {
                assert_eq!(operations.get(method), None, "{method} {path}");
                allowed.extend(answer.header("allow").split(',').map(str::to_lowercase));
            } else {
                assert!(
                    operations.get(method).is_some(),
                    "{method} {path} is there, and not in the document"
                );
                let there = answer.status != 404 || answer.json["error"]["code"] != "not_found";
                assert!(there, "{method} {path} is in the document, and not there");
            }
        }
        allowed.remove("head");
        assert_eq!(allowed, operations.as_object().unwrap().keys().cloned().collect(), "{path}");
    }
    // A route that is missing in the document can't be found from outside, so the count is asserted.
    assert_eq!(document["paths"].as_object().unwrap().len(), 39);
}

#[test]
fn every_example_of_a_request_works() {
    let gateway = Gateway::start();
    let document = document(&gateway);
    // In an order in which every request finds what it needs.
    let order = ["put", "patch", "post", "get", "delete"];
    for method in order {
        for (path, operations) in document["paths"].as_object().unwrap() {
            let Some(operation) = operations.get(method) else { continue };
            // These need a component, an old version, a shadow run or a rule, and are covered by the tests of reloads
            // and of rules.
            let elsewhere = ["/plugins/{plugin}", "/versions/{version}", "/promote"];
            if elsewhere.iter().any(|end| path.ends_with(end))
                || path.contains("/rules/")
                || path.ends_with("/messages")
            {
                continue;
            }
            let mut path = filled(path);
            if path.ends_with("/%2B46732001122") {
                let list = path.trim_start_matches("/portcullis/v1").trim_end_matches("/%2B46732001122");
                gateway.post(list, json!({ "number": "+46732001122" })).ok();
            }
            if method == "delete" && path.contains("/admin/tenants/") {
                let desk = json!({ "id": "support", "tokens": [{ "name": "desk", "token": "desk-secret" }] });
                let crm = json!({ "name": "crm", "token": "crm-secret" });
                gateway.admin("PUT", "/initech", Some(json!({ "tokens": [crm], "senders": [desk] })));
                path = path.replace("/tenants/initech", "/tenants/initech?confirm=initech");
                path = match path.split_once("?confirm=initech/") {
                    Some((tenant, rest)) => format!("{tenant}/{rest}"),
                    None => path,
                };
            }
            let examples = operation["requestBody"]["content"]["application/json"]["examples"].as_object();
            let mut bodies: Vec<Option<String>> = examples
                .into_iter()
                .flat_map(|examples| examples.values())
                // The sender in the example has the same number as one of the test.
                .map(|example| Some(example["value"].to_string().replace("46700000001", "46700000003")))
                .collect();
            if bodies.is_empty() {
                bodies.push(None);
            }
            for body in bodies {
                let answer = gateway.call(&method.to_uppercase(), &path, token_for(operation), body.clone());
                assert!((200..300).contains(&answer.status), "{method} {path} {body:?}: {}", answer.json);
                let documented = operation["responses"].get(answer.status.to_string());
                assert!(documented.is_some(), "{method} {path}: {} is not in the document", answer.status);
                // A body that is not JSON has no fields.
                let Some(content) = documented.unwrap()["content"].get("application/json") else { continue };
                // An example has the same fields as the response. Those of entries vary.
                let shown = content["examples"].as_object().unwrap();
                let looks_alike =
                    shown.values().any(|example| fields(&example["value"]) == fields(&answer.json));
                let brief = body.is_some_and(|body| body.contains("brief"));
                assert!(
                    looks_alike || brief || path.ends_with("openapi.json"),
                    "{method} {path}: {}",
                    answer.json
                );
            }
        }
    }
}

#[test]
fn errors_are_documented_where_they_occur() {
    let gateway = Gateway::start();
    let document = document(&gateway);
    for (method, path, token, body) in [
        ("post", "/portcullis/v1/senders/{sender}/check", "", "{}"),
        ("post", "/portcullis/v1/senders/{sender}/check", "x", "{}"),
        ("post", "/portcullis/v1/senders/{sender}/check", ACME, "{"),
        ("post", "/portcullis/v1/senders/{sender}/check", ACME, "{}"),
        ("post", "/portcullis/v1/tenant/check", ACME, r#"{"number": "x", "direction": "inbound"}"#),
        ("post", "/portcullis/v1/tenant/entries", ACME, r#"{"number": "x"}"#),
        ("delete", "/portcullis/v1/tenant/entries/{entry}", ACME, ""),
        ("get", "/portcullis/v1/tenant/entries/{entry}", ACME, ""),
        ("get", "/portcullis/v1/admin/tenants/{tenant}", ADMIN, ""),
        ("get", "/portcullis/v1/admin/tenants/{tenant}", ACME, ""),
        ("put", "/portcullis/v1/admin/tenants/{tenant}", ADMIN, r#"{"tokens": ["acme-secret"]}"#),
        ("put", "/portcullis/v1/admin/tenants/{tenant}/senders/{sender}", ADMIN, "{}"),
        ("delete", "/portcullis/v1/admin/tenants/{tenant}", ADMIN, ""),
        ("patch", "/portcullis/v1/admin/tenants/{tenant}", ADMIN, "{}"),
        ("get", "/portcullis/v1/admin/tenants/{tenant}/tokens", ADMIN, ""),
        ("post", "/portcullis/v1/admin/tenants/{tenant}/tokens", ADMIN, r#"{"name": "CRM"}"#),
        ("delete", "/portcullis/v1/admin/tenants/{tenant}/senders/{sender}/tokens/{token}", ADMIN, ""),
    ] {
        let body = (!body.is_empty()).then(|| body.to_owned());
        let answer = gateway.call(&method.to_uppercase(), &filled(path), token, body);
        let code = answer.json["error"]["code"].as_str().unwrap();
        let examples = &document["paths"][path][method]["responses"][answer.status.to_string()]["content"]["application/json"]
            ["examples"];
        assert!(examples.get(code).is_some(), "{method} {path}: {code} is not in the document");
    }
}

#[test]
fn every_reference_in_the_document_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let gateway = Gateway::start();
    let document = document(&gateway);
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let ids: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|operations| operations.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids of operations are unique");
}

#[test]
fn docs_operating_lists_every_metric_with_its_labels() {
    let page = include_str!("../../../../docs/operating.md");
    let is_metric = |line: &&str| line.starts_with("| `portcullis_") || line.starts_with("| `process_");
    let rows = page.lines().filter(is_metric);
    let mut documented: BTreeMap<&str, BTreeSet<&str>> = rows
        .map(|row| {
            let [_, name, labels, _, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
            (name.trim().trim_matches('`'), labels.split('`').skip(1).step_by(2).collect())
        })
        .collect();

    let gateway = Gateway::start();
    gateway.verdict("+46732001122");
    let message =
        json!({ "sender": "support", "recipient": "+46732001122", "direction": "outbound", "body": "Hello" });
    gateway.post("/route", message).ok();
    gateway.api("POST", "/admin/tenants/acme/plugin", ADMIN, Some(json!({}))).ok();
    let metrics = gateway.call("GET", "/metrics?lists=all", ADMIN, None).text;
    let mut shown: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let (labels, _) = rest.split_once('}').unwrap_or_default();
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        let labels = labels.split("\",").filter_map(|label| label.split('=').next());
        shown.entry(name.to_owned()).or_default().extend(labels.filter(|label| !["", "le"].contains(label)));
    }
    let shown: BTreeMap<&str, BTreeSet<&str>> =
        shown.iter().map(|(name, labels)| (name.as_str(), labels.clone())).collect();
    // The gateway has made no request.
    let made = documented.remove("portcullis_outgoing_request_duration_seconds");
    assert_eq!(made, Some(BTreeSet::from(["to", "outcome"])));
    // No plugin has failed, and a counter appears with its first event.
    let faults = documented.remove("portcullis_plugin_faults_total");
    assert_eq!(faults, Some(BTreeSet::from(["tenant", "list", "kind"])));
    let stops = documented.remove("portcullis_rule_stops_total");
    assert_eq!(stops, Some(BTreeSet::from(["tenant", "rule", "reason", "verdict"])));
    // No address has TLS.
    let expiry = documented.remove("portcullis_tls_certificate_expiry_timestamp_seconds");
    assert_eq!(expiry, Some(BTreeSet::from(["setting"])));
    // The tenants have no rules.
    let rules = documented.remove("portcullis_rule_serving");
    assert_eq!(rules, Some(BTreeSet::from(["tenant", "rule"])));
    assert_eq!(shown, documented);
}
