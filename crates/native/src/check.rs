//! `POST …/check`

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::body::Bytes;
use jiff::Timestamp;
use portcullis_api::{CheckAnswer, CheckManyAnswer, CheckRequest, StoppedAnswer, Verdict};
use portcullis_ledger::Position;
use portcullis_msisdn::Direction;
use tracing::error;

use portcullis_edge::http::answer::{self, Answer, Room};
use portcullis_edge::http::auth::{Asked, ToCheck};
use portcullis_edge::http::body::{JsonBody, SHORT_BODY};
use portcullis_edge::http::error::ApiError;
use portcullis_edge::http::position::Since;
use portcullis_edge::ops::{Refusal, Target, Work, check, rules};
use portcullis_edge::wire;
use portcullis_engine::{AnsweredBy, Checked, CheckedMany, Identity, ListKind, Message, Stop};

pub(super) async fn check(asked: Asked<ToCheck>, since: Since, body: JsonBody) -> Answer {
    answer_text(asked.target, &since, body).await.map(|text| answer::whole(text.into()))
}

/// The answer, as JSON.
pub(super) async fn answer_text(target: Target, since: &Since, body: JsonBody) -> Result<Bytes, ApiError> {
    let since = since.read(&target)?;
    if body.0.len() > SHORT_BODY {
        let read = move |target: Target| {
            let request: CheckRequest<'_> = body.parse()?;
            let numbers: Vec<String> = match asked(&request)? {
                Numbers::One(number) => vec![number.to_owned()],
                Numbers::Many(numbers) => numbers.into_iter().map(str::to_owned).collect(),
            };
            let identities = check::read(&target, &numbers).map_err(|refusal| {
                if request.number.is_some() { refusal.without_index() } else { refusal }
            })?;
            Ok::<_, ApiError>((numbers, identities, request.number.is_some(), message(&request)?))
        };
        let (numbers, identities, is_one, message) = target.blocking(Work::Batch, read).await?;
        return match identities.first() {
            Some(identity) if is_one => one(&target, identity.clone(), message, &since).await,
            _ => {
                let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
                many(&target, &numbers, identities, message, &since).await
            }
        };
    }
    let request: CheckRequest<'_> = body.parse()?;
    let message = message(&request)?;
    match asked(&request)? {
        Numbers::One(number) => {
            let identity = target.read(number).map_err(|error| Refusal::InvalidRow(error.into()))?;
            one(&target, identity, message, &since).await
        }
        Numbers::Many(numbers) => {
            let identities = check::read_at_once(&target, &numbers).await?;
            many(&target, &numbers, identities, message, &since).await
        }
    }
}

/// What the request says of its messages.
fn message(request: &CheckRequest<'_>) -> Result<Message, ApiError> {
    Ok(Message {
        channel: wire::channel(request.channel),
        purpose: wire::purpose(request.purpose),
        segments: request.segments,
        at: request.at.as_deref().map(time).transpose()?,
        ..Message::new(request.direction)
    })
}

/// Milliseconds since 1970.
fn time(text: &str) -> Result<u64, ApiError> {
    let time = text.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok());
    time.ok_or_else(|| {
        ApiError::invalid_request(
            "at",
            "must be a time since 1970 as in RFC 3339, such as 2026-03-29T21:30:00+02:00",
        )
    })
}

async fn one(
    target: &Target,
    identity: Identity,
    message: Message,
    since: &[Position],
) -> Result<Bytes, ApiError> {
    let direction = message.direction;
    let (checked, stop) = rules::one(target, identity, message, since).await?;
    let Some(stop) = stop else { return Ok(text_for_one(checked, direction)) };
    let (verdict, answer) = wire::stop(&stop);
    let source = wire::answered_by(checked.answered_by);
    let answer = CheckAnswer { verdict, direction, list: None, source, blocked: true, stop: Some(answer) };
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| unwritable(&error))
}

async fn many(
    target: &Target,
    numbers: &[&str],
    identities: Vec<Identity>,
    message: Message,
    since: &[Position],
) -> Result<Bytes, ApiError> {
    let (checked, stops) = rules::many(target, identities, message, since).await?;
    text_for_many(target, numbers, &checked, &stops, message.direction)
}

fn unwritable(error: &serde_json::Error) -> ApiError {
    error!(%error, "an answer can't be written as JSON");
    ApiError::internal()
}

/// What a request asks about.
enum Numbers<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

fn asked<'a>(request: &'a CheckRequest<'_>) -> Result<Numbers<'a>, ApiError> {
    match (&request.number, &request.numbers) {
        (Some(number), None) => Ok(Numbers::One(&number.0)),
        (None, Some(numbers)) => Ok(Numbers::Many(numbers.iter().map(|number| number.0.as_ref()).collect())),
        (None, None) => {
            Err(ApiError::invalid_request("", "neither number nor numbers is set; send one of them"))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::invalid_request("", "both number and numbers are set; send one of them"))
        }
    }
}

fn text_for_many(
    target: &Target,
    numbers: &[&str],
    checked: &CheckedMany,
    stops: &[Option<Stop>],
    direction: Direction,
) -> Result<Bytes, ApiError> {
    let stop = |place: usize| stops.get(place).and_then(Option::as_ref);
    let blocked = numbers.iter().zip(&checked.blocked).enumerate();
    let blocked = blocked.filter(|(place, (_, blocked))| **blocked || stop(*place).is_some());
    let stopped = numbers.iter().zip(stops).filter_map(|(number, stop)| {
        let (verdict, stop) = wire::stop(stop.as_ref()?);
        Some(StoppedAnswer { number: Cow::Borrowed(*number), verdict, blocked: true, stop })
    });
    let answer = CheckManyAnswer {
        blocked: blocked.map(|(_, (number, _))| Cow::Borrowed(*number)).collect(),
        checked: numbers.len(),
        direction,
        source: wire::answered_by(checked.answered_by),
        stopped: stopped.collect(),
    };
    let text = serde_json::to_vec(&answer).map_err(|error| unwritable(&error))?;
    Ok(Room::of(target.tenant.turns.answers(), target.owner(), text.len())?.holding(text))
}

/// All responses to a check of one number, by direction, blocking list and source. They are few, so each is serialized once.
static TEXTS: LazyLock<[[[Bytes; 3]; 3]; 2]> = LazyLock::new(|| {
    [Direction::Inbound, Direction::Outbound].map(|direction| {
        [None, Some(ListKind::Sender), Some(ListKind::Tenant)].map(|list| {
            [AnsweredBy::Plugin, AnsweredBy::Ledger, AnsweredBy::Policy].map(|by| {
                let blocked = list.is_some();
                let verdict = if blocked { Verdict::Block } else { Verdict::Allow };
                let (list, source) = (list.map(wire::list_kind), wire::answered_by(by));
                // Only strings and a truth value, which always serialize.
                serde_json::to_vec(&CheckAnswer { verdict, direction, list, source, blocked, stop: None })
                    .expect("words are valid JSON")
                    .into()
            })
        })
    })
});

fn text_for_one(checked: Checked, direction: Direction) -> Bytes {
    let list = match checked.blocked_by {
        None => 0,
        Some(ListKind::Sender) => 1,
        Some(ListKind::Tenant) => 2,
    };
    TEXTS[direction as usize][list][checked.answered_by as usize].clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_the_one_that_was_meant() {
        for (direction, blocked_by, answered_by, text) in [
            (
                Direction::Inbound,
                None,
                AnsweredBy::Plugin,
                r#"{"verdict":"allow","direction":"inbound","source":"plugin"}"#,
            ),
            (
                Direction::Outbound,
                Some(ListKind::Sender),
                AnsweredBy::Ledger,
                r#"{"verdict":"block","direction":"outbound","list":"sender","source":"ledger","blocked":true}"#,
            ),
            (
                Direction::Inbound,
                Some(ListKind::Tenant),
                AnsweredBy::Policy,
                r#"{"verdict":"block","direction":"inbound","list":"tenant","source":"policy","blocked":true}"#,
            ),
        ] {
            assert_eq!(text_for_one(Checked { blocked_by, answered_by }, direction), text);
        }
    }
}
