//! `POST …/check`

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::body::Bytes;
use portcullis_api::{CheckAnswer, CheckManyAnswer, CheckRequest, NumberText, Verdict};
use portcullis_msisdn::Direction;

use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::Asked;
use portcullis_edge::http::body::JsonBody;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::check;
use portcullis_edge::ops::{Refusal, RowProblem, Target};
use portcullis_edge::wire;
use portcullis_engine::ListKind;
use portcullis_engine::{AnsweredBy, Checked, CheckedMany};

/// The longest body, in bytes, that is parsed on an async worker thread. Longer ones would delay other requests.
const SHORT_BODY: usize = 8 << 10;

pub(super) async fn check(asked: Asked, body: JsonBody) -> Answer {
    let Asked { target, .. } = asked;
    match at_once(&target, &body)? {
        Some(text) => Ok(answer::whole(text.into())),
        None => in_time(target, body).await,
    }
}

/// Checks one number or a few without blocking.
///
/// Returns `None` if that takes a thread that may block, or if not exactly one of `number` and `numbers` is set.
pub(super) fn at_once(target: &Target, body: &JsonBody) -> Result<Option<Bytes>, ApiError> {
    if body.0.len() > SHORT_BODY {
        return Ok(None);
    }
    let request: CheckRequest<'_> = body.parse()?;
    let direction = request.direction;
    match (&request.number, &request.numbers) {
        (Some(number), None) => {
            let checked = check::one(target, &number.0, direction).map_err(|error| {
                ApiError::from(Refusal::InvalidRows(vec![RowProblem { index: 0, error: error.into() }]))
            })?;
            Ok(checked.map(|checked| text_for_one(checked, direction)))
        }
        (None, Some(numbers)) => {
            let numbers = texts(numbers);
            let checked = check::few(target, &numbers, direction);
            Ok(checked
                .and_then(|checked| serde_json::to_vec(&many(&numbers, &checked, direction)).ok())
                .map(Bytes::from))
        }
        _ => Ok(None),
    }
}

/// Handles the check on a thread that may block.
pub(super) async fn in_time(target: Target, body: JsonBody) -> Answer {
    answer::blocking(move || at_leisure(&target, &body)).await
}

/// Handles any check, including many numbers and lists that are unloaded or answered from the ledger. May block.
fn at_leisure(target: &Target, body: &JsonBody) -> Answer {
    let request: CheckRequest<'_> = body.parse()?;
    let direction = request.direction;
    match (request.number, request.numbers) {
        (Some(number), None) => {
            let checked = check::one_with_ledger(target, &number.0, direction)?;
            Ok(answer::whole(text_for_one(checked, direction).into()))
        }
        (None, Some(numbers)) => {
            let numbers = texts(&numbers);
            let checked = check::many(target, &numbers, direction)?;
            Ok(answer::ok(&many(&numbers, &checked, direction)))
        }
        (None, None) => {
            Err(ApiError::invalid_request("", "neither number nor numbers is set; send one of them"))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::invalid_request("", "both number and numbers are set; send one of them"))
        }
    }
}

fn texts<'a>(numbers: &'a [NumberText<'_>]) -> Vec<&'a str> {
    numbers.iter().map(|number| number.0.as_ref()).collect()
}

fn many<'a>(numbers: &[&'a str], checked: &CheckedMany, direction: Direction) -> CheckManyAnswer<'a> {
    let blocked = numbers.iter().zip(&checked.blocked).filter(|(_, blocked)| **blocked);
    CheckManyAnswer {
        blocked: blocked.map(|(number, _)| Cow::Borrowed(*number)).collect(),
        checked: numbers.len(),
        direction,
        source: wire::answered_by(checked.answered_by),
    }
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
                    .unwrap_or_default()
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
