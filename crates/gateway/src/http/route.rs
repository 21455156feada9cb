//! `POST /route`: a message checked, and sent on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{self, Answer};
use super::auth::Client;
use super::body::JsonBody;
use super::error::ApiError;
use super::front::Front;
use crate::core::Target;
use crate::traffic::{RouteRequest, Routed, Way, route as pass, status};

/// A message, for the document.
#[derive(JsonSchema)]
#[schemars(rename = "RouteRequest")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct RouteSchema {
    /// Who it is from: of an outbound message, one of the tenant's senders; of an inbound one, a number.
    sender: String,
    /// Who it is for: of an inbound message, one of the tenant's senders; of an outbound one, a number.
    recipient: String,
    direction: Way,
    /// Whatever the next hop makes of it.
    body: Option<serde_json::Value>,
}

/// That a message may pass, where there is no next hop to answer.
#[derive(Serialize, JsonSchema)]
pub(super) struct RouteAnswer {
    verdict: &'static str,
}

pub(super) async fn route(State(front): State<Arc<Front>>, Client(caller): Client, body: JsonBody) -> Answer {
    let message: RouteRequest<'_> = body.parse()?;
    let target = Target::sender(&caller, message.ends().0)?;
    match pass(front.traffic(), &target, &message, body.0.clone()).await? {
        Routed::Answered(response) => Ok(response),
        Routed::Allowed => Ok(answer::json(StatusCode::OK, &RouteAnswer { verdict: "allow" })),
        Routed::Blocked => Err(ApiError::blocked()),
        Routed::Unreadable => Err(ApiError::invalid_request(
            "body.text",
            "must be a text, or an object with a text `body`: words that opt out are looked for in it",
        )),
        Routed::Busy => Err(ApiError::unavailable("too many messages are under way: ask again")),
        Routed::Unanswered(why) => Err(ApiError::next_hop(status(why), why)),
    }
}
