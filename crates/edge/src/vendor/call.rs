//! A request of a vendor's client, from its arrival to the response.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use portcullis_admission::Work;
use portcullis_api::TokenScope;
use portcullis_correlation::RequestId;
use portcullis_process_metrics::http::Reason;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::AppState;
use crate::gateway::Gateway;
use crate::http::body::SHORT_BODY;
use crate::http::request_log::Logged;
use crate::http::{bearer, body};
use crate::ops::Target;
use crate::ops::write::{Terms, WriteReport};
use crate::registry::{Caller, SenderName};
use crate::settings::Dialects;
use crate::token::TokenDigest;
use portcullis_api::settings::Dialect;

/// The largest body in bytes. Many times the size of the largest valid request of any dialect.
const MAX_BODY: usize = 1 << 20;
/// The largest body that has the token in it, in bytes. Such requests are about one person, and take some hundred bytes. Anybody can
/// send them, and they are parsed before it is known whose they are, so they must not take longer than any other request.
const MAX_UNVERIFIED_BODY: usize = SHORT_BODY;

/// A dialect: its name, and its error responses.
pub trait Speaks: Send + Sync + 'static {
    /// Which dialect it is.
    const DIALECT: Dialect;

    /// Says where a request's token is. Nothing of a body is read before the token is known to be valid, unless it is in the
    /// body itself.
    fn credential(parts: &Parts) -> Credential;

    /// Creates the response for a fault, in the vendor's status, code and body. [`refusal`] adds `Retry-After`.
    fn fault(fault: &Fault, context: &Context<'_>) -> Response;
}

/// Where the token of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// In the head.
    Known(TokenDigest),
    /// It should be in the head, and is not.
    Missing,
    /// In the body, if anywhere.
    InBody,
}

impl From<Option<TokenDigest>> for Credential {
    /// A token of the head; `None` if it is not there.
    fn from(token: Option<TokenDigest>) -> Self {
        token.map_or(Credential::Missing, Credential::Known)
    }
}

/// What an error response may contain besides the fault.
pub struct Context<'a> {
    /// The request's id.
    pub id: RequestId,
    /// The settings of all dialects.
    pub settings: &'a Dialects,
    /// The request's path. May contain a number.
    pub path: &'a str,
}

/// A request of a vendor's client, with its whole body.
pub struct Call {
    /// The state of the server.
    pub app: Arc<AppState>,
    /// The head of the request.
    pub parts: Parts,
    /// The request's id.
    pub id: RequestId,
    dialect: Dialect,
    /// What the token must be good for.
    scope: TokenScope,
    params: Vec<(String, String)>,
    /// The body. At most 1 MiB and `max_body_bytes`; at most 8 KiB if it has the token. Empty, and not read, if the head has no
    /// valid token and should have one: [`caller`](Self::caller) fails then.
    pub body: Bytes,
    /// Whose token is in the head.
    known: Option<Caller>,
}

/// Creates the handler of a method of a dialect's route, whose token must have this scope. Reads the body, logs the request, and turns a fault into a response. Use
/// [`others`] for the remaining methods.
pub fn method<S, F, W>(method: MethodFilter, scope: TokenScope, work: F) -> MethodRouter<Arc<AppState>>
where
    S: Speaks,
    F: Fn(Call) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<Response, Fault>> + Send + 'static,
{
    let handler = move |State(app): State<Arc<AppState>>, params: RawPathParams, request: Request| {
        let work = work.clone();
        async move { answer::<S, F, W>(app, params, request, scope, work).await }
    };
    on(method, Logged(handler))
}

/// Adds a response for all other methods to a dialect's route: [`Fault::MethodNotAllowed`].
pub fn others<S: Speaks>(route: MethodRouter<Arc<AppState>>) -> MethodRouter<Arc<AppState>> {
    let handler = |State(app): State<Arc<AppState>>, request: Request| async move {
        let (id, path) = (RequestId::of_request(&request), request.uri().path());
        refusal::<S>(&Fault::MethodNotAllowed, &Context { id, settings: &app.dialects, path })
    };
    route.fallback(Logged(handler))
}

async fn answer<S, F, W>(
    app: Arc<AppState>,
    params: RawPathParams,
    request: Request,
    scope: TokenScope,
    work: F,
) -> Response
where
    S: Speaks,
    F: Fn(Call) -> W,
    W: Future<Output = Result<Response, Fault>>,
{
    let id = RequestId::of_request(&request);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let at_hand = Arc::clone(&app);
    let done = async {
        let (body, known) = take::<S>(&parts, body, &app).await?;
        let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        work(Call { app, parts, id, dialect: S::DIALECT, scope, params, body, known }).await
    };
    match done.await {
        Ok(response) => response,
        Err(fault) => refusal::<S>(&fault, &Context { id, settings: &at_hand.dialects, path: &path }),
    }
}

/// Creates the response for a fault, with `Retry-After` if the client may retry.
pub fn refusal<S: Speaks>(fault: &Fault, context: &Context<'_>) -> Response {
    let mut response = S::fault(fault, context);
    response.extensions_mut().insert(Reason(fault.reason()));
    let seconds = match fault {
        Fault::RateLimited(wait) | Fault::TooManyGuesses(wait) => Some(wait.seconds()),
        Fault::Unavailable => Some(1),
        _ => None,
    };
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Fault::TooManyGuesses(_) = fault {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads the body, unless the request can't be accepted anyway. The handler says why, in the order in which the vendor looks at
/// a request. Also returns whose token is in the head.
async fn take<S: Speaks>(
    parts: &Parts,
    body: Body,
    app: &AppState,
) -> Result<(Bytes, Option<Caller>), Fault> {
    const NOTHING: (Bytes, Option<Caller>) = (Bytes::new(), None);
    let token = match S::credential(parts) {
        Credential::Known(token) => token,
        Credential::Missing => return Ok(NOTHING),
        Credential::InBody => {
            let memory = app.unverified(parts.extensions.get().copied(), &parts.headers);
            let limit = app.max_body_bytes.min(MAX_UNVERIFIED_BODY);
            return Ok((body::read(body, limit, memory).await?.into_bytes(), None));
        }
    };
    let Ok(gateway) = app.serving() else { return Ok(NOTHING) };
    let registry = gateway.registry.load_full();
    let caller = registry.caller(&token).filter(|caller| !caller.has_expired());
    let Some(caller) = caller else { return Ok(NOTHING) };
    let memory = app.verified(caller.owner());
    let body = body::read(body, app.max_body_bytes.min(MAX_BODY), memory).await?.into_bytes();
    Ok((body, Some(caller.clone())))
}

impl Call {
    /// A parameter of the path; empty if the path has none of this name.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The parameters of the query, in order. Parsing never fails: a malformed part is a parameter without a value.
    pub fn query(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes()).collect()
    }

    /// The first parameter of the query with this name.
    pub fn query_of(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// The token in the header `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&[u8]> {
        bearer(&self.parts.headers)
    }

    /// The first header with this name, trimmed. `None` if it is missing or empty.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        header_of(&self.parts, name)
    }

    /// Whether the body is declared as something other than JSON. A missing `Content-Type` counts as JSON.
    pub fn is_declared_otherwise(&self) -> bool {
        self.parts.headers.contains_key(axum::http::header::CONTENT_TYPE)
            && !body::is_declared(&self.parts.headers, "application/json")
    }

    /// Deserializes the body, for handlers that run on an async worker thread: a body over 8 KiB is parsed elsewhere, as
    /// [`Work::Batch`].
    ///
    /// # Errors
    /// Those of [`json`](Self::json), and those of [`Turns::run`](portcullis_admission::Turns::run).
    pub async fn json_in_turn<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, Fault> {
        match &self.known {
            Some(caller) if self.body.len() > SHORT_BODY => {
                let body = self.body.clone();
                caller.blocking(Work::Batch, move || Ok::<T, Fault>(body::parse(&body)?)).await
            }
            _ => self.json(),
        }
    }

    /// The kind of work of a write that deserializes the body: [`Work::BulkWrite`] if that is over 8 KiB.
    pub fn write(&self) -> Work {
        if self.body.len() > SHORT_BODY { Work::BulkWrite } else { Work::Write }
    }

    /// Deserializes the body. Takes long if the body may be long: see [`json_in_turn`](Self::json_in_turn).
    ///
    /// # Errors
    /// [`Fault::Malformed`] if the body is not JSON of this form. It does not contain the body's values.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        Ok(body::parse(&self.body)?)
    }

    /// Returns the gateway.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] while the gateway is starting or stopping.
    pub fn gateway(&self) -> Result<&Arc<Gateway>, Fault> {
        self.app.open_gateway().map_err(|_| Fault::Unavailable)
    }

    fn serving(&self) -> Result<&Arc<Gateway>, Fault> {
        self.app.serving().map_err(|_| Fault::Unavailable)
    }

    /// Returns the owner of a token, with this request's address and dialect for the audit trail. Counts the request
    /// against the token's rate limit.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]; [`Fault::CredentialExpired`]; [`Fault::OutOfScope`]; [`Fault::WrongCredential`] if the token is unknown, or [`Fault::TooManyGuesses`] if too many such
    /// tokens came from the address; [`Fault::RateLimited`].
    pub fn caller(&self, token: &[u8]) -> Result<Caller, Fault> {
        self.caller_with(&TokenDigest::of(token))
    }

    /// Like [`caller`](Self::caller), but takes the digest of the token.
    ///
    /// # Errors
    /// Those of [`caller`](Self::caller).
    pub fn caller_with(&self, token: &TokenDigest) -> Result<Caller, Fault> {
        let registry = self.serving()?.registry.load();
        let caller = registry.authenticate(token, self.scope).map_err(|denied| {
            self.app.denied(denied, self.parts.extensions.get().copied(), &self.parts.headers)
        })?;
        Ok(self.app.placed(caller.clone(), &self.parts, self.dialect.as_str()))
    }

    /// Returns the list of the sender with a vendor's id.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]; [`Fault::SenderUnknown`] if the caller's tenant has no such sender;
    /// [`Fault::SenderNotAllowed`] if the token is for another one; [`Fault::FeatureOff`] if the tenant may not use the
    /// dialect; [`Fault::SenderInactive`].
    pub fn target(&self, caller: &Caller, name: &SenderName) -> Result<Target, Fault> {
        let registry = self.serving()?.registry.load();
        let (tenant, sender) = registry.sender(name).ok_or(Fault::SenderUnknown)?;
        if tenant.config.id != caller.tenant.config.id {
            return Err(Fault::SenderUnknown);
        }
        if !caller.may_use(sender.id.as_str()) {
            return Err(Fault::SenderNotAllowed);
        }
        if !tenant.config.dialects.spoken.contains(&self.dialect) {
            return Err(Fault::FeatureOff);
        }
        if !sender.active {
            return Err(Fault::SenderInactive);
        }
        Ok(Target::sender(caller, sender.id.as_str())?.of_vendor())
    }
}

/// The first header with this name, trimmed. `None` if it is missing or empty.
pub fn header_of<'a>(parts: &'a Parts, name: &str) -> Option<&'a [u8]> {
    parts.headers.get(name).map(|value| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty())
}

/// Checks that every row of a write had an effect.
///
/// # Errors
/// [`Fault::Rows`] with the rows that had none: see [`RowResult::failure`](crate::ops::write::RowResult::failure).
pub fn succeeded(done: &WriteReport) -> Result<(), Fault> {
    let failures = done.failures();
    if failures.is_empty() { Ok(()) } else { Err(Fault::Rows(failures)) }
}

/// The conditions of blocks in the dialects of vendors that forward them to WhatsApp: capacity, the sender's own
/// number, and the 24-hour rule.
pub fn whatsapp_terms(target: &Target) -> Terms {
    let dialects = &target.tenant.config.dialects;
    Terms {
        capacity: (dialects.capacity > 0).then_some(dialects.capacity),
        no_own_number: true,
        within_24_hours: dialects.within_24_hours,
    }
}
