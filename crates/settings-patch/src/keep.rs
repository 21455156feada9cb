//! Secrets that a request leaves out, or names by their placeholder.

use portcullis_api::settings::{MASK, Secret, Sender, Tenant};
use portcullis_api::{Token, is_masked_url, masked_url};
use serde_json::Value;

use crate::Settings;

/// What becomes of a secret that the settings of a request don't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It stays what it is, because the request may have left it out. `null` removes it.
    Kept,
    /// It is gone, because the settings are a patched whole.
    Removed,
}

/// Fills a tenant's new settings with the secrets that it has, where the settings have [`MASK`] in their place: in `access_token`, in
/// `events.secret`, in tokens that have a name, and in URLs that are otherwise the same. Does the same for its senders, by name.
///
/// Secrets that are left out become what `left_out` says: `access_token`, `events`, `events.secret`, and `tokens`. In lists of senders and of
/// named tokens, which no patch merges, secrets that are left out always stay.
///
/// Where nothing is set that could stay, the placeholder does, and is no valid secret. What is not of the right form stays as it is.
pub fn keep_secrets_of_tenant(wanted: &mut Settings, before: Option<&Tenant>, left_out: LeftOut) {
    keep_secret(wanted, "access_token", before.and_then(|before| before.access_token.as_ref()), left_out);
    keep_tokens(wanted, before.map(|before| before.tokens.as_slice()), left_out);
    let events = before.and_then(|before| before.events.as_ref());
    match (wanted.get_mut("events"), events) {
        (None, Some(events)) if left_out == LeftOut::Kept => {
            wanted.insert(
                "events".to_owned(),
                serde_json::json!({ "url": events.url, "secret": events.secret.0 }),
            );
        }
        (Some(Value::Object(wanted)), events) => {
            keep_secret(wanted, "secret", events.map(|events| &events.secret), left_out);
            keep_url(wanted, "url", events.map(|events| events.url.as_str()));
        }
        _ => {}
    }
    if let Some(Value::Object(wanted)) = wanted.get_mut("next_hops") {
        let hops = before.map(|before| &before.next_hops);
        keep_url(wanted, "outbound", hops.and_then(|hops| hops.outbound.as_deref()));
        keep_url(wanted, "inbound", hops.and_then(|hops| hops.inbound.as_deref()));
    }
    for wanted in objects(wanted, "senders") {
        let named = wanted.get("id").and_then(Value::as_str);
        let before =
            before.and_then(|before| before.senders.iter().find(|sender| Some(&*sender.id) == named));
        keep_secrets_of_sender(wanted, before, LeftOut::Kept);
    }
}

/// The same for the settings of a sender: `access_token`, `tokens`, `callback_url` and `quarantine_url`.
pub fn keep_secrets_of_sender(wanted: &mut Settings, before: Option<&Sender>, left_out: LeftOut) {
    keep_secret(wanted, "access_token", before.and_then(|before| before.access_token.as_ref()), left_out);
    keep_tokens(wanted, before.map(|before| before.tokens.as_slice()), left_out);
    keep_url(wanted, "callback_url", before.and_then(|before| before.callback_url.as_deref()));
    keep_url(wanted, "quarantine_url", before.and_then(|before| before.quarantine_url.as_deref()));
}

fn objects<'a>(wanted: &'a mut Settings, name: &str) -> impl Iterator<Item = &'a mut Settings> {
    wanted.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn keep_secret(wanted: &mut Settings, name: &str, before: Option<&Secret>, left_out: LeftOut) {
    let Some(Secret(before)) = before else { return };
    let is_kept = match wanted.get(name) {
        None => left_out == LeftOut::Kept,
        Some(value) => value == MASK,
    };
    if is_kept {
        wanted.insert(name.to_owned(), Value::from(before.as_str()));
    }
}

fn keep_url(wanted: &mut Settings, name: &str, before: Option<&str>) {
    if let (Some(Value::String(url)), Some(before)) = (wanted.get_mut(name), before)
        && is_masked_url(url)
        && *url == masked_url(before)
    {
        before.clone_into(url);
    }
}

fn keep_tokens(wanted: &mut Settings, before: Option<&[Token]>, left_out: LeftOut) {
    let before = before.unwrap_or_default();
    if !wanted.contains_key("tokens") && left_out == LeftOut::Kept && !before.is_empty() {
        // Tokens are texts and tables of texts, which are always JSON.
        if let Ok(tokens) = serde_json::to_value(before) {
            wanted.insert("tokens".to_owned(), tokens);
        }
        return;
    }
    for wanted in objects(wanted, "tokens") {
        let named = wanted.get("name").and_then(Value::as_str);
        let before = before.iter().find_map(|token| match token {
            Token::Named(token) if Some(&*token.name) == named => Some(&token.token),
            _ => None,
        });
        keep_secret(wanted, "token", before, LeftOut::Kept);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::merge;

    fn object(value: Value) -> Settings {
        match value {
            Value::Object(object) => object,
            _ => panic!("an object"),
        }
    }

    fn tenant() -> Tenant {
        serde_json::from_value(json!({
            "id": "acme",
            "access_token": "EAAB",
            "tokens": ["plain", { "name": "crm", "token": "of-crm", "scopes": ["check"] }],
            "events": { "url": "https://h.example/e?token=t", "secret": "of-events" },
            "next_hops": { "outbound": "http://u:p@h.example/out" },
            "senders": [
                { "id": "support", "access_token": "EAAC", "callback_url": "https://u:cb@h.example/",
                    "quarantine_url": "https://h.example/?key=q", "tokens": [{ "name": "desk", "token": "of-desk" }] },
                { "id": "sales" },
            ],
        }))
        .unwrap()
    }

    fn written(tenant: &Tenant) -> Value {
        serde_json::to_value(tenant).unwrap()
    }

    fn put(wanted: Value) -> Value {
        let mut wanted = object(wanted);
        keep_secrets_of_tenant(&mut wanted, Some(&tenant()), LeftOut::Kept);
        Value::Object(wanted)
    }

    fn patched(patch: Value) -> Value {
        let mut settings = object(written(&tenant()));
        merge(&mut settings, object(patch));
        keep_secrets_of_tenant(&mut settings, Some(&tenant()), LeftOut::Removed);
        Value::Object(settings)
    }

    #[test]
    fn what_is_shown_can_be_sent_back() {
        let shown = written(&tenant().masked());
        assert!(!shown.to_string().contains("EAA") && !shown.to_string().contains("of-events"));
        assert_eq!(put(shown), written(&tenant()));
        assert_eq!(patched(json!({})), written(&tenant()));
        assert_eq!(patched(written(&tenant().masked())), written(&tenant()));
    }

    #[test]
    fn secrets_that_are_left_out_stay_and_null_removes_them() {
        let kept = put(json!({ "senders": [{ "id": "support" }, { "id": "new" }] }));
        let before = written(&tenant());
        for name in ["access_token", "tokens", "events"] {
            assert_eq!(kept[name], before[name], "{name}");
        }
        let sender =
            json!({ "id": "support", "access_token": "EAAC", "tokens": before["senders"][0]["tokens"] });
        assert_eq!(kept["senders"], json!([sender, { "id": "new" }]));
        let removed = put(json!({
            "access_token": null, "events": null, "tokens": [],
            "senders": [{ "id": "support", "access_token": null, "tokens": [] }],
        }));
        assert!(removed["access_token"].is_null() && removed["events"].is_null());
        assert_eq!(removed["tokens"], json!([]));
        assert_eq!(removed["senders"], json!([{ "id": "support", "access_token": null, "tokens": [] }]));
    }

    #[test]
    fn a_patch_removes_what_it_says_and_nothing_else() {
        let without = patched(json!({ "access_token": null }));
        assert!(without.get("access_token").is_none());
        assert_eq!(without["events"], written(&tenant())["events"]);
        let moved = patched(json!({ "events": { "url": "https://other.example/" } }));
        assert_eq!(moved["events"], json!({ "url": "https://other.example/", "secret": "of-events" }));
        assert!(patched(json!({ "events": null })).get("events").is_none());
        // A list is replaced, and the secrets of those who stay in it stay.
        let one = patched(json!({ "senders": [{ "id": "support", "active": false }] }));
        assert_eq!(one["senders"][0]["access_token"], "EAAC");
        assert_eq!(one["senders"][0]["tokens"][0]["token"], "of-desk");
        assert_eq!(one["senders"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_named_token_stays_by_its_name() {
        for token in [json!({ "name": "crm", "token": MASK }), json!({ "name": "crm" })] {
            assert_eq!(
                put(json!({ "tokens": [token] }))["tokens"],
                json!([{ "name": "crm", "token": "of-crm" }])
            );
        }
        // Not one of another list.
        let other = json!([{ "name": "desk", "token": MASK }]);
        assert_eq!(put(json!({ "tokens": other }))["tokens"], other);
    }

    #[test]
    fn placeholders_stay_where_nothing_is_set() {
        let wanted = json!({
            "access_token": MASK, "events": { "url": "https://h.example/", "secret": MASK }, "tokens": [MASK],
            "senders": [{ "id": "a", "access_token": MASK, "callback_url": "https://u:(set)@h.example/" }],
        });
        let mut kept = object(wanted.clone());
        keep_secrets_of_tenant(&mut kept, None, LeftOut::Kept);
        assert_eq!(Value::Object(kept), wanted);
        // A URL whose shown part differs is another URL.
        let url = json!({ "next_hops": { "outbound": "http://u:(set)@other.example/out" } });
        assert_eq!(put(url.clone())["next_hops"], url["next_hops"]);
    }

    #[test]
    fn what_has_another_form_stays_for_the_parser_to_refuse() {
        for wanted in [
            json!({ "events": 1, "tokens": 2, "senders": 3, "next_hops": [], "access_token": {} }),
            json!({ "events": {}, "tokens": [1, {}], "senders": [1, { "id": 2 }], "access_token": 1 }),
        ] {
            let mut kept = object(wanted.clone());
            keep_secrets_of_tenant(&mut kept, None, LeftOut::Kept);
            assert_eq!(Value::Object(kept), wanted);
        }
    }
}
