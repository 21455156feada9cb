//! Messages between any other two: checked, and sent on to the tenant's next hop.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Traffic;
use super::client::Unanswered;
use super::outbound::untouched;
use super::people;
use super::verdict::{Kind, judge};
use super::webhook::{Asked, When, Who};
use crate::core::{Refusal, RowProblem, Target};
use crate::dialects::fault::Fault;
use crate::metrics::Passage;
use portcullis_engine::Identity;

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
    /// Whatever the next hop makes of it. A text, or the field `text` of an object, is looked at for words that opt out.
    #[serde(borrow, default)]
    pub(crate) body: Option<&'a RawValue>,
    /// The id of an inbound message: one that comes again opts out once.
    #[serde(borrow, default)]
    pub(crate) id: Option<Cow<'a, str>>,
    /// When an inbound message was written, where that was before now.
    #[serde(default)]
    pub(crate) timestamp: Option<Timestamp>,
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
    let end = End::read(target, message)?;
    if let End::Person(identity) = &end {
        if direction == Direction::Inbound {
            hear(target, identity, message).await?;
        }
        let kind = Kind { is_marketing: false, may_confirm: message.text().is_some() };
        if is_blocked(target, identity, direction, kind).await? {
            metrics.passed(direction, Passage::Blocked, 1);
            return Ok(Routed::Blocked);
        }
    }
    let hops = &target.tenant.config.next_hops;
    let hop = match direction {
        Direction::Inbound => hops.inbound.as_deref(),
        Direction::Outbound => hops.outbound.as_deref(),
    };
    let Some(hop) = hop else {
        metrics.passed(direction, Passage::Forwarded, 1);
        return Ok(Routed::Allowed);
    };
    let Some(request) = request(hop, message, &end, document) else {
        metrics.passed(direction, Passage::Failed, 1);
        return Ok(Routed::Unanswered(Unanswered::Unreachable));
    };
    let answered = traffic.client.send(request, traffic.upstream_patience).await;
    let is_taken = answered.as_ref().is_ok_and(|answer| answer.status().is_success());
    metrics.passed(direction, if is_taken { Passage::Forwarded } else { Passage::Failed }, 1);
    Ok(match answered {
        Ok(answer) => Routed::Answered(untouched(answer, traffic.upstream_patience, under_way)),
        Err(why) => Routed::Unanswered(why),
    })
}

/// Who is at the other end of a message.
enum End {
    Person(Identity),
    /// A short code, or a name in the place of a number, which is nobody's and on no list.
    Unlisted,
}

/// The fewest and the most digits of a short code (Common Short Codes have five or six; other countries', three to six).
const SHORT_CODE: std::ops::RangeInclusive<usize> = 3..=6;
/// The most characters of a sender's name (3GPP TS 23.040, section 9.1.2.5: eleven of the GSM alphabet).
const LONGEST_NAME: usize = 11;
/// With so many digits it may be a number that is written wrong.
const DIGITS_OF_NUMBER: usize = 7;

impl End {
    /// Reads who it is. What can't be read is nobody's only if it can't be a number.
    fn read(target: &Target, message: &RouteRequest<'_>) -> Result<Self, Refusal> {
        let (_, text) = message.ends();
        match target.read(text) {
            Ok(identity) => Ok(End::Person(identity)),
            Err(_) if is_short_code(text) => Ok(End::Unlisted),
            Err(_) if message.direction == Way::Inbound && is_name(text) => Ok(End::Unlisted),
            Err(error) => Err(Refusal::InvalidRows(vec![RowProblem { index: 0, error: error.into() }])),
        }
    }

    /// As it stands in a URL: the digits of a number and nothing else, so that it is one for whoever reads it.
    fn text<'a>(&self, written: &'a str) -> Cow<'a, str> {
        match self {
            End::Person(Identity::Number(number)) if written.trim_start().starts_with('+') => {
                number.e164().to_string().into()
            }
            End::Person(Identity::Number(number)) => number.digits().to_string().into(),
            End::Person(Identity::User(_)) | End::Unlisted => written.into(),
        }
    }
}

fn is_short_code(text: &str) -> bool {
    SHORT_CODE.contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    text.chars().count() <= LONGEST_NAME
        && text.chars().any(char::is_alphabetic)
        && text.chars().all(|character| character.is_alphanumeric() || " &-_.+!'".contains(character))
        && text.chars().filter(|character| character.is_numeric()).count() < DIGITS_OF_NUMBER
}

impl RouteRequest<'_> {
    /// What the message says, where it says something in words.
    fn text(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Text(String),
            Object { text: String },
        }
        match serde_json::from_str(self.body?.get()).ok()? {
            Said::Text(text) | Said::Object { text } => Some(text),
        }
    }
}

/// Does what a person asks for.
async fn hear(target: &Target, identity: &Identity, message: &RouteRequest<'_>) -> Result<(), Refusal> {
    let keywords = &target.tenant.config.keywords;
    let Some((wish, word)) = message.text().and_then(|text| Some((keywords.wish(&text)?, text))) else {
        return Ok(());
    };
    let Some(own) =
        target.sender_config().and_then(|sender| people::target_of_route(&target.tenant, sender.id.as_str()))
    else {
        return Ok(());
    };
    let who = match identity {
        Identity::Number(number) => Who { number: Some(*number), users: Vec::new() },
        Identity::User(id) => Who { number: None, users: vec![id.clone()] },
    };
    let at = message.timestamp.map_or(When::Now, |time| When::At(time.min(Timestamp::now())));
    let id = message.id.as_deref().map(str::to_owned);
    let asked = Asked { wish, word, at, id, may_be_confirmed: true };
    let granting = tokio::task::spawn_blocking(move || people::grant(&own, &who, &asked));
    granting.await.unwrap_or(Err(Refusal::Defect))
}

async fn is_blocked(
    target: &Target,
    identity: &Identity,
    direction: Direction,
    kind: Kind,
) -> Result<bool, Refusal> {
    if direction == Direction::Inbound {
        return super::verdict::is_stopped(target, identity, direction).await;
    }
    match judge(target, vec![identity.clone()], kind).await {
        Ok(blocked) => Ok(blocked.is_some()),
        Err(Fault::SenderUnknown) => Err(Refusal::UnknownSender),
        Err(_) => Err(Refusal::Defect),
    }
}

/// A GET where the hop's URL has a place for what the message has, else a POST of the message as it came.
fn request(hop: &str, message: &RouteRequest<'_>, end: &End, document: Bytes) -> Option<Request<Body>> {
    let body: Cow<'_, str> = match message.body {
        None => Cow::Borrowed(""),
        // A text stands for itself, anything else as JSON.
        Some(body) => match serde_json::from_str::<String>(body.get()) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(body.get()),
        },
    };
    let (mut sender, mut recipient) = (Cow::Borrowed(&*message.sender), Cow::Borrowed(&*message.recipient));
    match message.direction {
        Way::Inbound => sender = end.text(&message.sender),
        Way::Outbound => recipient = end.text(&message.recipient),
    }
    let fields = [("{sender}", sender.as_ref()), ("{recipient}", &recipient), ("{body}", &body)];
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
