//! How requests to the Graph API are read.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use portcullis_edge::vendor::graph;
use portcullis_engine::Identity;
use portcullis_numbers::NumberReader;

use super::admission::{Expected, Gate, Head};
use super::body;
use super::edges::SendingEdge;
use super::fields;
use super::multipart::Scanner;
use super::owners::{self, Reach};
use super::path::GraphPath;
use super::query::{Parameters, Query};
use super::rules::Rules;
use super::scanned::Scan;
use super::upload::UploadScanner;
use super::{may_pass, recipients};

/// Whose an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's that is known.
    Nobody,
    /// A sender's that the asker may use.
    Number,
    /// It is the account of the asker's senders.
    Account,
    /// Somebody else's.
    Another,
}

/// Who asks.
#[derive(Clone, Copy)]
pub struct Asker {
    /// Whose an id is to it.
    pub owner: fn(&str) -> Owner,
    /// The phone-number-id of the one sender that its token is for; none where it is a tenant's.
    pub sender: Option<&'static str>,
}

impl owners::Owners for Asker {
    fn owner(&self, id: &str) -> owners::Owner {
        match (self.owner)(id) {
            Owner::Nobody => owners::Owner::Nobody,
            Owner::Number => owners::Owner::Number,
            Owner::Account => owners::Owner::Account,
            Owner::Another => owners::Owner::Another,
        }
    }

    fn reach(&self) -> Reach {
        self.sender.map_or(Reach::Tenant, |id| Reach::Sender(Some(id.to_owned())))
    }
}

/// What is read of a message, or a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// As the client wrote it.
    pub to: Option<String>,
    /// A person without a number.
    pub recipient: Option<String>,
    /// Whether `to` is a group.
    pub is_for_group: bool,
    /// Its `type`.
    pub kind: Option<String>,
    /// The template's name.
    pub template: Option<String>,
    /// What becomes of the message that it is about.
    pub status: Option<String>,
    /// What to do with a call.
    pub action: Option<String>,
}

impl From<body::Message> for Message {
    fn from(message: body::Message) -> Self {
        Message {
            to: message.to.map(|to| to.into_string()),
            recipient: message.recipient.map(|id| id.as_str().to_owned()),
            is_for_group: message.recipient_type == body::RecipientType::Group,
            kind: message.kind,
            template: message.template,
            status: message.status,
            action: message.action.map(|action| format!("{action:?}")),
        }
    }
}

/// The body of a request to each of the edges that send, by name.
pub fn messages(body: &[u8]) -> Vec<(&'static str, Option<Message>)> {
    let read = |edge| body::Message::parse(edge, body, Rules::ALL).ok().map(Message::from);
    SendingEdge::ALL.into_iter().map(|edge| (edge.name(), read(edge))).collect()
}

/// A path as it goes upstream.
pub fn path(text: &str) -> Option<String> {
    GraphPath::parse(text, Rules::ALL).ok().map(|path| path.to_string())
}

/// A query as it goes upstream, and its values: of a request that does not send.
pub fn query(text: &str) -> Option<(String, Vec<String>)> {
    let query = Query::parse(Some(text), Parameters::Harmless, Rules::ALL).ok()?;
    Some((query.onward(true), query.values().map(str::to_owned).collect()))
}

/// Whether a JSON body passes.
pub fn json(body: &[u8], asker: Asker) -> bool {
    fields::json(body, &asker, Rules::ALL).is_ok()
}

/// Whether a form passes.
pub fn form(body: &[u8], asker: Asker) -> bool {
    fields::form(body, &asker, Rules::ALL).is_ok()
}

/// What passes of a multipart body that comes in these pieces, and whether all of it does.
pub fn multipart<'a>(
    boundary: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    asker: Asker,
) -> (Vec<u8>, bool) {
    scan(Scanner::new(boundary, asker, Rules::ALL), pieces)
}

/// The same of an upload.
pub fn upload<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    scan(UploadScanner::new(Rules::ALL), pieces)
}

fn scan<'a>(mut scanner: impl Scan, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    let mut passed = Vec::new();
    for piece in pieces {
        match scanner.push(piece) {
            Ok(clear) => passed.extend_from_slice(&clear),
            Err(_) => return (passed, false),
        }
    }
    match scanner.finish() {
        Ok(rest) => passed.extend_from_slice(&rest),
        Err(_) => return (passed, false),
    }
    (passed, true)
}

/// A request to the Graph API.
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// The path and the query.
    pub target: &'a str,
    /// In their order.
    pub headers: &'a [(String, String)],
    /// All of it.
    pub body: &'a [u8],
}

/// A request that passes the gate.
pub struct Passed {
    /// As it goes upstream.
    pub target: String,
    /// Of a message: whom it is for, and whether it is marketing.
    pub message: Option<(Vec<Identity>, bool)>,
}

/// What the gate makes of a request, where it passes. `asker` says who has a token.
pub fn gate(
    request: &Request<'_>,
    asker: impl FnOnce(&[u8]) -> Option<Asker>,
    is_marketing: impl Fn(&str) -> bool,
) -> Option<Passed> {
    let uri: Uri = request.target.parse().ok()?;
    let method: Method = request.method.parse().ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    if !may_pass(&method, uri.path(), &headers) {
        return None;
    }
    graph::token(&headers, &uri)?;
    let given = graph::header_token(&headers).map(<[u8]>::to_vec);
    let of_query = || {
        let query = Query::parse(uri.query(), Parameters::Harmless, Rules::ALL).ok()?;
        Some(query.value(super::parameter::TOKEN)?.as_bytes().to_vec())
    };
    let asker = asker(&given.or_else(of_query)?)?;
    let gate = Gate { owners: &asker, allowed: &[], rules: Rules::ALL };
    let head = Head { method: &method, path: uri.path(), query: uri.query(), headers: &headers };
    let admitted = gate.admit(head).ok()?;
    let message = gate.check(&admitted.body, request.body).ok()?;
    let mut to = None;
    match (&admitted.body, message) {
        (Expected::Message(edge), Some(message)) => {
            let people = recipients(&message, NumberReader { default_region: None }, None).ok()?;
            let marketing = *edge == SendingEdge::MarketingMessages
                || message.template.as_deref().is_some_and(is_marketing);
            to = Some((people, marketing));
        }
        (Expected::Multipart(boundary), _) if !multipart(boundary, request.body.chunks(7), asker).1 => {
            return None;
        }
        (Expected::Upload, _) if !upload(request.body.chunks(7)).1 => return None,
        _ => {}
    }
    let query = admitted.query.onward(true);
    let separator = if query.is_empty() { "" } else { "?" };
    Some(Passed { target: format!("{}{separator}{query}", admitted.path), message: to })
}
