//! Decides whether a request to the Graph API is forwarded, and in which spelling.
//!
//! Only requests that are known to be harmless are admitted: GET, because reading sends nothing; modifying requests to the edges
//! in [`edges`]; and messages whose recipients can be read. Everything else is rejected with an explanation. This
//! module doesn't deal with connections: a request is its method, path, query, headers and body.

use axum::http::{HeaderMap, Method};

use super::body::{BodyError, Message};
use super::edges::{self, Known, SendingEdge};
use super::fields::{self, FieldsError};
use super::headers::{self, ContentType, HeaderError};
use super::multipart::MultipartError;
use super::owners::{Owner, Owners, Reach, names_another};
use super::parameter::TOKEN;
use super::path::{GraphPath, Node, PathError};
use super::query::{self, Parameters, Query, QueryError};
use super::rules::{Rule, Rules};
use super::scope;
use super::upload::UploadError;
use crate::allowed_edge::{AllowedEdge, reaches_people};
use portcullis_edge::vendor::graph;

/// A request without its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    /// The raw path, not decoded.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
}

/// The policy by which requests are admitted.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a> {
    pub(super) owners: &'a dyn Owners,
    /// Additional edges that the operator allows.
    pub(super) allowed: &'a [AllowedEdge],
    pub(super) rules: Rules,
}

/// A request that may be forwarded if its body is as expected.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) path: GraphPath,
    pub(super) query: Query<'a>,
    pub(super) body: Expected,
}

/// What a body must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Empty.
    Nothing,
    /// A JSON message to this edge, with readable recipients.
    Message(SendingEdge),
    /// A JSON object to an edge that doesn't send.
    Json,
    /// A form.
    Form,
    /// A multipart form with this boundary.
    Multipart(String),
    /// A file, declared as such: its bytes are not checked.
    File,
    /// A file that isn't declared as such: its bytes must not read as parameters.
    Upload,
}

/// Why a request is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Headers(#[from] HeaderError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Fields(#[from] FieldsError),
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(
        "{method} {shape} is not known to be harmless, and does not pass: where it is, the gateway's operator can add \
         \"{shape}\" to meta.allowed_edges"
    )]
    Edge { method: Method, shape: String },
    #[error(
        "{method} {shape} reaches people whom the gateway can not read, and never passes: send to /messages"
    )]
    Unreadable { method: Method, shape: String },
    #[error("{0} is answered by the gateway itself: write its path as Meta does")]
    OwnEdge(&'static str),
    #[error("the id in the path is no sender's phone-number-id: no message can be sent from it here")]
    NoSender,
    #[error("the request names a sender or an account that this token is not for")]
    AnotherS,
    #[error(
        "this token is for one sender: it reaches what that sender sends, below its phone-number-id, and media with GET; anything \
         else needs a token of the tenant"
    )]
    BeyondSender,
    #[error(
        "this token is for one sender, and {method} {shape} changes or shows more than what that sender sends: it needs a token of \
         the tenant"
    )]
    OfTenant { method: Method, shape: String },
    #[error(
        "this token is for one sender: fields are names with commas between them, and nothing is expanded"
    )]
    Expansion,
    #[error("the header Authorization and access_token in the query are not the same: send one of them")]
    TwoTokens,
    #[error("a GET, and a request without Content-Type, have no body: declare it, or leave it out")]
    BodyToAsk,
    #[error("a message is sent as application/json: declare the body so, and send it so")]
    NotJson,
    #[error(
        "an upload's bytes are declared as what they are, such as image/jpeg, or as application/octet-stream"
    )]
    NotFile,
    #[error("the bytes of a file pass as multipart/form-data, or to an upload session only")]
    File,
}

impl Refused {
    /// Whether the token lacks a permission, as opposed to the request being invalid.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(
            self,
            Refused::AnotherS
                | Refused::BeyondSender
                | Refused::OfTenant { .. }
                | Refused::Expansion
                | Refused::Fields(FieldsError::AnotherS)
                | Refused::Multipart(MultipartError::AnotherS { .. })
                | Refused::Query(QueryError::OfMedium)
        )
    }
}

const BLOCK_USERS: &str = "block_users";

impl<'g> Gate<'g> {
    /// Checks everything except the body.
    pub(super) fn admit<'a>(&self, head: Head<'a>) -> Result<Admitted<'a>, Refused> {
        headers::check(head.headers, self.rules)?;
        let path = GraphPath::parse(head.path, self.rules)?;
        let owner = self.owner(&path)?;
        if path.edges().iter().any(|edge| edge == BLOCK_USERS) {
            return Err(Refused::OwnEdge(BLOCK_USERS));
        }
        let asks = *head.method == Method::GET || *head.method == Method::HEAD;
        let parameters = self.parameters(head.method, &path, owner)?;
        let mut query = Query::parse(head.query, parameters, self.rules)?;
        self.check_values(&mut query, parameters)?;
        if parameters == Parameters::Sending {
            self.check_token(head.headers, &query)?;
        }
        let body = if asks { self.asked() } else { self.changed(&head, &path, owner)? };
        Ok(Admitted { path, query, body })
    }

    /// Returns the owner of the path's node, after checking that no segment names a sender or account of others.
    fn owner(&self, path: &GraphPath) -> Result<Owner, Refused> {
        let owner = self.owners.owner(path.node().text());
        let is_another_s =
            |text: &str| self.owners.owner(text) == Owner::Another || names_another(text, self.owners);
        let mut segments = std::iter::once(path.node().text()).chain(path.edges().iter().map(String::as_str));
        if self.rules.hold(Rule::ForeignPath) && segments.any(is_another_s) {
            return Err(Refused::AnotherS);
        }
        Ok(owner)
    }

    /// Returns which parameters the query may have, after checking that the token gives access to the path.
    fn parameters(&self, method: &Method, path: &GraphPath, owner: Owner) -> Result<Parameters, Refused> {
        let is_sending = path.edges().iter().any(|edge| reaches_people(edge));
        let asks = *method == Method::GET || *method == Method::HEAD;
        let parameters = match (is_sending, asks) {
            (true, true) => Parameters::Asking,
            (true, false) => Parameters::Sending,
            (false, _) => Parameters::Harmless,
        };
        if self.owners.reach() == Reach::Tenant || !self.rules.hold(Rule::SenderScope) {
            return Ok(parameters);
        }
        if owner == Owner::Number {
            return match scope::reaches(method, path.edges(), self.allowed) {
                true => Ok(parameters),
                false => Err(Refused::OfTenant {
                    method: method.clone(),
                    shape: edges::shape(path, owner.known()),
                }),
            };
        }
        let may_be_a_medium =
            owner == Owner::Nobody && matches!(path.node(), Node::Id(_)) && path.edges().is_empty();
        if asks && may_be_a_medium { Ok(Parameters::OfMedium) } else { Err(Refused::BeyondSender) }
    }

    fn check_values(&self, query: &mut Query<'_>, parameters: Parameters) -> Result<(), Refused> {
        if self.rules.hold(Rule::ForeignValues)
            && query.values().any(|value| names_another(value, self.owners))
        {
            return Err(Refused::AnotherS);
        }
        let Reach::Sender(own) = self.owners.reach() else { return Ok(()) };
        if parameters == Parameters::OfMedium {
            let own = own.ok_or(QueryError::OfMedium)?;
            // Makes Meta refuse a medium of another number. It is added because few clients send it.
            if query.get_or_insert(query::OWNER, &own) != own {
                return Err(QueryError::OfMedium.into());
            }
        }
        let is_list = |fields: &str| {
            fields.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b','))
        };
        if self.rules.hold(Rule::SenderFields) && !query.value("fields").is_none_or(is_list) {
            return Err(Refused::Expansion);
        }
        Ok(())
    }

    fn check_token(&self, headers: &HeaderMap, query: &Query<'_>) -> Result<(), Refused> {
        let (header, query) = (graph::header_token(headers), query.value(TOKEN));
        let are_two = header.zip(query).is_some_and(|(header, query)| header != query.as_bytes());
        if self.rules.hold(Rule::OneCredential) && are_two { Err(Refused::TwoTokens) } else { Ok(()) }
    }

    fn asked(&self) -> Expected {
        if self.rules.hold(Rule::NoBodyToAsk) { Expected::Nothing } else { Expected::File }
    }

    fn changed(&self, head: &Head<'_>, path: &GraphPath, owner: Owner) -> Result<Expected, Refused> {
        let is_upload = matches!(path.node(), Node::Upload(_)) && path.edges().is_empty();
        if *head.method == Method::POST
            && let Some(edge) = SendingEdge::of(path)
        {
            return self.sent(head, edge, owner);
        }
        let is_known = edges::may_change(head.method, path, owner.known(), self.allowed)
            || (is_upload && *head.method == Method::POST);
        if !is_known && self.rules.hold(Rule::KnownEdges) {
            let (method, shape) = (head.method.clone(), edges::shape(path, owner.known()));
            let is_unreadable = path.edges().iter().any(|edge| reaches_people(edge));
            return Err(if is_unreadable {
                Refused::Unreadable { method, shape }
            } else {
                Refused::Edge { method, shape }
            });
        }
        let declared = headers::content_type(head.headers, self.rules)?;
        match (declared, is_upload) {
            (None | Some(ContentType::Form), true) => Ok(Expected::Upload),
            (None, false) if !self.rules.hold(Rule::DeclaredBody) => Ok(Expected::File),
            (None, false) => Ok(Expected::Nothing),
            (Some(ContentType::Raw), false) if self.rules.hold(Rule::RawUploads) => Err(Refused::File),
            (Some(ContentType::Raw), _) => Ok(Expected::File),
            (Some(_), true) => Err(Refused::NotFile),
            (Some(ContentType::Json), false) => Ok(Expected::Json),
            (Some(ContentType::Form), false) => Ok(Expected::Form),
            (Some(ContentType::Multipart(boundary)), false) => Ok(Expected::Multipart(boundary)),
        }
    }

    fn sent(&self, head: &Head<'_>, edge: SendingEdge, owner: Owner) -> Result<Expected, Refused> {
        if owner.known() != Known::PhoneNumber {
            return Err(Refused::NoSender);
        }
        let declared = headers::content_type(head.headers, self.rules)?;
        if declared != Some(ContentType::Json) && self.rules.hold(Rule::JsonMessage) {
            return Err(Refused::NotJson);
        }
        Ok(Expected::Message(edge))
    }

    /// Checks a buffered body. Multipart bodies and uploads are checked while they are streamed
    /// ([`Scan`](super::scanned::Scan)), and files not at all.
    pub(super) fn check(&self, expected: &Expected, body: &[u8]) -> Result<Option<Message>, Refused> {
        match expected {
            Expected::Nothing if body.is_empty() => Ok(None),
            Expected::Nothing => Err(Refused::BodyToAsk),
            Expected::Message(edge) => Ok(Some(Message::parse(*edge, body, self.rules)?)),
            Expected::Json => Ok(fields::json(body, self.owners, self.rules).map(|()| None)?),
            Expected::Form => Ok(fields::form(body, self.owners, self.rules).map(|()| None)?),
            Expected::Multipart(_) | Expected::File | Expected::Upload => Ok(None),
        }
    }
}
