//! Forwarding of messages to Meta's Cloud API, and of other requests to the Graph API.
//!
//! [`admission`] decides what is forwarded; this module does it.

mod admission;
mod body;
mod edges;
mod fields;
pub mod fuzz;
mod headers;
mod multipart;
mod owners;
mod parameter;
mod path;
mod query;
mod rules;
mod scanned;
mod scope;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::MethodFilter;
use portcullis_msisdn::{Direction, Msisdn};

use tracing::Instrument as _;

use super::Proxy;
use super::client::{Unanswered, for_another};
use super::concurrency_limit::Permit;
use super::relay::relayed;
use super::verdict::{Blocked, Kind, judge};
use admission::{Admitted, Expected, Gate, Head, Refused};
use body::{Action, Message, RecipientType};
use edges::SendingEdge;
use multipart::Scanner;
use owners::{Configured, sender_of};
use portcullis_admission::LogLimit;
use portcullis_api::{TokenScope, masked_url};
use portcullis_correlation::RequestId;
use portcullis_edge::AppState;
use portcullis_edge::http::body::{SHORT_BODY, read};
use portcullis_edge::metrics::Passage;
use portcullis_edge::ops::{Work, traced};
use portcullis_edge::registry::Caller;
use portcullis_edge::settings::TenantConfig;
use portcullis_edge::vendor::call::{self, Call, Context};
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::vendor::graph::{self, Meta};
use portcullis_engine::{Channel, Identity, Purpose, Stop};
use portcullis_numbers::NumberReader;
use portcullis_process_metrics::exchanges::To;
use rules::Rules;
use scanned::Scanned;
use upload::UploadScanner;

pub(super) fn router(proxy: &Arc<Proxy>) -> Router<Arc<AppState>> {
    SendingEdge::ALL.into_iter().fold(Router::new(), |router, edge| {
        // Other methods of these paths are handled like all other paths.
        let route = || {
            let (sending, other) = (Arc::clone(proxy), Arc::clone(proxy));
            let work = move |call| send(Arc::clone(&sending), call);
            call::method::<Meta, _, _>(MethodFilter::POST, TokenScope::Check, work)
                .fallback(move |request| crate::unmatched(Arc::clone(&other), request))
        };
        router
            .route(&format!("/{{version}}/{{id}}/{}", edge.name()), route())
            .route(&format!("/{{id}}/{}", edge.name()), route())
    })
}

/// An extension of responses: the upstream has got the message, or may have.
#[derive(Clone, Copy, Debug)]
pub struct Passed;

/// Lines about requests that the upstream did not answer.
static UNANSWERED: LogLimit = LogLimit::new(50);

/// Maximum size in bytes of a JSON or form body to an edge that doesn't send.
const MAX_FIELDS: usize = 1 << 20;

/// Handles a POST to an edge that sends: checks the recipients and forwards the message.
async fn send(proxy: Arc<Proxy>, call: Call) -> Result<Response, Fault> {
    if !proxy.has_upstream() {
        return Err(Fault::NotFound);
    }
    // Check the raw path before using the router's decoded parameters: only one spelling is accepted.
    if let Err(error) = path::GraphPath::parse(call.parts.uri.path(), Rules::ALL) {
        return Ok(refused(&error.into(), call.id));
    }
    let (caller, target) = graph::target(&call)?;
    let permit = proxy.sends.enter_as(&caller).ok_or(Fault::Unavailable)?;
    let owners = Configured { registry: call.gateway()?.registry.load_full(), caller };
    let gate = Gate { owners: &owners, allowed: &proxy.meta.allowed_edges, rules: Rules::ALL };
    let admitted = match gate.admit(head_of(&call.parts)) {
        Ok(admitted) => admitted,
        Err(why) => return Ok(refused(&why, call.id)),
    };
    let message = match check(&proxy, &owners, &admitted.body, &call.body).await? {
        Ok(message) => message,
        Err(why) => return Ok(refused(&why, call.id)),
    };
    let (Some(message), Expected::Message(edge)) = (message, &admitted.body) else {
        return Err(Fault::NotFound);
    };
    let business = target.sender_config().and_then(|sender| sender.number);
    let recipients = recipients(&message, target.tenant.reader, business)?;
    let metrics = Arc::clone(&target.tenant.metrics);
    let may_confirm = *edge == SendingEdge::Messages && message.is_text_or_interactive();
    let purpose = purpose(&target.tenant.config, *edge, &message);
    let is_marketing = purpose == Purpose::Marketing;
    let kind = Kind { message: as_rules_see_it(*edge, &message, purpose), is_marketing, may_confirm };
    let checking = traced::check(&target, Direction::Outbound, recipients.len());
    let mut reservation = match judge(&target, recipients, kind).instrument(checking).await? {
        Ok(reservation) => reservation,
        Err(blocked) => {
            metrics.passed(Direction::Outbound, Passage::Blocked, 1);
            return Ok(refusal(&proxy, &blocked, call.id));
        }
    };
    let onward = Onward::new(&proxy, &call.parts, &admitted, &owners.caller);
    let passing = Passing { permit, caller: &owners.caller, broken_off: None };
    reservation.set_out();
    let answer = forward(&proxy, onward, Body::from(call.body), passing, call.id).await;
    let is_taken = answer.status().is_success();
    if !is_taken && answer.status() != StatusCode::GATEWAY_TIMEOUT {
        reservation.release();
    }
    metrics.passed(Direction::Outbound, if is_taken { Passage::Forwarded } else { Passage::Failed }, 1);
    Ok(answer)
}

/// What a message is for, as far as is known: by the edge, or by the template that it uses.
fn purpose(config: &TenantConfig, edge: SendingEdge, message: &Message) -> Purpose {
    let is_one_of = |patterns: &[String], name| patterns.iter().any(|pattern| fits(pattern, name));
    match (edge, message.template.as_deref()) {
        (SendingEdge::MarketingMessages, _) => Purpose::Marketing,
        (SendingEdge::Calls, _) => Purpose::Unknown,
        (_, Some(name)) if is_one_of(&config.opt_out.marketing_templates, name) => Purpose::Marketing,
        (_, Some(name)) if is_one_of(&config.templates.authentication, name) => Purpose::Authentication,
        (_, Some(name)) if is_one_of(&config.templates.utility, name) => Purpose::Utility,
        (_, Some(_)) => Purpose::Unknown,
        // Without a template, a message may only answer the person.
        (SendingEdge::Messages, None) => Purpose::Service,
    }
}

/// `None` for what reaches nobody, such as a read receipt, or is part of a call that there is.
fn as_rules_see_it(
    edge: SendingEdge,
    message: &Message,
    purpose: Purpose,
) -> Option<portcullis_engine::Message> {
    let is_message = match edge {
        SendingEdge::Messages => message.status.is_none(),
        SendingEdge::MarketingMessages => true,
        SendingEdge::Calls => message.action == Some(Action::Connect),
    };
    let channel = if edge == SendingEdge::Calls { Channel::Voice } else { Channel::WhatsApp };
    let message = portcullis_engine::Message::new(Direction::Outbound);
    is_message.then_some(portcullis_engine::Message { channel, purpose, ..message })
}

/// Checks a body: on a thread of low priority if it is long. The outer error is that no thread is free.
async fn check(
    proxy: &Arc<Proxy>,
    owners: &Configured,
    expected: &Expected,
    body: &Bytes,
) -> Result<Result<Option<Message>, Refused>, Fault> {
    let check = |proxy: &Proxy, owners: &Configured, expected: &Expected, body: &[u8]| {
        let gate = Gate { owners, allowed: &proxy.meta.allowed_edges, rules: Rules::ALL };
        gate.check(expected, body)
    };
    if body.len() <= SHORT_BODY {
        return Ok(check(proxy, owners, expected, body));
    }
    let (proxy, of_work) = (Arc::clone(proxy), owners.clone());
    let (expected, body) = (expected.clone(), body.clone());
    let work = move || Ok::<_, Fault>(check(&proxy, &of_work, &expected, &body));
    owners.caller.blocking(Work::Batch, work).await
}

/// Returns the recipients of a message, in every reading. A message without a recipient (such as a read receipt) or to a group
/// has none.
fn recipients(
    message: &Message,
    reader: NumberReader,
    business: Option<Msisdn>,
) -> Result<Vec<Identity>, Fault> {
    if message.recipient_type == RecipientType::Group {
        return Ok(Vec::new());
    }
    let mut recipients = Vec::new();
    if let Some(to) = &message.to {
        // The upstream might read a number that can't be read here, so it is refused.
        let readings = reader.readings(to.as_str(), business);
        let readings =
            readings.map_err(|error| Fault::malformed("to", &format!("can not be taken: {error}")))?;
        recipients.extend(readings.into_iter().map(Identity::Number));
    }
    recipients.extend(message.recipient.clone().map(Identity::User));
    Ok(recipients)
}

/// Whether a name matches a pattern: an exact name, or a prefix followed by `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

/// Builds the error with which Meta itself rejects a message to a blocked recipient, or marketing to a person who stopped that.
///
/// If a rule stops it for now, the error is that of a rate limit, which clients repeat after the time in `Retry-After`.
fn refusal(proxy: &Proxy, blocked: &Blocked, id: RequestId) -> Response {
    let (code, message, details) = match blocked {
        Blocked::Rule(stop) => return stopped(proxy, stop, id),
        Blocked::Recipient => (
            130_403,
            "Unable to deliver the message. This business has blocked the end user on WhatsApp",
            "The recipient is blocked, do not retry",
        ),
        Blocked::Marketing => (
            131_050,
            "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages",
            "The recipient stopped marketing messages, do not retry",
        ),
    };
    graph::error(blocked_status(proxy), code, &format!("(#{code}) {message}"), details, id)
}

fn blocked_status(proxy: &Proxy) -> StatusCode {
    StatusCode::from_u16(proxy.meta.blocked_status).unwrap_or(StatusCode::BAD_REQUEST)
}

fn stopped(proxy: &Proxy, stop: &Stop, id: RequestId) -> Response {
    let Some(wait) = stop.wait() else {
        let (message, details) =
            ("(#131049) This message was not delivered", format!("{stop}, do not retry"));
        return graph::error(blocked_status(proxy), 131_049, message, &details, id);
    };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let (message, details) = ("(#130429) Rate limit hit", format!("{stop}, retry in {seconds} seconds"));
    let mut response = graph::error(StatusCode::TOO_MANY_REQUESTS, 130_429, message, &details, id);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// A request as it is sent upstream, without its body.
struct Onward {
    method: Method,
    /// `None` if there is no upstream, or the result isn't a valid URI.
    uri: Option<Uri>,
    headers: HeaderMap,
}

impl Onward {
    fn new(proxy: &Proxy, parts: &Parts, admitted: &Admitted<'_>, caller: &Caller) -> Self {
        let sender = sender_of(caller, admitted.path.node());
        let own_token = sender
            .and_then(|sender| sender.access_token.as_ref())
            .or(caller.tenant.config.access_token.as_ref())
            .map(|token| token.0.as_str());
        let mut headers = for_another(parts.headers.clone());
        if let Some(token) = own_token.and_then(|token| HeaderValue::from_str(&bearer(&headers, token)).ok())
        {
            headers.insert(AUTHORIZATION, token);
        }
        let uri = proxy.meta.upstream.as_deref().and_then(|base| {
            // A configured token replaces the client's, whether that was in the header or the query.
            let query = admitted.query.onward(own_token.is_none());
            let separator = if query.is_empty() { "" } else { "?" };
            format!("{}{}{separator}{query}", base.trim_end_matches('/'), admitted.path).parse().ok()
        });
        Onward { method: parts.method.clone(), uri, headers }
    }
}

/// Writes an `Authorization` header with the scheme that the client used: Meta's uploads require `OAuth`, all else `Bearer`.
fn bearer(headers: &HeaderMap, token: &str) -> String {
    let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_oauth = value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"OAuth "));
    format!("{} {token}", if is_oauth { "OAuth" } else { "Bearer" })
}

/// Under which limits a request is forwarded.
struct Passing<'a> {
    permit: Permit,
    caller: &'a Caller,
    /// Why the gateway aborted the request, if it does because of its body.
    broken_off: Option<&'a scanned::Refusal>,
}

/// Forwards a request and returns the upstream's response unchanged. If the gateway aborted the request because of its body,
/// returns that error instead.
async fn forward(
    proxy: &Proxy,
    onward: Onward,
    body: Body,
    Passing { permit, caller, broken_off }: Passing<'_>,
    id: RequestId,
) -> Response {
    let Some(uri) = onward.uri else {
        return graph::error(
            StatusCode::NOT_FOUND,
            2500,
            "Unknown path components",
            "There is no upstream",
            id,
        );
    };
    let mut request = Request::new(body);
    let may_be_asked_again = matches!(onward.method, Method::GET | Method::HEAD);
    *request.method_mut() = onward.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = onward.headers;
    let mut answer = match proxy.client.send(To::Upstream, request, proxy.upstream_timeout).await {
        Ok(answer) => {
            let streams = || proxy.streams.enter_as(caller);
            let relayed = relayed(answer, proxy.upstream_timeout, permit, streams, may_be_asked_again).await;
            relayed.unwrap_or_else(|| {
                let context = Context { id, settings: &proxy.app.dialects, path: "" };
                call::refusal::<Meta>(&Fault::Unavailable, &context)
            })
        }
        Err(_) if let Some(why) = broken_off.and_then(|why| why.get()) => refused(why, id),
        Err(why) => {
            if UNANSWERED.admits() {
                let upstream = proxy.meta.upstream.as_deref().map(masked_url);
                let suppressed = UNANSWERED.suppressed();
                tracing::warn!(upstream, %why, suppressed, "could not forward a request");
            }
            let status = match why {
                Unanswered::Unreachable(_) => StatusCode::BAD_GATEWAY,
                Unanswered::Late => StatusCode::GATEWAY_TIMEOUT,
            };
            let details = "The upstream does not answer";
            let mut response = graph::error(status, 2, "Service temporarily unavailable", details, id);
            response.extensions_mut().insert(why.reason());
            response
        }
    };
    answer.extensions_mut().insert(Passed);
    answer
}

/// Forwards a request that has no route of its own, if it is known to be harmless and has a token that the gateway knows.
pub(crate) async fn pass(proxy: &Arc<Proxy>, request: Request) -> Response {
    let id = RequestId::of_request(&request);
    let path = request.uri().path().to_owned();
    passed(proxy, request, id).await.unwrap_or_else(|fault| {
        call::refusal::<Meta>(&fault, &Context { id, settings: &proxy.app.dialects, path: &path })
    })
}

async fn passed(proxy: &Arc<Proxy>, request: Request, id: RequestId) -> Result<Response, Fault> {
    let app = &proxy.app;
    let caller = known(app, &request)?;
    let registry = app.open_gateway().map_err(|_| Fault::Unavailable)?.registry.load_full();
    let owners = Configured { registry, caller };
    let gate = Gate { owners: &owners, allowed: &proxy.meta.allowed_edges, rules: Rules::ALL };
    let (parts, body) = request.into_parts();
    let admitted = match gate.admit(head_of(&parts)) {
        Ok(admitted) => admitted,
        Err(why) => return Ok(refused(&why, id)),
    };
    let caller = owners.caller.clone();
    let onward = Onward::new(proxy, &parts, &admitted, &caller);
    // Uploads arrive at the client's pace, and don't take the places of messages.
    let uploading = || proxy.streams.enter_as(&caller).ok_or(Fault::Unavailable);
    match admitted.body {
        // Sending edges have routes of their own, which read the body.
        Expected::Message(_) => Err(Fault::NotFound),
        Expected::File => {
            let passing = Passing { permit: uploading()?, caller: &caller, broken_off: None };
            Ok(forward(proxy, onward, body, passing, id).await)
        }
        Expected::Multipart(boundary) => {
            let permit = uploading()?;
            let (body, why) = Scanned::new(body, Scanner::new(&boundary, owners, Rules::ALL));
            let passing = Passing { permit, caller: &caller, broken_off: Some(&why) };
            Ok(forward(proxy, onward, Body::new(body), passing, id).await)
        }
        Expected::Upload => {
            let permit = uploading()?;
            let (body, why) = Scanned::new(body, UploadScanner::new(Rules::ALL));
            let passing = Passing { permit, caller: &caller, broken_off: Some(&why) };
            Ok(forward(proxy, onward, Body::new(body), passing, id).await)
        }
        expected @ (Expected::Nothing | Expected::Json | Expected::Form) => {
            let memory = app.verified(caller.owner());
            let body = read(body, MAX_FIELDS.min(app.max_body_bytes), memory).await?.into_bytes();
            if let Err(why) = check(proxy, &owners, &expected, &body).await? {
                return Ok(refused(&why, id));
            }
            let permit = proxy.sends.enter_as(&caller).ok_or(Fault::Unavailable)?;
            let passing = Passing { permit, caller: &caller, broken_off: None };
            Ok(forward(proxy, onward, Body::from(body), passing, id).await)
        }
    }
}

fn head_of(parts: &Parts) -> Head<'_> {
    let (method, headers) = (&parts.method, &parts.headers);
    Head { method, path: parts.uri.path(), query: parts.uri.query(), headers }
}

/// Builds the Graph API error for a request that is not forwarded.
fn refused(why: &Refused, id: RequestId) -> Response {
    let details = why.to_string();
    if why.is_forbidden() {
        let message = "(#10) Application does not have permission for this action";
        return graph::error(StatusCode::FORBIDDEN, 10, message, &details, id);
    }
    graph::error(StatusCode::BAD_REQUEST, 100, "(#100) Invalid parameter", &details, id)
}

/// Identifies the caller by the request's token, and counts the request against their rate limit.
fn known(app: &AppState, request: &Request) -> Result<Caller, Fault> {
    let token = graph::token(request.headers(), request.uri()).ok_or(Fault::MissingCredential)?;
    let gateway = app.open_gateway().map_err(|_| Fault::Unavailable)?;
    let registry = gateway.registry.load();
    let caller = registry.authenticate(&token, TokenScope::Check);
    let peer = request.extensions().get().copied();
    let mut caller = caller.map_err(|denied| app.denied(denied, peer, request.headers()))?.clone();
    if let Some(attribution) = request.extensions().get() {
        caller.attribute_to(attribution);
    }
    Ok(caller)
}

/// Whether a request could be meant for the Graph API: it is not on one of the gateway's own paths, has a method that the Graph
/// API knows, and doesn't have an `api-key`.
pub(crate) fn may_pass(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    let is_own =
        matches!(first, "portcullis" | "healthz" | "readyz" | "metrics" | "webhooks" | "whatsapp" | "api");
    let is_known = [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::PUT].contains(method);
    !is_own && is_known && !headers.contains_key("api-key")
}
