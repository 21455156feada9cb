//! Requests at random: those that clients make, those that once went round the gate, and what small changes make of them.

use proptest::prelude::*;

use super::{
    BLOCKED, BLOCKED_USER, FREE, FREE_USER, HELD, OTHER, OTHER_ACCOUNT, OWN, OWN_ACCOUNT, PROMOTION, Raw,
    SECOND, SENDER, TENANT,
};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=xyz";

/// A request, as it was chosen or changed up to a handful of times.
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

fn message(to: &str) -> String {
    format!(r#"{{"messaging_product":"whatsapp","to":"{to}","type":"text","text":{{"body":"x"}}}}"#)
}

fn template(to: &str, name: &str) -> String {
    format!(
        r#"{{"messaging_product":"whatsapp","to":"{to}","type":"template","template":{{"name":"{name}","language":{{"code":"en"}}}}}}"#
    )
}

fn part(head: &str, value: &str) -> String {
    format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

fn upload(more: &str) -> String {
    let file = part("name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg", "\0\u{1}--xy\r\n");
    format!("{}{file}{more}--xyz--\r\n", part("name=\"messaging_product\"", "whatsapp"))
}

fn at(edge: &str) -> String {
    format!("/v25.0/{OWN}/{edge}")
}

fn post(target: &str, body: &str) -> Raw {
    Raw::new("POST", target, Some(JSON), body)
}

fn get(target: &str) -> Raw {
    Raw::new("GET", target, None, "")
}

/// What clients send, and what must pass unless it is for somebody blocked.
pub(crate) fn ordinary() -> Vec<Raw> {
    let messages = at("messages");
    vec![
        post(&messages, &message(FREE)),
        post(&messages, &message(FREE)).of_sender(),
        post(&format!("/{OWN}/messages"), &message(FREE)),
        post(&format!("{messages}?messaging_product=whatsapp"), &message(FREE)),
        post(
            &messages,
            &format!(r#"{{"messaging_product":"whatsapp","recipient":"{FREE_USER}","type":"text"}}"#),
        ),
        post(&messages, &template(FREE, PROMOTION)),
        post(&messages, &template(HELD, "order_update")),
        post(&messages, r#"{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}"#),
        post(&messages, r#"{"recipient_type":"group","to":"Y2FwaV9ncm91cDoxNzA1NTU1MDEzOTo","type":"text"}"#),
        post(&at("marketing_messages"), &template(FREE, "x")),
        post(
            &at("calls"),
            &format!(r#"{{"messaging_product":"whatsapp","to":"{FREE}","action":"connect"}}"#),
        ),
        post(&at("calls"), r#"{"messaging_product":"whatsapp","call_id":"wacid.x","action":"accept"}"#),
        post(&at("whatsapp_business_profile"), r#"{"messaging_product":"whatsapp","about":"x"}"#).of_sender(),
        post(&at("deregister"), ""),
        Raw::new("POST", &at("register"), Some(FORM), "messaging_product=whatsapp&pin=123456"),
        Raw::new("POST", &at("request_code?code_method=SMS&language=en_US"), None, ""),
        Raw::new("POST", &at("media"), Some(MULTIPART), &upload("")),
        Raw::new("DELETE", &at("message_qrdls/4O4YGZEG3RIVE1"), None, ""),
        post(
            &format!("/v25.0/{OWN_ACCOUNT}/message_templates"),
            r#"{"name":"x","language":"en","components":[]}"#,
        ),
        post(
            &format!("/v25.0/{OWN_ACCOUNT}/subscribed_apps"),
            r#"{"override_callback_uri":"https://a.example/x"}"#,
        ),
        Raw::new("DELETE", &format!("/v25.0/{OWN_ACCOUNT}/message_templates?name=x"), None, ""),
        Raw::new("POST", "/v25.0/1234567890123456/assets", Some(MULTIPART), &upload("")),
        Raw::new("POST", "/v25.0/upload:MTphdHRh?sig=x", Some("image/jpeg"), "batch=[]\0"),
        get(&at("whatsapp_business_profile?fields=about,address")).of_sender(),
        get(&format!("/v25.0/{OWN}?fields=verified_name,quality_rating")),
        get(&format!("/v25.0/{OWN_ACCOUNT}/message_templates?limit=3&name=a%20b")),
        get(&format!("/v25.0/{OWN_ACCOUNT}?fields=analytics.start(1).end(2).granularity(DAY)")),
        get(&format!("/v25.0/1234567890123456?phone_number_id={OWN}")).of_sender(),
        get("/v25.0/1234567890123456"),
        get("/v20.0/me/application_details"),
        get(&at("messages?limit=1")),
        Raw::new("DELETE", "/v25.0/1234567890123456", None, ""),
    ]
}

/// What went round the gate, and what its rules are for.
pub(crate) fn attacks() -> Vec<Raw> {
    let (messages, allowed) = (at("messages"), message(FREE));
    let batch = format!("%5B%7B%22method%22:%22POST%22,%22relative_url%22:%22{OWN}/messages%22%7D%5D");
    let mut attacks = vec![
        Raw::new("POST", &format!("/me?batch={batch}"), None, ""),
        Raw::new("POST", &format!("/v20.0/{OWN}?batch={batch}"), None, "").of_sender(),
        Raw::new("POST", &at("whatsapp_business_profile"), Some(FORM), "batch=%5B%5D"),
        post(&at("whatsapp_business_profile"), r#"{"batch":[]}"#),
        post(&at("whatsapp_business_profile"), r#"{"b\u0061tch":[]}"#),
        Raw::new("POST", &at("media"), Some(MULTIPART), &upload(&part("name=\"batch\"", "[]"))),
        Raw::new("POST", &at("media"), Some(MULTIPART), &upload(&part("name=\"Method\"", "post"))),
        Raw::new(
            "POST",
            &at("media"),
            Some(MULTIPART),
            &upload("").replace(
                "--xy\r",
                "\n--xyz\nContent-Disposition: form-data; name=\"batch\"\n\n[]\n--xyz\n\r",
            ),
        ),
        Raw::new("POST", &at("media"), Some("image/jpeg"), "batch=[]"),
        get(&format!("/?batch={batch}&method=post")),
        get(&format!("{messages}?method=post&to={BLOCKED}&type=text")),
        get(&format!("/v20.0/{OWN}%3Fbatch={batch}")),
        get("/v20.0/1234567890123456?b%61tch=[]"),
        get("/v20.0/1234567890123456?x=1;batch=[]"),
        get(&format!("/v20.0/me?ids={OTHER}")),
        post(&format!("{messages}?to={BLOCKED}&type=text"), "{}"),
        post(&format!("{messages}?to={BLOCKED}&type=text"), &allowed),
        post(&at("messages_encrypted"), r#"{"messaging_product":"whatsapp","encrypted_contents":"x.y.z"}"#),
        post(&at("calls"), &format!(r#"{{"to":"{BLOCKED}","action":"connect"}}"#)),
        post(
            "/v25.0/Y2FwaV9ncm91cDoxNzA1NTU1MDEzOTo/participants",
            &format!(r#"{{"participants":[{{"user":"{BLOCKED}"}}]}}"#),
        ),
        post(&at("unknown_edge"), &message(BLOCKED)),
        // Of others.
        get(&format!("/v25.0/{OTHER}")),
        get(&format!("/v25.0/0{OTHER}")),
        get(&format!("/v25.0/%31{}", &OTHER[1..])),
        get(&format!("/v25.0/1234567890123456?phone_number_id={OTHER}")),
        post(
            &format!("/v25.0/{OWN_ACCOUNT}/migrate_flows"),
            &format!(r#"{{"source_waba_id":"{OTHER_ACCOUNT}"}}"#),
        ),
        post(&format!("/v25.0/{OWN_ACCOUNT}/subscribed_apps"), "{}").of_sender(),
        get(&format!("/v25.0/{OWN_ACCOUNT}")).of_sender(),
        get(&format!("/v25.0/{SECOND}")).of_sender(),
        get("/v25.0/1234567890123456").of_sender(),
        get("/v25.0/me").of_sender(),
        get(&format!("/v25.0/{OWN}?fields=whatsapp_business_account{{phone_numbers}}")).of_sender(),
        get(&format!("/v25.0/{OWN}?access_token={SENDER}")),
        Raw::new("POST", &at("register"), Some(FORM), &format!("pin=1&access_token={SENDER}")),
    ];
    for path in [
        "messages/.",
        "messages/%2e",
        "messages/x/..",
        "messages;x=1",
        "messages%3fx",
        "messages%23x",
        "messages%00x",
        "messages.json",
        "messages/extra",
        "%256dessages",
        "/messages",
        "./messages",
        "Messages",
        "messages/",
    ] {
        attacks.push(post(&at(path), &message(BLOCKED)));
    }
    for path in [
        format!("/v20.0/v20.0/{OWN}/messages"),
        format!("/V20.0/{OWN}/messages"),
        format!("//{OWN}/messages"),
        format!("/{OWN}%2fmessages"),
        "/v20.0/marketing_messages".to_owned(),
    ] {
        attacks.push(post(&path, &message(BLOCKED)));
    }
    for name in ["recipient", "recipient_type", "template", "method", "batch", "To", "to[]", "%74o", "t%256f"]
    {
        attacks.push(post(&format!("{messages}?{name}={BLOCKED}"), &allowed));
    }
    for body in [
        format!(r#"{{"recipient_type":"group","to":"{BLOCKED}","type":"text"}}"#),
        format!(r#"{{"recipient_type":"group","to":"x{BLOCKED}","type":"text"}}"#),
        format!(r#"{{"to":"{FREE}","recipient":"{BLOCKED}"}}"#),
        format!(r#"{{"recipient":"{BLOCKED}","type":"text"}}"#),
        format!(r#"{{"to":"{FREE}","recipient":"{BLOCKED_USER}"}}"#),
        format!(r#"{{"to":"{FREE}","To":"{BLOCKED}"}}"#),
        format!(r#"{{"to":"{FREE}","to[]":"{BLOCKED}"}}"#),
        format!(r#"{{"to":"{FREE}","to":"{BLOCKED}"}}"#),
        format!(r#"{{"to":["{BLOCKED}"],"recipient":"{FREE_USER}"}}"#),
        format!(r#"{{"to":"{FREE}"}}{{"to":"{BLOCKED}"}}"#),
        format!(r#"{{"to":"{FREE}","template":{{"name":"x","name":"{PROMOTION}"}}}}"#),
        format!(r#"{{"to":"{HELD}","template":{{"name":"x","Name":"{PROMOTION}"}}}}"#),
        format!(r#"{{"to":"{HELD}","template":"{{\"name\":\"{PROMOTION}\"}}"}}"#),
        format!(r#"{{"status":"read","message_id":"x","to":"{BLOCKED}"}}"#),
        template(HELD, PROMOTION),
    ] {
        attacks.push(post(&messages, &body));
    }
    let polyglot = format!(r#"{{"to":"{FREE}","x":"&to={BLOCKED}&"}}"#);
    for kind in
        [None, Some(FORM), Some("application/json, application/x-www-form-urlencoded"), Some("text/plain")]
    {
        attacks.push(Raw::new("POST", &messages, kind, &polyglot));
    }
    attacks.push(Raw::new("POST", &messages, Some(FORM), &format!("to={BLOCKED}&type=text")));
    attacks.push(Raw::new("POST", &at("whatsapp_business_profile"), None, "batch=[]"));
    let mut two_types = post(&messages, &polyglot);
    two_types.headers.push(("content-type".to_owned(), FORM.to_owned()));
    attacks.push(two_types);
    for (name, value) in
        [("x-http-method-override", "POST"), ("content-encoding", "gzip"), ("authorization", "Bearer x")]
    {
        let mut with_header = post(&messages, &allowed);
        with_header.headers.push((name.to_owned(), value.to_owned()));
        attacks.push(with_header);
    }
    attacks.push(Raw::new("GET", "/v25.0/1234567890123456", Some(FORM), "batch=[]"));
    attacks
}

const SNIPPETS: &[&str] = &[
    "/",
    "/.",
    "/..",
    "/x/..",
    ";x=1",
    "%3fx",
    "%23x",
    "%00x",
    ".json",
    "/extra",
    "//",
    "/./",
    "%2e",
    "%2f",
    "\\",
    "%20",
    "+",
    "/v20.0",
    "%3Fmethod=post",
    "%3Fbatch=%5B%5D",
    "\u{435}",
    "%c3%a9",
    "%5c",
    "%3b",
    ":",
    "=",
    "-",
    "_",
    "0",
    "a",
];
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
const EDGES: &[&str] = &[
    "messages",
    "Messages",
    "marketing_messages",
    "messages_encrypted",
    "calls",
    "media",
    "message_templates",
    "participants",
    "block_users",
    "subscribed_apps",
    "settings",
    "unknown_edge",
    "whatsapp_business_profile",
    "schedules",
    "batch",
    "register",
];
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

/// Members of an object of JSON.
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

fn pick<T: Clone>(of: &[T], at: usize) -> T {
    of[at % of.len()].clone()
}

/// Makes a small change of a request: `kind` says which, `one` and `other` where and what.
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
            let first = if other % 2 == 0 { first.to_uppercase() } else { first.to_lowercase() };
            Some(format!("{before}{first}{}", after.chars().skip(1).collect::<String>()))
        }
        (3, _) => Some(format!("{path}{}", pick(SNIPPETS, other))),
        (4, _) => {
            let mut segments: Vec<String> = segments.iter().map(|&segment| segment.to_owned()).collect();
            let at = one % segments.len();
            segments[at].push_str(pick(SNIPPETS, other));
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
            Some(format!("{before}/{}", pick(EDGES, other)))
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
        10 if other % 4 == 0 => {
            request.headers.push(("content-type".to_owned(), pick(TYPES, one).to_owned()))
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
                let body = if other % 2 == 0 {
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
            let token = if one % 2 == 0 { SENDER } else { TENANT };
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
