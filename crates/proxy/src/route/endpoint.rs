//! `POST /portcullis/v1/route`: the endpoint and its OpenAPI description.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::routing::MethodFilter;
use jiff::Timestamp;
use portcullis_api::{Channel, ErrorCode, Purpose, Verdict};
use portcullis_correlation::PassedOn;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::answer::{self as edge_answer, Answer};
use portcullis_edge::http::auth::{Client, ToCheck};
use portcullis_edge::http::body::{JsonBody, SHORT_BODY};
use portcullis_edge::http::openapi::{Auth, Content, Operation};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};
use portcullis_edge::ops::{Target, Work};
use portcullis_edge::registry::Caller;
use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{Heard, Received, RouteRequest, Routed, route};
use crate::Proxy;
use crate::client::Unanswered;

/// Returns the routes to add to the native API.
pub(crate) fn routes(proxy: &Arc<Proxy>) -> Vec<Route> {
    let proxy = Arc::clone(proxy);
    let handler = move |client: Client<ToCheck>, passed_on: PassedOn, body: JsonBody| {
        Box::pin(answer(Arc::clone(&proxy), client, passed_on, body))
    };
    vec![Route {
        method: Method::POST,
        path: format!("{PREFIX}/route"),
        handler: logged(MethodFilter::POST, handler),
        operation: described(),
    }]
}

fn described() -> Operation {
    Operation {
        summary: "Forward a message",
        description: "Checks the message and forwards it to the tenant's next hop unless it is blocked, or stopped by a rule. The next hop's response is \
            returned unchanged. Without a next hop, the response says that the message may pass.",
        tag: "tenant",
        body: Some(Content::new::<RouteSchema>([(
            "one",
            json!({ "sender": "support", "recipient": "+46732009988", "direction": "outbound", "body": "Hello" }),
        )])),
        answers: vec![(
            200,
            "The next hop's response, in any format; or the verdict, without a next hop",
            Content::new::<RouteAnswer>([("allowed", json!({ "verdict": "allow" }))]),
        )],
        errors: &[
            ErrorCode::Blocked,
            ErrorCode::InvalidNumber,
            ErrorCode::NextHopFailed,
            ErrorCode::NextHopLate,
            ErrorCode::Postponed,
            ErrorCode::SenderNotAllowed,
            ErrorCode::UnknownSender,
        ],
        ..operation("route_message", Auth::Tenant)
    }
}

/// A message to check and forward.
#[derive(JsonSchema)]
#[schemars(rename = "RouteRequest")]
#[expect(dead_code, reason = "only its schema is used")]
struct RouteSchema {
    /// Outbound: one of the tenant's senders. Inbound: the person who wrote the message.
    sender: String,
    /// Outbound: the person for whom the message is. Inbound: one of the tenant's senders.
    recipient: String,
    direction: Direction,
    /// The message, in any form that the next hop understands. Of an inbound message, a string or the field `text` is searched
    /// for opt-out words.
    body: Option<serde_json::Value>,
    /// The id of an inbound message. A message that arrives again opts in only once.
    id: Option<String>,
    /// When an inbound message was written: RFC 3339. Omitted: now. An opt-out dated in the future counts as now, and an opt-in dated
    /// more than a minute ahead changes nothing.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    timestamp: Option<Timestamp>,
    /// How the message goes, for the tenant's rules. Without rules, any value passes, here and in the next two fields.
    channel: Option<Channel>,
    /// What the message is for, for the tenant's rules.
    purpose: Option<Purpose>,
    /// The parts that the message is charged as, for the tenant's rules.
    #[schemars(range(min = 1))]
    segments: Option<u16>,
}

/// The response if there is no next hop: the message may pass.
#[derive(Serialize, JsonSchema)]
struct RouteAnswer {
    verdict: Verdict,
}

async fn answer(
    proxy: Arc<Proxy>,
    Client(caller, _): Client<ToCheck>,
    passed_on: PassedOn,
    body: JsonBody,
) -> Answer {
    let document = body.0.clone();
    let (message, heard) = read(&caller, body).await?;
    let target = Target::sender(&caller, message.ends().0)?;
    match route(&proxy, &caller, &target, &message, Received { heard, document, passed_on }).await? {
        Routed::Answered(response) => Ok(response),
        Routed::Allowed => Ok(edge_answer::json(StatusCode::OK, &RouteAnswer { verdict: Verdict::Allow })),
        Routed::Blocked => Err(ApiError::blocked()),
        Routed::Stopped(stop) => Err(ApiError::stopped(&stop)),
        Routed::Unreadable => Err(ApiError::invalid_request(
            "body.text",
            "must be a string, or an object with a string `body`, because it is searched for opt-out words",
        )),
        Routed::Busy => Err(ApiError::unavailable("too many messages are in progress: retry later")),
        Routed::Unanswered(why) => Err(ApiError::next_hop(code(why), &why)),
    }
}

/// Parses a message: on a thread of low priority if it is long.
async fn read(caller: &Caller, body: JsonBody) -> Result<(RouteRequest, Heard), ApiError> {
    let (tenant, is_long) = (Arc::clone(&caller.tenant), body.0.len() > SHORT_BODY);
    let read = move || {
        let message: RouteRequest = body.parse()?;
        let heard = message.heard(&tenant.config.keywords);
        Ok::<_, ApiError>((message, heard))
    };
    if is_long { caller.blocking(Work::Batch, read).await } else { read() }
}

fn code(why: Unanswered) -> ErrorCode {
    match why {
        Unanswered::Unreachable(_) => ErrorCode::NextHopFailed,
        Unanswered::Late => ErrorCode::NextHopLate,
    }
}
