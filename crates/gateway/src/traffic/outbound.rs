//! Messages to Meta's Cloud API, and whatever else of the Graph API passes on its way.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::MethodFilter;
use portcullis_msisdn::Direction;
use serde::Deserialize;

use super::Traffic;
use super::client::{Unanswered, end_to_end, for_another};
use super::passing::Passing;
use super::shed::UnderWay;
use super::verdict::{Blocked, Kind, judge};
use crate::config::SenderConfig;
use crate::core::Target;
use crate::dialects::call::{self, Call, Context};
use crate::dialects::fault::Fault;
use crate::dialects::meta::{self, Meta};
use crate::dialects::text::Text;
use crate::http::Front;
use crate::http::request_log::RequestId;
use crate::identity::Identity;
use crate::metrics::Passage;
use crate::registry::{Caller, Registry, SenderName};

pub(super) fn router() -> Router<Arc<Front>> {
    // Any other method of these paths passes on like every other path.
    let message = || call::method::<Meta, _, _>(MethodFilter::POST, |call| send(call, false));
    let marketing = || call::method::<Meta, _, _>(MethodFilter::POST, |call| send(call, true));
    Router::new()
        .route("/{version}/{id}/messages", message().fallback(crate::http::unmatched))
        .route("/{id}/messages", message().fallback(crate::http::unmatched))
        .route("/{version}/{id}/marketing_messages", marketing().fallback(crate::http::unmatched))
        .route("/{id}/marketing_messages", marketing().fallback(crate::http::unmatched))
}

/// The last segments of paths that send to somebody, or change who is sent to: nothing that may be taken for one of these passes
/// unlooked at.
const GATED: [&str; 3] = ["messages", "marketing_messages", "block_users"];

/// What is read of a message. The rest is none of the gateway's business.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    to: Option<Text>,
    /// A person without a number.
    #[serde(default)]
    recipient: Option<Text>,
    #[serde(default)]
    recipient_type: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    template: Option<Template>,
}

#[derive(Deserialize)]
struct Template {
    #[serde(default)]
    name: Option<String>,
}

async fn send(call: Call, is_marketing: bool) -> Result<Response, Fault> {
    let traffic = Arc::clone(call.front.traffic());
    if !traffic.has_upstream() {
        return Err(Fault::NotFound);
    }
    let (caller, target) = meta::target(&call)?;
    let under_way = traffic.shed.enter(&target.tenant.config.id).ok_or(Fault::Unavailable)?;
    let message = read(&call, &target)?;
    let metrics = Arc::clone(&target.tenant.metrics);
    let patterns = &target.tenant.config.opt_out.marketing_templates;
    let is_promotion =
        message.template.is_some_and(|name| patterns.iter().any(|pattern| fits(pattern, &name)));
    let kind = Kind {
        is_marketing: is_marketing || is_promotion,
        may_confirm: !is_marketing && message.is_text_or_interactive,
    };
    match judge(&target, message.recipients, kind).await? {
        None => {}
        Some(blocked) => {
            metrics.passed(Direction::Outbound, Passage::Blocked, 1);
            return Ok(refusal(&traffic, blocked, call.id));
        }
    }
    let sender = target.sender_config().cloned();
    let request = Request::from_parts(call.parts, Body::from(call.body));
    let answer = forward(&traffic, request, &caller, sender.as_ref(), under_way, call.id).await;
    let passage = if answer.status().is_success() { Passage::Forwarded } else { Passage::Failed };
    metrics.passed(Direction::Outbound, passage, 1);
    Ok(answer)
}

/// What was read of a message.
struct Read {
    /// Whom it is for, in every reading. What is for nobody (a mark that something was read) or for a group has none.
    recipients: Vec<Identity>,
    /// The template that it is of.
    template: Option<String>,
    is_text_or_interactive: bool,
}

fn read(call: &Call, target: &Target) -> Result<Read, Fault> {
    if call.is_declared_otherwise() {
        return Err(Fault::UnsupportedMediaType);
    }
    let message: Message = call.json()?;
    let template = message.template.and_then(|template| template.name);
    let is_text_or_interactive =
        template.is_none() && matches!(message.kind.as_deref(), None | Some("text" | "interactive"));
    let mut recipients = Vec::new();
    if message.recipient_type.as_deref() != Some("group") {
        if let Some(to) = &message.to {
            // A number that can't be read here may be read there: it does not pass.
            let business = target.sender_config().and_then(|sender| sender.number);
            let readings = target.tenant.reader.readings(to.as_str(), business);
            let readings =
                readings.map_err(|error| Fault::malformed("to", &format!("can not be taken: {error}")))?;
            recipients.extend(readings.into_iter().map(Identity::Number));
        }
        if let Some(recipient) = &message.recipient {
            let id = recipient.as_str().parse();
            let id =
                id.map_err(|error| Fault::malformed("recipient", &format!("can not be taken: {error}")))?;
            recipients.push(Identity::User(id));
        }
    }
    Ok(Read { recipients, template, is_text_or_interactive })
}

/// Whether a name is a pattern, or begins with what stands before its `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

/// Meta's own refusals: of a blocked recipient, and of marketing to somebody who stopped that.
fn refusal(traffic: &Traffic, blocked: Blocked, id: RequestId) -> Response {
    let (code, message, details) = match blocked {
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
    let status = StatusCode::from_u16(traffic.meta.blocked_status).unwrap_or(StatusCode::BAD_REQUEST);
    meta::error(status, code, &format!("(#{code}) {message}"), details, id)
}

/// Sends a request on, and gives the upstream's answer as it is.
async fn forward(
    traffic: &Traffic,
    request: Request,
    caller: &Caller,
    sender: Option<&SenderConfig>,
    under_way: UnderWay,
    id: RequestId,
) -> Response {
    let (parts, body) = request.into_parts();
    let own_token = sender
        .and_then(|sender| sender.access_token.as_ref())
        .or(caller.tenant.config.access_token.as_ref())
        .map(|token| token.0.as_str());
    let Some(uri) = upstream_uri(traffic, &parts, own_token.is_some()) else {
        return meta::error(
            StatusCode::NOT_FOUND,
            2500,
            "Unknown path components",
            "There is no upstream",
            id,
        );
    };
    let mut headers = for_another(parts.headers);
    if let Some(token) = own_token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok()) {
        headers.insert(AUTHORIZATION, token);
    }
    let mut onward = Request::new(body);
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = uri;
    *onward.headers_mut() = headers;
    match traffic.client.send(onward, traffic.upstream_patience).await {
        Ok(answer) => untouched(answer, traffic.upstream_patience, under_way),
        Err(why) => {
            tracing::warn!(upstream = traffic.meta.upstream, %why, "a request could not be sent on");
            let status = match why {
                Unanswered::Unreachable => StatusCode::BAD_GATEWAY,
                Unanswered::Late => StatusCode::GATEWAY_TIMEOUT,
            };
            meta::error(status, 2, "Service temporarily unavailable", "The upstream does not answer", id)
        }
    }
}

/// The upstream's answer but for what is of its connection. It is under way until its body has passed.
pub(super) fn untouched(answer: Response, patience: Duration, under_way: UnderWay) -> Response {
    let (mut parts, body) = answer.into_parts();
    end_to_end(&mut parts.headers);
    parts.version = axum::http::Version::HTTP_11;
    Response::from_parts(parts, Body::new(Passing::new(body, patience, under_way)))
}

fn upstream_uri(traffic: &Traffic, parts: &Parts, own_token: bool) -> Option<Uri> {
    let base = traffic.meta.upstream.as_deref()?.trim_end_matches('/');
    let path = parts.uri.path();
    let query = parts.uri.query().map(|query| {
        // Ours takes the place of the client's, wherever that stood.
        let pairs = query.split('&').filter(|pair| !own_token || !pair.starts_with("access_token="));
        pairs.collect::<Vec<_>>().join("&")
    });
    let query = query.filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
    format!("{base}{path}{query}").parse().ok()
}

/// What the gateway does not answer itself passes on untouched, for whom it knows.
pub(crate) async fn pass(front: &Arc<Front>, request: Request) -> Response {
    let id = RequestId::new();
    let path = request.uri().path().to_owned();
    let passed = async {
        let caller = known(front, &request)?;
        let registry = front.open_gateway().map_err(|_| Fault::Unavailable)?.registry.load_full();
        passes(&registry, &caller, request.method(), request.uri())?;
        let traffic = front.traffic();
        let under_way = traffic.shed.enter(&caller.tenant.config.id).ok_or(Fault::Unavailable)?;
        let sender = sender_of(&caller, &path).cloned();
        Ok::<_, Fault>(forward(traffic, request, &caller, sender.as_ref(), under_way, id).await)
    };
    passed.await.unwrap_or_else(|fault| {
        call::refusal::<Meta>(&fault, &Context { id, settings: &front.dialects, path: &path })
    })
}

fn known(front: &Front, request: &Request) -> Result<Caller, Fault> {
    let token = meta::token(request.headers(), request.uri()).ok_or(Fault::MissingCredential)?;
    let gateway = front.open_gateway().map_err(|_| Fault::Unavailable)?;
    let caller = gateway.registry.load().caller(&token).cloned().ok_or(Fault::WrongCredential)?;
    caller.ask()?;
    Ok(caller)
}

/// Whether something of the Graph API may pass unlooked at: nothing that sends, in whatever way it is written, and nothing
/// about another tenant's sender, which a token for Meta that both have would reach.
fn passes(registry: &Registry, caller: &Caller, method: &Method, uri: &Uri) -> Result<(), Fault> {
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().map_err(|_| Fault::NotFound)?;
    let segments: Vec<&str> = path.split(['/', '\\', '\0']).filter(|segment| !segment.is_empty()).collect();
    let is_gated = |segment: &str| GATED.iter().any(|gated| segment.trim().eq_ignore_ascii_case(gated));
    if segments.last().is_some_and(|last| is_gated(last)) {
        // Asking is not sending; and a request that is not written like this came past the routes that look.
        let is_plain = segments.last().is_some_and(|last| GATED.contains(last))
            && (2..=3).contains(&segments.len())
            && uri.path() == canonical(&segments);
        if !is_plain || ![Method::GET, Method::HEAD].contains(method) {
            return Err(Fault::NotFound);
        }
    }
    // A batch of requests in one, and another method than that of the request, would go round all that is looked at.
    if segments.is_empty() || matches!(segments[..], [only] if meta::is_version(only)) {
        return Err(Fault::malformed("", "a batch of requests does not pass"));
    }
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    if query.any(|(name, _)| name.eq_ignore_ascii_case("method")) {
        return Err(Fault::malformed("method", "does not pass: send the request with its own method"));
    }
    for segment in segments.iter().take(2) {
        let id = (*segment).to_owned();
        let owners = [SenderName::PhoneNumberId(id.clone()), SenderName::Account(id)];
        for (tenant, sender) in owners.iter().filter_map(|name| registry.sender(name)) {
            let is_own = tenant.config.id == caller.tenant.config.id && caller.may_use(sender.id.as_str());
            if !is_own {
                return Err(Fault::SenderNotAllowed);
            }
        }
    }
    Ok(())
}

fn canonical(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{segment}")).collect()
}

/// The sender that a path of the Graph API is about: by its phone-number-id or by its account.
fn sender_of<'a>(caller: &'a Caller, path: &str) -> Option<&'a SenderConfig> {
    let segments: Vec<&str> = path.split('/').skip(1).take(2).collect();
    let is_named = |id: &Option<String>| id.as_deref().is_some_and(|id| segments.contains(&id));
    let mut senders = caller.tenant.config.senders.iter();
    senders.find(|sender| is_named(&sender.phone_number_id) || is_named(&sender.waba_id))
}

/// Whether a request could be one of the Graph API's: not of the gateway's own paths, and with a method that has a meaning
/// there.
pub(crate) fn may_pass(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    let is_own =
        matches!(first, "portcullis" | "healthz" | "readyz" | "metrics" | "webhooks" | "whatsapp" | "api");
    let is_known = [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::PUT].contains(method);
    !is_own && is_known && !headers.contains_key("api-key")
}
