//! Messages between any two routers: checked, and forwarded to the tenant's next hop.

mod endpoint;

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Request, Uri};
use axum::response::Response;
use jiff::Timestamp;
use portcullis_msisdn::{Direction, ParseError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Proxy;
use crate::breakdown::Breakdown;
use crate::client::Unanswered;
use crate::message::object::Object;
use crate::message::{Request as Asked, Said, When, Who, lenient, said};
use crate::people;
use crate::relay::relayed;
use crate::verdict::{Blocked, Kind, judge};
use portcullis_admission::LogLimit;
use portcullis_correlation::PassedOn;
use portcullis_edge::identity::IdentityError;
use portcullis_edge::metrics::Passage;
use portcullis_edge::ops::{Refusal, RowError, Target, Work, rules};
use portcullis_edge::registry::Caller;
use portcullis_edge::settings::is_open_hop;
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::wire;
use portcullis_engine::{Identity, Message, Reservation, Stop, USER_PREFIX};
use portcullis_keywords::Keywords;
use portcullis_numbers::NumberError;
use portcullis_process_metrics::exchanges::To;
use tracing::warn;

pub(crate) use endpoint::routes;

/// A message to forward. Unknown fields are ignored here and forwarded with the document.
#[derive(Deserialize)]
pub(crate) struct RouteRequest {
    /// Outbound: one of the tenant's senders. Inbound: the person.
    pub(crate) sender: String,
    /// Outbound: the person. Inbound: one of the tenant's senders.
    pub(crate) recipient: String,
    pub(crate) direction: Direction,
    /// The message, in any JSON form. A string, or the field `text` of an object, is searched for opt-out words.
    #[serde(default)]
    pub(crate) body: Option<Box<RawValue>>,
    /// The id of an inbound message. A message that arrives again opts in only once.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// When an inbound message was written. Omitted: now. May be in the future.
    #[serde(default)]
    pub(crate) timestamp: Option<Timestamp>,
    /// How the message goes, for the tenant's rules. Read only if there are any, as for the following ones.
    #[serde(default)]
    pub(crate) channel: Option<Box<RawValue>>,
    /// What the message is for.
    #[serde(default)]
    pub(crate) purpose: Option<Box<RawValue>>,
    /// The parts that it is charged as.
    #[serde(default)]
    pub(crate) segments: Option<Box<RawValue>>,
}

impl RouteRequest {
    /// What the message says of itself to the tenant's rules. Without rules, these fields are the next hop's alone.
    fn described(&self, target: &Target) -> Result<Message, Refusal> {
        let message = Message::new(self.direction);
        if !target.list.has_rules() {
            return Ok(message);
        }
        Ok(Message {
            channel: wire::channel(field(self.channel.as_deref(), RowError::Channel)?.unwrap_or_default()),
            purpose: wire::purpose(field(self.purpose.as_deref(), RowError::Purpose)?.unwrap_or_default()),
            segments: field(self.segments.as_deref(), RowError::Segments)?.unwrap_or(message.segments),
            ..message
        })
    }

    /// Returns the tenant's sender and the person, in this order.
    pub(crate) fn ends(&self) -> (&str, &str) {
        match self.direction {
            Direction::Inbound => (&self.recipient, &self.sender),
            Direction::Outbound => (&self.sender, &self.recipient),
        }
    }
}

/// Reads a field that rules are to know.
fn field<T: DeserializeOwned>(raw: Option<&RawValue>, error: RowError) -> Result<Option<T>, Refusal> {
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| Refusal::InvalidRow(error))).transpose()
}

/// What the gateway reads in the body of a message.
pub(crate) enum Heard {
    /// Inbound: what the person asks for.
    Inbound(Said),
    /// Outbound.
    Outbound {
        /// Whether the body is one text, so that it may confirm an opt-out.
        is_one_text: bool,
    },
}

/// The result of [`route`].
pub(crate) enum Routed {
    /// The next hop's response.
    Answered(Response),
    /// The message may pass, and there is no next hop.
    Allowed,
    /// The message is blocked.
    Blocked,
    /// A rule stops the message.
    Stopped(Stop),
    /// The message has text in an unexpected form, so it can't be searched for opt-out words.
    Unreadable,
    /// Too many messages are in progress.
    Busy,
    /// The next hop did not respond.
    Unanswered(Unanswered),
}

/// What was received of a message, besides its fields.
pub(crate) struct Received {
    /// What its body says.
    pub(crate) heard: Heard,
    /// The message, to be forwarded as it is.
    pub(crate) document: Bytes,
    /// What the request to the next hop gets from the one with the message.
    pub(crate) passed_on: PassedOn,
}

/// Checks a message of this caller and forwards it if it may pass.
pub(crate) async fn route(
    proxy: &Arc<Proxy>,
    caller: &Caller,
    target: &Target,
    message: &RouteRequest,
    Received { heard, document, passed_on }: Received,
) -> Result<Routed, Refusal> {
    let direction = message.direction;
    let metrics = &target.tenant.metrics;
    let Some(permit) = proxy.sends.enter_as(caller) else { return Ok(Routed::Busy) };
    let end = End::read(target, message)?;
    let hops = &target.tenant.config.next_hops;
    let hop = match direction {
        Direction::Inbound => hops.inbound.as_deref(),
        Direction::Outbound => hops.outbound.as_deref(),
    };
    let mut reservation = Reservation::default();
    let described = message.described(target)?;
    if let End::Person(identity) = &end {
        let (is_heard, may_confirm) = match heard {
            Heard::Inbound(said) => (hear(target, identity, message, said).await?, false),
            Heard::Outbound { is_one_text } => (true, is_one_text),
        };
        refuse_user_in_url(identity, message.direction, hop)?;
        let kind = Kind { message: Some(described), is_marketing: false, may_confirm };
        reservation = match admitted(target, identity, kind, is_heard).await? {
            Ok(reservation) => reservation,
            Err(refused) => {
                let is_unreadable = matches!(refused, Routed::Unreadable);
                metrics.passed(
                    direction,
                    if is_unreadable { Passage::Unreadable } else { Passage::Blocked },
                    1,
                );
                return Ok(refused);
            }
        };
    }
    let Some(hop) = hop else {
        reservation.set_out();
        metrics.passed(direction, Passage::Forwarded, 1);
        return Ok(Routed::Allowed);
    };
    let Some(mut request) = request(hop, message, &end, document) else {
        metrics.passed(direction, Passage::Failed, 1);
        return Ok(Routed::Unanswered(Unanswered::Unreachable(Breakdown::Other)));
    };
    passed_on.put(request.headers_mut());
    reservation.set_out();
    let answered = proxy.client.send(To::NextHop, request, proxy.upstream_timeout).await;
    let is_taken = answered.as_ref().is_ok_and(|answer| answer.status().is_success());
    if !is_taken && !matches!(answered, Err(Unanswered::Late)) {
        reservation.release();
    }
    metrics.passed(direction, if is_taken { Passage::Forwarded } else { Passage::Failed }, 1);
    Ok(match answered {
        Ok(answer) => {
            let streams = || proxy.streams.enter_as(caller);
            match relayed(answer, proxy.upstream_timeout, permit, streams, false).await {
                Some(answer) => Routed::Answered(answer),
                None => Routed::Busy,
            }
        }
        Err(why) => {
            if UNANSWERED.admits() {
                let suppressed = UNANSWERED.suppressed();
                warn!(tenant = %caller.tenant.config.id, %why, suppressed, "could not forward a message to the next hop");
            }
            Routed::Unanswered(why)
        }
    })
}

/// Lines about next hops that did not answer.
static UNANSWERED: LogLimit = LogLimit::new(50);

/// The other end of a message.
enum End {
    /// A person, who may be on a list.
    Person(Identity),
    /// A short code or an alphanumeric sender name. Neither belongs to a person or is on a list.
    Unlisted,
}

/// Number of digits of a short code as a recipient (Common Short Codes have five or six; those of other countries, three to six).
const SHORT_CODE: RangeInclusive<usize> = 3..=6;
/// Number of digits of a short code as a sender: services of operators and emergency services may have two.
const SHORT_CODE_OF_SENDER: RangeInclusive<usize> = 2..=6;
/// Maximum number of digits of a short code as a sender, if the numbering plan of the default region says that it is too short
/// for a number (the United Kingdom and India have such short codes).
const LONGEST_SHORT_CODE: usize = 8;
/// Maximum length of a sender name in septets (3GPP TS 23.040, section 9.1.2.5: eleven characters of the GSM alphabet).
const LONGEST_NAME: usize = 11;
/// Characters of a sender name besides letters and digits: the visible ones of the GSM alphabet (3GPP TS 23.038, section 6.2.1).
const SIGNS_OF_NAME: &str = " @£$¥_!\"#¤%&'()*+,-./:;<=>?¡§¿";
/// Characters of the GSM extension table, which take two septets each.
const LONG_SIGNS_OF_NAME: &str = "^{}\\[~]|€";
/// With this many digits, a text may be a mistyped number, so it is not a name.
const DIGITS_OF_NUMBER: usize = 7;

impl End {
    /// Reads the other end of a message. A text that can't be read is [`End::Unlisted`] only if it can't be meant as a number.
    fn read(target: &Target, message: &RouteRequest) -> Result<Self, Refusal> {
        let (_, text) = message.ends();
        let error = match target.read(text) {
            Ok(identity) => return Ok(End::Person(identity)),
            Err(error) => error,
        };
        let is_unlisted = match message.direction {
            Direction::Outbound => is_short_code(text, SHORT_CODE),
            Direction::Inbound => {
                let bare = text.strip_prefix('+').unwrap_or(text);
                // Without a default region, the numbering plan is unknown, so no number is known to be too short.
                let is_in_no_plan = target.tenant.reader.default_region.is_some()
                    && matches!(error, IdentityError::Number(NumberError::Unreadable(ParseError::TooShort)));
                is_short_code(bare, SHORT_CODE_OF_SENDER)
                    || is_in_no_plan && is_short_code(text, DIGITS_OF_NUMBER..=LONGEST_SHORT_CODE)
                    || is_name(text)
            }
        };
        if is_unlisted {
            return Ok(End::Unlisted);
        }
        Err(Refusal::InvalidRow(error.into()))
    }

    /// The text for a placeholder in a URL. Numbers are inserted as digits only, so that every next hop reads the same number.
    fn text<'a>(&self, written: &'a str) -> Cow<'a, str> {
        match self {
            End::Person(Identity::Number(number)) => number.digits().to_string().into(),
            End::Person(Identity::User(_)) | End::Unlisted => written.into(),
        }
    }
}

/// Rejects a user id if the next hop's URL has a placeholder for the person. A hop that keeps only the digits would turn the id
/// into a number that was never checked.
fn refuse_user_in_url(identity: &Identity, way: Direction, hop: Option<&str>) -> Result<(), Refusal> {
    let place = match way {
        Direction::Inbound => SENDER,
        Direction::Outbound => RECIPIENT,
    };
    if matches!(identity, Identity::User(_)) && hop.is_some_and(|hop| hop.contains(place)) {
        return Err(Refusal::InvalidRow(RowError::UserInUrl));
    }
    Ok(())
}

/// Placeholders in a next hop's URL.
const SENDER: &str = "{sender}";
const RECIPIENT: &str = "{recipient}";
const BODY: &str = "{body}";

fn is_short_code(text: &str, digits: RangeInclusive<usize>) -> bool {
    digits.contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let septets = |character: char| match character {
        _ if character.is_alphanumeric() || SIGNS_OF_NAME.contains(character) => Some(1),
        _ if LONG_SIGNS_OF_NAME.contains(character) => Some(2),
        _ => None,
    };
    let length = text.chars().try_fold(0, |length: usize, character| Some(length + septets(character)?));
    length.is_some_and(|length| length <= LONGEST_NAME)
        && !text.starts_with(USER_PREFIX)
        && text.chars().any(char::is_alphabetic)
        && text.chars().filter(|character| character.is_numeric()).count() < DIGITS_OF_NUMBER
}

/// The path of the text in a message body that is an object. `text` may itself be a string.
const WORDS: &[&str] = &["text", "body"];

impl RouteRequest {
    /// Reads the body of the message. Takes as long as parsing it.
    fn heard(&self, keywords: &Keywords) -> Heard {
        match self.direction {
            Direction::Inbound => Heard::Inbound(self.said(keywords)),
            Direction::Outbound => Heard::Outbound { is_one_text: self.is_one_text() },
        }
    }

    /// Returns what the text of the message asks for, whatever other JSON surrounds it.
    fn said(&self, keywords: &Keywords) -> Said {
        let Some(body) = self.body.as_deref() else { return Said::Nothing };
        if let Some(word) = lenient::text(body) {
            return keywords.wish(&word).map_or(Said::Nothing, |wish| Said::Intent { wish, word });
        }
        Object::read(body).map_or(Said::Nothing, |object| said(keywords, &object, &[WORDS]))
    }

    /// Whether the body is a string, or an object with exactly one `text`, which is a string. Only such a message may confirm an
    /// opt-out.
    fn is_one_text(&self) -> bool {
        let Some(body) = self.body.as_deref() else { return false };
        let is_text = |object: &Object<'_>| {
            let texts: Vec<_> = object.all("text").collect();
            matches!(texts[..], [text] if lenient::text(text).is_some())
        };
        lenient::text(body).is_some() || Object::read(body).is_some_and(|object| is_text(&object))
    }
}

/// Applies the opt-out or opt-in in an inbound message. Returns `false` if its text can't be read.
async fn hear(
    target: &Target,
    identity: &Identity,
    message: &RouteRequest,
    said: Said,
) -> Result<bool, Refusal> {
    let (wish, word) = match said {
        Said::Intent { wish, word } => (wish, word),
        Said::Nothing => return Ok(true),
        Said::Unreadable => return Ok(false),
    };
    let Some(sender) = target.sender_config() else { return Ok(true) };
    let Some(own) = people::target_of_route(&target.tenant, sender.id.as_str()) else { return Ok(true) };
    let own = own.asked_by(target);
    let who = Who::from(identity);
    let at = message.timestamp.map_or(When::Now, When::At);
    let id = message.id.clone();
    let asked = Asked { wish, word, at, id, may_be_confirmed: true };
    let grant = move |own: Target| people::grant(&own, &who, &asked);
    own.blocking(Work::Write, grant).await.map(|()| true)
}

/// Asks the lists, and then the rules, about a message. The outer error is that they can't be asked.
async fn admitted(
    target: &Target,
    identity: &Identity,
    kind: Kind,
    is_heard: bool,
) -> Result<Result<Reservation, Routed>, Refusal> {
    let message = kind.message.filter(|message| message.direction == Direction::Inbound);
    if let Some(message) = message {
        if crate::verdict::is_stopped(target, identity, Direction::Inbound).await? {
            return Ok(Err(Routed::Blocked));
        }
        if !is_heard {
            return Ok(Err(Routed::Unreadable));
        }
        let reserved = rules::reserve(target, vec![identity.clone()], message).await?;
        return Ok(reserved.map_err(Routed::Stopped));
    }
    match judge(target, vec![identity.clone()], kind).await {
        Ok(Ok(reservation)) => Ok(Ok(reservation)),
        Ok(Err(Blocked::Rule(stop))) => Ok(Err(Routed::Stopped(stop))),
        Ok(Err(_)) => Ok(Err(Routed::Blocked)),
        Err(Fault::SenderUnknown) => Err(Refusal::UnknownSender),
        Err(_) => Err(Refusal::Defect),
    }
}

/// Builds the request to the next hop: a GET if its URL has placeholders, or a POST of the unchanged document otherwise. `None`
/// if the result is not a valid URL, or the message would choose its host, which the configuration check rules out.
fn request(hop: &str, message: &RouteRequest, end: &End, document: Bytes) -> Option<Request<Body>> {
    if is_open_hop(hop) {
        return None;
    }
    let body: Cow<'_, str> = match message.body.as_deref() {
        None => Cow::Borrowed(""),
        // A string is inserted as its text, anything else as JSON.
        Some(body) => lenient::text(body).map_or(Cow::Borrowed(body.get()), Cow::Owned),
    };
    let (mut sender, mut recipient) = (Cow::Borrowed(&*message.sender), Cow::Borrowed(&*message.recipient));
    match message.direction {
        Direction::Inbound => sender = end.text(&message.sender),
        Direction::Outbound => recipient = end.text(&message.recipient),
    }
    let fields = [(SENDER, sender.as_ref()), (RECIPIENT, &recipient), (BODY, &body)];
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

/// Replaces the placeholders in a URL with form-encoded values. Works in one pass, so that a value that contains a placeholder is
/// not replaced again.
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
