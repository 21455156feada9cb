//! One request of a vendor's client, from its arrival to its answer.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::AppState;
use crate::gateway::Gateway;
use crate::http::request_log::{Logged, RequestId};
use crate::http::{bearer, body};
use crate::ops::Target;
use crate::ops::write::{Terms, WriteReport};
use crate::registry::{Caller, SenderName};
use crate::settings::Dialects;
use crate::token::TokenDigest;
use portcullis_api::settings::Dialect;

/// The most bytes of a body: many times what the most items of any dialect take.
const MAX_BODY: usize = 1 << 20;

/// A dialect: how it says what it runs into.
pub trait Speaks: Send + Sync + 'static {
    const DIALECT: Dialect;

    fn fault(fault: &Fault, context: &Context<'_>) -> Response;
}

/// What an answer may tell besides what it is about.
pub struct Context<'a> {
    pub id: RequestId,
    pub settings: &'a Dialects,
    /// Of the request.
    pub path: &'a str,
}

/// One request.
pub struct Call {
    pub app: Arc<AppState>,
    pub parts: Parts,
    pub id: RequestId,
    dialect: Dialect,
    params: Vec<(String, String)>,
    pub body: Bytes,
}

/// A route's method of this dialect. What it takes no notice of: other methods, see [`others`].
pub fn method<S, F, W>(method: MethodFilter, work: F) -> MethodRouter<Arc<AppState>>
where
    S: Speaks,
    F: Fn(Call) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<Response, Fault>> + Send + 'static,
{
    let handler = move |State(app): State<Arc<AppState>>, params: RawPathParams, request: Request| {
        let work = work.clone();
        async move { answer::<S, F, W>(app, params, request, work).await }
    };
    on(method, Logged(handler))
}

/// The same route with an answer for all other methods.
pub fn others<S: Speaks>(route: MethodRouter<Arc<AppState>>) -> MethodRouter<Arc<AppState>> {
    let handler = |State(app): State<Arc<AppState>>, request: Request| async move {
        let context = Context { id: RequestId::new(), settings: &app.dialects, path: request.uri().path() };
        named(refusal::<S>(&Fault::MethodNotAllowed, &context), context.id)
    };
    route.fallback(Logged(handler))
}

async fn answer<S, F, W>(app: Arc<AppState>, params: RawPathParams, request: Request, work: F) -> Response
where
    S: Speaks,
    F: Fn(Call) -> W,
    W: Future<Output = Result<Response, Fault>>,
{
    let id = RequestId::new();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let at_hand = Arc::clone(&app);
    let done = async {
        let body = take(body, &app).await?;
        let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        work(Call { app, parts, id, dialect: S::DIALECT, params, body }).await
    };
    let response = match done.await {
        Ok(response) => response,
        Err(fault) => refusal::<S>(&fault, &Context { id, settings: &at_hand.dialects, path: &path }),
    };
    named(response, id)
}

/// A fault in a dialect's words, and when to ask again in those of HTTP.
pub fn refusal<S: Speaks>(fault: &Fault, context: &Context<'_>) -> Response {
    let mut response = S::fault(fault, context);
    let seconds = match fault {
        Fault::RateLimited(wait) => Some(wait.seconds()),
        Fault::Unavailable => Some(1),
        _ => None,
    };
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn take(body: Body, app: &AppState) -> Result<Bytes, Fault> {
    Ok(body::read(body, app.max_body_bytes.min(MAX_BODY)).await?)
}

fn named(mut response: Response, id: RequestId) -> Response {
    response.extensions_mut().insert(id);
    response
}

impl Call {
    /// A parameter of the path.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Parameters of the query. A text that is no query has none.
    pub fn query(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes()).collect()
    }

    /// The first parameter of this name.
    pub fn query_of(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// The token of the header `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&[u8]> {
        bearer(&self.parts.headers)
    }

    /// A header as it was sent.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.parts
            .headers
            .get(name)
            .map(|value| value.as_bytes().trim_ascii())
            .filter(|value| !value.is_empty())
    }

    /// Whether the body is declared as something else than JSON.
    pub fn is_declared_otherwise(&self) -> bool {
        self.parts.headers.contains_key(axum::http::header::CONTENT_TYPE)
            && !body::is_declared(&self.parts.headers, "application/json")
    }

    /// What the body says.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        Ok(body::parse(&self.body)?)
    }

    pub fn gateway(&self) -> Result<&Arc<Gateway>, Fault> {
        self.app.open_gateway().map_err(|_| Fault::Unavailable)
    }

    /// Whom a token belongs to. Counts the request.
    pub fn caller(&self, token: &[u8]) -> Result<Caller, Fault> {
        self.caller_with(&TokenDigest::of(token))
    }

    /// The same, of a token of which there is the digest only.
    pub fn caller_with(&self, token: &TokenDigest) -> Result<Caller, Fault> {
        let registry = self.gateway()?.registry.load();
        let caller = registry.caller(token).ok_or(Fault::WrongCredential)?;
        caller.ask()?;
        Ok(self.app.placed(caller.clone(), &self.parts, self.dialect.as_str()))
    }

    /// The list of the sender that the vendor calls this.
    pub fn target(&self, caller: &Caller, name: &SenderName) -> Result<Target, Fault> {
        let registry = self.gateway()?.registry.load();
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

/// Whether all that was asked for is so now.
pub fn succeeded(done: &WriteReport) -> Result<(), Fault> {
    let failures = done.failures();
    if failures.is_empty() { Ok(()) } else { Err(Fault::Rows(failures)) }
}

/// The terms of those dialects whose vendors pass blocks on to WhatsApp.
pub fn whatsapp_terms(target: &Target) -> Terms {
    let dialects = &target.tenant.config.dialects;
    Terms {
        capacity: (dialects.capacity > 0).then_some(dialects.capacity),
        no_own_number: true,
        within_24_hours: dialects.within_24_hours,
    }
}
