//! `POST …/check`

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::body::Bytes;
use portcullis_api::{CheckAnswer, CheckManyAnswer, CheckRequest, Verdict};
use portcullis_msisdn::Direction;
use tracing::error;

use portcullis_edge::http::answer::{self, Answer, Room};
use portcullis_edge::http::auth::Asked;
use portcullis_edge::http::body::{JsonBody, SHORT_BODY};
use portcullis_edge::http::error::ApiError;
use portcullis_edge::http::position::Since;
use portcullis_edge::ops::{Refusal, Target, Work, check};
use portcullis_edge::wire;
use portcullis_engine::{AnsweredBy, Checked, CheckedMany, ListKind};

pub(super) async fn check(asked: Asked, since: Since, body: JsonBody) -> Answer {
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
            Ok::<_, ApiError>((numbers, identities, request.number.is_some(), request.direction))
        };
        let (numbers, identities, is_one, direction) = target.blocking(Work::Batch, read).await?;
        return match identities.first() {
            Some(identity) if is_one => {
                Ok(text_for_one(check::one(&target, identity.clone(), direction, &since).await?, direction))
            }
            _ => {
                let checked = check::many(&target, identities, direction, &since).await?;
                let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
                text_for_many(&target, &numbers, &checked, direction)
            }
        };
    }
    let request: CheckRequest<'_> = body.parse()?;
    let direction = request.direction;
    match asked(&request)? {
        Numbers::One(number) => {
            let identity = target.read(number).map_err(|error| Refusal::InvalidRow(error.into()))?;
            Ok(text_for_one(check::one(&target, identity, direction, &since).await?, direction))
        }
        Numbers::Many(numbers) => {
            let identities = check::read_at_once(&target, &numbers).await?;
            let checked = check::many(&target, identities, direction, &since).await?;
            text_for_many(&target, &numbers, &checked, direction)
        }
    }
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
    direction: Direction,
) -> Result<Bytes, ApiError> {
    let blocked = numbers.iter().zip(&checked.blocked).filter(|(_, blocked)| **blocked);
    let answer = CheckManyAnswer {
        blocked: blocked.map(|(number, _)| Cow::Borrowed(*number)).collect(),
        checked: numbers.len(),
        direction,
        source: wire::answered_by(checked.answered_by),
    };
    let text = serde_json::to_vec(&answer).map_err(|error| {
        error!(%error, "an answer can't be written as JSON");
        ApiError::internal()
    })?;
    Ok(Room::of(target.tenant.turns.answers(), target.owner(), text.len())?.holding(text))
}

/// All responses to a check of one number, by direction, blocking list and source. They are few, so each is serialized once.
static TEXTS: LazyLock<[[[Bytes; 3]; 3]; 2]> = LazyLock::new(|| {
    [Direction::Inbound, Direction::Outbound].map(|direction| {
        [None, Some(ListKind::Sender), Some(ListKind::Tenant)].map(|list| {
            [AnsweredBy::Plugin, AnsweredBy::Ledger, AnsweredBy::Policy].map(|by| {
                let verdict = if list.is_some() { Verdict::Block } else { Verdict::Allow };
                let (list, source) = (list.map(wire::list_kind), wire::answered_by(by));
                // Only strings, which always serialize.
                serde_json::to_vec(&CheckAnswer { verdict, direction, list, source })
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
                r#"{"verdict":"block","direction":"outbound","list":"sender","source":"ledger"}"#,
            ),
            (
                Direction::Inbound,
                Some(ListKind::Tenant),
                AnsweredBy::Policy,
                r#"{"verdict":"block","direction":"inbound","list":"tenant","source":"policy"}"#,
            ),
        ] {
            assert_eq!(text_for_one(Checked { blocked_by, answered_by }, direction), text);
        }
    }
}
