//! A model of the most lenient upstream: what any HTTP server could understand in a request, rather than what Meta's does.
//!
//! It decodes paths twice, drops `;` parameters, dots, double slashes and extensions, and ignores case. It reads parameters from
//! the query and from form, JSON and multipart bodies alike, in every format if a body is declared as several or as none, uses
//! every value of a duplicate name, and obeys `batch` and `method`. What passes the gate must be harmless even to this upstream.

use std::collections::BTreeSet;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{
    BLOCKED, BLOCKED_USER, HELD, OTHER, OTHER_ACCOUNT, OWN, OWN_ACCOUNT, PROMOTION, Raw, SECOND, SENDER,
};

/// What a request must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    /// A message or call reaches a blocked person.
    Reaches,
    /// Marketing reaches a person who opted out of it.
    Marketing,
    /// Somebody may be reached, but it is unclear who.
    Unreadable,
    /// The request contains other requests.
    Batch,
    /// The request is executed with another method than its own.
    Method,
    /// The request concerns another tenant's sender, or another sender than that of the token.
    Another,
    /// A sender's token reaches something of another sender or of the account.
    BeyondSender,
    /// The request has two access tokens.
    TwoTokens,
}

/// The harms that a request could do.
pub(crate) fn harms(request: &Raw) -> BTreeSet<Harm> {
    let mut harms = BTreeSet::new();
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let (paths, queries) = paths(path);
    let mut fields: Vec<Field> = queries.iter().map(String::as_str).chain([query]).flat_map(form).collect();
    let of_query = fields.len();
    let is_encoded = request.header("content-encoding").any(|value| value != "identity");
    if is_encoded && !request.body.is_empty() {
        harms.insert(Harm::Unreadable);
    }
    let is_upload = paths.iter().all(|path| matches!(&path[..], [node] if node.starts_with("upload:")));
    fields.extend(in_body(request, is_upload));
    let has = |names: &[&str]| fields.iter().any(|field| names.contains(&field.name.as_str()));
    if has(&["batch"]) {
        harms.insert(Harm::Batch);
    }
    let overrides = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "override-method",
        "x-original-method",
        "x-original-url",
        "x-override-url",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-http-path-override",
        "content-location",
    ];
    if has(&["method", "ids"]) || overrides.iter().any(|name| request.header(name).next().is_some()) {
        harms.insert(Harm::Method);
    }
    let asks = matches!(request.method.as_str(), "GET" | "HEAD");
    // Removing a person from a group does not reach them.
    let sends = |edge: &str| SENDING.contains(&edge) && !(edge == PARTICIPANTS && request.method == "DELETE");
    let is_sending = paths.iter().flatten().any(|edge| sends(edge));
    if is_sending && !asks {
        harms.extend(sent(&paths, &fields));
    }
    let tokens: BTreeSet<&str> = request
        .header("authorization")
        .map(|value| value.split_once(' ').map_or(value, |(_, token)| token))
        .chain(fields.iter().filter(|field| field.name == "accesstoken").flat_map(Field::texts))
        .collect();
    // With two tokens, it is unclear which one sends the message.
    if tokens.len() > 1 && is_sending && !asks {
        harms.insert(Harm::TwoTokens);
    }
    let header = request.header("authorization").next();
    let is_sender_s = header.map_or(tokens.contains(SENDER), |value| value.contains(SENDER));
    let names_another = |text: &str| {
        let is_another_s = |id: &str| {
            [OTHER, OTHER_ACCOUNT].contains(&id) || (is_sender_s && [SECOND, OWN_ACCOUNT].contains(&id))
        };
        text.split(|c: char| !c.is_ascii_digit()).any(|digits| is_another_s(digits.trim_start_matches('0')))
    };
    // The content of a message is not an id.
    let looked_at = if is_sending { &fields[..of_query] } else { &fields[..] };
    if paths.iter().flatten().any(|segment| names_another(segment))
        || looked_at.iter().flat_map(Field::texts).any(names_another)
    {
        harms.insert(Harm::Another);
    }
    if is_sender_s && !paths.iter().all(|path| is_within_sender(path, asks, &fields)) {
        harms.insert(Harm::BeyondSender);
    }
    harms
}

const PARTICIPANTS: &str = "participants";
const SENDING: [&str; 6] =
    ["messages", "marketing_messages", "messages_encrypted", "calls", PARTICIPANTS, "block_users"];

/// The harms of a request to an edge that sends.
fn sent(paths: &[Vec<String>], fields: &[Field]) -> Vec<Harm> {
    let leads_to = |names: &[&str]| paths.iter().flatten().any(|segment| names.contains(&segment.as_str()));
    let mut harms = Vec::new();
    if leads_to(&["messages_encrypted", PARTICIPANTS, "block_users"]) {
        harms.push(Harm::Unreadable);
    }
    let words = ["to", "recipient", "recipients", "phonenumber", "waid", "user"];
    let people: Vec<&str> =
        fields.iter().filter(|field| words.contains(&field.name.as_str())).flat_map(Field::texts).collect();
    if people.iter().any(|text| number(text).as_deref() == Some(BLOCKED) || *text == BLOCKED_USER) {
        harms.push(Harm::Reaches);
    }
    let templates = fields.iter().filter(|field| field.name == "template");
    let is_promotion = templates.flat_map(|field| field.value.named("name")).any(|name| name == PROMOTION);
    let is_marketing = leads_to(&["marketing_messages"]) || is_promotion;
    if is_marketing && people.iter().any(|text| number(text).as_deref() == Some(HELD)) {
        harms.push(Harm::Marketing);
    }
    harms
}

/// Parses a telephone number leniently, with a scheme, separators, brackets and quotation marks.
fn number(text: &str) -> Option<String> {
    let text = text.trim_start_matches(|c: char| c.is_alphabetic() || c == ':');
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (!text.contains(char::is_alphabetic)).then(|| digits.trim_start_matches("00").to_owned())
}

fn is_within_sender(path: &[String], asks: bool, fields: &[Field]) -> bool {
    let named = |name: &str| {
        fields.iter().filter(|field| field.name == name).flat_map(Field::texts).collect::<Vec<_>>()
    };
    let expands = named("fields").iter().any(|fields| fields.contains(['{', '(']));
    match path {
        // The number itself has the URL of its webhooks, and these edges say whose it is, and where its calls go.
        [node] if node == OWN => asks && !expands,
        [node, edge, ..] if node == OWN => !expands && !OF_TENANT.contains(&edge.as_str()),
        // A request that asks Meta who owns a medium.
        [node] => {
            asks && node.bytes().all(|byte| byte.is_ascii_digit())
                && named("phonenumberid") == [OWN]
                && named("fields").is_empty()
        }
        _ => false,
    }
}

/// Edges of a phone number that a sender's client must not reach.
const OF_TENANT: [&str; 7] =
    ["settings", "register", "deregister", "request_code", "verify_code", "subscribed_apps", "username"];

/// All readings of a path as segments without a version, and the queries that it may contain.
fn paths(path: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let (mut paths, mut queries) = (BTreeSet::new(), BTreeSet::new());
    for text in decodings(path) {
        let (text, query) =
            text.split_once('?').map_or((text.as_str(), None), |(path, query)| (path, Some(query)));
        queries.extend(query.map(str::to_owned));
        let text = text.split(['#', '\0']).next().unwrap_or_default().replace('\\', "/");
        for resolves_dots in [true, false] {
            paths.insert(segments(&text, resolves_dots));
        }
    }
    (paths.into_iter().collect(), queries.into_iter().collect())
}

fn segments(path: &str, resolves_dots: bool) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/') {
        let segment = segment.split(';').next().unwrap_or_default();
        let segment = segment.trim_matches(|c: char| c.is_whitespace() || c == '+').to_lowercase();
        match segment.as_str() {
            "" | "." => {}
            ".." if resolves_dots => drop(segments.pop()),
            ".." => {}
            version if is_version(version) => {}
            _ => {
                let name = segment.split('.').next().unwrap_or_default();
                let is_id = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                let name = if is_id { name.trim_start_matches('0') } else { name };
                segments.push(name.to_owned());
            }
        }
    }
    segments
}

fn is_version(text: &str) -> bool {
    let rest = text.strip_prefix('v').unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The text, percent-decoded not at all, once and twice.
fn decodings(text: &str) -> [String; 3] {
    let once = decode(text);
    let twice = decode(&once);
    [text.to_owned(), once, twice]
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A parameter from the query or the body.
#[derive(Clone, Debug)]
struct Field {
    /// Letters and digits only, in lowercase, without brackets.
    name: String,
    value: Tree,
}

impl Field {
    fn texts(&self) -> Vec<&str> {
        self.value.texts()
    }
}

/// All names that a server may read from a name.
fn names(text: &str) -> BTreeSet<String> {
    let plain =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let without_brackets =
        |text: &str| plain(text.trim_start_matches('[').split('[').next().unwrap_or_default());
    decodings(text).iter().flat_map(|text| [plain(text), without_brackets(text)]).collect()
}

fn fields_of(name: &str, value: &Tree) -> Vec<Field> {
    names(name).into_iter().map(|name| Field { name, value: value.clone() }).collect()
}

/// The pairs in a query or form.
fn form(text: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    for pair in text.split(['&', ';', '\n']) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(&value.replace('+', " "));
        fields.extend(fields_of(&name.replace('+', " "), &Tree::Text(value)));
    }
    fields
}

/// All parameters that any server may read from the body.
fn in_body(request: &Raw, is_upload: bool) -> Vec<Field> {
    let text = String::from_utf8_lossy(&request.body);
    let kinds: Vec<&str> = request.header("content-type").collect();
    let is_declared = |kind: &str| kinds.iter().any(|value| value.to_lowercase().contains(kind));
    let mut fields = Vec::new();
    // A body that is not declared as a format with parameters may be read as any of them, except for the bytes of a declared upload.
    let is_open = match is_upload {
        true => kinds.is_empty() || is_declared("urlencoded"),
        false => !["json", "urlencoded", "boundary="].iter().any(|kind| is_declared(kind)),
    };
    if is_open || is_declared("json") {
        fields.extend(json(&text));
    }
    if is_open || is_declared("urlencoded") {
        fields.extend(form(&text));
    }
    for boundary in kinds.iter().flat_map(|kind| kind.split("boundary=").skip(1)) {
        let boundary = boundary.split([';', ',']).next().unwrap_or_default().trim_matches(['"', ' ']);
        fields.extend(multipart(&text, boundary));
    }
    fields
}

/// The members of all concatenated objects, and of those in an array.
fn json(text: &str) -> Vec<Field> {
    let text = text.trim_start_matches(['\u{feff}', '\0', ' ', '\n']);
    let mut fields = Vec::new();
    for tree in serde_json::Deserializer::from_str(text).into_iter::<Tree>() {
        let Ok(tree) = tree else { break };
        let objects = if let Tree::List(items) = tree { items } else { vec![tree] };
        for object in objects {
            if let Tree::Object(members) = object {
                fields.extend(members.iter().flat_map(|(name, value)| fields_of(name, value)));
            }
        }
    }
    fields
}

fn multipart(text: &str, boundary: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    for part in text.split(&format!("--{boundary}")) {
        let part = part.replace("\r\n", "\n");
        let Some((head, value)) = part.split_once("\n\n") else { continue };
        let is_file = head.to_lowercase().contains("filename");
        // Anything after a `name=`.
        for name in head.to_lowercase().split("name=").skip(1) {
            let name = name.split(['"', ';', '\n']).find(|text| !text.is_empty()).unwrap_or_default();
            let value = if is_file { "" } else { value.trim_end_matches('\n') };
            fields.extend(fields_of(name, &Tree::Text(value.to_owned())));
        }
    }
    fields
}

/// A JSON value in which names may be duplicated.
#[derive(Clone, Debug)]
enum Tree {
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// All strings in the value, and numbers as strings.
    fn texts(&self) -> Vec<&str> {
        match self {
            Tree::Text(text) => vec![text],
            Tree::List(items) => items.iter().flat_map(Tree::texts).collect(),
            Tree::Object(members) => members.iter().flat_map(|(_, value)| value.texts()).collect(),
        }
    }

    /// The strings in members of this name, including those of an object inside a string.
    fn named(&self, name: &str) -> Vec<String> {
        match self {
            Tree::Text(text) => match serde_json::from_str::<Tree>(text) {
                Ok(tree @ Tree::Object(_)) => tree.named(name),
                _ => Vec::new(),
            },
            Tree::List(items) => items.iter().flat_map(|item| item.named(name)).collect(),
            Tree::Object(members) => {
                let named = members.iter().filter(|(known, _)| names(known).contains(name));
                named.flat_map(|(_, value)| value.texts()).map(str::to_owned).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Tree;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
                Ok(Tree::Text(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
                Ok(Tree::Text(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
                Ok(Tree::Text(number.to_string()))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::List(Vec::new()))
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::List(Vec::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Tree::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Tree::Object(members))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
