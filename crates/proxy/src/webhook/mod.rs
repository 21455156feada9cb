//! Meta's webhooks: verified, filtered, and forwarded to the senders' callbacks, whose response is returned to Meta.

mod deliveries;
pub mod fuzz;
mod marks;
mod owner;
mod partition;
mod payload;
pub(super) mod signature;
mod sorting;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http_body_util::BodyExt as _;
use portcullis_admission::{LogLimit, Unfinished, WebhookTurn};
use portcullis_ledger::{Claim, DeliveryKey, TenantId};
use portcullis_msisdn::Direction;
use portcullis_process_metrics::exchanges::To;
use tracing::{Instrument as _, info_span, warn};

use super::Proxy;
use super::client::{Unanswered, for_another};
use super::concurrency_limit::Permit;
use deliveries::Claimed;
use marks::Marks;
use partition::{Partition, PartitionError, TurnOf, partition};
use portcullis_edge::AppState;
use portcullis_edge::gateway::Gateway;
use portcullis_edge::http::body::{self, BodyFault};
use portcullis_edge::http::request_log::Logged;
use portcullis_edge::metrics::Passage;
use portcullis_edge::ops::Refusal;
use portcullis_edge::registry::Denied;
use portcullis_telemetry::TARGET;

pub(super) const PATH: &str = "/webhooks/meta";
/// The largest webhook in bytes. Meta sends at most 3 MB:
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview>.
const MAX_WEBHOOK: usize = 4 << 20;

pub(super) fn router(proxy: &Arc<Proxy>) -> Router<Arc<AppState>> {
    let route = on(MethodFilter::GET, Logged(shake_hands)).on(MethodFilter::POST, Logged(take));
    Router::new().route(PATH, route).with_state(Arc::clone(proxy))
}

/// Handles Meta's webhook verification: returns the challenge if the token is right, and otherwise 403, or 429 if too many wrong
/// ones came from the address.
async fn shake_hands(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let field = |name: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let token = field("hub.verify_token").unwrap_or_default();
    let is_right = proxy.meta_secrets.load().verify_token.as_ref().is_some_and(|known| known.has(&token));
    match field("hub.challenge") {
        Some(challenge) if is_right && field("hub.mode").as_deref() == Some("subscribe") => {
            let mut response = answer(StatusCode::OK);
            *response.body_mut() = Body::from(challenge.into_owned());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        }
        _ if is_right || token.is_empty() => answer(StatusCode::FORBIDDEN),
        _ => {
            let peer = request.extensions().get().copied();
            match proxy.app.denied(Denied::UnknownToken, peer, request.headers()) {
                Denied::TooManyGuesses(wait) => {
                    let mut response = answer(StatusCode::TOO_MANY_REQUESTS);
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.seconds()));
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    response
                }
                _ => answer(StatusCode::FORBIDDEN),
            }
        }
    }
}

fn answer(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 503 with `Retry-After`: Meta sends the webhook again.
fn busy() -> Response {
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A body to be delivered to one URL.
pub(super) struct Delivery {
    pub(super) url: String,
    /// The tenant whose concurrency limit applies; `None` for the default callback.
    pub(super) tenant: Option<TenantId>,
    pub(super) body: Bytes,
    /// Meta's signature, if the body is unchanged. If `None`, the body is signed again.
    pub(super) signature: Option<HeaderValue>,
    /// Which messages in the body are from blocked people.
    marks: Marks,
}

/// Handles `POST /webhooks/meta`: verifies, partitions and delivers a webhook.
///
/// Nothing of a body is read without a header that can be its signature. The signature is of the body, so the body is read before
/// its author is known, within the budget for that. It is computed as the body arrives, because that takes time.
async fn take(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let app = &proxy.app;
    let known = proxy.meta_secrets.load_full();
    let Some(secrets) = &known.app_secret else { return answer(StatusCode::NOT_FOUND) };
    let Ok(gateway) = app.open_gateway() else { return busy() };
    let (parts, body) = request.into_parts();
    let signature = parts.headers.get(signature::HEADER);
    let expected = signature.and_then(|header| signature::Expected::read(secrets.iter(), header.as_bytes()));
    let Some(mut expected) = expected else { return answer(StatusCode::UNAUTHORIZED) };
    let memory = app.unverified(parts.extensions.get().copied(), &parts.headers);
    let limit = app.max_body_bytes.min(MAX_WEBHOOK);
    let verifying = info_span!(target: TARGET, "webhook.verify");
    let reading = body::read_seen(body, limit, memory, |piece| expected.update(piece));
    let body = match reading.instrument(verifying).await {
        Ok(body) => body,
        Err(BodyFault::TooLarge { .. }) => return answer(StatusCode::PAYLOAD_TOO_LARGE),
        Err(BodyFault::NoMemory) => return busy(),
        Err(BodyFault::BrokenOff | BodyFault::Late) => return answer(StatusCode::BAD_REQUEST),
    };
    // What is signed anew is signed with the secret that Meta used.
    let Some(secret) = expected.met().and_then(|index| secrets.iter().nth(index)).map(str::to_owned) else {
        return answer(StatusCode::UNAUTHORIZED);
    };
    let body = body.into_verified();
    let (registry, default) = (gateway.registry.load_full(), proxy.meta.default_callback_url.clone());
    let part = |turns| {
        let (registry, raw, default) = (Arc::clone(&registry), body.clone(), default.clone());
        gateway.pools.webhook(move || partition(&registry, default.as_deref(), &raw, turns))
    };
    let parting = info_span!(target: TARGET, "webhook.partition");
    let mut parted = part(None).instrument(parting.clone()).await;
    if let Err(PartitionError::NotItsTurn(needed)) = &parted {
        parted = match all_turns(needed).instrument(parting.clone()).await {
            Ok(turns) => part(Some(turns)).instrument(parting).await,
            Err(unfinished) => Err(unfinished.into()),
        };
    }
    let parted = match parted {
        Ok(parted) => parted,
        Err(error) => return refused(&error),
    };
    let Partition { deliveries, counts, is_whole, is_known, held_of_nobody, reservations } = parted;
    for (tenant, counts) in &counts {
        tenant.metrics.passed(Direction::Inbound, Passage::Blocked, counts.blocked);
        tenant.metrics.passed(Direction::Inbound, Passage::Unreadable, counts.held);
        if counts.held > 0 {
            warn!(
                tenant = %tenant.config.id, count = counts.held,
                "holding messages of a webhook that can't be read, or that are from blocked people and can't be marked; \
                 Meta will send the webhook again (to change this, set unreadable_inbound)"
            );
        }
    }
    if held_of_nobody > 0 {
        warn!(
            count = held_of_nobody,
            "holding messages of a webhook whose sender can't be determined; Meta will send the webhook again"
        );
    }
    let is_held = held_of_nobody > 0 || counts.iter().any(|(_, counts)| counts.held > 0);
    let deliveries: Vec<Delivery> = match (is_whole, deliveries) {
        (true, mut deliveries) => {
            // Nothing was removed and everything goes to one place: deliver the body byte for byte, with Meta's signature.
            deliveries.truncate(1);
            deliveries
                .into_iter()
                .map(|one| Delivery { body: body.clone(), signature: signature.cloned(), ..one })
                .collect()
        }
        (false, deliveries) => deliveries,
    };
    if deliveries.is_empty() && !is_known && !is_held {
        // No sender is configured for any of it. Meta sends it again, so it is delivered once the sender exists.
        return answer(StatusCode::NOT_FOUND);
    }
    let rest = match (is_known, is_held) {
        (_, true) => Rest::Held,
        (false, false) => Rest::Nobodys,
        (true, false) => Rest::Nothing,
    };
    // Goes on if Meta hangs up, so that what becomes of the deliveries is remembered.
    let gateway = Arc::clone(gateway);
    let delivering = async move {
        let (response, is_delivered) =
            deliver_all(Arc::clone(&proxy), gateway, parts, secret, deliveries, rest).await;
        // Dropping them releases those of messages that Meta sends again, or sent again.
        if is_delivered {
            reservations.into_iter().for_each(|mut reservation| reservation.set_out());
        }
        response
    };
    let delivering = tokio::spawn(delivering.in_current_span());
    let response = delivering.await.unwrap_or_else(|_| answer(StatusCode::INTERNAL_SERVER_ERROR));
    let is_taken = response.status().is_success() || rest != Rest::Nothing;
    for (tenant, counts) in &counts {
        let passage = if is_taken { Passage::Forwarded } else { Passage::Failed };
        tenant.metrics.passed(Direction::Inbound, passage, counts.passed);
    }
    response
}

/// Waits for the turns of several tenants, holding those that it has.
async fn all_turns(needed: &[TurnOf]) -> Result<Vec<WebhookTurn>, Unfinished> {
    let mut turns = Vec::with_capacity(needed.len());
    for one in needed {
        turns.push(one.wait().await?);
    }
    Ok(turns)
}

fn refused(error: &PartitionError) -> Response {
    match error {
        PartitionError::NotAWebhook => {
            warn!(
                "rejecting a webhook that has Meta's signature but an unknown structure; Meta will send it again"
            );
            answer(StatusCode::BAD_REQUEST)
        }
        PartitionError::Refused(Refusal::Ledger(error)) => {
            portcullis_edge::http::log_ledger_error(error);
            busy()
        }
        PartitionError::Refused(Refusal::Overloaded | Refusal::NotEverywhere)
        | PartitionError::NotItsTurn(_) => busy(),
        PartitionError::Refused(_) => answer(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// What is left undelivered of a webhook. Unless it is `Nothing`, Meta has to send all of the webhook again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Everything is delivered, or removed on purpose.
    Nothing,
    /// Changes of a sender that isn't configured or has no callback.
    Nobodys,
    /// Messages that can't be read.
    Held,
}

/// Makes all deliveries concurrently and returns the worst response, so that Meta sends the webhook again if any of them failed.
///
/// Also returns whether any was made, and none failed.
///
/// Each is made at least once: a crash while one is under way leaves it to the gateway that gets the webhook next.
async fn deliver_all(
    proxy: Arc<Proxy>,
    gateway: Arc<Gateway>,
    parts: Parts,
    secret: String,
    deliveries: Vec<Delivery>,
    rest: Rest,
) -> (Response, bool) {
    let keys: Vec<DeliveryKey> = deliveries.iter().map(|delivery| delivery.key(&secret)).collect();
    let claimed = Claimed::of(&gateway, &keys, proxy.callback_timeout).await;
    let mut sending = Vec::with_capacity(deliveries.len());
    for ((delivery, key), claim) in deliveries.into_iter().zip(keys).zip(&claimed.each) {
        let leave = match claim {
            // The same part of the same webhook arrived before, here or at another gateway.
            Claim::Done => continue,
            // Whether it is taken there is not known yet. If so, it is done when Meta sends the webhook again.
            Claim::Pending => None,
            Claim::Granted => match &delivery.tenant {
                Some(tenant) => proxy.callbacks.enter(tenant),
                None => proxy.callbacks.enter_alone(),
            },
        };
        let delivering = leave.map(|leave| {
            let request = delivery.request(&parts, &secret);
            tokio::spawn(deliver(Arc::clone(&proxy), request, leave).in_current_span())
        });
        sending.push((key, delivering));
    }
    let (mut made, mut failed, mut worst) = (Vec::new(), Vec::new(), None);
    for (key, delivering) in sending {
        let answered = match delivering {
            Some(delivering) => {
                delivering.await.unwrap_or_else(|_| answer(StatusCode::INTERNAL_SERVER_ERROR))
            }
            None => busy(),
        };
        match answered.status().is_success() {
            true => made.push(key),
            false => failed.push(key),
        }
        let is_worse = worst.as_ref().is_none_or(|worst: &Response| rank(&answered) > rank(worst));
        if is_worse {
            worst = Some(answered);
        }
    }
    let is_delivered = !made.is_empty() && failed.is_empty();
    claimed.settle(made, failed).await;
    let worst = worst.unwrap_or_else(|| answer(StatusCode::OK));
    let response = match rest {
        // Meta sends the webhook again, so the rest is delivered once its sender is configured, or once it can be read.
        Rest::Nobodys if worst.status().is_success() => answer(StatusCode::NOT_FOUND),
        Rest::Held if worst.status().is_success() => busy(),
        _ => worst,
    };
    (response, is_delivered)
}

/// Orders responses: success is best, then the lower status.
fn rank(response: &Response) -> u16 {
    if response.status().is_success() { 0 } else { response.status().as_u16() }
}

/// Lines about callbacks that did not answer.
static UNANSWERED: LogLimit = LogLimit::new(50);

/// Maximum size of a callback's response body that is returned to Meta, in bytes. The rest is cut off.
const MOST_OF_ANSWER: usize = 64 << 10;

/// Makes one delivery and reads the complete response. A callback that closes the connection in the middle has accepted nothing.
async fn deliver(proxy: Arc<Proxy>, request: Option<axum::http::Request<Body>>, _permit: Permit) -> Response {
    let Some(request) = request else { return answer(StatusCode::BAD_GATEWAY) };
    let callback = request.uri().host().unwrap_or_default().to_owned();
    let until = Instant::now() + proxy.callback_timeout;
    let response = match proxy.client.send(To::Callback, request, proxy.callback_timeout).await {
        Ok(response) => response,
        Err(why) => {
            if UNANSWERED.admits() {
                let suppressed = UNANSWERED.suppressed();
                warn!(callback, %why, suppressed, "could not deliver a webhook; Meta will send it again");
            }
            let mut response = answer(match why {
                Unanswered::Late => StatusCode::GATEWAY_TIMEOUT,
                Unanswered::Unreachable(_) => StatusCode::BAD_GATEWAY,
            });
            response.extensions_mut().insert(why.reason());
            return response;
        }
    };
    let (head, mut body) = response.into_parts();
    let mut text = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, body.frame()).await {
            Err(_) => return answer(StatusCode::GATEWAY_TIMEOUT),
            Ok(None) => break,
            Ok(Some(Err(_))) => return answer(StatusCode::BAD_GATEWAY),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                if text.len() + data.len() <= MOST_OF_ANSWER {
                    text.extend_from_slice(&data);
                }
            }
        }
    }
    let mut response = answer(head.status);
    if let Some(kind) = head.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    *response.body_mut() = Body::from(text);
    response
}

impl Delivery {
    /// What the delivery is known by, in all gateways with this secret: nobody else can tell whether a body belongs to a key.
    fn key(&self, secret: &str) -> DeliveryKey {
        DeliveryKey(signature::digest(secret, &[b"delivery", self.url.as_bytes(), &self.body]))
    }

    /// Builds the request, as Meta would send it. `None` if the URL is invalid, which the configuration check rules out.
    fn request(self, parts: &Parts, secret: &str) -> Option<axum::http::Request<Body>> {
        let uri: Uri = self.url.parse().ok()?;
        let mut headers = for_another(parts.headers.clone());
        // It is that of the original body. The client sets it for this one.
        headers.remove(axum::http::header::CONTENT_LENGTH);
        headers.remove(marks::HEADER);
        let signature = match self.signature {
            Some(signature) => signature,
            None => {
                // The older SHA-1 signature is that of the original body.
                headers.remove("x-hub-signature");
                HeaderValue::from_str(&signature::sign(secret, &self.body)).ok()?
            }
        };
        headers.insert(signature::HEADER, signature);
        if let Some(marks) = self.marks.header() {
            headers.insert(marks::HEADER, HeaderValue::from_str(&marks).ok()?);
        }
        let mut request = axum::http::Request::new(Body::from(self.body));
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Some(request)
    }
}
