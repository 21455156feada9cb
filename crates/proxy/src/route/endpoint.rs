//! `POST /portcullis/v1/route`

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::routing::MethodFilter;
use portcullis_api::ErrorCode;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::answer::{self as edge_answer, Answer};
use portcullis_edge::http::auth::Client;
use portcullis_edge::http::body::JsonBody;
use portcullis_edge::http::openapi::{Auth, Content, Operation};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};
use portcullis_edge::ops::Target;
use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{RouteRequest, Routed, route};
use crate::Proxy;
use crate::client::Unanswered;

/// The routes that this adds to the native API.
pub(crate) fn routes(proxy: &Arc<Proxy>) -> Vec<Route> {
    let proxy = Arc::clone(proxy);
    let handler = move |client: Client, body: JsonBody| Box::pin(answer(Arc::clone(&proxy), client, body));
    vec![Route {
        method: Method::POST,
        path: format!("{PREFIX}/route"),
        handler: logged(MethodFilter::POST, handler),
        operation: described(),
    }]
}

fn described() -> Operation {
    Operation {
        summary: "Send a message on",
        description: "Unless it is blocked. The answer is that of the tenant's next hop, as it is; where there is none, that the \
            message may pass.",
        tag: "tenant",
        body: Some(Content::new::<RouteSchema>([(
            "one",
            json!({ "sender": "support", "recipient": "+46732009988", "direction": "outbound", "body": "Hello" }),
        )])),
        answers: vec![(
            200,
            "The next hop's answer, of whatever kind; or that the message may pass",
            Content::new::<RouteAnswer>([("allowed", json!({ "verdict": "allow" }))]),
        )],
        errors: &[
            ErrorCode::Blocked,
            ErrorCode::InvalidNumber,
            ErrorCode::NextHopFailed,
            ErrorCode::NextHopLate,
            ErrorCode::SenderNotAllowed,
            ErrorCode::UnknownSender,
        ],
        ..operation("route_message", Auth::Tenant)
    }
}

/// A message, for the document.
#[derive(JsonSchema)]
#[schemars(rename = "RouteRequest")]
#[expect(dead_code, reason = "only its schema is used")]
struct RouteSchema {
    /// Who it is from: of an outbound message, one of the tenant's senders; of an inbound one, a number.
    sender: String,
    /// Who it is for: of an inbound message, one of the tenant's senders; of an outbound one, a number.
    recipient: String,
    direction: Direction,
    /// Whatever the next hop makes of it.
    body: Option<serde_json::Value>,
}

/// That a message may pass, where there is no next hop to answer.
#[derive(Serialize, JsonSchema)]
struct RouteAnswer {
    verdict: &'static str,
}

async fn answer(proxy: Arc<Proxy>, Client(caller): Client, body: JsonBody) -> Answer {
    let message: RouteRequest<'_> = body.parse()?;
    let target = Target::sender(&caller, message.ends().0)?;
    match route(&proxy, &target, &message, body.0.clone()).await? {
        Routed::Answered(response) => Ok(response),
        Routed::Allowed => Ok(edge_answer::json(StatusCode::OK, &RouteAnswer { verdict: "allow" })),
        Routed::Blocked => Err(ApiError::blocked()),
        Routed::Unreadable => Err(ApiError::invalid_request(
            "body.text",
            "must be a text, or an object with a text `body`: words that opt out are looked for in it",
        )),
        Routed::Busy => Err(ApiError::unavailable("too many messages are under way: ask again")),
        Routed::Unanswered(why) => Err(ApiError::next_hop(code(why), &why)),
    }
}

fn code(why: Unanswered) -> ErrorCode {
    match why {
        Unanswered::Unreachable => ErrorCode::NextHopFailed,
        Unanswered::Late => ErrorCode::NextHopLate,
    }
}
