//! Messages between any other two: checked, and sent on to the tenant's next hop.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Traffic;
use super::client::Unanswered;
use super::outbound::{is_stopped, untouched};
use crate::core::{Refusal, RowProblem, Target};
use crate::metrics::Passage;

/// A message. What is not named here passes with it.
#[derive(Deserialize)]
pub(crate) struct RouteRequest<'a> {
    /// Who it is from: of an outbound message, one of the tenant's senders.
    #[serde(borrow)]
    pub(crate) sender: Cow<'a, str>,
    /// Who it is for: of an inbound message, one of the tenant's senders.
    #[serde(borrow)]
    pub(crate) recipient: Cow<'a, str>,
    pub(crate) direction: Way,
    /// Whatever the next hop makes of it.
    #[serde(borrow, default)]
    pub(crate) body: Option<&'a RawValue>,
}

/// Which way a message goes, seen from the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Inbound,
    Outbound,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Inbound => Direction::Inbound,
            Way::Outbound => Direction::Outbound,
        }
    }
}

impl RouteRequest<'_> {
    /// The tenant's sender, and the person at the other end.
    pub(crate) fn ends(&self) -> (&str, &str) {
        match self.direction {
            Way::Inbound => (&self.recipient, &self.sender),
            Way::Outbound => (&self.sender, &self.recipient),
        }
    }
}

/// What became of a message.
pub(crate) enum Routed {
    /// The next hop's answer.
    Answered(Response),
    /// It may pass, and there is no next hop.
    Allowed,
    Blocked,
    /// There is too much under way.
    Busy,
    Unanswered(Unanswered),
}

/// Checks a message, and sends it on where it may pass. `document` is the message as it came.
pub(crate) async fn route(
    traffic: &Arc<Traffic>,
    target: &Target,
    message: &RouteRequest<'_>,
    document: Bytes,
) -> Result<Routed, Refusal> {
    let direction = Direction::from(message.direction);
    let metrics = &target.tenant.metrics;
    let Some(under_way) = traffic.shed.enter(&target.tenant.config.id) else { return Ok(Routed::Busy) };
    let (_, person) = message.ends();
    let identity = target
        .read(person)
        .map_err(|error| Refusal::InvalidRows(vec![RowProblem { index: 0, error: error.into() }]))?;
    if is_stopped(target, &identity, direction).await? {
        metrics.passed(direction, Passage::Blocked);
        return Ok(Routed::Blocked);
    }
    let hops = &target.tenant.config.next_hops;
    let hop = match direction {
        Direction::Inbound => hops.inbound.as_deref(),
        Direction::Outbound => hops.outbound.as_deref(),
    };
    let Some(hop) = hop else {
        metrics.passed(direction, Passage::Forwarded);
        return Ok(Routed::Allowed);
    };
    let Some(request) = request(hop, message, document) else {
        metrics.passed(direction, Passage::Failed);
        return Ok(Routed::Unanswered(Unanswered::Unreachable));
    };
    let answered = traffic.client.send(request, traffic.upstream_patience).await;
    let is_taken = answered.as_ref().is_ok_and(|answer| answer.status().is_success());
    metrics.passed(direction, if is_taken { Passage::Forwarded } else { Passage::Failed });
    Ok(match answered {
        Ok(answer) => Routed::Answered(untouched(answer, traffic.upstream_patience, under_way)),
        Err(why) => Routed::Unanswered(why),
    })
}

/// A GET where the hop's URL has a place for what the message has, else a POST of the message as it came.
fn request(hop: &str, message: &RouteRequest<'_>, document: Bytes) -> Option<Request<Body>> {
    let body: Cow<'_, str> = match message.body {
        None => Cow::Borrowed(""),
        // A text stands for itself, anything else as JSON.
        Some(body) => match serde_json::from_str::<String>(body.get()) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(body.get()),
        },
    };
    let fields =
        [("{sender}", message.sender.as_ref()), ("{recipient}", &message.recipient), ("{body}", &body)];
    let is_template = fields.iter().any(|(name, _)| hop.contains(name));
    let url = filled(hop, &fields);
    let mut request = Request::new(if is_template { Body::empty() } else { Body::from(document) });
    *request.uri_mut() = url.parse::<Uri>().ok()?;
    if !is_template {
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Some(request)
}

/// In one pass, so that what a message has is never taken for a place.
fn filled(hop: &str, fields: &[(&str, &str)]) -> String {
    let mut url = String::with_capacity(hop.len());
    let mut rest = hop;
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        url.push_str(before);
        match fields.iter().find(|(name, _)| after.starts_with(name)) {
            Some((name, value)) => {
                url.extend(form_urlencoded::byte_serialize(value.as_bytes()));
                rest = &after[name.len()..];
            }
            None => {
                url.push('{');
                rest = &after[1..];
            }
        }
    }
    url.push_str(rest);
    url
}

/// The status that tells of an answer that did not come.
pub(crate) fn status(why: Unanswered) -> StatusCode {
    match why {
        Unanswered::Unreachable => StatusCode::BAD_GATEWAY,
        Unanswered::Late => StatusCode::GATEWAY_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_escaped() {
        let fields = [("{sender}", "a b"), ("{recipient}", "+46"), ("{body}", "{sender}&x=1")];
        assert_eq!(
            filled("http://k/send?from={sender}&to={recipient}&text={body}&{other}", &fields),
            "http://k/send?from=a+b&to=%2B46&text=%7Bsender%7D%26x%3D1&{other}"
        );
    }
}
