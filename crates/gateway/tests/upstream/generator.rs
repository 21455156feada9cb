//! Generates random requests: those of clients and known bypasses, with small changes.

use proptest::prelude::*;

use super::seeds::{FORM, JSON, MULTIPART, attacks, message, ordinary, part, template, upload};
use super::{
    BLOCKED, BLOCKED_USER, FREE, FREE_USER, HELD, OTHER, OTHER_ACCOUNT, OWN, OWN_ACCOUNT, PROMOTION, Raw,
    SECOND, SENDER, TENANT,
};

/// A request, unchanged or changed up to a handful of times.
pub(crate) fn requests() -> impl Strategy<Value = Raw> {
    let seeds: Vec<Raw> = ordinary().into_iter().chain(attacks()).collect();
    let changes = prop::collection::vec((0_u8..18, any::<u16>(), any::<u16>()), 0..5);
    (prop::sample::select(seeds), changes).prop_map(|(mut request, changes)| {
        for (kind, one, other) in changes {
            change(&mut request, kind, usize::from(one), usize::from(other));
        }
        request
    })
}

/// Snippets to insert into paths, separated by spaces.
const SNIPPETS: &str = "/ /. /.. /x/.. ;x=1 %3fx %23x %00x .json /extra // /./ %2e %2f \\ %20 + /v20.0 %3Fmethod=post \
    %3Fbatch=%5B%5D \u{435} %c3%a9 %5c %3b : = - _ 0 a";
const NODES: &[&str] = &[
    OWN,
    OWN_ACCOUNT,
    SECOND,
    OTHER,
    OTHER_ACCOUNT,
    "0106540352242999",
    "1234567890123456",
    "me",
    "app",
    "act_1234567890",
    "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOTo",
    "upload:MTphdHRh",
    "v20.0",
    "V20.0",
];
const EDGES: &str = "messages Messages marketing_messages messages_encrypted calls media message_templates participants \
    block_users subscribed_apps settings unknown_edge whatsapp_business_profile schedules batch register";
const VERSIONS: &[&str] =
    &["", "/v25.0", "/v20.0", "/V20.0", "/v20", "/v020.0", "/v20.0/v20.0", "/20.0", "/v1234.0"];
const METHODS: &[&str] = &["GET", "POST", "DELETE", "PUT", "HEAD"];
const TYPES: &[&str] = &[
    JSON,
    FORM,
    MULTIPART,
    "application/octet-stream",
    "image/jpeg",
    "text/plain",
    "application/json; charset=utf-16",
    "application/json; charset=utf-8",
    "application/json, application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=xyz; boundary=abc",
    "multipart/form-data; boundary=\"xyz\"",
];
const HEADERS: &[(&str, &str)] = &[
    ("x-http-method-override", "POST"),
    ("x-method-override", "DELETE"),
    ("x-original-method", "POST"),
    ("x-forwarded-uri", "/messages"),
    ("content-location", "/messages"),
    ("connection", "content-type"),
    ("connection", "keep-alive, Authorization"),
    ("x-original-url", "/me?batch=[]"),
    ("content-encoding", "gzip"),
    ("content-encoding", "identity"),
    ("authorization", "Bearer acme-secret"),
    ("authorization", "Bearer support-secret"),
    ("accept", "*/*"),
];

fn pairs() -> Vec<String> {
    let mut pairs: Vec<String> = [
        "recipient_type=group",
        "template=%7B%7D",
        "method=post",
        "METHOD=delete",
        "_method=post",
        "batch=%5B%5D",
        "Batch=[]",
        "%62atch=[]",
        "b%2561tch=[]",
        "batch%5B%5D=1",
        "batch[0]=1",
        "+batch=1",
        "x;batch=[]",
        "x=1;method=post",
        "limit=1",
        "fields=name",
        "fields=a{b}",
        "type=text",
        "messaging_product=whatsapp",
        "x=%00",
        "x=%zz",
        "x=1&x=2",
        "access_token=x",
        "access%5Ftoken=x",
        "Access_Token=x",
        "relative_url=x",
        "=x",
        "x",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    for name in
        ["to", "To", "to[]", "%74o", "t%256f", " to", "recipient", "ids", "phone_number_id", "waba_id", "x"]
    {
        for value in [BLOCKED, FREE, OWN, SECOND, OTHER, OTHER_ACCOUNT, OWN_ACCOUNT] {
            pairs.push(format!("{}={value}", name.replace(' ', "%20")));
        }
    }
    pairs.extend([TENANT, SENDER].map(|token| format!("access_token={token}")));
    pairs
}

/// Members of a JSON object.
fn members() -> Vec<String> {
    let mut members: Vec<String> = [
        r#""batch":[]"#,
        r#""Batch":[]"#,
        r#""b\u0061tch":[]"#,
        r#""method":"post""#,
        r#""ids":"1""#,
        r#""access_token":"x""#,
        r#""x":1"#,
        r#""x":[1e999]"#,
        r#""recipient_type":"group""#,
        r#""recipient_type":"individual""#,
        r#""type":"text""#,
        r#""status":"read""#,
        r#""action":"connect""#,
        r#""action":"redial""#,
        r#""to":null"#,
        r#""":1"#,
    ]
    .map(str::to_owned)
    .to_vec();
    for name in [
        "to",
        "To",
        "to[]",
        "t\\u006f",
        " to",
        "recipient",
        "recipients",
        "phone_number",
        "user",
        "source_waba_id",
    ] {
        for value in
            [BLOCKED, HELD, FREE, BLOCKED_USER, FREE_USER, OTHER, OTHER_ACCOUNT, SECOND, "+1 (650) 555-1234"]
        {
            members.push(format!(r#""{name}":"{value}""#));
            members.push(format!(r#""{name}":["{value}"]"#));
        }
        members.push(format!(r#""{name}":{BLOCKED}"#));
        members.push(format!(r#""{name}":{OTHER}"#));
    }
    for name in [PROMOTION, "x"] {
        members.push(format!(r#""template":{{"name":"{name}"}}"#));
        members.push(format!(r#""template":{{"name":"x","name":"{name}"}}"#));
        members.push(format!(r#""template":{{"Name":"{name}"}}"#));
    }
    members
}

fn bodies() -> Vec<String> {
    let parts = [
        part("name=\"batch\"", "[]"),
        part("name=\"x\"; name=\"batch\"", "[]"),
        part("name=\"x\"; filename=\"y\\\"; name=\"batch\"", "[]"),
        part("name=\"source_waba_id\"", OTHER_ACCOUNT),
        part("name=\"x\"", "1\n--xyz\nContent-Disposition: form-data; name=\"batch\"\n\n[]\n"),
        part(
            "name=\"x\"; filename=\"y\"",
            "1\r\n--xyz\nContent-Disposition: form-data; name=\"method\"\n\npost\n",
        ),
        part("name=\"to\"", BLOCKED),
        part("name=\"access_token\"", "x"),
    ];
    let mut bodies: Vec<String> = parts.iter().map(|part| upload(part)).collect();
    bodies.extend([FREE, BLOCKED, HELD].map(message));
    bodies.extend([
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        upload(""),
        format!("x\r\n{}", upload("")),
        format!("{}{}", upload(""), upload(&parts[0])),
        template(HELD, PROMOTION),
        format!("to={BLOCKED}&type=text"),
        "batch=[]&x=1".to_owned(),
        "b%61tch=[]".to_owned(),
        "x=1;batch=[]".to_owned(),
        format!(r#"{{"to":"{FREE}","x":"&to={BLOCKED}&batch=[]&"}}"#),
        format!("\u{feff}{}", message(BLOCKED)),
        format!("[{}]", message(BLOCKED)),
    ]);
    bodies
}

fn word(of: &str, at: usize) -> &str {
    pick(&of.split_whitespace().collect::<Vec<_>>(), at)
}

fn pick<T: Clone>(of: &[T], at: usize) -> T {
    of[at % of.len()].clone()
}

/// Makes a small change to a request: `kind` selects the change, `one` and `other` its place and content.
fn change(request: &mut Raw, kind: u8, one: usize, other: usize) {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (request.target.clone(), None),
    };
    let segments: Vec<&str> = path.split('/').collect();
    let place =
        path.char_indices().map(|(at, _)| at).nth(1 + one % path.chars().count().max(2).saturating_sub(1));
    let changed_path = match (kind, place) {
        (0 | 1, Some(at)) => {
            let rest: String = path[at..].chars().skip(1).collect();
            let encoded: String =
                path[at..].chars().take(1).collect::<String>().bytes().map(|b| format!("%{b:02x}")).collect();
            let encoded = if kind == 1 { encoded.replace('%', "%25") } else { encoded };
            Some(format!("{}{encoded}{rest}", &path[..at]))
        }
        (2, Some(at)) => {
            let (before, after) = path.split_at(at);
            let first: String = after.chars().take(1).collect();
            let first = if other.is_multiple_of(2) { first.to_uppercase() } else { first.to_lowercase() };
            Some(format!("{before}{first}{}", after.chars().skip(1).collect::<String>()))
        }
        (3, _) => Some(format!("{path}{}", word(SNIPPETS, other))),
        (4, _) => {
            let mut segments: Vec<String> = segments.iter().map(|&segment| segment.to_owned()).collect();
            let at = one % segments.len();
            segments[at].push_str(word(SNIPPETS, other));
            Some(segments.join("/"))
        }
        (5, _) => {
            let at = usize::from(segments.get(1).is_some_and(|first| first.starts_with(['v', 'V']))) + 1;
            let mut segments = segments.clone();
            if let Some(node) = segments.get_mut(at) {
                *node = pick(NODES, other);
            }
            Some(segments.join("/"))
        }
        (6, _) => {
            let (before, _) = path.rsplit_once('/').unwrap_or(("", ""));
            Some(format!("{before}/{}", word(EDGES, other)))
        }
        (7, _) => {
            let rest = match segments.get(1) {
                Some(first) if first.starts_with(['v', 'V']) => segments[2..].join("/"),
                _ => segments[1..].join("/"),
            };
            Some(format!("{}/{rest}", pick(VERSIONS, other)))
        }
        _ => None,
    };
    if let Some(path) = changed_path {
        request.target = match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        return;
    }
    match kind {
        8 => {
            let separator = if query.is_some() { "&" } else { "?" };
            request.target = format!("{}{separator}{}", request.target, pick(&pairs(), one));
        }
        9 => request.method = pick(METHODS, one).to_owned(),
        10 if other.is_multiple_of(4) => {
            request.headers.push(("content-type".to_owned(), pick(TYPES, one).to_owned()));
        }
        10 if other % 4 == 1 => request.headers.retain(|(name, _)| name != "content-type"),
        10 => request.set_header("content-type", pick(TYPES, one)),
        11 => {
            let (name, value) = pick(HEADERS, one);
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        12 => request.body = pick(&bodies(), one).into_bytes(),
        13 => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let member = pick(&members(), one);
            if let Some(rest) = text.strip_prefix('{').filter(|_| text.len() > 2) {
                let inner = rest.strip_suffix('}').unwrap_or(rest);
                let body = if other.is_multiple_of(2) {
                    format!("{{{member},{rest}")
                } else {
                    format!("{{{inner},{member}}}")
                };
                request.body = body.into_bytes();
            } else if text.is_empty() || text == "{}" {
                request.body = format!("{{{member}}}").into_bytes();
            }
        }
        14 => {
            let ends = [
                "\n&to=16505551234",
                r#"{"to":"16505551234"}"#,
                "\0",
                " ",
                "&batch=[]",
                "x",
                "\r\n",
                "--xyz--",
            ];
            request.body.extend_from_slice(pick(&ends, one).as_bytes());
        }
        15 => {
            let token = if one.is_multiple_of(2) { SENDER } else { TENANT };
            request.set_header("authorization", &format!("Bearer {token}"));
        }
        16 => {
            let text = String::from_utf8_lossy(&request.body)
                .replace(FREE, pick(&[BLOCKED, HELD, "+1 650-555-1234", OTHER], one));
            request.body = text.into_bytes();
        }
        _ => {
            if !request.body.is_empty() {
                let at = one % request.body.len();
                request.body[at] ^= 1 << (other % 8);
            }
        }
    }
}
