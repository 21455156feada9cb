//! Requests to the Graph API.

use std::collections::BTreeSet;

use portcullis_engine::Identity;
use portcullis_proxy::fuzz::outbound::{self as read, Asker, Owner};
use serde_json::Value;

use crate::support::{choice, pieces};
use crate::upstream::model::{Harm, harms};
use crate::upstream::{
    BLOCKED, BLOCKED_USER, HELD, OTHER, OTHER_ACCOUNT, OWN, OWN_ACCOUNT, PROMOTION, Raw, SECOND, SENDER,
    TENANT,
};

/// Names of parameters that make another request of one.
const CONTROLS: [&str; 3] = ["batch", "method", "ids"];

fn of_tenant(id: &str) -> Owner {
    match id {
        OWN | SECOND => Owner::Number,
        OWN_ACCOUNT => Owner::Account,
        OTHER | OTHER_ACCOUNT => Owner::Another,
        _ => Owner::Nobody,
    }
}

fn of_sender(id: &str) -> Owner {
    match id {
        OWN => Owner::Number,
        SECOND | OWN_ACCOUNT | OTHER | OTHER_ACCOUNT => Owner::Another,
        _ => Owner::Nobody,
    }
}

const ASKER: Asker = Asker { owner: of_tenant, sender: None };

fn is_control(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CONTROLS.contains(&name.as_str()) || name == "access_token"
}

/// What a text or an integer says.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A message that passes says the same to another reader of JSON, and when it is written anew.
pub fn send_body(data: &[u8]) {
    let all = read::messages(data);
    let mut different = all.iter().flat_map(|(_, message)| message);
    let first = different.next();
    assert!(different.all(|message| Some(message) == first), "each edge reads the same, or nothing");
    let Some(message) = first else { return };
    // A number may be too large for this reader, and a text no Unicode.
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    assert_eq!(message.to, said(&value["to"]));
    assert_eq!(message.recipient, said(&value["recipient"]));
    assert_eq!(message.is_for_group, value["recipient_type"] == "group");
    assert_eq!(message.kind, said(&value["type"]));
    assert_eq!(message.template, said(&value["template"]["name"]));
    assert_eq!(message.status, said(&value["status"]));
    assert_eq!(message.action.is_some(), !value["action"].is_null());
    assert_eq!(read::messages(value.to_string().as_bytes()), all, "written anew, it is read alike");
}

/// A path that passes goes on as it came, but for a slash at its end, and passes again.
pub fn graph_path(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(path) = read::path(text) else { return };
    assert_eq!(text.strip_suffix('/').unwrap_or(text), path);
    assert_eq!(read::path(&path).as_ref(), Some(&path));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-=:.".contains(&byte);
    assert!(path.bytes().all(is_plain) && !path.contains("//") && !path.contains("/."), "{path}");
}

/// A query that passes passes again as it goes on, and another reader finds the same values in it, and no name with a meaning.
pub fn query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some((onward, values)) = read::query(text) else { return };
    assert_eq!(read::query(&onward), Some((onward.clone(), values.clone())));
    let pairs: Vec<_> = form_urlencoded::parse(onward.as_bytes()).collect();
    let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), pairs.len(), "each parameter stands once");
    assert!(pairs.iter().all(|(name, _)| !CONTROLS.contains(&name.to_ascii_lowercase().as_str())));
    if !onward.contains('+') {
        assert!(pairs.iter().map(|(_, value)| value).eq(&values));
    }
}

/// A body that passes at an edge which does not send has no parameter with a meaning, and no id of another's, to another reader.
pub fn fields(data: &[u8]) {
    let (choice, data) = choice(data);
    if choice % 2 == 0 {
        if !read::json(data, ASKER) || data.is_empty() {
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
        let object = value.as_object().expect("an object passes only");
        assert!(!object.keys().any(|name| is_control(name)));
        assert!(!object.values().any(names_another));
        assert!(read::json(value.to_string().as_bytes(), ASKER), "written anew, it passes");
        return;
    }
    if !read::form(data, ASKER) {
        return;
    }
    let end = data.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    for (name, value) in form_urlencoded::parse(&data[..end]) {
        assert!(!is_control(&name));
        // A `+` is a space to one reader and none to another.
        assert!(value.contains(' ') || !has_another(&value), "{value}");
    }
}

fn has_another(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| [OTHER, OTHER_ACCOUNT].contains(&digits))
}

fn names_another(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => {
            // Digits behind the point of a float are no id.
            [OTHER, OTHER_ACCOUNT].iter().any(|id| number.as_f64().map(f64::abs) == id.parse().ok())
        }
        Value::String(text) => has_another(text),
        Value::Array(items) => items.iter().any(names_another),
        Value::Object(members) => {
            members.iter().any(|(name, value)| has_another(name) || names_another(value))
        }
    }
}

const BOUNDARY: &str = "xyz";

/// Checks what passed of a body in pieces, and as a whole.
fn assert_same(whole: &[u8], at_once: &(Vec<u8>, bool), in_pieces: &(Vec<u8>, bool)) {
    assert_eq!(at_once.1, in_pieces.1, "it passes however it comes");
    for (passed, is_all) in [at_once, in_pieces] {
        assert!(whole.starts_with(passed), "what passes is what came");
        assert!(!is_all || passed == whole, "all of it passes");
    }
}

/// A multipart body that comes in pieces passes, or does not, as it does at once. One that passes has no part with a meaning.
pub fn multipart(data: &[u8]) {
    let (pieces, whole) = pieces(data);
    let at_once = read::multipart(BOUNDARY, [whole], ASKER);
    assert_same(whole, &at_once, &read::multipart(BOUNDARY, pieces, ASKER));
    if !at_once.1 {
        return;
    }
    let text = String::from_utf8_lossy(whole);
    for part in text.split("--xyz").skip(1) {
        let Some((head, _)) = part.split_once("\r\n\r\n") else { continue };
        for name in head.split("name=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(!is_control(name) || head.contains("filename"), "{name}");
        }
    }
}

/// The same of an upload. One that passes has no parameter with a meaning to a reader of forms.
pub fn upload(data: &[u8]) {
    let (pieces, whole) = pieces(data);
    let at_once = read::upload([whole]);
    assert_same(whole, &at_once, &read::upload(pieces));
    if at_once.1 {
        for (name, _) in form_urlencoded::parse(whole) {
            assert!(!CONTROLS.contains(&name.to_ascii_lowercase().as_str()), "{name}");
        }
    }
}

/// A request: its first line, its headers, an empty line, and its body.
fn request(data: &[u8]) -> Option<Raw> {
    let head_bytes = data.windows(2).position(|two| two == b"\n\n")?;
    let (head, body) = (str::from_utf8(&data[..head_bytes]).ok()?, &data[head_bytes + 2..]);
    let mut lines = head.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let headers =
        lines.map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())));
    Some(Raw {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.collect::<Option<_>>()?,
        body: body.to_owned(),
    })
}

/// A request that passes the gate is harmless to the most lenient upstream.
pub fn gate(data: &[u8]) {
    let Some(raw) = request(data) else { return };
    let asker = |token: &[u8]| match token {
        token if token == TENANT.as_bytes() => Some(ASKER),
        token if token == SENDER.as_bytes() => Some(Asker { owner: of_sender, sender: Some(OWN) }),
        _ => None,
    };
    let given =
        read::Request { method: &raw.method, target: &raw.target, headers: &raw.headers, body: &raw.body };
    let Some(passed) = read::gate(&given, asker, |template| template == PROMOTION) else { return };
    if let Some((people, is_marketing)) = &passed.message {
        let stops = |person: &Identity| match person {
            Identity::User(id) => id.as_str() == BLOCKED_USER,
            Identity::Number(number) => {
                let digits = number.digits().to_string();
                digits == BLOCKED || (digits == HELD && *is_marketing)
            }
        };
        if people.iter().any(stops) {
            return;
        }
    }
    let onward = Raw { target: passed.target, ..raw };
    let mut harms = harms(&onward);
    if onward.target.contains("/upload:")
        && !self::harms(&Raw { body: Vec::new(), ..onward.clone() }).contains(&Harm::Another)
    {
        // The body is a file's. An id in it is content, whatever a reader of forms would make of it.
        harms.remove(&Harm::Another);
    }
    assert!(harms.is_empty(), "{harms:?}: {onward:?}");
}
